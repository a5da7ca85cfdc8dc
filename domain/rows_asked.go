package domain

import (
	"fmt"
	"slices"

	"gatehouse/domain/unlock"
)

// TableFor makes the table of the rows that decide whether a person passes a door, and
// no others. Its cost grows with what the person holds, not with the site. The tags of
// credentials are not in it: they are asked by id. It fails only when a row of the state
// is refused, which is a fault of the program.
func (s *State) TableFor(door *Door, person ID, credentials ...ID) (*unlock.Table, error) {
	m, ok := newRowMaker(s, door.Site, noTags)
	if !ok {
		return new(unlock.Table), nil
	}
	keys := keySet{}
	keys.add(unlock.KindSite, string(door.Site))
	keys.add(unlock.KindDoor, string(door.ID))
	keys.add(unlock.KindPerson, string(person))
	for _, id := range credentials {
		keys.add(unlock.KindCredential, string(id))
	}
	if person != "" {
		for _, grant := range s.GrantsAt(person, door.Site) {
			keys.add(unlock.KindGrant, grant)
		}
	}
	table, err := unlock.NewTable(m.closure(keys)...)
	if err != nil {
		return nil, fmt.Errorf("domain: rows for a person at a door: %w", err)
	}
	return table, nil
}

// noTags is for rows that are asked by id.
func noTags(ID, CredentialKind, string, string) (unlock.Tag, bool) { return unlock.Tag{}, false }

// LeaseHeld is what the service knows of a door: that its lease lasts.
var LeaseHeld = &unlock.Local{LeaseEnd: unlock.Held}

// GrantsAt lists the ids of the grants that a person has at a site, sorted, whatever
// their states.
func (s *State) GrantsAt(person, site ID) []string {
	var out []string
	for id, b := range s.Bookings.Each(BookingByPerson, person) {
		if b.Site == site {
			out = append(out, bookingGrant(id))
		}
	}
	for id, sh := range s.Shares.Each(ShareByPerson, person) {
		if sh.Site == site {
			out = append(out, shareGrant(id))
		}
	}
	for _, u := range s.UnitUsers.Each(UnitUserByPerson, person) {
		for _, a := range u.Access {
			if u.Site == site {
				out = append(out, unitUserGrant(u.Unit, u.Person, a.Right))
			}
		}
	}
	for id, g := range s.Grants.Each(GrantByPerson, person) {
		if s.rightAt(g.Right, site) {
			out = append(out, string(id))
		}
	}
	for id, g := range s.GroupMembers.Each(MemberByPerson, person) {
		if s.groupAt(g.Group, site) {
			out = append(out, memberGrant(id))
		}
	}
	slices.Sort(out)
	return out
}

// closure makes the rows of keys and of all that they refer to.
func (m *rowMaker) closure(keys keySet) []unlock.Row {
	var rows []unlock.Row
	seen := keySet{}
	for len(keys) > 0 {
		next := keySet{}
		for _, k := range sortedKeys(keys) {
			if _, twice := seen[k]; twice {
				continue
			}
			seen[k] = struct{}{}
			if r := m.row(k); r != nil {
				rows = append(rows, r)
				references(r, next)
			}
		}
		keys = next
	}
	return rows
}

// references adds the keys of the rows that a row names.
func references(r unlock.Row, out keySet) {
	switch r := r.(type) {
	case *unlock.Site:
		out.add(unlock.KindSchedule, r.FobSchedule)
	case *unlock.Door:
		for _, right := range r.Hours {
			out.add(unlock.KindRight, right)
		}
	case *unlock.Right:
		out.add(unlock.KindSchedule, r.Schedule)
		if r.Hours != nil {
			out.add(unlock.KindSchedule, r.Hours.Schedule)
		}
	case *unlock.Unit:
		for _, u := range r.Rights {
			out.add(unlock.KindRight, u.Right)
			out.add(unlock.KindSchedule, u.Schedule)
		}
	case *unlock.Booking:
		out.add(unlock.KindUnit, r.Unit)
		out.add(unlock.KindPerson, r.Person)
	case *unlock.Credential:
		out.add(unlock.KindBooking, r.Booking)
		out.add(unlock.KindSchedule, r.Schedule)
	case *unlock.Grant:
		out.add(unlock.KindPerson, r.Person)
		out.add(unlock.KindRight, r.Right)
		out.add(unlock.KindBooking, r.Booking)
		out.add(unlock.KindGrant, r.Parent)
		out.add(unlock.KindSchedule, r.Schedule)
	}
}
