package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"

	"gatehouse/domain"
	"gatehouse/durable"
	"gatehouse/eventstore/streams"
)

// savedHeads cache the heads of the ledger's chains after the last closed segment. So
// the next process need not walk there from the first commit. They are derived and lie
// beside the ledger, not in the target: there they would reveal the names of the orgs,
// or be unreadable for a writer that holds public keys alone.
type savedHeads struct {
	Target  string             `json:"target"`
	Segment Segment            `json:"segment"` // the last closed one
	Heads   map[domain.ID]Head `json:"heads"`
}

// headsFile is the path of the saved heads of a target; empty means that none are
// saved.
func (w *Writer) headsFile() string {
	if w.opts.Spool == "" {
		return ""
	}
	return filepath.Join(w.opts.Spool, "backup-"+Hash(sha256.Sum256([]byte(w.target.String()))).String()[:16]+".heads")
}

// savedChecker returns a checker that stands after the last closed segment. It returns
// nil if there is no valid saved state of that segment.
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
	c := newChecker(streams.Ledger, last.Last+1)
	c.heads = saved.Heads
	return c
}

// saveHeads saves the state of the ledger's checker. If that fails, the next process
// walks the ledger.
func (w *Writer) saveHeads() {
	c, s := w.checkers[streams.Ledger], w.manifest.Stream(streams.Ledger)
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
	return durable.Replace(path, append(append(sum, '\n'), body...))
}
