package eventstore

import (
	"errors"
	"slices"
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

// take returns up to n keys that are reserved, and reserves more ahead. It waits for
// nothing.
func (p *keyPools) take(s *Store, id domain.ID, n int) []vault.Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pools == nil {
		p.pools, p.filling, p.batch = map[domain.ID][]vault.Key{}, map[domain.ID]bool{}, map[domain.ID]int{}
	}
	have := p.pools[id]
	took := have[:min(n, len(have))]
	p.pools[id] = have[len(took):]
	p.fill(s, id)
	return slices.Clone(took)
}

// giveBack returns keys that were not used.
func (p *keyPools) giveBack(id domain.ID, keys []vault.Key) {
	if len(keys) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pools[id] = append(p.pools[id], keys...)
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
