package streams

import (
	"context"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Applied tells what [Apply] did to one stream.
type Applied struct {
	Stream  string
	Changed []Setting // that were not as this version needs them, as they were
}

// Apply makes the streams that are absent and corrects the settings of the
// others. The connection is the operator's: the service itself may not change a stream.
// Messages that a setting has lost already do not come back. A vaultID, when given,
// becomes the vault of the ledger.
func Apply(ctx context.Context, nc *nats.Conn, replicas int, vaultID string) ([]Applied, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(apiTimeout))
	if err != nil {
		return nil, fmt.Errorf("streams: %w", err)
	}
	var out []Applied
	for _, want := range Wanted(max(replicas, 1)) {
		stream, err := Open(ctx, js, want)
		if err != nil {
			return out, fmt.Errorf("streams: stream %s: %w", want.Name, err)
		}
		have := stream.CachedInfo().Config
		done := Applied{want.Name, append(Unsafe(want, have), Different(want, have)...)}
		fixed := applied(want, have)
		if bound := have.Metadata[VaultKey]; want.Name == Ledger && vaultID != "" && bound != vaultID {
			fixed.Metadata = WithVault(fixed.Metadata, vaultID)
			done.Changed = append(done.Changed, Setting{"stream " + want.Name, VaultKey, bound, vaultID})
		}
		if len(done.Changed) == 0 {
			out = append(out, done)
			continue
		}
		if _, err := js.UpdateStream(ctx, fixed); err != nil {
			return out, fmt.Errorf("streams: change the settings of stream %s:%s\n%w", want.Name, Lines(done.Changed), err)
		}
		out = append(out, done)
	}
	return out, nil
}

// applied is what a stream is to be: as this version makes it, but for what others
// may choose freely.
func applied(want, have jetstream.StreamConfig) jetstream.StreamConfig {
	fixed := want
	fixed.Metadata, fixed.Placement, fixed.Compression = have.Metadata, have.Placement, have.Compression
	fixed.Replicas = max(have.Replicas, want.Replicas)
	return fixed
}

// WithVault returns metadata of the ledger stream with the id of its vault.
func WithVault(metadata map[string]string, id string) map[string]string {
	out := maps.Clone(metadata)
	if out == nil {
		out = map[string]string{}
	}
	out[VaultKey] = id
	return out
}
