package wire

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var someLogKey = ed25519.NewKeyFromSeed([]byte("the ledger's key, of 32 bytes ..")[:ed25519.SeedSize])

var someEnrolment = EnrolmentCode{Org: "acme", Gateway: "north-1", Secret: [16]byte{1, 2, 3, 250, 251, 252, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	Fingerprint: Fingerprint(someLogKey.Public().(ed25519.PublicKey))}

// The text is kept: codes that are in use are read by the next version.
func TestTheTextOfACodeStaysAsItIs(t *testing.T) {
	assert.Equal(t, "acme.north-1.AEBAH6-X37QDQ-QCIKBM-GA2DQP-CDSSSM-BRPQSR-HCCIUZ-3V3TZO", someEnrolment.String())
}

func TestACodeSurvivesBeingCopied(t *testing.T) {
	text := someEnrolment.String()
	org, letters, _ := strings.Cut(text, ".north-1.")
	for _, copied := range []string{
		text, strings.ToLower(text), strings.ToUpper(text), "  " + text + "\n", strings.ReplaceAll(text, "-", "\u2013"),
		org + ".north-1." + strings.ReplaceAll(letters, "-", ""), org + ".north-1." + strings.ReplaceAll(letters, "-", "-\n  "),
		org + ".north-1." + strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(letters),
	} {
		c, err := ParseEnrolmentCode(copied)
		require.NoError(t, err, copied)
		assert.Equal(t, someEnrolment, c)
	}
}

// Each letter that is changed or missing, of the ids too, is found.
func TestACodeThatWasCopiedWrongIsFound(t *testing.T) {
	text := someEnrolment.String()
	for i, r := range text {
		other := "x"
		if r == 'x' || r == 'X' {
			other = "y"
		}
		for _, wrong := range []string{text[:i] + other + text[i+1:], text[:i] + text[i+1:]} {
			if _, letters, _ := strings.Cut(text, ".north-1."); r == '-' && i > len(text)-len(letters) && len(wrong) < len(text) {
				continue // a dash between groups may be missing
			}
			_, err := ParseEnrolmentCode(wrong)
			assert.ErrorIs(t, err, ErrCode, wrong)
		}
	}
	for _, none := range []string{"", "acme", "a.b.c", "...", strings.Repeat("A", maxCode+1)} {
		_, err := ParseEnrolmentCode(none)
		assert.ErrorIs(t, err, ErrCode)
	}
}

// A gateway takes the answer of the service that made its code, to its own request, and
// no other: whatever is changed in it is found.
func TestAnAnswerToAnEnrolmentIsOfTheServiceThatMadeTheCode(t *testing.T) {
	r := &EnrolRequest{PublicKey: "UABC", Nonce: []byte("0123456789abcdef")}
	answer := func() *EnrolAnswer {
		a := &EnrolAnswer{Org: "acme", Gateway: "north-1", Site: "north", NATSURLs: []string{"tls://one:4222", "tls://two:4222"}, Time: time.Unix(1_800_000_000, 5).UTC()}
		a.Sign(someLogKey, r)
		return a
	}
	require.NoError(t, answer().Check(someEnrolment, r))
	for name, change := range map[string]func(a *EnrolAnswer){
		"site":  func(a *EnrolAnswer) { a.Site = "south" },
		"urls":  func(a *EnrolAnswer) { a.NATSURLs[1] = "tls://three:4222" },
		"fewer": func(a *EnrolAnswer) { a.NATSURLs = a.NATSURLs[:1] },
		"time":  func(a *EnrolAnswer) { a.Time = a.Time.Add(1) },
		"org":   func(a *EnrolAnswer) { a.Org = "other" },
		"none":  func(a *EnrolAnswer) { a.Signature = nil },
	} {
		a := answer()
		change(a)
		assert.ErrorIs(t, a.Check(someEnrolment, r), ErrForged, name)
	}
	assert.ErrorIs(t, answer().Check(someEnrolment, &EnrolRequest{PublicKey: "UABC", Nonce: []byte("another nonce...")}), ErrForged)
	assert.ErrorIs(t, answer().Check(someEnrolment, &EnrolRequest{PublicKey: "UXYZ", Nonce: r.Nonce}), ErrForged)
	forged := answer()
	_, other, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	forged.Sign(other, r)
	assert.ErrorIs(t, forged.Check(someEnrolment, r), ErrOtherService)
	assert.ErrorIs(t, (&EnrolAnswer{}).Check(someEnrolment, r), ErrOtherService)
}
