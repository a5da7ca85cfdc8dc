package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// secretSize is the size of every key here, in bytes.
const secretSize = 32

// secret is 256 bits that fmt does not print. It prints unexported fields without
// asking their methods, and follows a pointer for a verb that does not fit; it never
// follows a pointer to a pointer. The zero secret holds nothing.
type secret struct{ to **[secretSize]byte }

// wrappedSize is the size of a sealed secret: nonce, secret, tag.
const wrappedSize = 12 + secretSize + 16

func secretOf(b []byte) (secret, error) {
	if len(b) != secretSize {
		return secret{}, fmt.Errorf("a secret of %d bytes", len(b))
	}
	held := (*[secretSize]byte)(append(make([]byte, 0, secretSize), b...))
	return secret{&held}, nil
}

func newSecret() secret {
	held := new([secretSize]byte)
	rand.Read(held[:]) // never fails: the process ends instead
	return secret{&held}
}

func (s secret) none() bool    { return s.to == nil }
func (s secret) bytes() []byte { return (*s.to)[:] }

// derive gives the secret for one purpose, so that no two purposes share one.
func (s secret) derive(salt []byte, purpose string) secret {
	b, err := hkdf.Key(sha256.New, s.bytes(), salt, purpose, secretSize)
	if err != nil {
		panic("vault: HKDF refused a length of 32: " + err.Error()) // it refuses more than 8,160 bytes only
	}
	held := (*[secretSize]byte)(b)
	return secret{&held}
}

// aead is AES-256-GCM that puts a random nonce before what it seals. Its nonce argument
// is nil.
func (s secret) aead() cipher.AEAD {
	block, err := aes.NewCipher(s.bytes())
	if err != nil {
		panic("vault: AES refused a key of 32 bytes: " + err.Error()) // it refuses other sizes only
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("vault: GCM refused AES: " + err.Error()) // it refuses other block sizes only
	}
	return gcm
}

// wrap seals s; ad names what it is the secret of, so that a wrapped secret put into
// another's place does not open.
func wrap(by cipher.AEAD, s secret, ad string) []byte {
	return by.Seal(nil, nil, s.bytes(), []byte(ad))
}

func unwrap(by cipher.AEAD, wrapped []byte, ad string) (secret, error) {
	b, err := by.Open(nil, nil, wrapped, []byte(ad))
	if err != nil {
		return secret{}, err
	}
	return secretOf(b)
}
