package receipts

import (
	"context"
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// State says how a gateway stands with the service.
type State string

// The states of gateways.
const (
	Unknown State = "unknown" // not heard of since this instance began to listen
	Offline State = "offline" // silent for longer than Silence
	Behind  State = "behind"  // it asks, and lacks a change
	Current State = "current" // it asks, and lacks nothing
)

// Sight is what is known of a gateway at an instant.
type Sight struct {
	Receipt // zero but for Org and Gateway while the gateway is unknown
	State   State
	// Begun is from when a lease of the gateway runs, at the latest.
	Begun time.Time
}

// Look tells what is known of a gateway.
func (t *Tracker) Look(org, gateway domain.ID) Sight {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.look(org, gateway)
}

func (t *Tracker) look(org, gateway domain.ID) Sight {
	now := t.cfg.Now()
	if n := lost(t.cfg.Conn, t.sub); n != t.losses {
		t.losses, t.since = n, now
	}
	r := t.heard[name{org, gateway}]
	if r == nil {
		return Sight{Receipt: Receipt{Org: org, Gateway: gateway}, State: Unknown, Begun: t.since}
	}
	s := Sight{Receipt: *r, State: Behind, Begun: r.Anchor}
	if r.Asked.Before(t.since) && s.Begun.Before(t.since) { // it may have asked elsewhere, unheard
		s.Begun = t.since
	}
	switch {
	case now.Sub(r.Asked) > Silence:
		s.State = Offline
	case r.Current:
		s.State = Current
	}
	return s
}

// Await waits until each of some gateways enforces every commit up to a position, or the
// context ends. It returns those that do not, in the order given.
func (t *Tracker) Await(ctx context.Context, org domain.ID, gateways []domain.ID, at wire.Position) []domain.ID {
	missing := slices.Clone(gateways)
	for {
		t.mu.Lock()
		missing = slices.DeleteFunc(missing, func(g domain.ID) bool {
			r := t.heard[name{org, g}]
			return r != nil && r.Enforces(at)
		})
		if len(missing) == 0 {
			t.mu.Unlock()
			return nil
		}
		moved := t.moved[org]
		if moved == nil {
			moved = make(chan struct{})
			t.moved[org] = moved
		}
		t.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return missing
		}
	}
}

// ClassEnd is the instant up to which doors of one class may open by the table that their
// gateway has.
type ClassEnd struct {
	Class unlock.DoorClass `json:"class"`
	Ends  time.Time        `json:"ends"`
	Doors int              `json:"doors"`
}

// Ends tells until when doors of the gateway may open by the table that it has now. Each
// class has the latest of its doors: the end of the lease, or for a door with last_table
// 72 hours later. unbounded says that a device decides by itself, which no
// lease ends.
func (s *Sight) Ends(site *unlock.Site, doors []*unlock.Door) (ends []ClassEnd, latest time.Time, unbounded bool) {
	for _, class := range []unlock.DoorClass{unlock.Standard, unlock.Critical} {
		length := site.LeaseStandard
		if class == unlock.Critical {
			length = site.LeaseCritical
		}
		e := ClassEnd{Class: class, Ends: s.Begun.Add(time.Duration(length) * time.Second)}
		beyond := false
		for _, d := range doors {
			if d.Class == class {
				e.Doors++
				beyond = beyond || d.AfterLease == unlock.LastTable
			}
		}
		if beyond {
			e.Ends = e.Ends.Add(unlock.LastTableCeiling * time.Nanosecond)
		}
		if e.Doors > 0 {
			ends = append(ends, e)
			if e.Ends.After(latest) {
				latest = e.Ends
			}
		}
	}
	return ends, latest, s.DeviceN > 0
}
