package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"gatehouse/domain/unlock"
	"gatehouse/durable"
	"gatehouse/gateways/edge/seal"
	"gatehouse/schemas/wire"
)

// # The key of tags
//
// Cards and PINs are in the table as tags under a key of the site. It comes from the
// service, sealed to a key of the moment. It is kept on the disk unless the gateway is told
// otherwise: without it no card opens after a power cut that takes the network too. It
// protects streams and backups, not a box that is stolen: retiring that as stolen gives
// the site another key. Where the box has a TPM the key is sealed by it, so that a disk
// alone gives nothing. The key before stays until the table that goes by the new one is in
// force.

// tagKeySize is the size of a key of tags in bytes.
const tagKeySize = 32

// tagKey is what is stored of the key.
type tagKey struct {
	Version uint32 `json:"version"`
	Key     []byte `json:"key"`
	// Before is the key before this one.
	Before *tagKey `json:"before,omitempty"`
}

func (k *tagKey) whole() bool { return len(k.Key) == tagKeySize && k.Version > 0 }

// tags makes the tags of what is shown at readers. It is safe for concurrent use.
type tags struct {
	path string    // empty: the key is kept in memory alone
	tpm  *seal.TPM // nil: it is kept as it is

	mu      sync.Mutex // guards the fields below
	newest  tagKey
	taggers map[uint32]*wire.Tagger // by version, of newest and the key before
}

// use takes a key. The caller has mu.
func (t *tags) use(k tagKey) {
	t.newest, t.taggers = k, map[uint32]*wire.Tagger{k.Version: wire.NewTagger(k.Key)}
	if before := k.Before; before != nil {
		t.taggers[before.Version] = wire.NewTagger(before.Key)
	}
}

// openTags reads the stored key. Without a path it is kept in memory alone. One that was
// not sealed is sealed now if there is a TPM.
func openTags(path string, tpm *seal.TPM) (*tags, error) {
	t := &tags{path: path, tpm: tpm}
	if path == "" {
		return t, nil
	}
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("edge: %w", err)
	}
	var k tagKey
	plain := json.Unmarshal(body, &k) == nil && k.Version > 0
	if !plain && tpm != nil {
		if body, err = tpm.Open(body); err != nil {
			return t, fmt.Errorf("edge: the TPM does not open %s; the key of tags is asked for again: %w", path, err)
		}
		k = tagKey{}
		err = json.Unmarshal(body, &k)
	}
	if err != nil || !k.whole() || k.Before != nil && !k.Before.whole() {
		return t, fmt.Errorf("edge: %s holds no key of tags that can be read here; it is asked for again", path)
	}
	t.use(k)
	if plain && tpm != nil {
		return t, t.store(k)
	}
	return t, nil
}

// store makes a key durable.
func (t *tags) store(k tagKey) error {
	body, err := json.Marshal(k)
	if err == nil && t.tpm != nil {
		body, err = t.tpm.Seal(body)
	}
	if err == nil {
		err = durable.Replace(t.path, body)
	}
	if err != nil {
		return fmt.Errorf("edge: keep the key of tags: %w", err)
	}
	return nil
}

// has reports whether the key has a version.
func (t *tags) has(version uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.taggers[version] != nil
}

// set takes a key. An error says that it could not be stored; it is used all the same.
func (t *tags) set(version uint32, key []byte) error {
	t.mu.Lock()
	next := tagKey{Version: version, Key: key}
	if before := t.newest; before.whole() && before.Version != version {
		before.Before = nil
		next.Before = &before
	}
	t.use(next)
	t.mu.Unlock() // no reader waits for the disk
	if t.path == "" {
		return nil
	}
	return t.store(next)
}

// tag makes a tag under the key of the table; false: that key is not here.
func (t *tags) tag(version uint32, kind, format, number string) (unlock.Tag, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tagger := t.taggers[version]
	if tagger == nil {
		return unlock.Tag{}, false
	}
	return tagger.Tag(kind, wire.TagFormat(format), number), true
}

// getKey asks for the key of a table's tags if it is not here.
func (g *Gateway) getKey(ctx context.Context, nc *nats.Conn, v *view) error {
	if v == nil || v.table.TagKey() == 0 || g.tags.has(v.table.TagKey()) {
		return nil
	}
	version := v.table.TagKey()
	box, err := nkeys.CreateCurveKeys()
	if err != nil {
		return err
	}
	defer box.Wipe()
	public, err := box.PublicKey()
	if err != nil {
		return err
	}
	proof, err := g.cfg.Key.Sign(wire.KeyStatement(g.cfg.Org, g.cfg.ID, version, public))
	if err != nil {
		return err
	}
	_, answer, _, err := g.request(ctx, nc, &wire.Ask{Type: wire.AskKey, Version: version, Box: public, Proof: proof}, nil)
	if err != nil {
		return err
	}
	key, err := unsealKey(box, answer)
	if err != nil {
		return err
	}
	return g.tags.set(version, key)
}

// unsealKey opens the answer to a request for the key of tags.
func unsealKey(box nkeys.KeyPair, a *wire.Answer) ([]byte, error) {
	key, err := box.Open(a.Key, a.From)
	if err != nil {
		return nil, fmt.Errorf("edge: the key of tags cannot be opened: %w", err)
	}
	if len(key) != tagKeySize {
		return nil, fmt.Errorf("edge: the key of tags has %d bytes, not %d", len(key), tagKeySize)
	}
	return key, nil
}
