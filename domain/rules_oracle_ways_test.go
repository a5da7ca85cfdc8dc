package domain_test

import (
	"slices"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// ways lists all that could let a person through a door. Each way has the rules that
// forbid it at the instant, for the kind of credential, remotely or not.
func (h history) ways(q question, door aDoor) (out []way) {
	out = append(out, h.grantWays(q, door)...)
	for _, made := range every(h, func(domain.BookingCreated) bool { return true }) {
		b := h.booking(made.Booking)
		if b.tenant == q.person {
			out = append(out, h.bookingWay(q, door, b))
		}
		out = append(out, h.shareWays(q, door, b)...)
	}
	for _, u := range every(h, func(domain.UnitCreated) bool { return true }) {
		if p, ok := h.place(u.Unit, q.person); ok {
			out = append(out, h.placeWays(q, door, p)...)
		}
	}
	for _, g := range every(h, func(domain.GroupCreated) bool { return true }) {
		if role := h.groupRole(g.Group, q.person); role != "" && h.groupHasDoor(g.Group, q.door) {
			out = append(out, h.groupWay(q, door, g.Group, role))
		}
	}
	return out
}

// outside: the times of what was given do not all hold; a fob or a card follows the one
// schedule of its site instead, where there is one.
func (h history) outside(q question, site domain.ID, times ...schedule.Schedule) bool {
	if one := h.policy(site).FobSchedule; one != "" && physical(q.kind) {
		times = []schedule.Schedule{h.times(one)}
	}
	return slices.ContainsFunc(times, func(t schedule.Schedule) bool { return !h.holds(t, site, q.at) })
}

func physical(kind domain.CredentialKind) bool {
	return kind == domain.KindFob || kind == domain.KindCard
}

// grantWays: access for good or for a time (L2), given to the person by name.
func (h history) grantWays(q question, door aDoor) (out []way) {
	for _, g := range every(h, func(e domain.RightGranted) bool { return e.Person == q.person }) {
		doors, right := h.doorsOfRight(g.Right)
		if !slices.Contains(doors, q.door) {
			continue
		}
		w := way{rule: "L2", person: q.person, grant: g.Grant}
		if g.From.IsZero() && g.Until.IsZero() {
			w.rule = "L2 for good"
		}
		w.failsIf(h.revoked(g.Grant), "L8 grant revoked")
		w.failsIf(!h.within(q.at, door.site, g.From, g.Until, g.BufferBefore, g.BufferAfter), "L4 grant")
		w.failsIf(q.kind != "" && len(g.Kinds) > 0 && !slices.Contains(g.Kinds, q.kind), "L2 kind")
		w.failsIf(q.remote != "" && !slices.Contains(g.Capabilities, q.remote), "G3")
		times := []schedule.Schedule{h.times(right)}
		if g.Schedule != "" {
			times = append(times, h.times(g.Schedule))
		}
		w.failsIf(h.outside(q, door.site, times...), "schedule")
		out = append(out, w)
	}
	for _, g := range every(h, func(e domain.AuctionAccessGranted) bool { return e.Person == q.person }) {
		if doors, _ := h.doorsOfRight(g.Right); slices.Contains(doors, q.door) {
			out = append(out, h.auctionWay(q, door, g))
		}
	}
	return out
}

func (h history) revoked(grant domain.ID) bool {
	return happened(h, func(e domain.RightRevoked) bool { return e.Grant == grant }) >= 0
}

// auctionWay: the buyer of what is in a unit gets in past the overlock, as long as
// its tenant is shut out and nobody else has it.
func (h history) auctionWay(q question, door aDoor, g domain.AuctionAccessGranted) way {
	w := way{rule: "auction", person: q.person, grant: g.Grant}
	w.failsIf(h.revoked(g.Grant), "auction over")
	w.failsIf(!h.within(q.at, door.site, schedule.Date{}, g.Until, 0, 0), "auction over")
	w.failsIf(q.remote != "", "G3")
	for _, made := range every(h, func(e domain.BookingCreated) bool { return e.Unit == g.Unit }) {
		b := h.booking(made.Booking)
		good := !b.over && b.level != domain.LevelOverlock && h.within(q.at, b.site, b.from, b.until, 0, 0)
		w.failsIf(good, "auction over")
	}
	_, right := h.doorsOfRight(g.Right)
	times := []schedule.Schedule{h.times(right)}
	if g.Schedule != "" {
		times = append(times, h.times(g.Schedule))
	}
	w.failsIf(h.outside(q, door.site, times...), "schedule")
	return w
}

func (w *way) failsIf(fails bool, rule string) {
	if fails {
		w.fails = append(w.fails, rule)
	}
}

// standing adds what takes everything that hangs on a booking: its end (B6), its
// days, its suspension (KN), and that its unit waits to be looked over.
func (h history) standing(w *way, q question, door aDoor, b aBooking) {
	w.booking = b.id
	w.failsIf(b.over, "B6")
	// A right may have doors of several sites: a unit opens those of its own.
	w.failsIf(b.site != door.site, "B1 other site")
	w.failsIf(!h.within(q.at, b.site, b.from, b.until, 0, 0), "B booking window")
	w.failsIf(b.level == domain.LevelOverlock, "KN overlock")
	w.failsIf(b.level == domain.LevelGatelock && door.kind != domain.DoorUnit, "KN gatelock")
	w.failsIf(h.unchecked(b.unit), "B to check")
}

// ofUnit reports whether a door is among the rights mapped to a unit (B1). It also
// reports whether the times of one of these rights hold; more narrows each of them
// further.
func (h history) ofUnit(q question, door aDoor, unit domain.ID, more func(domain.ID) []schedule.Schedule) (mapped, holds bool) {
	for _, r := range h.mapped(unit) {
		doors, right := h.doorsOfRight(r.Right)
		if !slices.Contains(doors, q.door) {
			continue
		}
		times := []schedule.Schedule{h.times(right)}
		if r.Schedule != "" {
			times = append(times, h.times(r.Schedule))
		}
		mapped = true
		holds = holds || !h.outside(q, door.site, append(times, more(r.Right)...)...)
	}
	return mapped, holds
}

func noMore(domain.ID) []schedule.Schedule { return nil }

// bookingWay: what a tenant has by the own booking.
func (h history) bookingWay(q question, door aDoor, b aBooking) way {
	w := way{rule: "F4", person: b.tenant}
	h.standing(&w, q, door, b)
	h.byUnit(&w, q, door, b.unit)
	return w
}

func (h history) byUnit(w *way, q question, door aDoor, unit domain.ID) {
	mapped, holds := h.ofUnit(q, door, unit, noMore)
	w.failsIf(!mapped, "B1")
	w.failsIf(mapped && !holds, "schedule")
	w.failsIf(q.remote != "", "G3")
}

// shareWays: what was shared opens in its time alone (B4), with the booking and
// every share above it, while who shared may pass as well, and not for a fob or card unless the site says so (F1, F6).
func (h history) shareWays(q question, door aDoor, b aBooking) (out []way) {
	for _, made := range every(h, func(e domain.ShareCreated) bool { return e.Booking == b.id && e.Person == q.person }) {
		w := way{rule: "B4", person: q.person, share: made.Share}
		h.standing(&w, q, door, b)
		h.byUnit(&w, q, door, b.unit)
		w.failsIf(!h.personLives(b.tenant), "B who shared")
		for id, depth := made.Share, 0; id != ""; depth++ {
			s := h.share(id)
			w.failsIf(s.over, "B5")
			w.failsIf(!h.within(q.at, b.site, s.from, s.until, 0, 0), "B4")
			if id = s.parent; id != "" {
				w.rule = "B4 shared on"
			}
			if depth > 0 {
				w.failsIf(!h.personLives(s.person), "B who shared")
			}
		}
		if physical(q.kind) {
			w.failsIf(h.policy(door.site).FobHolders != "anyone", "F1")
			w.rule = "F6"
		}
		out = append(out, w)
	}
	return out
}

// placeWays: a unit user has rights of the unit (U5), in no more time than the
// unit has them (U6), by the mode that was chosen (U8).
func (h history) placeWays(q question, door aDoor, p aPlace) (out []way) {
	b := h.booking(p.booking)
	for _, a := range p.access {
		rule := "U8"
		var more []schedule.Schedule
		if a.Mode == domain.ModeLimited {
			rule, more = "U6", []schedule.Schedule{a.Limited}
		}
		w := way{rule: rule, person: q.person, unit: p.unit}
		h.standing(&w, q, door, b)
		w.failsIf(b.tenant != q.person && !h.personLives(b.tenant), "B who shared")
		given := false
		mapped, holds := h.ofUnit(q, door, p.unit, func(right domain.ID) []schedule.Schedule {
			if right != a.Right {
				return []schedule.Schedule{{}}
			}
			given = true
			return more
		})
		if !given {
			continue
		}
		w.failsIf(!mapped, "U5")
		w.failsIf(mapped && !holds, "schedule")
		w.failsIf(q.remote != "", "G3")
		out = append(out, w)
	}
	return out
}

// groupWay: every member has every door of the group (G2), in the times of the
// group; owners and admins remotely too, users when the group lets them (G3).
func (h history) groupWay(q question, door aDoor, group domain.ID, role domain.GroupRole) way {
	w := way{rule: "G2", person: q.person, group: group}
	if q.remote != "" {
		w.rule = "G6"
		if role == domain.GroupUser {
			w.rule = "G3"
			w.failsIf(!h.groupLets(group, domain.GroupOption(q.remote)), "G3")
		}
	}
	w.failsIf(h.outside(q, door.site, h.groupTimes(group)), "G5 times")
	w.failsIf(h.groupClosed(group, door.site, q.at), "G5 blackout")
	return w
}
