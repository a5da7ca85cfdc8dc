package natsserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/durable"
	"gatehouse/eventstore/streams"
)

// KeptFolder holds, below the data directory, what is kept of damage to the store,
// until somebody moves it elsewhere: damaged files as a whole, and notes of what is lost.
const KeptFolder = "damaged"

// noteSuffix is how the name of a note ends.
const noteSuffix = "-lost.txt"

// aside is what this process knows of the files that are kept.
type aside struct {
	mu     sync.Mutex        // guards what follows
	found  map[string]string // by name in the folder: where it was damaged, and how
	absent map[string]uint64 // by stream: messages that no file holds, as noted
}

// checkBlocks reads the blocks of every stream before the server does. The server cuts
// a block at the first damage in silence, so a damaged block is copied aside as a whole
// first. Bytes that a crash leaves behind the last acknowledged message are no damage:
// the server cuts them.
func (e *Embedded) checkBlocks() error {
	blocks, err := listBlocks(e.cfg.Dir)
	if err != nil {
		return fmt.Errorf("natsserver: list the blocks: %w", err)
	}
	unchanged, err := e.last.unchanged(e.cfg.Dir)
	if err != nil {
		return err
	}
	whole := map[string]uint64{} // by folder: the last sequence of its whole records
	for _, b := range blocks {
		folder := filepath.Dir(b.path)
		if unchanged[folder] {
			continue
		}
		content, err := os.ReadFile(b.path)
		if err != nil {
			return fmt.Errorf("natsserver: read a block: %w", err)
		}
		found, err := b.check(content, func(record) {})
		if err != nil {
			return fmt.Errorf("natsserver: %w", err)
		}
		whole[folder] = max(whole[folder], found.last)
		if found.damage == nil {
			continue
		}
		if marked, ok := e.marked(b); b.last && !found.behind && ok && marked <= whole[folder] {
			e.cfg.Log.Warn("a message was being written when the process ended; nobody was told that it is stored, and it is dropped",
				"block", b.path, "bytes", len(content)-found.at, "last_seq", whole[folder], "marked_seq", marked)
			continue
		}
		if err := e.keep(b, content, found); err != nil {
			return err
		}
	}
	return nil
}

// marked returns the sequence up to which the messages of a block's stream were
// acknowledged; false when that is not known for certain.
func (e *Embedded) marked(b block) (seq uint64, ok bool) {
	if e.cfg.Marks == nil {
		return 0, false
	}
	content, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(b.path)), "meta.inf"))
	var meta struct{ Created time.Time }
	if err != nil || json.Unmarshal(content, &meta) != nil {
		return 0, false
	}
	if b.stream == streams.Ledger {
		return e.cfg.Marks.LedgerSeq(meta.Created.UnixNano())
	}
	known, _, ok := e.cfg.Marks.StreamEnd(b.stream)
	return known.Last, ok && known.Created == meta.Created.UnixNano() && !e.cfg.Marks.Damaged()
}

// keep copies a damaged block aside as a whole, unless it is kept as it is already.
func (e *Embedded) keep(b block, content []byte, found findings) error {
	suffix := b.stream + "-" + filepath.Base(b.path)
	how := fmt.Sprintf("%s at byte %d of %d: %v", b.path, found.at, len(content), found.damage)
	kept, err := filepath.Glob(filepath.Join(e.cfg.Dir, KeptFolder, "*-"+suffix))
	if err != nil {
		return fmt.Errorf("natsserver: keep a damaged block: %w", err)
	}
	for _, path := range kept {
		if before, err := os.ReadFile(path); err == nil && bytes.Equal(before, content) {
			e.noteKept(path, how)
			return nil
		}
	}
	path := e.asidePath(suffix)
	if err := durable.Replace(path, content); err != nil {
		return fmt.Errorf("natsserver: keep a damaged block: %w", err)
	}
	e.noteKept(path, how)
	e.cfg.Log.Error("a file of the store is damaged, and the server cuts it there when it reads it; orgs that lose commits by that serve nothing", "block", how, "kept", path)
	return nil
}

// note writes down what is lost of a stream.
func (e *Embedded) note(stream, text string) error {
	path := e.asidePath(stream + noteSuffix)
	if err := durable.Replace(path, []byte(text+"\n")); err != nil {
		return fmt.Errorf("natsserver: note what is lost: %w", err)
	}
	e.cfg.Log.Error("messages of a stream are lost", "stream", stream, "lost", text, "noted", path)
	return nil
}

func (e *Embedded) asidePath(suffix string) string {
	return filepath.Join(e.cfg.Dir, KeptFolder, time.Now().UTC().Format("20060102T150405.000000000Z")+"-"+suffix)
}

func (e *Embedded) noteKept(path, how string) {
	e.aside.mu.Lock()
	defer e.aside.mu.Unlock()
	if e.aside.found == nil {
		e.aside.found = map[string]string{}
	}
	e.aside.found[filepath.Base(path)] = how
}

// KeptBlocks are the damaged blocks of a stream that are kept, of this start and of
// earlier ones.
func (e *Embedded) KeptBlocks(stream string) []string {
	found, err := filepath.Glob(filepath.Join(e.cfg.Dir, KeptFolder, "*-"+stream+"-*.blk"))
	if err != nil { // of a malformed pattern alone
		return nil
	}
	return found
}

// Kept tells of the damage to the store that nobody has moved elsewhere yet: the files
// that are kept of it, and what is known to be lost.
func (e *Embedded) Kept() []string {
	files, err := os.ReadDir(filepath.Join(e.cfg.Dir, KeptFolder))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return []string{err.Error()}
	}
	e.aside.mu.Lock()
	defer e.aside.mu.Unlock()
	var out []string
	for _, f := range files {
		path := filepath.Join(e.cfg.Dir, KeptFolder, f.Name())
		how := e.aside.found[f.Name()]
		if strings.HasSuffix(f.Name(), noteSuffix) {
			text, err := os.ReadFile(path)
			if err != nil {
				text = []byte(err.Error())
			}
			how = strings.TrimSpace(string(text))
		}
		if how == "" {
			how = "a damaged file was found at an earlier start"
		}
		out = append(out, how+"; kept as "+path)
	}
	slices.Sort(out)
	return out
}
