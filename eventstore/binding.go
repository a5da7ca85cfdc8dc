package eventstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// vaultKey is the entry of the ledger stream's metadata that names its vault.
const vaultKey = "gatehouse_vault"

// ErrForeignVault says that this node holds another vault than the one that has the
// keys of the ledger. The error that wraps it says what to do.
var ErrForeignVault = errors.New("the vault is not the one of this ledger")

// bindVault makes the vault of this node the one of the ledger, once. Later another
// vault is refused: it would seal new values beside old ones that it cannot open,
// and a vault that then comes back could not open the new ones. A ledger that was
// made anew from its commits is bound to the vault that it meets first.
func (s *Store) bindVault(ctx context.Context) error {
	id, err := s.cfg.Vault.ID(ctx)
	if err != nil {
		return fmt.Errorf("eventstore: %w", err)
	}
	info, err := s.ledger.Info(ctx)
	if err != nil {
		return fmt.Errorf("eventstore: look at the ledger: %w", err)
	}
	bound := info.Config.Metadata[vaultKey]
	if bound == id {
		return nil
	}
	if bound != "" && !s.cfg.AdoptVault {
		return fmt.Errorf("eventstore: %w: vault.db is vault %s, made anew or brought from elsewhere, and the ledger was sealed with vault %s; "+
			"put back the vault.db that belongs to the ledger, or, when that is lost for ever, start once with --adopt-vault, which is recorded: "+
			"the personal data that was sealed with it stays unreadable", ErrForeignVault, id, bound)
	}
	config := info.Config
	config.Metadata = maps.Clone(config.Metadata)
	if config.Metadata == nil {
		config.Metadata = map[string]string{}
	}
	config.Metadata[vaultKey] = id
	if s.ledger, err = s.js.UpdateStream(ctx, config); err != nil {
		return fmt.Errorf("eventstore: bind the ledger to its vault: %w", err)
	}
	if bound == "" {
		return nil
	}
	s.log.Warn("the ledger has another vault from now on; personal data that was sealed before cannot be read", "vault", id, "was", bound)
	s.unsafe = append(s.unsafe, UnsafeSetting{"stream " + StreamLedger, vaultKey, id, bound})
	return nil
}
