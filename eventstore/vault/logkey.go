package vault

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// logKeyInfo separates the log's key from all else that is made of the master key.
const logKeyInfo = "gatehouse log key 1"

// LogKey is the key by which the service signs what others must be able to hold it to:
// permissions, and later checkpoints. It is made of the master key (HKDF, RFC 5869), so
// that every instance of a ledger has it at its start, asks nobody for it, and finds the
// same again after a restore. Its public half tells nothing of the master key.
func (m Master) LogKey() (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, m.secret.bytes(), nil, logKeyInfo, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("vault: make the log's key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// codeKeyInfo separates the key of codes from all else that is made of the master key.
const codeKeyInfo = "gatehouse enrolment codes 1"

// CodeKey is the key from which the secrets of the codes of gateways follow. A command
// that is repeated at any instance has the same code, which nobody keeps.
func (m Master) CodeKey() ([]byte, error) {
	key, err := hkdf.Key(sha256.New, m.secret.bytes(), nil, codeKeyInfo, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("vault: make the key of codes: %w", err)
	}
	return key, nil
}
