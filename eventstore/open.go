package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/eventstore/streams"
)

// openStreams makes the streams that are absent and looks at the settings of the
// others. It does not change an unsafe setting: somebody chose it, and an operator
// should first ask what it has lost already. With the embedded server it brings
// harmless settings to this version; on a cluster the operator does ([streams.Apply]).
func (cfg *Config) openStreams(ctx context.Context, js jetstream.JetStream) (streams.Report, error) {
	if cfg.AwaitLedger {
		streams.Await(ctx, js)
	}
	found, err := surveyStreams(ctx, js, cfg)
	if err != nil || len(found.Unsafe) > 0 || len(found.Differs) == 0 {
		return found, err
	}
	err = cfg.asOperator(func(nc *nats.Conn) error {
		_, err := streams.Apply(ctx, nc, cfg.Replicas, "")
		return err
	})
	if errors.Is(err, errNotOperator) {
		return found, nil
	}
	return streams.Report{}, err
}

func surveyStreams(ctx context.Context, js jetstream.JetStream, cfg *Config) (streams.Report, error) {
	var found streams.Report
	for _, want := range streams.Wanted(cfg.Replicas) {
		made := want
		if want.Name == streams.Ledger && cfg.Vault != nil {
			id, err := cfg.Vault.ID(ctx)
			if err != nil {
				return found, fmt.Errorf("eventstore: %w", err)
			}
			made.Metadata = streams.WithVault(nil, id)
		}
		stream, err := streams.Open(ctx, js, made)
		if err != nil {
			return found, fmt.Errorf("eventstore: stream %s: %w", want.Name, err)
		}
		found.Add(want, stream.CachedInfo().Config)
	}
	return found, nil
}

// asOperator does something with a connection within the process that may change
// streams. It fails with errNotOperator on an external cluster, whose operator does it.
func (cfg *Config) asOperator(f func(*nats.Conn) error) error {
	if cfg.Embedded == nil {
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
