package natsserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain/strict"
	"gatehouse/durable"
	"gatehouse/eventstore/streams"
)

// finishMetas writes the checksums of descriptions that a kill left behind. The server
// writes the settings of a stream, then their checksum; killed between the two, it does
// not open the stream any more.
func (e *Embedded) finishMetas() {
	if e.cfg.Marks == nil || e.cfg.Marks.Missing() {
		return
	}
	for _, want := range streams.Wanted(1) {
		for _, folder := range e.folders(want.Name) {
			sum, err := e.unfinishedMeta(folder, want)
			if sum == "" && err == nil {
				continue
			}
			if err == nil {
				err = durable.Replace(filepath.Join(folder, "meta.sum"), []byte(sum))
			}
			if err != nil {
				e.cfg.Log.Error("the description of a stream does not match its checksum", "stream", want.Name, "folder", folder, "error", err)
				continue
			}
			e.cfg.Log.Warn("the process ended while the settings of a stream were changed; they are whole, and their checksum was written", "stream", want.Name, "folder", folder)
		}
	}
}

// unfinishedMeta returns the checksum that a description lacks; empty when it has the
// right one, or when either file is not there. The error says why it is taken for
// damage: a kill leaves a description that is newer than the checksum, is written as
// the server writes it, and is of the stream that the marks know.
func (e *Embedded) unfinishedMeta(folder string, want jetstream.StreamConfig) (string, error) {
	meta, sum := filepath.Join(folder, "meta.inf"), filepath.Join(folder, "meta.sum")
	described, err := os.Stat(meta)
	if err != nil {
		return "", nil
	}
	summed, err := os.Stat(sum)
	if err != nil {
		return "", nil
	}
	content, err := os.ReadFile(meta)
	if err != nil {
		return "", err
	}
	has, err := os.ReadFile(sum)
	if err != nil {
		return "", err
	}
	needs, err := metaSum(want.Name, content)
	if err != nil || needs == string(has) {
		return "", err
	}
	if !described.ModTime().After(summed.ModTime()) {
		return "", fmt.Errorf("meta.inf is damaged: it is not newer than meta.sum")
	}
	return needs, e.checkMeta(content, want)
}

// checkMeta checks that a description is whole, of the stream that is known, and safe
// to serve: the server deletes what its settings do not allow.
func (e *Embedded) checkMeta(content []byte, want jetstream.StreamConfig) error {
	var info server.FileStreamInfo
	var have jetstream.StreamConfig
	if err := strict.Decode(content, &info); err != nil {
		return fmt.Errorf("meta.inf is damaged: %w", err)
	}
	if err := json.Unmarshal(content, &have); err != nil {
		return fmt.Errorf("meta.inf is damaged: %w", err)
	}
	if again, err := json.Marshal(info); err != nil || !bytes.Equal(again, content) {
		return fmt.Errorf("meta.inf is damaged: the server does not write it so")
	}
	if known, own, ok := e.cfg.Marks.StreamEnd(want.Name); !ok || !own || known.Created != info.Created.UnixNano() || have.Name != want.Name {
		return fmt.Errorf("meta.inf is of a stream %q made at %s, which the marks do not know", have.Name, info.Created)
	}
	for key := range have.Metadata {
		if key != streams.VaultKey && key != streams.RestoringKey && !strings.HasPrefix(key, "_nats.") {
			return fmt.Errorf("meta.inf is damaged: it has an entry %q", key)
		}
	}
	if other := append(streams.Unsafe(want, have), streams.Different(want, have)...); len(other) > 0 {
		return fmt.Errorf("meta.inf has settings that this version does not make:%s", streams.Lines(other))
	}
	return nil
}

// metaSum is the checksum that the server writes beside a description, keyed by the
// stream's name.
func metaSum(stream string, content []byte) (string, error) {
	key := sha256.Sum256([]byte(stream))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return "", err
	}
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil)), nil
}
