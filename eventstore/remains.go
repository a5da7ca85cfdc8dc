package eventstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/eventstore/streams"
)

// ErrLedgerLost says that a stream is not there, or the ledger has no commit, though
// there was one. It is not made again: that would begin an empty ledger over what the
// old one took away.
var ErrLedgerLost = errors.New("the ledger was there and is lost")

// checkRemains finds a stream that was there and is not, before it is made again: by
// its folder where the server runs in this process, and the ledger by its marks, its
// snapshots, the vault that followed it and what other streams hold.
func (cfg *Config) checkRemains(ctx context.Context, js jetstream.JetStream) error {
	for _, want := range streams.Wanted(cfg.Replicas) {
		stream, err := streams.Look(ctx, js, want.Name)
		if err != nil {
			return fmt.Errorf("eventstore: stream %s: %w", want.Name, err)
		}
		if stream == nil {
			if err := cfg.checkFolder(want.Name); err != nil {
				return err
			}
		}
		if want.Name != streams.Ledger || stream != nil && stream.CachedInfo().State.LastSeq > 0 {
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
				ErrLedgerLost, streams.Ledger, remains, streams.DamageAdvice)
		}
	}
	return nil
}

// otherStreams tells which stream beside an empty ledger holds what only a ledger
// brings about; empty when none does.
func otherStreams(ctx context.Context, js jetstream.JetStream) (string, error) {
	for _, name := range []string{streams.Permissions, streams.Activity} {
		stream, err := streams.Look(ctx, js, name)
		if err != nil {
			return "", fmt.Errorf("eventstore: stream %s: %w", name, err)
		}
		if stream != nil && stream.CachedInfo().State.LastSeq > 0 {
			return fmt.Sprintf("%s goes up to message %d", name, stream.CachedInfo().State.LastSeq), nil
		}
	}
	return "", nil
}

// checkFolder finds the folder of a stream that the embedded server does not open: its
// description is damaged, and its messages lie there.
func (cfg *Config) checkFolder(stream string) error {
	if cfg.Embedded == nil {
		return nil
	}
	damage, err := cfg.Embedded.CheckFolder(stream)
	if err != nil {
		return fmt.Errorf("eventstore: %w", err)
	}
	if damage != "" {
		return fmt.Errorf("eventstore: %w: %s; %s", ErrLedgerLost, damage, streams.DamageAdvice)
	}
	return nil
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
		if blocks := cfg.Embedded.KeptBlocks(streams.Ledger); len(blocks) > 0 {
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
