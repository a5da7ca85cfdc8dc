package edge

import (
	"context"
	"maps"
	"sync"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// status is what can be said of the state of a gateway. It is safe for concurrent use.
type status struct {
	mu      sync.Mutex // guards the fields below
	last    time.Duration
	ever    bool // the service has answered
	online  bool
	skewed  bool
	offset  time.Duration // of the wall clock
	faults  map[string]string
	changed []wire.Activity // records to be made by the engine
}

// The faults that keep a gateway from being ready.
const (
	faultRecords = "records" // they cannot be kept
	faultKey     = "tag_key" // that of the table is not here
	faultTable   = "table"   // a new one cannot be taken over
	faultClone   = "clone"
	faultAsk     = "service" // it refuses, or does not answer
)

func (s *status) set(fault, why string) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, was := s.faults[fault]
	switch {
	case why == "":
		delete(s.faults, fault)
		return was
	case s.faults == nil:
		s.faults = map[string]string{}
	}
	s.faults[fault] = why
	return before != why
}

// has reports whether there is a fault.
func (s *status) has(fault string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.faults[fault]
	return is
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (s *status) unrecorded(err error) { s.set(faultRecords, textOf(err)) }

func (s *status) noKey(is bool) {
	why := ""
	if is {
		why = "the key of the site's tags is not here; no card and no PIN is known until the service gives it"
	}
	s.set(faultKey, why)
}

func (s *status) cloned(is bool) {
	why := ""
	if is {
		why = "another box has the identity of this gateway and has written records; retire one of them"
	}
	s.set(faultClone, why)
}

// unapplied notes that a table cannot be taken over; nil: it was.
func (s *status) unapplied(err error) {
	if s.set(faultTable, textOf(err)) && err != nil {
		s.note(wire.Activity{Type: wire.PermissionsUnapplied})
	}
}

// note keeps a record for the engine to make.
func (s *status) note(a wire.Activity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.changed) < 64 {
		s.changed = append(s.changed, a)
	}
}

// heard notes an answer of the service, and by how much the wall clock differs from it.
func (s *status) heard(g *Gateway, off time.Duration) {
	s.set(faultAsk, "")
	s.mu.Lock()
	came, skewed := !s.online, off != 0 && !s.skewed
	s.last, s.ever, s.online, s.skewed, s.offset = g.clock.boot(), true, true, off != 0, off
	s.mu.Unlock()
	if came {
		g.cfg.Log.Info("the service answers")
		s.note(wire.Activity{Type: wire.GatewayOnline})
	}
	if skewed {
		g.cfg.Log.Warn("the wall clock of this machine is wrong", "offset_ms", off.Milliseconds())
		s.note(wire.Activity{Type: wire.ClockSkewed, ClockErrorMS: uint32(min(off.Abs().Milliseconds(), 1<<31))})
	}
}

// look finds out whether the service has been silent, and makes the records that wait.
func (s *status) look(e *engine, now reading) {
	s.mu.Lock()
	if s.online && e.g.clock.boot()-s.last > silentFor {
		s.online = false
		s.changed = append(s.changed, wire.Activity{Type: wire.GatewayOffline})
	}
	records := s.changed
	s.changed = nil
	s.mu.Unlock()
	for i := range records {
		a := &records[i]
		a.At = now.at
		off := a.ClockErrorMS
		timed(a, now)
		if a.Type == wire.ClockSkewed {
			a.ClockErrorMS = off
		}
		e.append(a, false)
	}
}

// failed notes that the service could not be asked, or refused.
func (g *Gateway) failed(what string, err error) {
	g.status.set(faultAsk, what+": "+err.Error())
	g.cfg.Log.Warn("the gateway could not "+what, "error", err)
}

// disconnected notes that the connection was lost.
func (g *Gateway) disconnected(err error) {
	g.line.Swap(newLine()).lose()
	if g.ctx.Err() == nil {
		g.cfg.Log.Warn("the connection to the service was lost; doors go on as far as the lease allows", "error", err)
	}
}

// clockErrorMS is how far the time may be wrong, in milliseconds.
func (g *Gateway) clockErrorMS() uint32 {
	return uint32(min(g.clock.now().err.Milliseconds(), 1<<31))
}

// Status is what a gateway says of itself.
type Status struct {
	Org      wire.ID            `json:"org"`
	Site     wire.ID            `json:"site"`
	Gateway  wire.ID            `json:"gateway"`
	Position string             `json:"position,omitempty"` // of the table
	Digest   string             `json:"digest,omitempty"`
	Alive    bool               `json:"alive"`            // it decides
	Leased   bool               `json:"leased"`           // doors of the class standard decide by a table that is known to be current
	Online   bool               `json:"online"`           // the service answers
	Current  time.Time          `json:"current,omitzero"` // up to which the table is known to be the present one
	Clock    wire.Clock         `json:"clock"`
	Waiting  uint64             `json:"waiting"` // records that the service does not have
	Doors    map[wire.ID]string `json:"doors"`   // and the state of each
	Faults   map[string]string  `json:"faults,omitempty"`
}

// Status says how the gateway is. It is safe for concurrent use.
func (g *Gateway) Status(ctx context.Context) Status {
	s := Status{Org: g.cfg.Org, Site: g.cfg.Site, Gateway: g.cfg.ID, Clock: g.clock.now().source, Waiting: g.outbox.Waiting(), Doors: map[wire.ID]string{}}
	if v := g.tables.view.Load(); v != nil {
		s.Position, s.Digest = v.table.Position(), v.digest
	}
	if c := g.clock.state(); !c.Current.IsZero() {
		s.Current = c.Current
	}
	g.status.mu.Lock()
	s.Online, s.Faults = g.status.online, maps.Clone(g.status.faults)
	g.status.mu.Unlock()
	now := g.clock.now()
	if v := g.tables.view.Load(); v != nil {
		s.Leased = now.at.Before(g.clock.leaseEnd(siteOf(v.table), unlock.Standard)) && !now.lost
	}
	s.Alive = g.engine.exec(ctx, func() {
		for id, d := range g.engine.doors {
			s.Doors[id] = string(d.machine.Mode())
		}
	}) == nil
	return s
}

// Ready reports whether the gateway decides as it should: by a table under a lease, with
// the key of its tags, and keeping its records. That the service is silent is no fault as
// long as the lease lasts.
func (s Status) Ready() bool {
	for fault := range s.Faults {
		if fault != faultAsk {
			return false
		}
	}
	return s.Alive && s.Position != "" && s.Leased
}
