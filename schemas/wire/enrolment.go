package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// # The code of an enrolment
//
// A code is one text, <org>.<gateway>.<48 letters and digits in groups of six>: base32 of
// the secret, the fingerprint of the ledger's key, and a checksum of all. It is good once.
// The secret is the seed of a key with which the gateway signs what it sends, so it never
// crosses a network; by the fingerprint the gateway knows the service that made the code.
// The checksum tells a letter that was copied wrong from a code that is not good.

// The sizes of what stands in a code, in bytes.
const (
	EnrolmentSecretSize = 16
	FingerprintSize     = 10
	codeChecksumSize    = 4
)

// groupOfCode is how many letters and digits of a code stand together.
const groupOfCode = 6

// EnrolmentCode is a code by which a gateway enrols.
type EnrolmentCode struct {
	Org, Gateway ID
	Secret       [EnrolmentSecretSize]byte
	Fingerprint  [FingerprintSize]byte // of the ledger's key
}

// Fingerprint is the beginning of the SHA-256 of the public half of the ledger's key.
func Fingerprint(logKey ed25519.PublicKey) [FingerprintSize]byte {
	sum := sha256.Sum256(logKey)
	return [FingerprintSize]byte(sum[:FingerprintSize])
}

// EnrolmentKey is the key that follows from the secret of a code.
func EnrolmentKey(secret [EnrolmentSecretSize]byte) ed25519.PrivateKey {
	seed := sha256.Sum256(append([]byte("gatehouse code key 1\n"), secret[:]...))
	return ed25519.NewKeyFromSeed(seed[:])
}

// body is what stands behind org and gateway.
func (c EnrolmentCode) body() []byte {
	b := append(c.Secret[:], c.Fingerprint[:]...)
	sum := sha256.Sum256(fmt.Appendf(nil, "gatehouse code 1\n%s\n%s\n%s", c.Org, c.Gateway, b))
	return append(b, sum[:codeChecksumSize]...)
}

// String writes the code.
func (c EnrolmentCode) String() string {
	letters := base32.StdEncoding.EncodeToString(c.body())
	var groups []string
	for ; len(letters) > groupOfCode; letters = letters[groupOfCode:] {
		groups = append(groups, letters[:groupOfCode])
	}
	return string(c.Org) + "." + string(c.Gateway) + "." + strings.Join(append(groups, letters), "-")
}

// Copying changes these: the dashes of word processors, and digits that base32 does not
// have.
var (
	dashes   = strings.NewReplacer("\u2010", "-", "\u2011", "-", "\u2012", "-", "\u2013", "-", "\u2014", "-", "\u2212", "-")
	mistaken = strings.NewReplacer("-", "", "0", "O", "1", "I", "8", "B")
)

// maxCode bounds the text of a code in bytes, with what copying adds.
const maxCode = 1024

// ErrCode says that a text is no code.
var ErrCode = errors.New("this is not a whole code, or a letter of it is wrong: copy it again, from the first letter of the org to the last group")

// ParseEnrolmentCode reads a code, in either case and with or without dashes in its last
// part. The error is [ErrCode].
func ParseEnrolmentCode(text string) (EnrolmentCode, error) {
	if len(text) > maxCode {
		return EnrolmentCode{}, ErrCode
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, dashes.Replace(text))
	parts := strings.Split(strings.ToLower(text), ".")
	if len(parts) != 3 {
		return EnrolmentCode{}, ErrCode
	}
	raw, err := base32.StdEncoding.DecodeString(mistaken.Replace(strings.ToUpper(parts[2])))
	if err != nil || len(raw) != EnrolmentSecretSize+FingerprintSize+codeChecksumSize {
		return EnrolmentCode{}, ErrCode
	}
	c := EnrolmentCode{Org: ID(parts[0]), Gateway: ID(parts[1]), Secret: [EnrolmentSecretSize]byte(raw),
		Fingerprint: [FingerprintSize]byte(raw[EnrolmentSecretSize:])}
	if subtle.ConstantTimeCompare(c.body(), raw) != 1 {
		return EnrolmentCode{}, ErrCode
	}
	return c, nil
}

// The sizes of a nonce of a gateway that enrols, in bytes.
const (
	MinNonce = 16
	MaxNonce = 64
)

// MaxEnrolment bounds a request to enrol and its answer, in bytes.
const MaxEnrolment = 16 << 10

// EnrolRequest is sent by a gateway that enrols, as JSON.
type EnrolRequest struct {
	PublicKey string `json:"public_key" doc:"of the nkey that the gateway made, of a user"`
	Nonce     []byte `json:"nonce" doc:"16 to 64 random bytes, which the answer signs"`
	Proof     []byte `json:"proof" doc:"signature of the statement by the key of the code"`
	Signature []byte `json:"signature" doc:"signature of the statement by the nkey"`
}

// Statement is what the key of the code and the nkey sign: one value a line.
func (r *EnrolRequest) Statement(org, gateway ID) []byte {
	return fmt.Appendf(nil, "gatehouse enrolment 1\n%s\n%s\n%s\n%x\n", org, gateway, r.PublicKey, r.Nonce)
}

// EnrolAnswer is the answer to a gateway that has enrolled.
type EnrolAnswer struct {
	Org       ID        `json:"org"`
	Gateway   ID        `json:"gateway"`
	Site      ID        `json:"site"`
	LogKey    []byte    `json:"log_key" doc:"public half of the ledger's key (Ed25519), by which permissions are signed; the code has its fingerprint"`
	NATSURLs  []string  `json:"nats_urls" doc:"where the gateway connects"`
	Time      time.Time `json:"time" doc:"of the service"`
	Signature []byte    `json:"signature" doc:"by the ledger's key over the answer, the nkey and the nonce of the request"`
}

// statement is what the ledger's key signs of an answer: one value a line.
func (a *EnrolAnswer) statement(r *EnrolRequest) []byte {
	b := fmt.Appendf(nil, "gatehouse enrolled 1\n%s\n%s\n%s\n%s\n%x\n%s\n%d\n", a.Org, a.Gateway, a.Site, r.PublicKey, r.Nonce,
		a.Time.UTC().Format(time.RFC3339Nano), len(a.NATSURLs))
	for _, url := range a.NATSURLs {
		b = fmt.Appendf(b, "%s\n", url)
	}
	return b
}

// Sign signs the answer to a request by the ledger's key, and names the key.
func (a *EnrolAnswer) Sign(key ed25519.PrivateKey, r *EnrolRequest) {
	a.LogKey = key.Public().(ed25519.PublicKey)
	a.Signature = ed25519.Sign(key, a.statement(r))
}

// Errors of [EnrolAnswer.Check].
var (
	ErrOtherService = errors.New("this is not the service that made the code: the fingerprint of its key differs; check the address, or make a code at this service")
	ErrForged       = errors.New("the answer is not signed by the key that it names; something between here and the service changes it")
)

// Check refuses an answer that is not of the service that made the code, or not to this
// request.
func (a *EnrolAnswer) Check(c EnrolmentCode, r *EnrolRequest) error {
	if len(a.LogKey) != ed25519.PublicKeySize || Fingerprint(a.LogKey) != c.Fingerprint {
		return ErrOtherService
	}
	if a.Org != c.Org || a.Gateway != c.Gateway || !ed25519.Verify(a.LogKey, a.statement(r), a.Signature) {
		return ErrForged
	}
	return nil
}
