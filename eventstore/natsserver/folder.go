package natsserver

import (
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/eventstore/streams"
)

// CheckFolder looks for the folder of a stream that the server does not open. It
// returns how the folder is damaged; empty when there is none. A folder that never held
// a message is what a kill left of the making of the stream: it is removed.
func (e *Embedded) CheckFolder(stream string) (damage string, err error) {
	found := e.folders(stream)
	if len(found) == 0 {
		return "", nil
	}
	if held, err := e.heldMessages(stream); err != nil {
		return "", err
	} else if held {
		return fmt.Sprintf("the server does not open the stream %s, whose files are in %s: its meta.inf or meta.sum is damaged or missing", stream, found[0]), nil
	}
	e.cfg.Log.Warn("the process ended while it made a stream, which held no message; the stream is made again", "stream", stream, "folder", found[0])
	if err := os.RemoveAll(found[0]); err != nil {
		return "", fmt.Errorf("natsserver: remove a stream that was never finished: %w", err)
	}
	return "", nil
}

// folders are where the server keeps a stream; of an account each.
func (e *Embedded) folders(stream string) []string {
	found, err := filepath.Glob(filepath.Join(e.cfg.Dir, "jetstream", "jetstream", "*", "streams", stream))
	if err != nil { // of a malformed pattern alone
		return nil
	}
	return found
}

// heldMessages tells whether a stream ever held a message, by its mark and by its blocks.
func (e *Embedded) heldMessages(stream string) (bool, error) {
	if e.cfg.Marks != nil {
		if _, _, marked := e.cfg.Marks.StreamEnd(stream); marked || e.cfg.Marks.Damaged() {
			return true, nil
		}
		if stream == streams.Ledger && len(e.cfg.Marks.All()) > 0 {
			return true, nil // the marks of orgs are of its commits
		}
	}
	blocks, err := listBlocks(e.cfg.Dir)
	if err != nil {
		return false, fmt.Errorf("natsserver: list the blocks: %w", err)
	}
	for _, b := range blocks {
		if b.stream != stream {
			continue
		}
		if file, err := os.Stat(b.path); err != nil || file.Size() > 0 {
			return true, nil // in doubt it did
		}
	}
	return len(e.KeptBlocks(stream)) > 0, nil
}
