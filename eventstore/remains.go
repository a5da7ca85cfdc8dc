package eventstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrLedgerLost says that a stream is not there, or the ledger has no commit, though
// there was one. It is not made anew: that would begin an empty ledger over what the
// old one took away.
var ErrLedgerLost = errors.New("the ledger was there and is lost")

// checkRemains finds a stream that was there and is not, before it is made anew: by
// its folder where the server runs in this process, and the ledger by its marks, its
// snapshots, the vault that followed it and what other streams hold.
func (cfg *Config) checkRemains(ctx context.Context, js jetstream.JetStream) error {
	for _, want := range wanted(cfg.Replicas) {
		stream, err := lookFor(ctx, js, want.Name)
		if err != nil {
			return fmt.Errorf("eventstore: stream %s: %w", want.Name, err)
		}
		if stream == nil {
			if err := cfg.checkFolder(want.Name); err != nil {
				return err
			}
		}
		if want.Name != StreamLedger || stream != nil && stream.CachedInfo().State.LastSeq > 0 {
			continue
		}
		remains, err := cfg.remains(ctx)
		if err == nil && remains == "" {
			remains, err = otherStreams(ctx, js)
		}
		if err != nil {
			return err
		}
		if remains != "" {
			return fmt.Errorf("eventstore: %w: %s is empty or not there, and %s; %s. To begin another ledger, serve from another data directory",
				ErrLedgerLost, StreamLedger, remains, DamageAdvice)
		}
	}
	return nil
}

// otherStreams tells which stream beside an empty ledger holds what only a ledger
// brings about; empty when none does.
func otherStreams(ctx context.Context, js jetstream.JetStream) (string, error) {
	for _, name := range []string{StreamPermissions, StreamActivity} {
		stream, err := lookFor(ctx, js, name)
		if err != nil {
			return "", fmt.Errorf("eventstore: stream %s: %w", name, err)
		}
		if stream != nil && stream.CachedInfo().State.LastSeq > 0 {
			return fmt.Sprintf("%s goes up to message %d", name, stream.CachedInfo().State.LastSeq), nil
		}
	}
	return "", nil
}

// lookFor returns a stream; nil when it is not there. It waits for a cluster that is
// still coming up.
func lookFor(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	for deadline := time.Now().Add(clusterPatience); ; {
		stream, err := lookOnce(ctx, js, name)
		if err == nil {
			return stream, nil
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, nil
		}
		if time.Now().After(deadline) {
			return nil, err
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return nil, err
		}
	}
}

func lookOnce(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTry)
	defer cancel()
	return js.Stream(ctx, name)
}

// checkFolder finds the folder of a stream that the embedded server does not know:
// its description is damaged, and its messages lie there. A folder that never held a
// message is what a kill left of the making of the stream: it is taken away.
func (cfg *Config) checkFolder(name string) error {
	if cfg.Embedded == nil {
		return nil
	}
	found := cfg.Embedded.folders(name)
	if len(found) == 0 {
		return nil
	}
	if held, err := cfg.Embedded.heldMessages(name); err != nil {
		return err
	} else if !held {
		cfg.Embedded.cfg.Log.Warn("the process ended while it made a stream, which held no message; the stream is made anew", "stream", name, "folder", found[0])
		if err := os.RemoveAll(found[0]); err != nil {
			return fmt.Errorf("eventstore: take away a stream that was never finished: %w", err)
		}
		return nil
	}
	return fmt.Errorf("eventstore: %w: the server does not open the stream %s, whose files are in %s: its meta.inf or meta.sum is damaged or missing; %s",
		ErrLedgerLost, name, found[0], DamageAdvice)
}

// heldMessages tells whether a stream ever held a message, by its mark and by its blocks.
func (e *Embedded) heldMessages(name string) (bool, error) {
	if e.cfg.Marks != nil {
		if _, _, marked := e.cfg.Marks.streamEnd(name); marked || e.cfg.Marks.data.Damaged() > 0 {
			return true, nil
		}
		if name == StreamLedger && len(e.cfg.Marks.All()) > 0 {
			return true, nil // the marks of orgs are of its commits
		}
	}
	blocks, err := listBlocks(e.cfg.Dir)
	if err != nil {
		return false, fmt.Errorf("eventstore: list the blocks: %w", err)
	}
	for _, b := range blocks {
		if b.stream != name {
			continue
		}
		if file, err := os.Stat(b.path); err != nil || file.Size() > 0 {
			return true, nil // in doubt it did
		}
	}
	return len(e.keptBlocks(name)) > 0, nil
}

// remains tells what is left beside a ledger that is empty or not there; empty when
// nothing is.
func (cfg *Config) remains(ctx context.Context) (string, error) {
	if cfg.Marks != nil {
		if marks := cfg.Marks.All(); len(marks) > 0 {
			return fmt.Sprintf("there are marks of the commits of %d orgs, such as %s at %s", len(marks), marks[0].Org, marks[0].Position()), nil
		}
	}
	if found, err := filepath.Glob(filepath.Join(cfg.Snapshots, "*.snapshot")); err != nil || len(found) > 0 {
		return fmt.Sprintf("there are snapshots of orgs in %s", cfg.Snapshots), err
	}
	if cfg.Embedded != nil {
		if blocks := cfg.Embedded.keptBlocks(StreamLedger); len(blocks) > 0 {
			return fmt.Sprintf("there is a damaged block of it, %s", blocks[0]), nil
		}
	}
	if cfg.Vault == nil {
		return "", nil
	}
	followed, err := cfg.Vault.Followed(ctx)
	if err != nil {
		return "", fmt.Errorf("eventstore: %w", err)
	}
	if followed.Sequence == 0 { // it knows of no commit
		return "", nil
	}
	return fmt.Sprintf("the vault has followed a ledger up to message %d", followed.Sequence), nil
}
