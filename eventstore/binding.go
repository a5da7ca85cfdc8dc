package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/eventstore/streams"
)

// ErrForeignVault says that this node holds another vault than the one that has the
// keys of the ledger. The error that wraps it says what to do.
var ErrForeignVault = errors.New("the vault is not the one of this ledger")

// bindVault makes the vault of this node the one of the ledger, once. Later another
// vault is refused: it would seal new values beside old ones that it cannot open,
// and a vault that then comes back could not open the new ones. A ledger that was
// made again from its commits is bound to the vault that it meets first.
func (s *Store) bindVault(ctx context.Context) error {
	id, err := s.cfg.Vault.ID(ctx)
	if err != nil {
		return fmt.Errorf("eventstore: %w", err)
	}
	info, err := s.ledger.Info(ctx)
	if err != nil {
		return fmt.Errorf("eventstore: look at the ledger: %w", err)
	}
	bound := info.Config.Metadata[streams.VaultKey]
	if bound == id {
		if s.cfg.AdoptVault && s.cfg.Embedded == nil { // the operator of the cluster has named it
			s.unsafe = append(s.unsafe, boundTo(id, "the vault before"))
		}
		return nil
	}
	if bound != "" && !s.cfg.AdoptVault {
		return fmt.Errorf("eventstore: %w: vault.db is vault %s, made again or brought from elsewhere, and the ledger was sealed with vault %s; "+
			"put back the vault.db that belongs to the ledger, or, when that is lost for ever, start once with --adopt-vault, which is recorded: "+
			"the personal data that was sealed with it stays unreadable", ErrForeignVault, id, bound)
	}
	if unsafe, _ := s.Streams(); len(unsafe) > 0 && !s.cfg.AllowUnsafe {
		return nil // nothing is written, and nothing is changed
	}
	config := info.Config
	config.Metadata = streams.WithVault(config.Metadata, id)
	if err := s.changeLedger(ctx, config); err != nil && bound != "" {
		return fmt.Errorf("eventstore: bind the ledger to its vault: %w: run gatehouse streams apply --vault %s with the operator's seed, and start again", err, id)
	} else if err != nil {
		s.log.Warn("the ledger does not name its vault, so that another one in its place goes unnoticed; gatehouse streams apply with the operator's seed mends that", "vault", id, "error", err)
		return nil
	}
	if s.ledger, err = s.js.Stream(ctx, streams.Ledger); err != nil {
		return fmt.Errorf("eventstore: open the ledger: %w", err)
	}
	if bound == "" {
		return nil
	}
	s.log.Warn("the ledger has another vault from now on; personal data that was sealed before cannot be read", "vault", id, "was", bound)
	s.unsafe = append(s.unsafe, boundTo(id, bound))
	return nil
}

// changeLedger changes the ledger stream: within the process as its operator, on a
// cluster by the service's own rights, which those of deploy/nats do not give.
func (s *Store) changeLedger(ctx context.Context, config jetstream.StreamConfig) error {
	err := s.cfg.asOperator(func(nc *nats.Conn) error {
		js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(apiTimeout))
		if err == nil {
			_, err = js.UpdateStream(ctx, config)
		}
		return err
	})
	if !errors.Is(err, errNotOperator) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bindingTime)
	defer cancel()
	_, err = s.js.UpdateStream(ctx, config)
	return err
}

// boundTo is the override that is recorded when the ledger gets another vault.
func boundTo(id, needed string) streams.Setting {
	return streams.Setting{Where: "stream " + streams.Ledger, Setting: streams.VaultKey, Value: id, Needed: needed}
}

// bindingTime bounds the try to name the vault in a ledger of another account's
// rights: a server tells a client that may not ask nothing.
const bindingTime = 2 * time.Second
