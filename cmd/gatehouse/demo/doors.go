package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/gateways/reads"
	"gatehouse/projections/permissions"
)

// gatewayID is the gateway of all doors of the demo.
const gatewayID domain.ID = "demo-doors"

// doorSet decides at the doors, and lets the in-process gateway record it.
//
// # Why it decides too
//
// The gateway decides each read when it records it, many at once. The feed tells
// of a read when it happens, so it is decided here first, on the same table: it is
// pinned until the reads are recorded, and the same question on the same table has
// the same answer for ever.
type doorSet struct {
	gateway *reads.Source
	pinned  pinnedDoors
	waiting []reads.Read
	asked   []unlock.Request // the same
	number  uint64           // of the last read
	inside  map[domain.ID]struct{}
	allowed uint64
	denied  uint64
	took    map[int64]uint64 // decisions by how many nanoseconds they took
}

// pinnedDoors gives the table that was pinned, not one that came later.
type pinnedDoors struct {
	permissions *permissions.Projector
	table       *unlock.Table // nil: none is pinned
}

// Table implements [reads.Doors].
func (p *pinnedDoors) Table(org, site domain.ID) *unlock.Table {
	if p.table == nil {
		p.table = p.permissions.Table(org, site)
	}
	return p.table
}

// Tag implements [reads.Doors].
func (p *pinnedDoors) Tag(org, site domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
	return p.permissions.Tag(org, site, kind, format, number)
}

// openDoors opens the gateway of the doors on a service with the clock of the site.
func openDoors(ctx context.Context, s Service, now func() time.Time) (*doorSet, error) {
	g := &doorSet{pinned: pinnedDoors{permissions: s.Permissions}, inside: map[domain.ID]struct{}{}, took: map[int64]uint64{}}
	var err error
	g.gateway, err = reads.Open(ctx, s.Store, &g.pinned, now, Org, Site, gatewayID)
	return g, err
}

// held is what a gateway within the service knows beside the table.
var held = unlock.Local{LeaseEnd: unlock.Held}

// decide decides a read now: of a fob, or of a phone.
func (g *doorSet) decide(at time.Time, door domain.ID, side unlock.Side, number string, phone domain.ID) (unlock.Answer, error) {
	table := g.pinned.Table(Org, Site)
	if table == nil {
		return unlock.Answer{}, reads.ErrNoTable
	}
	request := unlock.Request{Door: unlock.IDOf(string(door)), Side: side, At: unlock.Instant(at.UnixNano())}
	if phone != "" {
		request.Credential = unlock.IDOf(string(phone))
	} else {
		tag, ok := g.pinned.Tag(Org, Site, domain.KindCard, "", number)
		if !ok {
			return unlock.Answer{}, reads.ErrNoTags
		}
		request.Tag = tag
	}
	answer := unlock.Decide(table, &held, request)
	g.asked = append(g.asked, request)
	g.number++
	g.waiting = append(g.waiting, reads.Read{Number: g.number, At: at, Door: door, Side: side, Card: number, Phone: phone})
	if answer.Allowed {
		g.allowed++
	} else {
		g.denied++
	}
	return answer, nil
}

// pass counts the people on the site. A person is on it from entering by a gate until
// leaving by one. To leave they need no permission: a gate opens from within by hand.
func (g *doorSet) pass(person domain.ID, side unlock.Side, allowed bool) {
	switch {
	case side == unlock.Out:
		delete(g.inside, person)
	case allowed:
		g.inside[person] = struct{}{}
	}
}

func (g *doorSet) onSite() int { return len(g.inside) }

// measure times the decisions of the waiting reads, each once. They run one after the
// other, as they come at a busy gateway: after a pause, the first has to wait for
// memory and for the processor to wake, some microseconds. The times include the
// reading of the clock.
func (g *doorSet) measure() {
	for _, request := range g.asked {
		began := time.Now()
		unlock.Decide(g.pinned.table, &held, request)
		g.took[time.Since(began).Nanoseconds()]++
	}
	g.asked = g.asked[:0]
}

// flush has what was decided recorded, and lets go of the table.
func (g *doorSet) flush(ctx context.Context) (reads.Tally, error) {
	g.measure()
	for batch := range slices.Chunk(g.waiting, reads.MaxReads) {
		if _, err := g.gateway.Take(ctx, batch); err != nil {
			return reads.Tally{}, err
		}
	}
	g.waiting = g.waiting[:0]
	g.pinned.table = nil
	tally := g.gateway.Tally()
	denied := uint64(0)
	for _, n := range tally.Denied {
		denied += n
	}
	if tally.Allowed != g.allowed || denied != g.denied {
		return tally, fmt.Errorf("%d passages were allowed and %d denied, %d and %d are recorded", g.allowed, g.denied, tally.Allowed, denied)
	}
	return tally, nil
}

// times gives how long half of the decisions took at most, and 99 of 100.
func (g *doorSet) times() DecisionTimes {
	total := uint64(0)
	for _, n := range g.took {
		total += n
	}
	sorted := slices.Sorted(maps.Keys(g.took))
	quantile := func(percent uint64) int64 {
		left := (total*percent + 99) / 100
		for _, ns := range sorted {
			if n := g.took[ns]; n < left {
				left -= n
				continue
			}
			return ns
		}
		return 0
	}
	return DecisionTimes{P50: quantile(50), P99: quantile(99)}
}
