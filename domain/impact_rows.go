package domain

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gatehouse/domain/unlock"
)

// rowChange is a permission row as it is and as it would be. A nil row means that there
// is none.
type rowChange struct {
	key           unlock.Key
	before, after unlock.Row
}

// numberTags tell numbers apart and are good for nothing else.
func numberTags(_ ID, _ CredentialKind, format, number string) (unlock.Tag, bool) {
	h := sha256.Sum256([]byte(format + "/" + number))
	return unlock.Tag(h[:16]), true
}

// rowsAfter makes the rows that may differ, as they would be.
func (f *impactBuilder) rowsAfter() {
	c := &changes{s: f.s.State, touched: f.s.journal.supposed, keys: map[ID]keySet{}, moved: map[ID]map[ID]struct{}{}}
	for t, before := range c.touched {
		c.touch(t, before)
	}
	c.people()
	for site, keys := range c.keys {
		m, ok := newRowMaker(f.s.State, site, numberTags)
		if !ok {
			continue
		}
		p := &siteDiff{site: site, people: map[ID]struct{}{}, crowd: map[ID]struct{}{}, doors: map[ID]struct{}{}}
		for k := range keys {
			p.changed = append(p.changed, rowChange{key: k, after: m.row(k)})
		}
		f.sites[site] = p
	}
}

// rowsBefore makes the same rows as they are, drops those that stay, and reports
// whether any is left.
func (f *impactBuilder) rowsBefore() bool {
	for site, p := range f.sites {
		if m, ok := newRowMaker(f.s.State, site, numberTags); ok {
			for i := range p.changed {
				p.changed[i].before = m.row(p.changed[i].key)
			}
		}
		p.changed = slices.DeleteFunc(p.changed, func(c rowChange) bool { return reflect.DeepEqual(c.before, c.after) })
		if len(p.changed) == 0 {
			delete(f.sites, site)
			continue
		}
		slices.SortFunc(p.changed, func(a, b rowChange) int { return a.key.Compare(b.key) })
		p.reach(f.s.State)
	}
	return len(f.sites) > 0
}

// reach adds whom the changed rows concern by one of the two states: whose access
// may differ, and which doors may for everybody.
func (p *siteDiff) reach(s *State) {
	for _, c := range p.changed {
		r := reach{s, p, p.people}
		id := ID(c.key.ID)
		switch c.key.Kind {
		case unlock.KindSite:
			r.site(c)
		case unlock.KindDoor:
			r.door(id, c)
		case unlock.KindRight:
			r.rightRow(c.key.ID)
		case unlock.KindSchedule:
			r.schedule(c.key.ID)
		case unlock.KindPerson:
			r.person(id)
		case unlock.KindUnit:
			r.unit(id)
		case unlock.KindBooking:
			r.booking(id)
		case unlock.KindCredential:
			for _, row := range []unlock.Row{c.before, c.after} {
				if cr, ok := row.(*unlock.Credential); ok {
					r.add(ID(cr.Person))
				}
			}
		case unlock.KindGrant:
			for _, row := range []unlock.Row{c.before, c.after} {
				if g, ok := row.(*unlock.Grant); ok {
					r.add(ID(g.Person))
					r.shares(ID(g.Booking))
				}
			}
		}
	}
}

// reach finds the people who depend on a row, by one state.
type reach struct {
	s  *State
	p  *siteDiff
	to map[ID]struct{} // people
}

// crowd finds people only to be counted at doors.
func (r reach) crowd() reach { return reach{r.s, r.p, r.p.crowd} }

func (r reach) add(person ID) {
	if person != "" {
		r.to[person] = struct{}{}
	}
}

func (r reach) site(c rowChange) {
	before, was := c.before.(*unlock.Site)
	after, is := c.after.(*unlock.Site)
	if !was || !is {
		return
	}
	times := !reflect.DeepEqual(before.Zone, after.Zone) || !reflect.DeepEqual(before.Calendar, after.Calendar)
	doors := times || before.Posture != after.Posture || before.PostureUntil != after.PostureUntil || !reflect.DeepEqual(before.Blackouts, after.Blackouts)
	if times || before.SharedUserFobs != after.SharedUserFobs || before.FobSchedule != after.FobSchedule {
		r.everybody()
	} else if doors {
		r.crowd().everybody()
	}
	if doors {
		for d := range r.s.Doors.unsorted(DoorBySite, r.p.site) {
			r.p.doors[d] = struct{}{}
		}
	}
}

// everybody adds all people who have anything at the site.
func (r reach) everybody() {
	m, ok := newRowMaker(r.s, r.p.site, noTags)
	if !ok {
		return
	}
	for k := range m.keys() {
		if k.Kind == unlock.KindPerson {
			r.add(ID(k.ID))
		}
	}
}

func (r reach) door(id ID, c rowChange) {
	r.p.doors[id] = struct{}{}
	before, was := c.before.(*unlock.Door)
	after, is := c.after.(*unlock.Door)
	if was && is && before.Entry == after.Entry && before.Gateway == after.Gateway && slices.Equal(before.Capabilities, after.Capabilities) {
		r = r.crowd() // what people may do at the door stays
	}
	for right := range r.s.AccessRights.unsorted(RightByDoor, id) {
		r.right(right)
	}
	for g := range r.s.Groups.unsorted(GroupByDoor, id) {
		r.members(g)
	}
	site, ok := r.s.Sites.Get(r.p.site)
	if ok && site.Posture.Posture == PostureFreeAccess || was && before.Posture == unlock.FreeAccess || is && after.Posture == unlock.FreeAccess {
		r.crowd().everybody()
	}
}

func (r reach) rightRow(id string) {
	if group, ok := strings.CutPrefix(id, groupPrefix); ok {
		r.group(ID(group))
	} else if door, ok := strings.CutPrefix(id, hoursPrefix); ok {
		r.p.doors[ID(door)] = struct{}{}
	} else {
		r.right(ID(id))
	}
}

// group adds the members and the doors, which may keep its business hours.
func (r reach) group(id ID) {
	r.members(id)
	if g, ok := r.s.Groups.Get(id); ok {
		for _, d := range g.Doors {
			if door, ok := r.s.Doors.Get(d); ok && door.Site == r.p.site {
				r.p.doors[d] = struct{}{}
			}
		}
	}
}

func (r reach) members(group ID) {
	for _, m := range r.s.GroupMembers.unsorted(MemberByGroup, group) {
		r.add(m.Person)
	}
}

func (r reach) right(id ID) {
	for _, g := range r.s.Grants.unsorted(GrantByRight, id) {
		r.add(g.Person)
	}
	for u := range r.s.Units.unsorted(UnitByRight, id) {
		r.unit(u)
	}
	for _, u := range r.s.UnitUsers.unsorted(UnitUserByRight, id) {
		r.add(u.Person)
	}
}

func (r reach) schedule(id string) {
	s := r.s
	if user, ok := strings.CutPrefix(id, unitUserPrefix); ok {
		if u, ok := s.UnitUsers.Get(ID(user[:max(0, strings.LastIndexByte(user, '/'))])); ok {
			r.add(u.Person)
		}
		return
	}
	if group, ok := strings.CutPrefix(id, groupPrefix); ok {
		r.group(ID(strings.TrimSuffix(group, hoursSuffix)))
		return
	}
	if credential, ok := strings.CutPrefix(id, credentialPrefix); ok {
		if c, ok := s.Credentials.Get(ID(credential)); ok {
			r.add(c.Person)
		}
		return
	}
	if site, ok := s.Sites.Get(r.p.site); ok && site.Policy.FobSchedule == ID(id) {
		r.everybody()
	}
	for d, door := range s.Doors.unsorted(DoorBySchedule, ID(id)) {
		if door.Site == r.p.site {
			r.p.doors[d] = struct{}{}
		}
	}
	for right := range s.AccessRights.unsorted(RightBySchedule, ID(id)) {
		r.right(right)
	}
	for u := range s.Units.unsorted(UnitBySchedule, ID(id)) {
		r.unit(u)
	}
	for _, g := range s.Grants.unsorted(GrantBySchedule, ID(id)) {
		r.add(g.Person)
	}
}

// person adds a person, and all people who have access through their bookings and
// shares.
func (r reach) person(id ID) {
	r.add(id)
	for b := range r.s.Bookings.unsorted(BookingByPerson, id) {
		r.booking(b)
	}
	for _, sh := range r.s.Shares.unsorted(ShareByPerson, id) {
		r.shares(sh.Booking)
	}
}

func (r reach) shares(booking ID) {
	for _, sh := range r.s.Shares.unsorted(ShareByBooking, booking) {
		r.add(sh.Person)
	}
}

func (r reach) booking(id ID) {
	b, ok := r.s.Bookings.Get(id)
	if !ok {
		return
	}
	r.add(b.Person)
	r.shares(id)
	for _, u := range r.s.UnitUsers.unsorted(UnitUserByUnit, b.Unit) {
		r.add(u.Person)
	}
}

func (r reach) unit(id ID) {
	for b := range r.s.Bookings.unsorted(BookingByUnit, id) {
		r.booking(b)
	}
	for _, u := range r.s.UnitUsers.unsorted(UnitUserByUnit, id) {
		r.add(u.Person)
	}
}

// sortedKeysOf lists the keys of a map in order.
func sortedKeysOf[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func (a ReviewDue) compare(b ReviewDue) int {
	return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Person, b.Person), cmp.Compare(a.Right, b.Right))
}

func (a Ending) compare(b Ending) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Person, b.Person))
}
