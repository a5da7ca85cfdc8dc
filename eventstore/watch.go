package eventstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/streams"
)

// surveyEvery is the pause between two looks at the settings of a cluster's servers.
// A server that comes back with a setting which could lose commits is known after
// that time at the latest.
const surveyEvery = 10 * time.Second

// servers is what is known of the servers of an external cluster.
type servers struct {
	looking  sync.Mutex               // held by a look: an older one never overwrites a newer one; guards recorded
	recorded map[streams.Setting]bool // as an override, since the start

	mu     sync.Mutex // guards what follows
	silent []string   // did not tell their settings when they were asked last, in order
	unsafe map[string][]streams.Setting
	slow   map[string]int64 // by name: connections that it found too slow, as it told last
}

// noteSlow counts the connections that a server found too slow since it was asked
// last. At the first look there is nothing to compare with.
func (s *Store) noteSlow(server string, now int64) {
	s.servers.mu.Lock()
	was, known := s.servers.slow[server]
	if s.servers.slow == nil {
		s.servers.slow = map[string]int64{}
	}
	s.servers.slow[server] = now
	s.servers.mu.Unlock()
	if now < was {
		was = 0 // it was started again
	}
	if !known || now == was {
		return
	}
	s.metrics.Slow.WithLabelValues("server").Add(float64(now - was))
	s.log.Warn("a server cut connections that were too slow for what they asked for", "server", server, "connections", now-was)
}

// Servers returns the servers of the cluster that did not tell their settings when last
// asked. It also returns the settings of others that could lose what they acknowledge:
// while there are any of these, the store appends nothing.
func (s *Store) Servers() (silent []string, unsafe []streams.Setting) {
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	return slices.Clone(s.servers.silent), natsserver.Survey{Told: s.servers.unsafe}.Unsafe()
}

// canAppendUrgent returns why nothing may be appended now, not even commands that take
// access away. It returns nil when they may be.
func (s *Store) canAppendUrgent() error {
	if _, full := s.Disk(); full != nil {
		return fmt.Errorf("%w: %w", ErrStorageFull, full)
	}
	if s.cfg.AllowUnsafe {
		return nil
	}
	unsafe, _ := s.Streams()
	_, servers := s.Servers()
	if unsafe = append(unsafe, servers...); len(unsafe) > 0 {
		return fmt.Errorf("eventstore: %w:%s", ErrUnsafeStore, streams.Lines(unsafe))
	}
	return nil
}

// canAppend tells why nothing else may be appended now; nil when it may.
func (s *Store) canAppend() error {
	if low, full := s.Disk(); low && full == nil {
		return fmt.Errorf("%w but for a reserve of %d bytes for what takes access away", ErrStorageFull, reserve)
	}
	return s.canAppendUrgent()
}

// watchServers asks the servers for their settings at an interval. Servers come and go
// while the store runs, and may come back with other settings.
func (s *Store) watchServers() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(surveyEvery):
		}
		if err := s.lookAtServers(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Warn("the servers were not asked for their settings", "error", err)
		}
	}
}

// lookAtServers asks the servers for their settings once. One that was found unsafe
// and does not answer is asked twice more, before it is taken for one that is down
// and does no harm.
func (s *Store) lookAtServers(ctx context.Context) error {
	s.servers.looking.Lock()
	defer s.servers.looking.Unlock()
	for try := 1; ; try++ {
		r, err := natsserver.Ask(ctx, s.cfg.System, s.cfg.Replicas)
		if err != nil {
			return err
		}
		if len(r.Told) == 0 {
			return nil // nobody is reached, so nothing is known again and nothing appended
		}
		if try == natsserver.Tries || !s.missesUnsafe(r) {
			return s.note(ctx, r)
		}
	}
}

func (s *Store) missesUnsafe(r natsserver.Survey) bool {
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	for name := range s.servers.unsafe {
		if _, told := r.Told[name]; !told {
			return true
		}
	}
	return false
}

// recordOnce records as overrides the settings that were not since the start.
func (s *Store) recordOnce(ctx context.Context, unsafe []streams.Setting) error {
	for _, u := range unsafe {
		if s.servers.recorded[u] {
			continue
		}
		if err := s.recordOverrides(ctx, []streams.Setting{u}); err != nil {
			return err
		}
		if s.servers.recorded == nil {
			s.servers.recorded = map[streams.Setting]bool{}
		}
		s.servers.recorded[u] = true
	}
	return nil
}

// note takes over what the servers told, and says what is new of it. With the
// override of the operator what is unsafe is recorded, as it is at the start.
func (s *Store) note(ctx context.Context, r natsserver.Survey) error {
	for name, slow := range r.Slow {
		s.noteSlow(name, slow)
	}
	unsafe := map[string][]streams.Setting{}
	for name, found := range r.Told {
		if len(found) > 0 {
			unsafe[name] = found
		}
	}
	if s.cfg.AllowUnsafe {
		if err := s.recordOnce(ctx, r.Unsafe()); err != nil {
			return err // and nothing is noted, so that the next look records it
		}
	}
	s.servers.mu.Lock()
	was, wasSilent := s.servers.unsafe, s.servers.silent
	s.servers.unsafe, s.servers.silent = unsafe, r.Silent
	s.servers.mu.Unlock()
	s.metrics.Silent.Set(float64(len(r.Silent)))
	s.metrics.Unsafe.Set(float64(len(unsafe)))
	for _, name := range r.Silent {
		if !slices.Contains(wasSilent, name) {
			s.log.Warn("a server of the cluster does not tell its settings; they are checked when it is back", "server", name)
		}
	}
	for _, name := range wasSilent {
		if _, told := r.Told[name]; told && unsafe[name] == nil {
			s.log.Info("a server of the cluster is back, and its settings are safe", "server", name)
		}
	}
	for name, found := range unsafe {
		if was[name] != nil || s.cfg.AllowUnsafe {
			continue
		}
		for _, u := range found {
			s.log.Error("nothing is appended while a server could lose what it acknowledges", "where", u.Where, "setting", u.Setting, "value", u.Value, "needed", u.Needed)
		}
	}
	for name := range was {
		if unsafe[name] == nil {
			s.log.Info("a server that was not safe is mended or gone", "server", name)
		}
	}
	return nil
}
