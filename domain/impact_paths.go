package domain

import (
	"maps"
	"math"
	"slices"
	"strings"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// accessPath is one chain of facts that lets a person through a door, with all its bounds.
// It tells for all instants at once what [unlock.Decide] tells for one.
type accessPath struct {
	grant   string // id of the permission row
	booking string // the one that it hangs on; empty: none
	interval
	fobTimes string // in the place of times where it is a fob or a card
	kinds    uint8  // bits of unlock.CredentialKind
	may      uint8  // bits of unlock.Capability
	code     unlock.Code
	free     bool // the door lets in any live credential
}

// interval is a part of time: an interval in which a schedule holds.
type interval struct {
	from, until unlock.Instant  // until is exclusive; none is the last instant
	times       string          // key of outlook.times
	closed      []unlock.Window // without these
}

const forEver unlock.Instant = math.MaxInt64

// allKinds are the kinds of credential with unlock.AnyKind, which stands for
// whatever the person may carry.
const allKinds uint8 = 1<<unlock.AnyKind | 1<<unlock.Fob | 1<<unlock.Card | 1<<unlock.Pin | 1<<unlock.MobileKey

// siteDiff is one site in an impact.
type siteDiff struct {
	site          ID
	changed       []rowChange
	people        map[ID]struct{} // whose access may differ
	crowd         map[ID]struct{} // whom the doors concern
	doors         map[ID]struct{} // that may differ for everybody
	before, after *siteView
}

// siteView is what the people of a site can open by one state, from an instant on.
type siteView struct {
	m    *rowMaker // nil: there is no such site
	row  *unlock.Site
	zone *schedule.Zone
	now  unlock.Instant
	rows map[unlock.Key]unlock.Row // made so far
	// times are intersections of schedules, by the joined ids of their rows.
	times  map[string]schedule.Schedule
	opened map[string]map[string][]choice // by right or unit: its doors with the schedules that bound each
	open   map[string][]interval          // when doors that are not in the prospect let in any live credential
	people map[ID]*abilities
	doors  map[ID]*doorTimes
	self   *scheduleDiff // of this outlook with itself
}

// abilities are what one person can open.
type abilities struct {
	active      bool
	accessPaths map[string][]accessPath // by door
	shown       map[string][]accessPath // without those that privacy hides from the sender; nil: it hides none
	credentials []*credentialView       // sorted by id
	seen        map[string]bool         // the grants of which the sender may know
	private     map[string]bool         // the grants, with whether the privacy of a unit hides them from the sender
	visible     bool                    // the sender may read the person
}

// everybody lists the people and the crowd, sorted.
func (p *siteDiff) everybody() []ID {
	all := maps.Clone(p.people)
	maps.Copy(all, p.crowd)
	return sortedKeysOf(all)
}

// siteView looks at the site by the state as it is now, but at nobody yet.
func (p *siteDiff) siteView(f *impactBuilder) *siteView {
	o := &siteView{now: unlock.InstantOf(f.at), people: map[ID]*abilities{}, doors: map[ID]*doorTimes{}}
	m, ok := newRowMaker(f.s.State, p.site, numberTags)
	if !ok {
		return o
	}
	o.m, o.row, o.zone = m, m.siteRow(), f.s.zone(p.site)
	o.open = map[string][]interval{}
	o.rows, o.times, o.opened = map[unlock.Key]unlock.Row{}, map[string]schedule.Schedule{"": always}, map[string]map[string][]choice{}
	for id := range f.s.Doors.unsorted(DoorBySite, p.site) {
		if _, apart := p.doors[id]; !apart {
			if _, free, _ := o.postures(o.door(string(id))); len(free) > 0 {
				o.open[string(id)] = free
			}
		}
	}
	for id := range p.doors {
		if d := o.doorTimes(id); d != nil {
			o.doors[id] = d
			d.seen = f.seesDoor(id)
		}
	}
	return o
}

// lookAt looks at what people can open, and forgets whom it looked at before. The
// state is the one of the outlook.
func (o *siteView) lookAt(f *impactBuilder, people []ID) {
	clear(o.people)
	if o.m == nil {
		return
	}
	maps.DeleteFunc(o.rows, func(k unlock.Key, _ unlock.Row) bool {
		return k.Kind == unlock.KindPerson || k.Kind == unlock.KindGrant || k.Kind == unlock.KindCredential
	})
	for _, id := range people {
		if a := o.abilities(id); a != nil {
			a.visible = f.sees(recordIn(f.s.State, f.s.People, id))
			for _, list := range a.accessPaths {
				for _, w := range list {
					if _, known := a.seen[w.grant]; !known {
						a.seen[w.grant] = f.s.SeesGrant(f.viewer, w.grant) || w.free && a.visible
						a.private[w.grant] = !a.seen[w.grant] && f.s.private(f.s.recordOfGrant(w.grant))
					}
				}
			}
			for _, t := range a.credentials {
				c, _ := f.s.Credentials.Get(ID(t.row.ID))
				t.seen, t.duress = f.sees(RecordOf(f.s.State, c)), c.DuressOf != ""
			}
			o.people[id] = a
		}
	}
}

func (o *siteView) get(kind unlock.Kind, id string) unlock.Row {
	k := unlock.Key{Kind: kind, ID: id}
	r, known := o.rows[k]
	if !known && id != "" {
		r = o.m.row(k)
		o.rows[k] = r
	}
	return r
}

func (o *siteView) door(id string) *unlock.Door {
	d, _ := o.get(unlock.KindDoor, id).(*unlock.Door)
	return d
}

func (o *siteView) grant(id string) *unlock.Grant {
	g, _ := o.get(unlock.KindGrant, id).(*unlock.Grant)
	return g
}

// first is the denial that comes first in order of precedence.
func first(a, b unlock.Code) unlock.Code {
	if a == unlock.NoCode || b != unlock.NoCode && b < a {
		return b
	}
	return a
}

// personCode is what stands against a person.
func (o *siteView) personCode(id string) unlock.Code {
	if p, ok := o.get(unlock.KindPerson, id).(*unlock.Person); ok {
		return p.State.Denial()
	}
	return unlock.DenyUnknownCredential
}

// abilities finds what a person can open; nil when the site does not know them.
func (o *siteView) abilities(person ID) *abilities {
	if _, known := o.get(unlock.KindPerson, string(person)).(*unlock.Person); !known {
		return nil
	}
	a := &abilities{accessPaths: map[string][]accessPath{}, seen: map[string]bool{}, private: map[string]bool{}}
	who := o.personCode(string(person))
	a.active = who == unlock.NoCode
	for _, id := range o.m.s.GrantsAt(person, o.m.site.ID) {
		if g := o.grant(id); g != nil {
			o.accessPaths(a.accessPaths, g, who)
		}
	}
	for door, intervals := range o.open {
		for _, s := range intervals {
			free := accessPath{interval: s, grant: posturePrefix + door, kinds: allKinds, may: ^uint8(0), code: who, free: true}
			a.accessPaths[door] = append(a.accessPaths[door], free)
		}
	}
	for id := range o.m.s.Credentials.unsorted(CredentialByPerson, person) {
		if c, ok := o.get(unlock.KindCredential, string(id)).(*unlock.Credential); ok {
			a.credentials = append(a.credentials, o.credentialView(c))
		}
	}
	slices.SortFunc(a.credentials, func(a, b *credentialView) int { return strings.Compare(a.row.ID, b.row.ID) })
	return a
}

// posturePrefix begins what stands for a grant where the door lets everybody in.
const posturePrefix = "posture:"

// bound is the end of a window as an instant; none is the last one.
func bound(until unlock.Instant) unlock.Instant {
	if until == 0 {
		return forEver
	}
	return until
}

// narrowTo narrows a passage to a window; over is what the door says after it.
func (w *accessPath) narrowTo(window unlock.Window, now unlock.Instant, over unlock.Code) {
	w.from, w.until = max(w.from, window.From), min(w.until, bound(window.Until))
	if bound(window.Until) <= now {
		w.code = first(w.code, over)
	}
}

// accessPaths adds those of a grant at all of its doors.
func (o *siteView) accessPaths(to map[string][]accessPath, leaf *unlock.Grant, who unlock.Code) {
	base := accessPath{grant: leaf.ID, booking: leaf.Booking, kinds: o.kindsOf(leaf), code: who}
	base.interval, base.may = interval{from: o.now, until: forEver}, capabilityBits(leaf.Capabilities)
	if right, ok := o.get(unlock.KindRight, leaf.Right).(*unlock.Right); ok {
		base.may |= capabilityBits(right.Capabilities)
	}
	gate := o.link(&base, leaf, leaf.Source)
	doors := o.opens(leaf)
	for g, parents := leaf, 0; g.Parent != ""; parents++ {
		parent := o.grant(g.Parent)
		if parent == nil || parents == unlock.MaxParents {
			base.code = first(base.code, unlock.GrantRevoked.Denial(leaf.Source))
			break
		}
		gate = o.link(&base, parent, leaf.Source) || gate
		base.code = first(base.code, o.sharerCode(parent.Person))
		if parent.Right != g.Right || parent.Booking != g.Booking || parent.Schedule != "" {
			doors = both(doors, o.opens(parent))
		}
		g = parent
	}
	for id, choices := range doors {
		d := o.door(id)
		if d == nil {
			continue
		}
		for _, c := range choices {
			w := base
			w.closed, w.times = c.closed, o.join(c.schedules...)
			if w.fobTimes = w.times; o.row.FobSchedule != "" {
				w.fobTimes = o.join(o.row.FobSchedule)
			}
			w.may &= 1<<unlock.FirstIn | capabilityBits(d.Capabilities)
			if gate && d.Entry {
				w.code = first(w.code, unlock.DenyGatelock)
			}
			to[id] = append(to[id], w)
		}
	}
}

func capabilityBits(list []unlock.Capability) (set uint8) {
	for _, c := range list {
		set |= 1 << c
	}
	return set
}

// kindsOf are the kinds of credential that may use a grant.
func (o *siteView) kindsOf(g *unlock.Grant) uint8 {
	kinds := allKinds
	if len(g.Kinds) > 0 {
		kinds = 1 << unlock.AnyKind
		for _, k := range g.Kinds {
			kinds |= 1 << k
		}
	}
	if g.Source == unlock.SourceShare && !o.row.SharedUserFobs {
		kinds &^= 1<<unlock.Fob | 1<<unlock.Card
	}
	return kinds
}

// link narrows a passage by one grant of its chain and reports whether gatelock
// applies. The source is that of the first grant of the chain.
func (o *siteView) link(w *accessPath, g *unlock.Grant, source unlock.Source) (gatelocked bool) {
	over := unlock.DenyNoAccessRight
	if source == unlock.SourceShare {
		over = unlock.DenyShareEnded
	}
	w.narrowTo(g.Window, o.now, over)
	w.code = first(w.code, g.State.Denial(source))
	if g.Booking == "" {
		return false
	}
	code, window, gatelocked := o.booking(g.Booking)
	w.narrowTo(window, o.now, unlock.DenyBookingEnded)
	w.code = first(w.code, code)
	if b, ok := o.get(unlock.KindBooking, g.Booking).(*unlock.Booking); ok && g.Parent == "" && b.Person != g.Person {
		w.code = first(w.code, o.sharerCode(b.Person))
	}
	return gatelocked
}

// sharerCode is the denial that follows from the state of the person who shared; NoCode
// means none.
func (o *siteView) sharerCode(id string) unlock.Code {
	if o.personCode(id) != unlock.NoCode {
		return unlock.DenySharerSuspended
	}
	return unlock.NoCode
}

// booking says what stands against a booking and its unit.
func (o *siteView) booking(id string) (code unlock.Code, window unlock.Window, gatelocked bool) {
	b, ok := o.get(unlock.KindBooking, id).(*unlock.Booking)
	if !ok {
		return unlock.DenyBookingRevoked, unlock.Window{}, false
	}
	gatelocked = b.State == unlock.BookingGatelock
	if !gatelocked {
		code = b.State.Denial()
	}
	if u, ok := o.get(unlock.KindUnit, b.Unit).(*unlock.Unit); ok {
		code = first(code, u.State.Denial())
	} else {
		code = first(code, unlock.DenyBookingRevoked)
	}
	return code, b.Window, gatelocked
}
