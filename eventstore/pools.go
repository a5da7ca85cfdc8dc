package eventstore

import (
	"context"
	"sync"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
)

// poolLow and poolFull bound the keys that are reserved ahead for an org: below
// poolLow the pool is filled to poolFull in the background.
const (
	poolLow  = 64
	poolFull = 256
)

// keyPools holds keys that are durable in the vault and not used yet, per org.
type keyPools struct {
	mu      sync.Mutex // guards what follows
	pools   map[domain.ID][]vault.Key
	filling map[domain.ID]bool
}

func (p *keyPools) take(ctx context.Context, s *Store, id domain.ID, n int) ([]vault.Key, error) {
	p.mu.Lock()
	if p.pools == nil {
		p.pools, p.filling = map[domain.ID][]vault.Key{}, map[domain.ID]bool{}
	}
	have := p.pools[id]
	took := have[:min(n, len(have))]
	p.pools[id] = have[len(took):]
	p.fill(s, id)
	p.mu.Unlock()
	out := append([]vault.Key(nil), took...)
	if len(out) == n {
		return out, nil
	}
	more, err := s.cfg.Keys.Reserve(ctx, string(id), n-len(out))
	if err != nil {
		return nil, err
	}
	return append(out, more...), nil
}

// fill reserves keys in the background when the pool runs low. The caller holds mu.
func (p *keyPools) fill(s *Store, id domain.ID) {
	if len(p.pools[id]) >= poolLow || p.filling[id] || s.ctx.Err() != nil {
		return
	}
	p.filling[id] = true
	s.running.Go(func() {
		keys, err := s.cfg.Keys.Reserve(s.ctx, string(id), poolFull)
		if err != nil && s.ctx.Err() == nil {
			s.log.Warn("cannot reserve keys ahead", "org", id, "error", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.pools[id] = append(p.pools[id], keys...)
		p.filling[id] = false
	})
}
