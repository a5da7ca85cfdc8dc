package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
	"gatehouse/gateways/httpapi"
)

const (
	// loadingAtOnce is how many orgs are loaded side by side.
	loadingAtOnce = 4
	// loadAgain is the pause before an org that could not be loaded is tried again.
	loadAgain = 10 * time.Second
	// progressEvery is how often the log tells how far loading is.
	progressEvery = 2 * time.Second
	// laggard is how long permissions may wait to be published before the instance
	// calls itself not ready.
	laggard = 30 * time.Second
)

// loader visits every org of the ledger after the start: whatever a stop or another
// instance left undone of its permissions is published, and what falls due in it
// when is known from then on, whether it stays in memory or not.
type loader struct {
	ctx context.Context

	mu      sync.Mutex             // guards what follows
	listing bool                   // the orgs are not known yet
	total   int                    // orgs
	waiting map[domain.ID]struct{} // those that are not loaded
	failed  map[domain.ID]struct{} // those of them that could not be
}

// load loads all orgs in the background, and admits gateways once that was tried.
func (s *service) load() {
	s.loader.listing = true
	var admit sync.Once
	s.running.Go(func() {
		for {
			var err error
			if panicked := s.Store.Guard("loader", "", "", func() { err = s.loadAll() }); panicked != nil {
				err = panicked
			}
			admit.Do(s.admit)
			debug.FreeOSMemory() // reading takes twice the memory of what is read
			if err == nil || s.loader.ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
				return
			}
			s.cfg.Log.Error("not every org could be loaded; trying again", "again_in", loadAgain.String(), "error", err)
			if client.Pause(s.loader.ctx, loadAgain) != nil {
				return
			}
		}
	})
}

// admit begins to say which gateways may connect, and to answer them.
func (s *service) admit() {
	s.running.Go(func() {
		if err := s.control.Answer(s.loader.ctx); err != nil {
			s.fail(fmt.Errorf("gateways are not answered any more: %w", err))
		}
	})
	if s.admission == nil {
		return
	}
	s.running.Go(func() {
		if err := s.admission.Run(s.loader.ctx); err != nil {
			s.fail(fmt.Errorf("gateways are not admitted any more: %w", err))
		}
	})
}

// loadAll loads the orgs that are not loaded yet.
func (s *service) loadAll() error {
	l := &s.loader
	var orgs []domain.ID
	err := s.Store.View(l.ctx, domain.SystemOrg, func(state *domain.State, _ eventstore.Head) error {
		for id := range state.Orgs.All() {
			orgs = append(orgs, id)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the list of orgs: %w", err)
	}
	orgs = l.begin(orgs)
	began := s.cfg.Now()
	done := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() { s.tellProgress(done) })
	var g errgroup.Group
	g.SetLimit(loadingAtOnce)
	for _, id := range orgs {
		g.Go(func() error {
			var err error
			if panicked := s.Store.Guard("loader", id, "", func() { err = s.loadOne(id) }); panicked != nil {
				err = panicked
			}
			l.loaded(id, err)
			if err != nil {
				return fmt.Errorf("org %s: %w", id, err)
			}
			return nil
		})
	}
	err = g.Wait()
	close(done)
	telling.Wait()
	if err == nil {
		s.cfg.Log.Info("the orgs are loaded", "orgs", l.total, "took_ms", milliseconds(s.cfg.Now().Sub(began)))
	}
	return err
}

// begin notes which orgs are still to be loaded, and returns them.
func (l *loader) begin(orgs []domain.ID) []domain.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listing {
		l.listing, l.total = false, len(orgs)
		l.waiting, l.failed = map[domain.ID]struct{}{}, map[domain.ID]struct{}{}
		for _, id := range orgs {
			l.waiting[id] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(l.waiting))
}

func (l *loader) loaded(id domain.ID, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed[id] = struct{}{}
		return
	}
	delete(l.waiting, id)
	delete(l.failed, id)
}

// loadOne loads an org, and warns of a clock that is behind what the ledger holds:
// commits would bear the time of the last one until it has caught up.
func (s *service) loadOne(id domain.ID) error {
	return s.Store.Visit(s.loader.ctx, id, func(_ *domain.State, head eventstore.Head) error {
		if ahead := head.At.Sub(s.cfg.Now()); ahead > time.Second {
			s.cfg.Log.Warn("the clock of this machine is behind the ledger", "org", id, "by", ahead.String())
		}
		return nil
	})
}

func (s *service) tellProgress(done <-chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			s.loader.mu.Lock()
			left, total := len(s.loader.waiting), s.loader.total
			s.loader.mu.Unlock()
			s.cfg.Log.Info("orgs are being loaded", "loaded", total-left, "orgs", total)
		}
	}
}

// keptBlocks tells of the damage to the store that nobody has moved elsewhere yet.
func (s *service) keptBlocks() []string {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.Kept()
}

// ready lists what keeps the instance from serving as it should, and what is amiss
// though it serves.
func (s *service) ready() (troubles, degraded []httpapi.Trouble) {
	silent, unsafe := s.Store.Servers()
	for _, name := range silent {
		degraded = append(degraded, httpapi.Trouble{Part: "server:" + name, Message: "it does not tell its settings; its cluster goes on with a majority, and it is checked when it is back"})
	}
	damaged := s.Store.DamagedKeys()
	for _, id := range slices.Sorted(maps.Keys(damaged)) {
		degraded = append(degraded, httpapi.Trouble{Part: "vault:" + string(id), Message: fmt.Sprintf("keys of personal data are damaged, and what they seal cannot be read: %s; put back vault.db from a copy that is whole",
			strings.Join(damaged[id], ", "))})
	}
	degraded = append(degraded, s.backupsAmiss()...)
	degraded = append(degraded, s.gatewaysAmiss()...)
	stuck := s.Store.Stuck()
	for _, id := range slices.Sorted(maps.Keys(stuck)) {
		degraded = append(degraded, httpapi.Trouble{Part: "org:" + string(id), Message: fmt.Sprintf("a command %s holds it for %s, and nothing of it is answered; restart this instance if that does not end",
			stuck[id].Command, stuck[id].For.Round(time.Second))})
	}
	for _, block := range s.keptBlocks() {
		degraded = append(degraded, httpapi.Trouble{Part: "damaged", Message: block + "; move it elsewhere when that is settled"})
	}
	lost, witness := s.Marks.Trouble(time.Now())
	if witness != nil {
		degraded = append(degraded, httpapi.Trouble{Part: "witness", Message: witness.Error()})
	}
	if lost != nil {
		degraded = append(degraded, httpapi.Trouble{Part: "marks", Message: fmt.Sprintf("where the ledger ends is not marked in %s, so that a loss of its last commits would not be found: %v", s.cfg.Data, lost)})
	}
	for _, p := range s.Store.Panics() {
		degraded = append(degraded, httpapi.Trouble{Part: "panic:" + p.Part, Message: fmt.Sprintf("the program failed %d times, last at %s, org %q, command %q; the log has the stack: report it", p.Count, p.Last.UTC().Format(time.RFC3339), p.Org, p.Command)})
	}
	troubles = s.troubles()
	if err := s.clock.Check(); err != nil {
		troubles = append(troubles, httpapi.Trouble{Part: "clock", Message: err.Error()})
	}
	if low, full := s.Store.Disk(); full != nil {
		troubles = append(troubles, httpapi.Trouble{Part: "disk", Message: fmt.Sprintf("nothing is committed until there is room on the disk of %s: %v", s.cfg.Data, full)})
	} else if low {
		troubles = append(troubles, httpapi.Trouble{Part: "disk", Message: fmt.Sprintf("the disk of %s is almost full: only what takes access away is taken until there is room", s.cfg.Data)})
	}
	if _, err := s.Store.Current(); err != nil {
		troubles = append(troubles, httpapi.Trouble{Part: "ledger", Message: err.Error() + "; questions and decisions answer 503 stale until it does"})
	}
	streams, differs := s.Store.Streams()
	for _, u := range differs {
		degraded = append(degraded, httpapi.Trouble{Part: "stream", Message: u.String() + "; nothing is lost by it, and gatehouse streams apply changes it"})
	}
	if s.cfg.AllowUnsafe {
		return troubles, degraded
	}
	for _, u := range streams {
		troubles = append(troubles, httpapi.Trouble{Part: "ledger", Message: u.String() + "; nothing is committed until that is put right: gatehouse streams apply changes it"})
	}
	for _, u := range unsafe {
		troubles = append(troubles, httpapi.Trouble{Part: "ledger", Message: u.String() + "; nothing is committed until that is put right"})
	}
	return troubles, degraded
}

// troubles lists what keeps the instance from serving as it should.
func (s *service) troubles() []httpapi.Trouble {
	var out []httpapi.Trouble
	add := func(part, format string, args ...any) {
		out = append(out, httpapi.Trouble{Part: part, Message: fmt.Sprintf(format, args...)})
	}
	if status := s.conn.Status(); status != nats.CONNECTED {
		add("nats", "the connection is %s", status)
	}
	if since, unsettled := s.Store.Unsettled(); unsettled {
		add("ledger", "appends have had no answer since %s; look at its disk and its servers, and restart them when they are well", since.UTC().Format(time.RFC3339))
	}
	l := &s.loader
	l.mu.Lock()
	if l.listing {
		add("orgs", "they are being listed")
	}
	if n := len(l.waiting) - len(l.failed); n > 0 {
		add("orgs", "%d of %d are being loaded", n, l.total)
	}
	damaged := s.Store.Damaged()
	for _, id := range slices.Sorted(maps.Keys(l.failed)) {
		if damaged[id] == nil {
			add("org:"+string(id), "it could not be loaded, and is tried again; the log tells why")
		}
	}
	l.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(damaged)) {
		if errors.Is(damaged[id], eventstore.ErrPanicked) {
			add("org:"+string(id), "it serves nothing, for the program failed when it was loaded; the log has the stack: report it, and update this instance")
			continue
		}
		advice := streams.DamageAdvice
		if errors.Is(damaged[id], eventstore.ErrBehind) {
			advice += fmt.Sprintf("; or stop this service and give up what is lost: gatehouse restore --data %s --accept-loss %s=POSITION, where the ledger ends", s.cfg.Data, id)
		}
		add("org:"+string(id), "its ledger is damaged, so that it serves nothing: %v; %s", damaged[id], advice)
	}
	broken, unread := s.Store.Flaws()
	for _, id := range slices.Sorted(maps.Keys(broken)) {
		if damaged[id] == nil {
			add("org:"+string(id), "its ledger is damaged before its last snapshot: %v; %s", broken[id], streams.DamageAdvice)
		}
	}
	if unread > 0 {
		add("ledger", "%d messages cannot be read; %s", unread, streams.DamageAdvice)
	}
	if s.Store.ErasuresFailed() {
		add("vault", "an erasure could not be carried out, and the log tells why; when that is mended, restart this instance: it and later ones are carried out then")
	}
	if s.Store.ErasuresMissed() {
		add("vault", "a message of the ledger cannot be read that may order an erasure, which is not carried out then; %s", streams.DamageAdvice)
	}
	for _, id := range slices.Sorted(slices.Values(s.Store.Loaded())) {
		if at, readOnly := s.Store.ReadOnly(id); readOnly {
			add("org:"+string(id), "a later version wrote %s, so that it is read-only here; update this instance", at)
		}
		if n := s.Store.Sealed(id); n > 0 {
			add("vault:"+string(id), "%d personal values cannot be read: the vault does not answer, or is not the one of this ledger", n)
		}
	}
	for _, lag := range s.Permissions.Lags() {
		if lag.Oldest > laggard {
			add("permissions:"+string(lag.Org), "changes of permissions have waited %s to be published", lag.Oldest.Round(time.Second))
		}
		if lag.RekeyingFor > laggard {
			add("permissions:"+string(lag.Org), "the sites %v wait for another key of tags since a gateway was stolen, and no new card opens anything there: the vault does not give it", lag.Rekeying)
		}
		if len(lag.Diverged) > 0 {
			add("permissions:"+string(lag.Org), "another instance published other permissions of %v", lag.Diverged)
		}
	}
	return out
}
