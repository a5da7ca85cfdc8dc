package domain

import (
	"maps"
	"reflect"
	"slices"

	"gatehouse/domain/unlock"
)

// SiteChange is what commits may have changed of the rows of a site. It is generous:
// rows in it may be as they were before, and keys to delete may name rows that never
// existed. The keeper of the rows compares and drops these.
type SiteChange struct {
	Site   ID
	Put    []unlock.Row // sorted by key
	Delete []unlock.Key // sorted
	// Untagged are the credentials among Put whose tag could not be made, sorted:
	// whoever published one before keeps it. That numbers are opened later is no
	// commit and no change: take [State.Rows] then.
	Untagged []ID
}

// WatchChanges begins to note what commits change. A caller that needs the rows of all
// sites watches first and takes [State.Rows] of each next.
func (s *State) WatchChanges() { s.journal.watch() }

// TakeChanges returns, by site, what commits may have changed of the rows. It covers
// the commits applied since WatchChanges, or since the last call. Its cost grows with
// what the commits changed and with what belongs to the people, rights and schedules
// that they name, not with the sites. New zone rules alone touch every window of their
// site.
func (s *State) TakeChanges(tags Tagger) []SiteChange {
	touched := s.journal.take()
	if len(touched) == 0 {
		return nil
	}
	c := &changes{s: s, touched: touched, keys: map[ID]keySet{}, moved: map[ID]map[ID]struct{}{}}
	for t, before := range touched {
		c.touch(t, before)
	}
	c.people()
	return c.rows(tags)
}

// changes collects the keys of rows that may have changed.
type changes struct {
	s       *State
	touched map[touch]any
	keys    map[ID]keySet          // by site
	moved   map[ID]map[ID]struct{} // by person: the sites at which they may hold more or less than before
}

func (c *changes) rows(tags Tagger) []SiteChange {
	var out []SiteChange
	for _, site := range slices.Sorted(maps.Keys(c.keys)) {
		m, ok := newRowMaker(c.s, site, tags)
		if !ok {
			continue
		}
		change := SiteChange{Site: site}
		for _, k := range sortedKeys(c.keys[site]) {
			if r := m.row(k); r != nil {
				change.Put = append(change.Put, r)
			} else if k.ID != "" {
				change.Delete = append(change.Delete, k)
			}
		}
		change.Untagged = m.untagged
		out = append(out, change)
	}
	return out
}

// at gives the set of keys of a site.
func (c *changes) at(site ID) keySet {
	k := c.keys[site]
	if k == nil {
		k = keySet{}
		c.keys[site] = k
	}
	return k
}

// move notes that a person may hold more or less at a site.
func (c *changes) move(person, site ID) {
	if person == "" {
		return
	}
	if c.moved[person] == nil {
		c.moved[person] = map[ID]struct{}{}
	}
	c.moved[person][site] = struct{}{}
}

// versions gives a touched row as it was and as it is, as far as it was and is.
func versions[T any](t *table[T], id ID, before any) []*T {
	var out []*T
	if old, ok := before.(*T); ok {
		out = append(out, old)
	}
	if now, ok := t.Get(id); ok {
		out = append(out, now)
	}
	return out
}

// touch adds the keys that the change of one row of the state concerns.
func (c *changes) touch(t touch, before any) {
	s := c.s
	switch t.table {
	case s.Sites.name:
		c.site(t.id, versions(s.Sites, t.id, before))
	case s.Doors.name:
		for _, d := range versions(s.Doors, t.id, before) {
			doorKeys(d, c.at(d.Site))
		}
	case s.Areas.name:
		for _, a := range versions(s.Areas, t.id, before) {
			for d := range s.Doors.unsorted(DoorByArea, t.id) {
				c.at(a.Site).add(unlock.KindDoor, string(d))
			}
		}
	case s.Units.name:
		for _, u := range versions(s.Units, t.id, before) {
			c.at(u.Site).add(unlock.KindUnit, string(t.id))
			for _, r := range u.Rights {
				c.at(u.Site).add(unlock.KindSchedule, string(r.Schedule))
			}
			s.usersOfUnit(t.id, c.at(u.Site))
		}
	case s.Bookings.name:
		for _, b := range versions(s.Bookings, t.id, before) {
			c.at(b.Site).add(unlock.KindBooking, string(t.id))
			c.at(b.Site).add(unlock.KindGrant, bookingGrant(t.id))
			c.move(b.Person, b.Site)
		}
	case s.Shares.name:
		for _, sh := range versions(s.Shares, t.id, before) {
			c.at(sh.Site).add(unlock.KindGrant, shareGrant(t.id))
			c.move(sh.Person, sh.Site)
		}
	case s.UnitUsers.name:
		for _, u := range versions(s.UnitUsers, t.id, before) {
			unitUserKeys(u, c.at(u.Site))
			c.move(u.Person, u.Site)
		}
	case s.AccessRights.name:
		c.right(t.id, versions(s.AccessRights, t.id, before))
	case s.Grants.name:
		for _, g := range versions(s.Grants, t.id, before) {
			for site := range c.sitesOfRight(g.Right) {
				c.grant(g, site)
			}
		}
	case s.Groups.name:
		c.group(t.id, versions(s.Groups, t.id, before))
	case s.GroupMembers.name:
		for _, m := range versions(s.GroupMembers, t.id, before) {
			for site := range c.sitesOfGroup(m.Group) {
				c.at(site).add(unlock.KindGrant, memberGrant(t.id))
				c.move(m.Person, site)
			}
		}
	case s.RoleAssignments.name:
		for _, r := range versions(s.RoleAssignments, t.id, before) {
			c.role(r)
		}
	case s.Schedules.name:
		c.schedule(t.id)
	case s.People.name:
		c.person(t.id, versions(s.People, t.id, before))
	case s.Credentials.name:
		for _, cr := range versions(s.Credentials, t.id, before) {
			c.credential(cr)
		}
	}
}

func (c *changes) site(id ID, was []*Site) {
	keys := c.at(id)
	keys.add(unlock.KindSite, string(id))
	for _, v := range was {
		keys.add(unlock.KindSchedule, string(v.Policy.FobSchedule))
	}
	if len(was) < 2 || reflect.DeepEqual(was[0].Rules, was[1].Rules) {
		return
	}
	m, _ := newRowMaker(c.s, id, nil) // the site is there, before and now
	for k := range m.keys() {
		if k.Kind == unlock.KindBooking || k.Kind == unlock.KindGrant || k.Kind == unlock.KindSchedule {
			keys[k] = struct{}{}
		}
	}
}

// right marks the row of a right and its schedules at every site that it has or had. At
// a site that came or went, it marks the grants of the right as well.
func (c *changes) right(id ID, was []*AccessRight) {
	count := map[ID]int{}
	for _, r := range was {
		for _, site := range r.Sites {
			count[site]++
			c.at(site).add(unlock.KindRight, string(id))
			for _, v := range was {
				c.at(site).add(unlock.KindSchedule, string(v.Schedule))
			}
		}
	}
	for site, n := range count {
		if n == 2 {
			continue
		}
		for _, g := range c.s.Grants.unsorted(GrantByRight, id) {
			c.grant(g, site)
		}
	}
}

func (c *changes) grant(g *Grant, site ID) {
	c.at(site).add(unlock.KindGrant, string(g.ID))
	c.at(site).add(unlock.KindSchedule, string(g.Schedule))
	c.move(g.Person, site)
}

// role concerns whether the explicit grants of its person are those of staff.
func (c *changes) role(r *RoleAssignment) {
	for id, row := range c.s.Grants.unsorted(GrantByPerson, r.Person) {
		for site := range c.sitesOfRight(row.Right) {
			if r.Site == "" || r.Site == site {
				c.at(site).add(unlock.KindGrant, string(id))
			}
		}
	}
}

// schedule concerns the sites where something uses it now: what came to use it,
// or no longer does, was touched itself.
func (c *changes) schedule(id ID) {
	s := c.s
	add := func(site ID) { c.at(site).add(unlock.KindSchedule, string(id)) }
	for site := range s.Sites.unsorted(siteBySchedule, id) {
		add(site)
	}
	for _, d := range s.Doors.unsorted(DoorBySchedule, id) {
		add(d.Site)
	}
	for _, r := range s.AccessRights.unsorted(RightBySchedule, id) {
		for _, site := range r.Sites {
			add(site)
		}
	}
	for _, u := range s.Units.unsorted(UnitBySchedule, id) {
		add(u.Site)
		s.usersOfUnit(u.ID, c.at(u.Site))
	}
	for _, g := range s.Grants.unsorted(GrantBySchedule, id) {
		for site := range c.sitesOfRight(g.Right) {
			add(site)
		}
	}
}

// person concerns the person's row and, when the person is erased, what they held
// at its sites: those rows go.
func (c *changes) person(id ID, was []*Person) {
	erased := slices.ContainsFunc(was, func(p *Person) bool { return p.State == PersonStateErased })
	for site := range c.sitesOf(id) {
		keys := c.at(site)
		keys.add(unlock.KindPerson, string(id))
		if !erased {
			continue
		}
		for _, cr := range c.s.Credentials.unsorted(CredentialByPerson, id) {
			credentialKeys(cr, keys)
		}
	}
}

func (c *changes) credential(cr *Credential) {
	for _, site := range cr.Sites {
		credentialKeys(cr, c.at(site))
		c.move(cr.Person, site)
	}
	if len(cr.Sites) == 0 && cr.Person != "" {
		for site := range c.sitesOf(cr.Person) {
			credentialKeys(cr, c.at(site))
		}
	}
}

// people adds the rows of the people who moved, and of what they hold at no site
// of its own.
func (c *changes) people() {
	for t, before := range c.touched {
		if t.table != c.s.Credentials.name {
			continue
		}
		for _, cr := range versions(c.s.Credentials, t.id, before) {
			if len(cr.Sites) > 0 {
				continue
			}
			for site := range c.moved[cr.Person] {
				credentialKeys(cr, c.at(site))
			}
		}
	}
	for person, sites := range c.moved {
		for site := range sites {
			c.at(site).add(unlock.KindPerson, string(person))
			c.s.mobileKeys(person, c.at(site))
		}
	}
}

// sitesOfRight gives the sites that a right has, and those that it had when it
// was touched.
func (c *changes) sitesOfRight(right ID) map[ID]struct{} {
	out := map[ID]struct{}{}
	for _, r := range versions(c.s.AccessRights, right, c.touched[touch{c.s.AccessRights.name, right}]) {
		for _, site := range r.Sites {
			out[site] = struct{}{}
		}
	}
	return out
}

// sitesOf gives the sites at which a person holds a grant or a credential.
func (c *changes) sitesOf(person ID) map[ID]struct{} {
	s, out := c.s, map[ID]struct{}{}
	for _, row := range s.Bookings.unsorted(BookingByPerson, person) {
		out[row.Site] = struct{}{}
	}
	for _, row := range s.Shares.unsorted(ShareByPerson, person) {
		out[row.Site] = struct{}{}
	}
	for _, row := range s.UnitUsers.unsorted(UnitUserByPerson, person) {
		out[row.Site] = struct{}{}
	}
	for _, row := range s.Grants.unsorted(GrantByPerson, person) {
		maps.Copy(out, c.sitesOfRight(row.Right))
	}
	for _, row := range s.GroupMembers.unsorted(MemberByPerson, person) {
		maps.Copy(out, c.sitesOfGroup(row.Group))
	}
	for site := range s.credentialSites(person) {
		out[site] = struct{}{}
	}
	return out
}
