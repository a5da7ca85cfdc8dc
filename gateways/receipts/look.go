package receipts

import (
	"cmp"
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

// Held is the position of the table by which the doors of the gateway are decided: of what
// was read back where a device decides.
func (s *Sight) Held() wire.Position {
	if s.DeviceN > 0 && s.DeviceN < s.Table.N {
		return wire.Position{Epoch: s.Table.Epoch, N: s.DeviceN}
	}
	return s.Table
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
	Class domain.DoorClass `json:"class"`
	Doors int              `json:"doors" doc:"how many doors of the gateway are of it"`
	Ends  time.Time        `json:"ends" doc:"of the lease, or 72 hours later if any of the doors then decides on its last table"`
}

// leases are the lengths of the leases of the classes.
var leases = map[domain.DoorClass]time.Duration{domain.ClassStandard: domain.LeaseStandard * time.Second, domain.ClassCritical: domain.LeaseCritical * time.Second}

// Ends tells until when doors of the gateway may open by the table that it has now. Each
// class has the latest of its doors: the end of the lease, or for a door with last_table
// 72 hours later. No lease ends what a device decides by itself, which DeviceN shows.
func (s *Sight) Ends(doors []*domain.Door) (ends []ClassEnd) {
	for _, class := range []domain.DoorClass{domain.ClassStandard, domain.ClassCritical} {
		e := ClassEnd{Class: class}
		for _, d := range doors {
			if cmp.Or(d.Class, domain.ClassStandard) != class {
				continue
			}
			e.Doors++
			if end := s.End(d); end.After(e.Ends) {
				e.Ends = end
			}
		}
		if e.Doors > 0 {
			ends = append(ends, e)
		}
	}
	return ends
}

// End is until when a door of the gateway may open by the table that it has now.
func (s *Sight) End(d *domain.Door) time.Time {
	end := s.Begun.Add(leases[cmp.Or(d.Class, domain.ClassStandard)])
	if d.AfterLease == domain.AfterLeaseLastTable {
		end = end.Add(unlock.LastTableCeiling * time.Nanosecond)
	}
	return end
}
