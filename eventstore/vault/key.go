package vault

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// keyIDSize is the length of a key's id in characters.
const keyIDSize = 16

// boxText is how a box writes its bytes. Strict refuses other texts of the same bytes.
var boxText = base64.RawURLEncoding.Strict()

// A Key seals the personal fields of one person, one PIN, or another use that the
// ledger names. It is 256 random bits, and safe for concurrent use. It prints as its
// id.
type Key struct {
	// ID is 16 lower-case hexadecimal digits, random, not made from the key. It is no
	// secret: boxes show it.
	ID     string
	secret secret
}

// Passing gives a key that no vault keeps: what it seals nobody opens once it is
// forgotten. It is for what is sealed to see what would come of it.
func Passing() Key { return Key{newKeyID(), newSecret()} }

// String gives "key " and the id.
func (k Key) String() string { return "key " + k.ID }

// Format writes String, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue logs the id.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.ID) }

// Seal gives the box of a clear text, <key id>.<base64url of nonce 12, cipher text, tag
// 16>: AES-256-GCM with a random nonce, so that sealing twice gives two boxes. ad
// (associated data) says where the box belongs: it opens only there. The length of a
// box tells the length of its clear text. One key may seal 2^32 texts.
func (k Key) Seal(ad, clear []byte) (string, error) {
	if k.secret.none() {
		return "", errors.New("vault: seal with the zero Key")
	}
	sealed := k.secret.aead().Seal(nil, nil, clear, ad)
	return k.ID + "." + boxText.EncodeToString(sealed), nil
}

// Open gives the clear text of a box that this key sealed with the same associated
// data, else ErrBox.
func (k Key) Open(ad []byte, box string) ([]byte, error) {
	id, err := BoxKeyID(box)
	if err != nil {
		return nil, err
	}
	if id != k.ID || k.secret.none() {
		return nil, fmt.Errorf("vault: %w: it was sealed with key %s", ErrBox, id)
	}
	sealed, err := boxText.DecodeString(box[keyIDSize+1:])
	if err != nil {
		return nil, fmt.Errorf("vault: %w: %w", ErrBox, err)
	}
	clear, err := k.secret.aead().Open(nil, nil, sealed, ad)
	if err != nil {
		return nil, fmt.Errorf("vault: %w: not with these associated data", ErrBox)
	}
	return clear, nil
}

// HMAC gives the HMAC-SHA-256 of data under a key derived from this one for that alone.
// It stands for a personal field where equal must show and the field must not. The zero
// Key has none.
func (k Key) HMAC(data []byte) [32]byte {
	mac := hmac.New(sha256.New, k.secret.derive(nil, "gatehouse vault hmac").bytes())
	mac.Write(data)
	return [32]byte(mac.Sum(nil))
}

// BoxKeyID gives the id of the key that sealed a box. It fails with ErrBox for a text
// that cannot be a box.
func BoxKeyID(box string) (string, error) {
	id, text, _ := strings.Cut(box, ".")
	if !isKeyID(id) {
		return "", fmt.Errorf("vault: %w: it does not begin with a key's id", ErrBox)
	}
	if boxText.DecodedLen(len(text)) < 12+16 {
		return "", fmt.Errorf("vault: %w: it is too short", ErrBox)
	}
	// The decoder would pass over line breaks, so that one box had many texts.
	if strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("vault: %w: it has line breaks", ErrBox)
	}
	return id, nil
}

func newKeyID() string {
	var b [keyIDSize / 2]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func isKeyID(s string) bool {
	if len(s) != keyIDSize {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
