package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

// savedHeads are where the chains of the ledger stood behind the last closed segment, so that the next process need not
// walk there from the first commit. They are derived and lie beside the ledger, not in the target, where they would tell
// the names of the orgs or be unreadable for a writer that holds public keys alone.
type savedHeads struct {
	Target  string             `json:"target"`
	Segment Segment            `json:"segment"` // the last closed one
	Heads   map[domain.ID]Head `json:"heads"`
}

// headsFile is where the heads of a target are saved; empty: nowhere.
func (w *Writer) headsFile() string {
	if w.opts.Spool == "" {
		return ""
	}
	return filepath.Join(w.opts.Spool, "backup-"+Hash(sha256.Sum256([]byte(w.target.String()))).String()[:16]+".heads")
}

// savedChecker gives a checker behind the last closed segment; nil when nothing good is saved of it.
func (w *Writer) savedChecker(last Segment) *checker {
	b, err := os.ReadFile(w.headsFile())
	if err != nil {
		return nil
	}
	sum, body, _ := bytes.Cut(b, []byte("\n"))
	if got, _ := Hash(sha256.Sum256(body)).MarshalText(); !bytes.Equal(sum, got) {
		return nil
	}
	var saved savedHeads
	if err := json.Unmarshal(body, &saved); err != nil || saved.Target != w.target.String() || saved.Segment.Name != last.Name || saved.Heads == nil {
		return nil
	}
	c := newChecker(eventstore.StreamLedger, last.Last+1)
	c.heads = saved.Heads
	return c
}

// saveHeads saves where the checker of the ledger stands. That it cannot be saved costs the next process a walk.
func (w *Writer) saveHeads() {
	c, s := w.checkers[eventstore.StreamLedger], w.manifest.Stream(eventstore.StreamLedger)
	path := w.headsFile()
	if c == nil || s == nil || path == "" || c.at == 0 || c.at == w.savedAt {
		return
	}
	for _, seg := range s.Segments {
		if seg.Last == c.at && !seg.Open {
			if err := writeHeads(path, savedHeads{w.target.String(), seg, c.heads}); err != nil {
				w.opts.Log.Warn("the next backup walks through the whole ledger: where its chains stand could not be saved", "file", path, "error", err)
				return
			}
			w.savedAt = c.at
		}
	}
}

func writeHeads(path string, saved savedHeads) error {
	body, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	sum, err := Hash(sha256.Sum256(body)).MarshalText()
	if err != nil {
		return err
	}
	draft := path + ".new"
	if err := os.WriteFile(draft, append(append(sum, '\n'), body...), 0o600); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return os.Rename(draft, path)
}
