package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/nats-io/nkeys"

	"gatehouse/domain/unlock"
	"gatehouse/durable"
	"gatehouse/schemas/wire"
)

// # The key of tags
//
// Cards and PINs are in the table as tags under a key of the site. It comes from the
// service, sealed to a key of the moment. It is kept on the disk unless the gateway is told
// otherwise: without it no card opens after a power cut that takes the network too. It
// protects streams and backups, not a box that is stolen: retiring that as stolen gives
// the site another key.

// tagKeySize is the size of a key of tags in bytes.
const tagKeySize = 32

// tagKey is what is stored of the key.
type tagKey struct {
	Version uint32 `json:"version"`
	Key     []byte `json:"key"`
}

// tags makes the tags of what is shown at readers. It is safe for concurrent use.
type tags struct {
	path string // empty: the key is kept in memory alone

	mu      sync.Mutex // guards the fields below
	version uint32
	tagger  *wire.Tagger
}

// openTags reads the stored key. Without a path it is kept in memory alone.
func openTags(path string) (*tags, error) {
	t := &tags{path: path}
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
	if err := json.Unmarshal(body, &k); err != nil || len(k.Key) != tagKeySize || k.Version == 0 {
		return t, fmt.Errorf("edge: %s holds no key of tags; it is asked for again", path)
	}
	t.version, t.tagger = k.Version, wire.NewTagger(k.Key)
	return t, nil
}

// has reports whether the key has a version.
func (t *tags) has(version uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tagger != nil && t.version == version
}

// set takes a key. An error says that it could not be stored; it is used all the same.
func (t *tags) set(version uint32, key []byte) error {
	t.mu.Lock()
	t.version, t.tagger = version, wire.NewTagger(key)
	t.mu.Unlock()
	if t.path == "" {
		return nil
	}
	body, err := json.Marshal(tagKey{version, key})
	if err == nil {
		err = durable.Replace(t.path, body)
	}
	if err != nil {
		return fmt.Errorf("edge: keep the key of tags: %w", err)
	}
	return nil
}

// tag makes a tag under the key of the table; false: that key is not here.
func (t *tags) tag(version uint32, kind, format, number string) (unlock.Tag, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tagger == nil || t.version != version {
		return unlock.Tag{}, false
	}
	return t.tagger.Tag(kind, wire.TagFormat(format), number), true
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
