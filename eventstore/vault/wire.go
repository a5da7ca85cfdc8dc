package vault

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
)

// Requests and replies are JSON, sealed as a whole:
//
//	request  version 1 | asker's public key 32 | nonce 12, JSON, tag 16
//	reply    version 1 | holder's public key 32 | nonce 12, JSON, tag 16
//	refusal  version 1 | why 1
//
// The request opens with a key made from the master key. The reply opens with a key
// made from that and an X25519 exchange of keys used once. So a reply opens only for
// its asker, answers only its own request, and does not open later for somebody who
// recorded the traffic and has the master key: destroyed keys must not come back from a
// recording.
const (
	wireVersion = 1

	whyMaster  = 1 // the request does not open with the holder's master key
	whyVersion = 2 // the holder speaks another version

	publicSize = 32
)

// The requests of an instance, as subjects of core NATS.
const (
	subjectHello   = "vault.hello" // answered empty, to learn whether there is a holder
	subjectReserve = "vault.reserve"
	subjectKeys    = "vault.keys"
	subjectTagKey  = "vault.tagkey"
)

// wireChunk is how many keys one request asks for: a reply of about 150 kB, while NATS
// carries 1 MB by default.
const wireChunk = 2048

// maxFrame bounds a frame in bytes. It is checked before anything is opened; wireChunk
// bounds the number of keys of a request.
const maxFrame = 1 << 20

type wireRequest struct {
	Org     string   `json:"org"`
	Site    string   `json:"site,omitempty"`
	N       int      `json:"n,omitempty"`
	IDs     []string `json:"ids,omitempty"`
	Version int      `json:"version,omitempty"` // of the tag key asked for
}

type wireReply struct {
	// Code is empty for a yes, "destroyed" for ErrDestroyed, "no_tag_key" for
	// ErrNoTagKey, else "failed" with a message.
	Code    string    `json:"code,omitempty"`
	Message string    `json:"message,omitempty"`
	Keys    []wireKey `json:"keys,omitempty"`
	Damaged []string  `json:"damaged,omitempty"` // ids of the keys asked for that do not open
	Version int       `json:"version,omitempty"`
	TagKey  []byte    `json:"tag_key,omitempty"`
}

type wireKey struct {
	ID    string `json:"id"`
	Bytes []byte `json:"bytes"`
}

// exchange is the state of one request in progress, at the asker or the holder. It is
// used once.
type exchange struct {
	transport secret
	subject   string
	mine      *ecdh.PrivateKey
	asker     []byte // the asker's public key
}

func newExchange(transport secret, subject string) (exchange, error) {
	mine, err := ecdh.X25519().GenerateKey(rand.Reader)
	return exchange{transport: transport, subject: subject, mine: mine}, err
}

func (x exchange) sealRequest(r wireRequest) ([]byte, error) {
	asker := x.mine.PublicKey().Bytes()
	return sealFrame(requestKey(x.transport, x.subject, asker), asker, r)
}

// openRequest is the holder's side: it remembers the asker for sealReply.
func (x *exchange) openRequest(frame []byte) (wireRequest, error) {
	var r wireRequest
	asker, sealed, err := splitFrame(frame)
	if err != nil {
		return r, err
	}
	x.asker = asker
	return r, openJSON(requestKey(x.transport, x.subject, asker), sealed, &r)
}

func (x exchange) sealReply(r wireReply) ([]byte, error) {
	holder := x.mine.PublicKey().Bytes()
	key, err := x.replyKey(x.asker, x.asker, holder)
	if err != nil {
		return nil, err
	}
	return sealFrame(key, holder, r)
}

func (x exchange) openReply(frame []byte) (wireReply, error) {
	var r wireReply
	holder, sealed, err := splitFrame(frame)
	if err != nil {
		return r, err
	}
	key, err := x.replyKey(holder, x.mine.PublicKey().Bytes(), holder)
	if err != nil {
		return r, err
	}
	return r, openJSON(key, sealed, &r)
}

func requestKey(transport secret, subject string, asker []byte) secret {
	return transport.derive(asker, "request "+subject)
}

// replyKey mixes the result of the key exchange with the secret that only instances of
// this ledger have.
func (x exchange) replyKey(peer, asker, holder []byte) (secret, error) {
	public, err := ecdh.X25519().NewPublicKey(peer)
	if err != nil {
		return secret{}, err
	}
	agreed, err := x.mine.ECDH(public)
	if err != nil {
		return secret{}, err
	}
	shared, err := secretOf(agreed)
	if err != nil {
		return secret{}, err
	}
	purpose := "reply " + x.subject + " " + string(asker) + string(holder)
	return shared.derive(x.transport.bytes(), purpose), nil
}

func sealFrame(key secret, public []byte, body any) ([]byte, error) {
	clear, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	frame := append([]byte{wireVersion}, public...)
	return key.aead().Seal(frame, nil, clear, nil), nil
}

// splitFrame returns the public key and the sealed bytes, or the error of a refusal.
func splitFrame(frame []byte) (public, sealed []byte, err error) {
	switch {
	case len(frame) == 2 && frame[1] == whyMaster:
		return nil, nil, fmt.Errorf("%w: the holder of the vault has another %s", ErrWrongMaster, masterEnv)
	case len(frame) == 2 && frame[1] == whyVersion, len(frame) > 0 && frame[0] != wireVersion:
		return nil, nil, errors.New("the other side speaks another version of the vault's protocol")
	case len(frame) < 1+publicSize, len(frame) > maxFrame:
		return nil, nil, fmt.Errorf("a frame of %d bytes", len(frame))
	}
	return frame[1 : 1+publicSize], frame[1+publicSize:], nil
}

func openJSON(key secret, sealed []byte, body any) error {
	clear, err := key.aead().Open(nil, nil, sealed, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(clear, body)
}
