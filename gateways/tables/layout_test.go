package tables

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/schedule"
)

func berlin(t *testing.T) *schedule.Zone {
	t.Helper()
	rules, err := schedule.LoadRules("Europe/Berlin")
	require.NoError(t, err)
	return rules.Compile()
}

func TestALayoutThatMeansSomethingElseIsRefused(t *testing.T) {
	for layout, says := range map[string]string{
		"2006-01-02T15:04:05Z":             `takes Z as letters, and the times as those of the site's clock; write "2006-01-02T15:04:05Z07:00"`,
		"2006-01-02 15:04:05 UTC":          `write "2006-01-02 15:04:05Z07:00", or name the zone of these times with --zone`,
		"2006-01-02 15:04:05 CET":          `takes CET as letters`,
		"2006-01-02T15:04:05.000Z":         `write "2006-01-02T15:04:05.000Z07:00"`,
		"2006-01-02T15:04:05+01:00":        `write "2006-01-02T15:04:05Z07:00"`,
		"2006-01-02T15:04:05+0000":         `write "2006-01-02T15:04:05-0700"`,
		"2006-01-02 15:01":                 `has the month twice, as 01 and as 01; is "2006-01-02 15:04" meant?`,
		"2006-01-02 15:04:04":              `has the minute twice, as 04 and as 04; is "2006-01-02 15:04:05" meant?`,
		"02/02/2006 15:04":                 `has the day twice, as 02 and as 02; is "02/01/2006 15:04" meant?`,
		"01.01.2006 15:04":                 `has the month twice, as 01 and as 01; is "01.02.2006 15:04" meant?`,
		"2006-01-02 03:04":                 `has hours of 12 without AM or PM; for hours of 24 write "2006-01-02 15:04", else PM`,
		"2006-01-02 3:04:05":               `has hours of 12 without AM or PM`,
		"1/2/2006 3:04":                    `for hours of 24 write "1/2/2006 15:04"`,
		"2006-01-02 15:04 03 PM":           `has the hour twice`,
		"2006-01-02":                       `has no hour`,
		"15:04:05":                         `has no year`,
		"YYYY-MM-DD HH:mm:ss":              `has no year; a layout is the moment 2006-01-02 15:04:05 as the file writes it; is "2006-01-02 15:04:05" meant?`,
		"dd.MM.yyyy hh:mm":                 `is "02.01.2006 15:04" meant?`,
		"%d/%m/%Y %H:%M:%S":                `is "02/01/2006 15:04:05" meant?`,
		"2006-01-02 15:04 MST":             "letters as CET do not say which offset they mean",
		"":                                 "has no year",
		"2006-01-02 15:04:05 Z07:00 -0700": "has the offset twice",
	} {
		_, err := NewLayout(layout, berlin(t), false)
		assert.ErrorContains(t, err, says, layout)
		assert.ErrorAs(t, err, new(*Error), layout)
	}
	for _, layout := range []string{"unix", "2006-01-02 15:04", "2006-01-02T15:04:05Z07:00", "02.01.06 15:04:05", "01/02/2006 03:04:05 PM", "Jan _2, 2006 3:04pm",
		"2006-002 15:04", "20060102150405", "2006-01-02 15:04:05.000", "2006-01-02 15:04:05,000", "Monday, 02 January 2006 15:04", "15:04 02-01-2006", "2006-01-02 15:04 Uhr", "2006-01-02T15:04:05.999999-0700"} {
		_, err := NewLayout(layout, berlin(t), false)
		assert.NoError(t, err, layout)
	}
	zoned, err := NewLayout("2006-01-02 15:04:05 CET", berlin(t), true)
	require.NoError(t, err, "letters of a zone that is named")
	at, err := zoned.Read("2026-01-31 00:05:00 CET")
	require.NoError(t, err)
	assert.Equal(t, "2026-01-30T23:05:00Z", at.Format(time.RFC3339))
}

func TestTimesOfReads(t *testing.T) {
	for _, c := range []struct{ layout, text, want string }{
		{"2006-01-02 15:04", "2016-05-31 00:05", "2016-05-30T22:05:00Z"},
		{"2006-01-02 15:04", "2026-01-31 00:05", "2026-01-30T23:05:00Z"},
		{"02.01.2006 15:04:05", "31.05.2016 00:05:07", "2016-05-30T22:05:07Z"},
		{"2006-01-02 15:04:05.000", "2016-05-31 00:05:07.250", "2016-05-30T22:05:07.25Z"},
		{"2006-01-02 15:04:05,000", "2016-05-31 00:05:07,250", "2016-05-30T22:05:07.25Z"},
		{"01/02/2006 03:04:05 PM", "05/31/2016 12:05:07 AM", "2016-05-30T22:05:07Z"},
		{time.RFC3339, "2016-05-31T00:05:00+05:00", "2016-05-30T19:05:00Z"},
		{"unix", "1464645900", "2016-05-30T22:05:00Z"},
		{"2006-01-02 15:04", "2026-03-29 01:59", "2026-03-29T00:59:00Z"},
		{"2006-01-02 15:04", "2026-03-29 02:00", ""}, // skipped
		{"2006-01-02 15:04", "2026-03-29 02:59", ""},
		{"2006-01-02 15:04", "2026-03-29 03:00", "2026-03-29T01:00:00Z"},
		{"2006-01-02 15:04", "2026-10-25 02:30", "2026-10-25T00:30:00Z"}, // occurs twice: the first
		{"2006-01-02 15:04", "2026-10-25 03:00", "2026-10-25T02:00:00Z"},
		{"2006-01-02 15:04", "2026-02-29 12:00", ""},
		{"2006-01-02 15:04", "", ""},
		{"unix", "1464645900x", ""},
		{"unix", "1464645900.5", ""},
		{"unix", "", ""},
	} {
		l, err := NewLayout(c.layout, berlin(t), false)
		require.NoError(t, err, c.layout)
		at, err := l.Read(c.text)
		if c.want == "" {
			assert.ErrorContains(t, err, c.text, "%q", c)
			continue
		}
		require.NoError(t, err, "%q", c)
		assert.Equal(t, c.want, at.Format(time.RFC3339Nano), "%q", c)
	}
	l, err := NewLayout("2006-01-02 15:04", berlin(t), false)
	require.NoError(t, err)
	_, err = l.Read("2026-03-29 02:30")
	assert.ErrorContains(t, err, "does not exist in Europe/Berlin")
}

func TestNoTwoNamesHaveOneID(t *testing.T) {
	n := Names{Flag: "--door-ids", Given: map[string]string{"Вход 1": "in-1", "Entrance one": "in-1", "Gate 7": "gate-07"}}
	for i, c := range []struct{ parts, want, says string }{
		{"Server Room", "server-room", ""},
		{"server  room ", "server-room", ""},
		{"Server-Room", "", `the names "Server Room" (line 1) and "Server-Room" (line 3) would both have the id server-room: say which they are with --door-ids "Server-Room=ID"`},
		{"Выход 1", "", `the name "Выход 1" has В, which no id has; say which it is with --door-ids "Выход 1=ID"`},
		{"вход 1", "in-1", ""},
		{"ENTRANCE ONE", "in-1", ""},
		{"in 1", "", "would both have the id in-1"},
		{"Tür", "", `has ü, which no id has`},
		{"Tu\u0308r", "", `has ü, which no id has`},
		{"1|Server Room", "1-server-room", ""},
		{"1 Server|Room", "", "would both have the id"},
		{"--", "", `the name "--" has no letter or digit`},
		{"", "", "has no letter or digit"},
		{"Gate 7", "gate-07", ""},
	} {
		got, err := n.ID(i+1, strings.Split(c.parts, "|")...)
		if c.says != "" {
			assert.ErrorContains(t, err, c.says, c.parts)
			continue
		}
		require.NoError(t, err, c.parts)
		assert.Equal(t, c.want, got, c.parts)
	}
	many := Names{}
	for i := range maxNames {
		_, err := many.ID(i, fmt.Sprint("door ", i))
		require.NoError(t, err)
	}
	_, err := many.ID(maxNames, "one more")
	assert.ErrorContains(t, err, "are these the columns that name them?")
}

// A value that a spreadsheet would change is written after an apostrophe.
func TestNumbersComeBackFromASpreadsheet(t *testing.T) {
	for value, want := range map[string]string{
		"00345": "'00345", "123456789012": "'123456789012", "12345678901": "12345678901", "0": "0", "7": "7", "0042": "'0042",
		"1E5": "'1E5", "04E12345": "'04E12345", "12-345": "'12-345", "12-1999": "'12-1999", "3/4": "'3/4", "1.5": "'1.5", "1,5": "'1,5", "8:30": "'8:30", "50%": "'50%",
		"MAR1": "'MAR1", "sept 2": "'sept 2", "2-dec": "'2-dec", "1 May 2026": "'1 May 2026", "true": "'true", "Mark": "Mark", "August": "August", "A12": "A12", "12a": "12a",
		"04A1B2C3": "04A1B2C3", "2026-03-29": "2026-03-29", "2026-03-29T08:30:00Z": "2026-03-29T08:30:00Z", "a@b.c": "a@b.c", "": "",
		"=1+1": "'=1+1", "+49 30": "'+49 30", "-5": "'-5", "@x": "'@x", "x;=1+1": "x;'=1+1", "a\t=1+1": "a\t'=1+1", "a\r\n@x": "a\r\n'@x", "a,+1": "a,'+1", "\uff1d1": "'\uff1d1",
		"'00345": "''00345", " x": "' x",
	} {
		assert.Equal(t, want, Cell(value), "%q", value)
		assert.Equal(t, value, uncell(Cell(value)), "%q", value)
	}
}
