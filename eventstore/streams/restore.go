package streams

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"
)

// RestoringKey is the entry of the ledger stream's metadata that says that a restore
// has not come to its end. A cluster has no data directory that all its instances see.
const RestoringKey = "gatehouse_restore"

// ErrRestoring says that a restore into these streams has not come to its end.
var ErrRestoring = errors.New("a restore into this ledger has not come to its end; run it again, it starts over")

// ErrNotEmpty says that there are streams where a restore needs none.
var ErrNotEmpty = errors.New("there is a ledger already")

// BeginRestore makes the streams for a restore, bound to a vault, as the operator. The ledger says until
// [FinishRestore] that it is not whole, and no store opens it. Streams of a restore
// that did not come to its end are removed before; any others are refused with ErrNotEmpty.
func BeginRestore(ctx context.Context, js jetstream.JetStream, replicas int, vaultID string) error {
	ledger, err := js.Stream(ctx, Ledger)
	left := err == nil && ledger.CachedInfo().Config.Metadata[RestoringKey] != ""
	all := Wanted(replicas)
	for _, want := range all {
		_, err := js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
		case err != nil:
			return fmt.Errorf("streams: look at stream %s: %w", want.Name, err)
		case !left:
			return fmt.Errorf("streams: %w: stream %s; a restore needs an empty account", ErrNotEmpty, want.Name)
		}
	}
	// The ledger is the first that is made and the last that is removed: it says that
	// the others are not whole.
	for i := len(all) - 1; left && i >= 0; i-- {
		if err := js.DeleteStream(ctx, all[i].Name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("streams: remove stream %s of an unfinished restore: %w", all[i].Name, err)
		}
	}
	for _, want := range all {
		if want.Name == Ledger {
			want.Metadata = map[string]string{RestoringKey: "unfinished", VaultKey: vaultID}
		}
		if _, err := Open(ctx, js, want); err != nil {
			return fmt.Errorf("streams: make stream %s: %w", want.Name, err)
		}
	}
	return nil
}

// FinishRestore lets stores open the ledger, as the operator.
func FinishRestore(ctx context.Context, js jetstream.JetStream) error {
	ledger, err := js.Stream(ctx, Ledger)
	if err != nil {
		return fmt.Errorf("streams: open the ledger: %w", err)
	}
	config := ledger.CachedInfo().Config
	config.Metadata = maps.Clone(config.Metadata)
	delete(config.Metadata, RestoringKey)
	if _, err := js.UpdateStream(ctx, config); err != nil {
		return fmt.Errorf("streams: end the restore: %w", err)
	}
	return nil
}
