// Package seal keeps a secret so that it can be read on this machine alone: sealed by its
// TPM 2.0. A disk that is stolen, copied or thrown away gives nothing then.
//
// The TPM seals a key of the moment, and that encrypts the secret: a TPM takes 128 bytes at
// most. The storage key is made again each time by the template of the TCG's provisioning
// guidance (ECC P-256 in the owner hierarchy), so that no handle has to be kept. It needs
// the owner hierarchy without a password, as machines are delivered, and access to the
// device, which the group tss has. No state of the machine is asked for (no PCR): a new
// kernel must not shut doors.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// Standard is the device of a machine's TPM, shared by the resource manager of Linux.
const Standard = "/dev/tpmrm0"

// None names no TPM.
const None = "none"

// keySize is the size of the key of the moment in bytes.
const keySize = 32

// TPM seals and opens secrets. It opens its device for each of them, so others can use it
// in between. It is safe for concurrent use.
type TPM struct{ path string }

// Find gives the TPM at a path: that of a device, or of a socket of a TPM in software. An
// empty path means the one of this machine, if there is one that opens. The result is nil
// where there is none.
func Find(path string) *TPM {
	switch path {
	case None:
		return nil
	case "":
		t := &TPM{Standard}
		if conn, err := t.open(); err != nil || conn.Close() != nil {
			return nil
		}
		return t
	}
	return &TPM{path}
}

// sealed is what is stored.
type sealed struct {
	Public  []byte `json:"tpm_public"`  // TPM2B_PUBLIC of the sealed key
	Private []byte `json:"tpm_private"` // TPM2B_PRIVATE of it
	Nonce   []byte `json:"nonce"`
	Secret  []byte `json:"secret"` // AES-256-GCM under that key
}

// Seal encrypts a secret so that this TPM alone opens it.
func (t *TPM) Seal(secret []byte) ([]byte, error) {
	key, s := make([]byte, keySize), sealed{Nonce: make([]byte, 12)}
	_, _ = rand.Read(key) // it never fails
	_, _ = rand.Read(s.Nonce)
	aead, err := cipherOf(key)
	if err != nil {
		return nil, err
	}
	s.Secret = aead.Seal(nil, s.Nonce, secret, nil)
	err = t.with(func(tpm transport.TPM, parent tpm2.AuthHandle, _ tpm2.Session) error {
		made, err := tpm2.Create{ParentHandle: parent,
			InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: key})}},
			InPublic: tpm2.New2B(tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
				ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true}}),
		}.Execute(tpm)
		if err != nil {
			return err
		}
		s.Public, s.Private = made.OutPublic.Bytes(), made.OutPrivate.Buffer
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return json.Marshal(s)
}

// Open decrypts what Seal made on this machine.
func (t *TPM) Open(body []byte) ([]byte, error) {
	var s sealed
	if err := json.Unmarshal(body, &s); err != nil || len(s.Nonce) != 12 {
		return nil, errors.New("seal: this is no sealed secret")
	}
	var secret []byte
	err := t.with(func(tpm transport.TPM, parent tpm2.AuthHandle, hidden tpm2.Session) error {
		loaded, err := tpm2.Load{ParentHandle: parent, InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](s.Public), InPrivate: tpm2.TPM2BPrivate{Buffer: s.Private}}.Execute(tpm)
		if err != nil {
			return err
		}
		defer flush(tpm, loaded.ObjectHandle)
		key, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: hidden}}.Execute(tpm)
		if err != nil {
			return err
		}
		aead, err := cipherOf(key.OutData.Buffer)
		if err == nil {
			secret, err = aead.Open(nil, s.Nonce, s.Secret, nil)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return secret, nil
}

func cipherOf(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// with calls f with the TPM, its storage key, and a session for secrets. Those cannot be
// read from the wires between processor and TPM.
func (t *TPM) with(f func(transport.TPM, tpm2.AuthHandle, tpm2.Session) error) (err error) {
	tpm, err := t.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tpm.Close()) }()
	root, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	if err != nil {
		return err
	}
	defer flush(tpm, root.ObjectHandle)
	public, err := root.OutPublic.Contents()
	if err != nil {
		return err
	}
	salt, in, out := tpm2.Salted(root.ObjectHandle, *public), tpm2.AESEncryption(128, tpm2.EncryptIn), tpm2.AESEncryption(128, tpm2.EncryptOut)
	parent := tpm2.AuthHandle{Handle: root.ObjectHandle, Name: root.Name, Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, 16, in, salt)}
	return f(tpm, parent, tpm2.HMAC(tpm2.TPMAlgSHA256, 16, out, salt))
}

// flush frees the place of an object. Closing the device frees it at the latest.
func flush(tpm transport.TPM, handle tpm2.TPMHandle) {
	_, _ = tpm2.FlushContext{FlushHandle: handle}.Execute(tpm)
}

func (t *TPM) open() (transport.TPMCloser, error) {
	info, err := os.Stat(t.path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&os.ModeSocket != 0 {
		return linuxudstpm.Open(t.path)
	}
	return linuxtpm.Open(t.path)
}
