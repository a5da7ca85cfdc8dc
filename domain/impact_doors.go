package domain

import (
	"cmp"
	"slices"

	"gatehouse/domain/unlock"
)

// doorTimes are when a door does something for everybody who comes, by one state.
type doorTimes struct {
	row  *unlock.Door
	shut string // lockdown or disabled; empty: it is not
	// anybody is when the door is unlocked without waiting for anybody, firstIn with
	// business hours that wait for the first in.
	anybody, firstIn []interval
	posture          []interval      // of these by posture, not by business hours
	free             []interval      // when it lets in any live credential
	closed           []unlock.Window // blackouts of the site
	grace            uint32          // the longest of its business hours, in seconds
	seen             bool            // the sender may read it
}

// seesDoor reports whether the sender may read a door, or a group that has it.
func (f *impactBuilder) seesDoor(id ID) bool {
	if f.sees(recordIn(f.s.State, f.s.Doors, id)) {
		return true
	}
	for g := range f.s.Groups.unsorted(GroupByDoor, id) {
		if f.sees(recordIn(f.s.State, f.s.Groups, g)) {
			return true
		}
	}
	return false
}

func (o *siteView) doorTimes(id ID) *doorTimes {
	d := o.door(string(id))
	if d == nil {
		return nil
	}
	t := &doorTimes{row: d}
	switch {
	case o.row.Posture == unlock.Lockdown || d.Posture == unlock.Lockdown:
		t.shut = reasonLockdown
	case !d.Enabled:
		t.shut = reasonDisabled
	}
	for _, b := range o.row.Blackouts {
		if from, until := b.Span(o.zone); from < until && until > int64(o.now) {
			t.closed = append(t.closed, unlock.Window{From: max(unlock.Instant(from), o.now), Until: unlock.Instant(until)})
		}
	}
	slices.SortFunc(t.closed, unlock.Window.Compare)
	var opens unlock.Instant // business hours count while no posture does
	t.posture, t.free, opens = o.postures(d)
	t.anybody = slices.Clone(t.posture)
	for _, id := range d.Hours {
		r, ok := o.get(unlock.KindRight, id).(*unlock.Right)
		if !ok || r.Hours == nil {
			continue
		}
		c := o.and(choice{}, r.Hours.Schedule)
		hours := interval{from: opens, until: forEver, times: o.join(c.schedules...), closed: c.closed}
		if r.Hours.FirstIn {
			t.firstIn, t.grace = append(t.firstIn, hours), max(t.grace, r.Hours.Grace)
		} else {
			t.anybody = append(t.anybody, hours)
		}
	}
	t.firstIn = append(t.firstIn, t.anybody...)
	return t
}

// postures returns when a door is unlocked and when it lets in any live credential. The
// door's own posture counts first, then that of the site. It also returns the instant
// from which neither counts.
func (o *siteView) postures(d *unlock.Door) (unlocked, free []interval, over unlock.Instant) {
	over = o.now
	take := func(p unlock.Posture, until unlock.Instant) {
		s := interval{from: over, until: bound(until)}
		if p == unlock.Normal || p == unlock.Lockdown || s.until <= s.from {
			return
		}
		switch p {
		case unlock.Unlocked:
			unlocked = append(unlocked, s)
		case unlock.FreeAccess:
			free = append(free, s)
		}
		over = s.until
	}
	take(d.Posture, d.PostureUntil)
	if d.Unit == "" && d.Posture != unlock.Lockdown {
		take(o.row.Posture, o.row.PostureUntil)
	}
	return unlocked, free, over
}

// The reasons for which doors change for everybody.
const (
	reasonLockdown      = "lockdown"
	reasonDisabled      = "disabled"
	reasonBlackout      = "blackout"
	reasonUnlocked      = "unlocked"
	reasonFreeAccess    = "free_access"
	reasonBusinessHours = "business_hours"
)

// foundDoor is the change of a door with whether the sender may know of it.
type foundDoor struct {
	DoorChange
	seen bool
}

// doorChanges finds what becomes of the doors of the site for everybody, but for whom.
func (p *siteDiff) doorChanges(forth, back *scheduleDiff) (all []foundDoor) {
	for _, id := range sortedKeysOf(p.doors) {
		was, is := p.before.doors[id], p.after.doors[id]
		if was == nil || is == nil {
			continue // a door that is made has nobody yet
		}
		var found []foundDoor
		add := func(effect Effect, reason string, w unlock.Window) {
			c := DoorChange{Door: id, Site: p.site, Effect: effect, Reason: reason}
			if w.From > p.after.now {
				c.From = w.From.Time()
			}
			if w.Until != 0 && w.Until != forEver {
				c.Until = w.Until.Time()
			}
			found = append(found, foundDoor{c, was.seen || is.seen})
		}
		switch {
		case was.shut == "" && is.shut != "":
			add(EffectShuts, is.shut, unlock.Window{})
		case was.shut != "" && is.shut == "":
			add(EffectReopens, was.shut, unlock.Window{})
		}
		for _, w := range beyond(is.closed, was.closed) {
			add(EffectShuts, reasonBlackout, w)
		}
		for _, w := range beyond(was.closed, is.closed) {
			add(EffectReopens, reasonBlackout, w)
		}
		if reason, w := forth.opensLess(was, is); reason != "" {
			add(EffectNoLongerOpen, reason, w)
		}
		if reason, w := back.opensLess(is, was); reason != "" {
			add(EffectStandsOpen, reason, w)
		}
		slices.SortStableFunc(found, func(a, b foundDoor) int { return cmp.Or(cmp.Compare(a.Effect, b.Effect), a.From.Compare(b.From)) })
		all = append(all, found...)
	}
	return all
}

// listDoors adds the changes of doors to the impact.
func (f *impactBuilder) listDoors(found []foundDoor) {
	to := &f.impact.Doors
	to.Count += len(found)
	for _, c := range found {
		switch {
		case !c.seen:
			to.Hidden++
		case len(to.List) < MaxImpact:
			to.List = append(to.List, c.DoorChange)
		}
	}
}

// opensLess says why a door that stands open to anybody, or to any live credential,
// does so less than before; and the bounds of the time in which it did.
func (c *scheduleDiff) opensLess(was, is *doorTimes) (reason string, w unlock.Window) {
	lets := func(d *doorTimes) []interval { return slices.Concat(d.free, d.anybody) }
	switch {
	case !c.within(was.posture, is.anybody):
		reason = reasonUnlocked
		w.From, w.Until = extent(was.posture)
	case !c.within(was.anybody, is.anybody) || !c.within(was.firstIn, is.firstIn) || len(is.firstIn) > 0 && was.grace > is.grace:
		reason = reasonBusinessHours
	case !c.within(was.free, lets(is)):
		reason = reasonFreeAccess
		w.From, w.Until = extent(was.free)
	}
	return reason, w
}

// beyond gives the parts of windows that lie in none of others. Both are sorted.
func beyond(windows, others []unlock.Window) []unlock.Window {
	var out []unlock.Window
	for _, w := range windows {
		if n := len(out); n > 0 {
			w.From = max(w.From, out[n-1].Until) // windows may meet
		}
		for _, o := range others {
			if o.Until <= w.From || w.Until <= o.From {
				continue
			}
			if w.From < o.From {
				out = append(out, unlock.Window{From: w.From, Until: o.From})
			}
			w.From = o.Until
		}
		if w.From < w.Until {
			out = append(out, w)
		}
	}
	return out
}

// who counts and names people whom the change of a door concerns.
func (c *foundDoor) who(p *siteDiff, people []ID) {
	o := p.before
	if c.Effect == EffectReopens || c.Effect == EffectStandsOpen {
		o = p.after
	}
	if c.Reason == reasonUnlocked || c.Reason == reasonBusinessHours {
		return
	}
	from, until := o.now, forEver
	if !c.From.IsZero() {
		from = unlock.InstantOf(c.From)
	}
	if !c.Until.IsZero() {
		until = unlock.InstantOf(c.Until)
	}
	for _, id := range people {
		a := o.people[id]
		if a == nil || !a.active {
			continue
		}
		open, visible := false, a.visible
		for _, w := range a.accessPaths[string(c.Door)] {
			w.from, w.until = max(w.from, from), min(w.until, until)
			if list := (aspect{}).intervals([]accessPath{w}); len(list) > 0 && !o.never(list) {
				open, visible = true, visible || a.seen[w.grant]
			}
		}
		if open != (c.Reason == reasonFreeAccess) {
			c.People++
			if visible && len(c.Who) < maxNamed {
				c.Who = append(c.Who, id)
			}
		}
	}
}
