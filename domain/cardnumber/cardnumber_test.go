package cardnumber

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

func TestOneCardHasOneNumberHoweverItWasTyped(t *testing.T) {
	for _, c := range []struct{ format, want, typed string }{
		{"wiegand26", "12-345", "12-345|012-00345|012,00345|12:345|12/345| 12 345 |012 - 00345|12\u2013345|12\u2011345|12\u2212345"},
		{"wiegand34", "65535-1", "65535-1|65535-00001|65535,1"},
		{"wiegand37", "0-524287", "0-524287|000-0524287"},
		{"uid", "04A1B2C3", "04A1B2C3|04a1b2c3|04:a1:b2:c3|04-A1-B2-C3|04 a1 b2 c3|0x04A1B2C3|0X04a1b2c3|04.A1.B2.C3"},
		{"uid", "04A1B2C3D4E5F6", "04a1b2c3d4e5f6"},
		{"raw", "00345", "00345| 00345\t"},
		{"", "a\u00e91", "a\u00e91|ae\u03011"},
	} {
		for typed := range strings.SplitSeq(c.typed, "|") {
			got, err := Canonical(c.format, typed)
			require.NoError(t, err, "%s %q", c.format, typed)
			assert.Equal(t, c.want, got, "%s %q", c.format, typed)
		}
	}
}

func TestWhatIsNoNumberOfItsFormatIsRefused(t *testing.T) {
	for _, c := range []struct{ format, typed string }{
		{"wiegand26", "256-1|1-65536|12345|+1-5|1--5|-1-5|1-|-5|1-2-3|1,-5|12-345x|1.2-3|\u0661-\u0662|99999999999999999999-1"},
		{"wiegand37", "65535-524288|65536-1"},
		{"uid", "04A1B2|04A1B2C3D4E5G6|04A1B2C3D4|0x"},
		{"raw", "a b|a\u00a0b|a\u200bb|a\u202eb|a\x00b|\xff"},
		{"", " |\t"},
		{"wiegand-26", "12-345"}, {"hid", "1"}, {"WIEGAND26", "12-345"},
	} {
		for typed := range strings.SplitSeq(c.typed, "|") {
			_, err := Canonical(c.format, typed)
			assert.Error(t, err, "%s %q", c.format, typed)
		}
	}
	_, err := Canonical("wiegand26", "300-1")
	assert.EqualError(t, err, `"300-1" is no number of the format wiegand26, which is a facility code of 0 to 255, a hyphen and a number of 0 to 65535, as 12-34567`)
	assert.EqualError(t, CheckFormat("wiegand-26"), `there is no format "wiegand-26"; did you mean wiegand26?`)
	assert.EqualError(t, CheckFormat("hid"), `there is no format "hid"; a format is one of raw, uid, wiegand26, wiegand34, wiegand37`)
}

// The form of a number is its own form, so that a stored one is read as it is.
func TestTheFormOfANumberIsItsOwn(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom(Formats()).Draw(t, "format")
		typed := rapid.StringMatching(`[0-9a-fA-F]{1,14}|[0-9]{1,5}[-,:/ ][0-9]{1,6}|.{1,20}`).Draw(t, "typed")
		once, err := Canonical(format, typed)
		if err != nil {
			return
		}
		again, err := Canonical(format, once)
		require.NoError(t, err)
		require.Equal(t, once, again)
	})
}
