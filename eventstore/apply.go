package eventstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Applied tells what [ApplyStreams] did to one stream.
type Applied struct {
	Stream  string
	Changed []UnsafeSetting // that were not as this version needs them, as they were
}

// ApplyStreams makes the streams that are absent and corrects the settings of the
// others. The connection is the operator's: the service itself may not change a stream.
// Messages that a setting has lost already do not come back. A vaultID, when given,
// becomes the vault of the ledger.
func ApplyStreams(ctx context.Context, nc *nats.Conn, replicas int, vaultID string) ([]Applied, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(apiTimeout))
	if err != nil {
		return nil, fmt.Errorf("eventstore: %w", err)
	}
	var out []Applied
	for _, want := range wanted(max(replicas, 1)) {
		stream, err := openStream(ctx, js, want)
		if err != nil {
			return out, fmt.Errorf("eventstore: stream %s: %w", want.Name, err)
		}
		have := stream.CachedInfo().Config
		done := Applied{want.Name, append(unsafeSettings(want, have), differentSettings(want, have)...)}
		fixed := applied(want, have)
		if bound := have.Metadata[vaultKey]; want.Name == StreamLedger && vaultID != "" && bound != vaultID {
			fixed.Metadata = withVault(fixed.Metadata, vaultID)
			done.Changed = append(done.Changed, UnsafeSetting{"stream " + want.Name, vaultKey, bound, vaultID})
		}
		if len(done.Changed) == 0 {
			out = append(out, done)
			continue
		}
		if _, err := js.UpdateStream(ctx, fixed); err != nil {
			return out, fmt.Errorf("eventstore: change the settings of stream %s:%s\n%w", want.Name, lines(done.Changed), err)
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

func withVault(metadata map[string]string, id string) map[string]string {
	out := maps.Clone(metadata)
	if out == nil {
		out = map[string]string{}
	}
	out[vaultKey] = id
	return out
}

// asOperator does something with a connection within the process that may change
// streams. Nil on an external cluster, whose operator does it.
func (cfg *Config) asOperator(f func(*nats.Conn) error) error {
	if cfg.Embedded == nil || cfg.Embedded.operator == nil {
		return errNotOperator
	}
	nc, err := cfg.Embedded.ConnectOperator()
	if err != nil {
		return err
	}
	defer nc.Close()
	return f(nc)
}

// errNotOperator says that this instance has no connection that may change streams.
var errNotOperator = errors.New("only the operator of the cluster may change a stream")

// bindingTime bounds the try to name the vault in a ledger of another account's
// rights: a server tells a client that may not ask nothing.
const bindingTime = 2 * time.Second
