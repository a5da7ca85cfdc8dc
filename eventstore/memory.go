package eventstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

const (
	// defaultMemory is how many orgs are held in memory unless the configuration
	// says otherwise.
	defaultMemory = 500
	// trimAgain is how long the store first waits with more orgs in memory than its
	// limit. They are in use or not settled. The wait doubles up to trimRest.
	trimAgain = 20 * time.Millisecond
	trimRest  = 5 * time.Second
	// visitAgain is when an org is tried again that could not be loaded after
	// another node had written to it.
	visitAgain = 10 * time.Second
	// damageRest is the factor from the time of a failed load to the pause before the
	// next. Reading a damaged ledger over and over would take the disk from the other
	// orgs.
	damageRest = 20
)

// damage is why an org serves nothing.
type damage struct {
	err   error
	until time.Duration // since the store was opened: the answer holds, and no load is tried
}

// use returns an org, in memory or not, and keeps it there until it is released.
func (s *Store) use(id domain.ID) (*org, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	o, ok := s.orgs[id]
	if !ok {
		o = &org{id: id, subject: Subject(id), advanced: make(chan struct{})}
		o.queue = newQueue(s, o)
		s.orgs[id] = o
	}
	s.uses++
	o.users, o.lastUse = o.users+1, s.uses
	return o, nil
}

// release ends a use of an org.
func (s *Store) release(o *org) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.users--
	if o.users == 0 && !o.loaded.Load() && s.orgs[o.id] == o {
		delete(s.orgs, o.id) // it could not be loaded: nothing is lost with it
	}
}

// present returns an org that is in memory, to be released; nil when it is not.
// It does not count as a use of the org.
func (s *Store) present(id domain.ID) *org {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orgs[id]
	if o == nil || !o.loaded.Load() {
		return nil
	}
	o.users++
	return o
}

// org returns the org loaded and following, to be released. A load that fails is
// tried again by the next caller.
func (s *Store) org(ctx context.Context, id domain.ID) (*org, error) {
	o, err := s.use(id)
	if err != nil || o.loaded.Load() {
		return o, err
	}
	if err := s.loadOnce(ctx, o); err != nil {
		s.release(o)
		return nil, fmt.Errorf("eventstore: load org %s: %w", id, err)
	}
	return o, nil
}

// loadOnce loads an org unless that is done already.
func (s *Store) loadOnce(ctx context.Context, o *org) error {
	o.loading.Lock()
	defer o.loading.Unlock()
	if o.loaded.Load() {
		return nil
	}
	s.mu.Lock()
	known, damaged := s.damaged[o.id]
	s.mu.Unlock()
	began := s.current.elapsed()
	if damaged && began < known.until {
		return known.err
	}
	err := s.guardedLoad(o, func() error { return s.load(ctx, o) })
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.damaged, o.id)
	switch {
	case errors.Is(err, ErrBrokenChain), errors.Is(err, ErrPanicked):
		s.damaged[o.id] = damage{err, s.current.elapsed() + damageRest*(s.current.elapsed()-began)}
	case err == nil:
		s.metrics.Loads.Inc()
		if s.count() > s.cfg.Memory {
			s.crowded.signal()
		}
	}
	return err
}

// count is how many orgs are in memory beside _system, which the metrics are told
// too. The caller holds s.mu.
func (s *Store) count() int {
	n := 0
	for _, o := range s.orgs {
		if o.loaded.Load() && o.id != domain.SystemOrg {
			n++
		}
	}
	s.metrics.Held.Set(float64(n))
	return n
}

// Damaged tells which orgs serve nothing as their ledger is damaged, and what is
// wrong with each.
func (s *Store) Damaged() map[domain.ID]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[domain.ID]error{}
	for id, d := range s.damaged {
		out[id] = d.err
	}
	return out
}

// Visit is View for a caller that goes through all orgs. It first makes room for the
// org, so that visited orgs do not pile up in memory.
func (s *Store) Visit(ctx context.Context, id domain.ID, f func(*domain.State, Head) error) error {
	if o := s.present(id); o != nil {
		s.release(o)
	} else {
		s.trim(1)
	}
	return s.View(ctx, id, f)
}

// Hold keeps an org in memory, and with it what its observers make of it, until
// release is called.
func (s *Store) Hold(ctx context.Context, id domain.ID) (release func(), err error) {
	o, err := s.org(ctx, id)
	if err != nil {
		return nil, err
	}
	return func() { s.release(o) }, nil
}

// trimLoop lets go of orgs whenever there are too many.
func (s *Store) trimLoop() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.crowded:
		}
		for pause := trimAgain; s.trim(0) > 0; pause = min(2*pause, trimRest) {
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// trim lets go of the orgs that were unused for longest, until there is room for
// so many more. It returns how many there are still too many.
func (s *Store) trim(room int) int {
	s.trimming.Lock()
	defer s.trimming.Unlock()
	s.mu.Lock()
	crowd := max(0, s.count()+room-s.cfg.Memory)
	idle := s.idle()
	s.mu.Unlock()
	for _, o := range idle {
		if crowd == 0 {
			break
		}
		gone, err := s.evict(o)
		if err != nil {
			s.log.Warn("an org stays in memory, for its snapshot could not be written", "org", o.id, "error", err)
		}
		if gone {
			crowd--
		}
	}
	return crowd
}

// idle lists the orgs in memory that nobody uses, the one unused for longest
// first. _system is not among them: every request needs it. The caller holds s.mu.
func (s *Store) idle() []*org {
	var out []*org
	for _, o := range s.orgs {
		if o.users == 0 && o.loaded.Load() && o.id != domain.SystemOrg {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *org) int { return cmp.Compare(a.lastUse, b.lastUse) })
	return out
}

// evict evicts an org from memory. It does so only when nobody uses the org, its
// snapshot is at its head, and no observer has work left for it.
func (s *Store) evict(o *org) (gone bool, err error) {
	if err := s.snapshot(o, 1); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.users > 0 || s.orgs[o.id] != o {
		return false, nil
	}
	o.mu.Lock() // nobody has it: who locks an org uses it
	defer o.mu.Unlock()
	if o.head.N != o.snapped || o.tooNew != (wire.Position{}) {
		return false, nil
	}
	for _, ob := range s.observers {
		if !ob.End(o.id) {
			return false, nil
		}
	}
	delete(s.orgs, o.id)
	s.evictedAt[o.id] = o.head.seq
	s.parted[o.id] = partOf(o)
	s.metrics.Evictions.Inc()
	s.count()
	return true, nil
}

// noteRemoteCommit notes a commit of an org that is not in memory. Its observers have not
// seen it, unless it was in memory then; so the org is visited.
func (s *Store) noteRemoteCommit(id domain.ID, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.observers) == 0 || seq <= s.evictedAt[id] {
		return
	}
	s.toVisit[id] = struct{}{}
	s.visits.signal()
}

// visitsAtOnce is how many orgs are visited at once: one that is slow holds up no other.
const visitsAtOnce = 8

// visitLoop visits the orgs that other nodes have written to.
func (s *Store) visitLoop() {
	places := make(chan struct{}, visitsAtOnce)
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.visits:
		}
		s.mu.Lock()
		all := s.toVisit
		s.toVisit = map[domain.ID]struct{}{}
		s.mu.Unlock()
		for id := range all {
			select {
			case <-s.ctx.Done():
				return
			case places <- struct{}{}:
			}
			s.running.Go(func() {
				defer func() { <-places }()
				_ = s.Guard("visits", id, "", func() { s.visitRemote(id) })
			})
		}
	}
}

// visitRemote loads an org that another node has written to, so that its projections
// follow.
func (s *Store) visitRemote(id domain.ID) {
	err := s.Visit(s.ctx, id, func(*domain.State, Head) error { return nil })
	if err == nil || s.ctx.Err() != nil || errors.Is(err, ErrClosed) {
		return
	}
	s.log.Error("an org that another node wrote to cannot be loaded", "org", id, "error", err)
	if !errors.Is(err, ErrBrokenChain) {
		time.AfterFunc(visitAgain, func() { s.noteRemoteCommit(id, ^uint64(0)) })
	}
}

// signal is a channel that holds one message at most: that there is work.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (c signal) signal() {
	select {
	case c <- struct{}{}:
	default: // it is known already
	}
}
