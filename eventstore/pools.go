package eventstore

import (
	"context"
	"errors"
	"sync"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
)

// The keys that are reserved ahead for an org: when less than half a batch is left,
// the next batch is reserved in the background, twice as large as the one before up
// to poolMost. So a small org leaves few keys unused at a stop, and a busy one pays
// one fsync for thousands of commits.
const (
	poolFirst = 64
	poolMost  = 4096
)

// keyPools holds keys that are durable in the vault and not used yet, per org.
type keyPools struct {
	mu      sync.Mutex // guards what follows
	pools   map[domain.ID][]vault.Key
	filling map[domain.ID]bool
	batch   map[domain.ID]int // size of the next batch
}

func (p *keyPools) take(ctx context.Context, s *Store, id domain.ID, n int) ([]vault.Key, error) {
	p.mu.Lock()
	if p.pools == nil {
		p.pools, p.filling, p.batch = map[domain.ID][]vault.Key{}, map[domain.ID]bool{}, map[domain.ID]int{}
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
	batch := max(p.batch[id], poolFirst)
	if len(p.pools[id]) >= batch/2 || p.filling[id] || s.ctx.Err() != nil {
		return
	}
	p.filling[id], p.batch[id] = true, min(2*batch, poolMost)
	s.running.Go(func() {
		var keys []vault.Key
		var err error
		err = errors.Join(s.Guard("keys", id, "", func() { keys, err = s.cfg.Keys.Reserve(s.ctx, string(id), batch) }), err)
		if err != nil && s.ctx.Err() == nil {
			s.log.Warn("cannot reserve keys ahead", "org", id, "error", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.pools[id] = append(p.pools[id], keys...)
		p.filling[id] = false
	})
}
