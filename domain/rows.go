package domain

import (
	"cmp"
	"slices"
	"strings"

	"gatehouse/domain/unlock"
)

// The permission rows of a site follow from the state alone. Each source of access
// becomes one grant:
//
//   - a booking: the tenant's own, with the rights that are mapped to the unit, from the
//     booking's first day on, whether the tenant has moved in or not. The row has
//     no window and no state of its own: it depends on the booking's row.
//   - a share: a part of the tenant's grant, or of the share it was shared on
//     from, with the share's window.
//   - each right of a unit user or unit manager, bound to the booking under which
//     the unit is moved in and narrowed by the unit's schedule for that right.
//   - each membership of a group, at every site of the group: a grant of the right
//     that is made of the group's doors. The permissions of the group's users, its
//     business hours and its blackouts are in the rows of that right and of its
//     schedules, so that a change of them is one row however many the members are.
//   - an explicit grant, at every site of its right. It is one of staff when its
//     person has a role from staff upwards at the site.
//
// Rows of ended things stay, with their state: they cost little, give nothing, and tell
// why somebody is denied. So the end of a booking is one row, and an end by time is
// none.

// Tagger makes the tag of a credential's number under the key of a site. ok is
// false when the key of the site is not at hand.
type Tagger func(site ID, kind CredentialKind, format, number string) (tag unlock.Tag, ok bool)

// Leases of the two classes of door, in seconds.
const (
	LeaseStandard = 15 * 60
	LeaseCritical = 30
)

// Rows returns the permission rows of a site, sorted by key; none when there is no such
// site. The site's row has the version of the key that tags are to be made with; the
// keeper of the keys sets there the one that they were made with. untagged lists the
// credentials that have a number whose tag could not be made, sorted: their rows have
// no tag, and a publisher keeps the tag that it published before.
func (s *State) Rows(site ID, tags Tagger) (rows []unlock.Row, untagged []ID) {
	m, ok := newRowMaker(s, site, tags)
	if !ok {
		return nil, nil
	}
	for _, k := range sortedKeys(m.keys()) {
		if r := m.row(k); r != nil {
			rows = append(rows, r)
		}
	}
	return rows, m.untagged
}

// rowMaker makes the rows of one site.
type rowMaker struct {
	s        *State
	site     *Site
	tags     Tagger
	untagged []ID
}

func newRowMaker(s *State, site ID, tags Tagger) (*rowMaker, bool) {
	row, ok := s.Sites.Get(site)
	return &rowMaker{s: s, site: row, tags: tags}, ok
}

// keySet is a set of keys of rows.
type keySet map[unlock.Key]struct{}

func (k keySet) add(kind unlock.Kind, id string) { k[unlock.Key{Kind: kind, ID: id}] = struct{}{} }

func sortedKeys(k keySet) []unlock.Key {
	out := make([]unlock.Key, 0, len(k))
	for key := range k {
		out = append(out, key)
	}
	slices.SortFunc(out, unlock.Key.Compare)
	return out
}

// The ids of grants that have none of their own. No id of the ledger has a colon
// or a slash.
const (
	bookingPrefix  = "booking:"
	sharePrefix    = "share:"
	unitUserPrefix = "user:"
	groupPrefix    = "group:"
	hoursPrefix    = "hours:" // of rights
)

func bookingGrant(booking ID) string { return bookingPrefix + string(booking) }
func shareGrant(share ID) string     { return sharePrefix + string(share) }
func doorHours(door ID) string       { return hoursPrefix + string(door) }

// unitUserGrant also names the schedule of a limited access.
func unitUserGrant(unit, person, right ID) string {
	return unitUserPrefix + string(unitUserKey(unit, person)) + "/" + string(right)
}

// keys lists the keys of all rows that the site can have.
func (m *rowMaker) keys() keySet {
	s, id, out := m.s, m.site.ID, keySet{}
	out.add(unlock.KindSite, string(id))
	out.add(unlock.KindSchedule, string(m.site.Policy.FobSchedule))
	for _, d := range s.Doors.unsorted(DoorBySite, id) {
		doorKeys(d, out)
	}
	for _, u := range s.Units.unsorted(UnitBySite, id) {
		m.unitKeys(u, out)
	}
	for _, b := range s.Bookings.unsorted(BookingBySite, id) {
		m.bookingKeys(b, out)
	}
	for _, r := range s.AccessRights.unsorted(RightBySite, id) {
		m.rightKeys(r, out)
	}
	for g := range s.Groups.unsorted(GroupBySite, id) {
		groupKeys(g, out)
		s.membersOfGroup(g, out)
	}
	for _, c := range s.Credentials.unsorted(CredentialBySite, id) {
		credentialKeys(c, out)
		out.add(unlock.KindPerson, string(c.Person))
	}
	for k := range out {
		if k.Kind == unlock.KindPerson {
			s.mobileKeys(ID(k.ID), out)
		}
	}
	return out
}

// doorKeys adds the row of a door and those of its business hours. Business hours
// belong to a right, so a right without doors holds those of the door alone.
func doorKeys(d *Door, out keySet) {
	out.add(unlock.KindDoor, string(d.ID))
	out.add(unlock.KindRight, doorHours(d.ID))
	out.add(unlock.KindSchedule, string(d.Hours))
}

func (m *rowMaker) unitKeys(u *Unit, out keySet) {
	out.add(unlock.KindUnit, string(u.ID))
	for _, r := range u.Rights {
		out.add(unlock.KindSchedule, string(r.Schedule))
	}
	m.s.usersOfUnit(u.ID, out)
}

// usersOfUnit adds what the users of a unit have.
func (s *State) usersOfUnit(unit ID, out keySet) {
	for _, u := range s.UnitUsers.unsorted(UnitUserByUnit, unit) {
		unitUserKeys(u, out)
	}
}

func unitUserKeys(u *UnitUser, out keySet) {
	out.add(unlock.KindPerson, string(u.Person))
	for _, a := range u.Access {
		out.add(unlock.KindGrant, unitUserGrant(u.Unit, u.Person, a.Right))
		out.add(unlock.KindSchedule, unitUserGrant(u.Unit, u.Person, a.Right))
	}
}

func (m *rowMaker) bookingKeys(b *Booking, out keySet) {
	out.add(unlock.KindBooking, string(b.ID))
	out.add(unlock.KindGrant, bookingGrant(b.ID))
	out.add(unlock.KindPerson, string(b.Person))
	for id, share := range m.s.Shares.unsorted(ShareByBooking, b.ID) {
		out.add(unlock.KindGrant, shareGrant(id))
		out.add(unlock.KindPerson, string(share.Person))
	}
}

func (m *rowMaker) rightKeys(right *AccessRight, out keySet) {
	out.add(unlock.KindRight, string(right.ID))
	out.add(unlock.KindSchedule, string(right.Schedule))
	for g, grant := range m.s.Grants.unsorted(GrantByRight, right.ID) {
		out.add(unlock.KindGrant, string(g))
		out.add(unlock.KindSchedule, string(grant.Schedule))
		out.add(unlock.KindPerson, string(grant.Person))
	}
}

// mobileKeys adds the credentials of a person that are known at no site of their
// own.
func (s *State) mobileKeys(person ID, out keySet) {
	for _, c := range s.Credentials.unsorted(credentialRoaming, person) {
		credentialKeys(c, out)
	}
}

// row makes the row of a key; nil when the site has none.
func (m *rowMaker) row(k unlock.Key) unlock.Row {
	id := ID(k.ID)
	switch k.Kind {
	case unlock.KindSite:
		return m.siteRow()
	case unlock.KindDoor:
		return orNone(m.doorRow(id))
	case unlock.KindRight:
		if group, ok := strings.CutPrefix(k.ID, groupPrefix); ok {
			return orNone(m.groupRightRow(ID(group)))
		}
		if door, ok := strings.CutPrefix(k.ID, hoursPrefix); ok {
			return orNone(m.hoursRow(ID(door)))
		}
		return orNone(m.rightRow(id))
	case unlock.KindSchedule:
		return orNone(m.scheduleRow(k.ID))
	case unlock.KindPerson:
		return orNone(m.personRow(id))
	case unlock.KindUnit:
		return orNone(m.unitRow(id))
	case unlock.KindBooking:
		return orNone(m.bookingRow(id))
	case unlock.KindCredential:
		return orNone(m.credentialRow(id))
	case unlock.KindGrant:
		return m.grantRow(k.ID)
	}
	return nil
}

// orNone turns the nil of a kind of row into no row.
func orNone[R any, P interface {
	*R
	unlock.Row
}](r P) unlock.Row {
	if r == nil {
		return nil
	}
	return r
}

func (m *rowMaker) siteRow() *unlock.Site {
	r := &unlock.Site{
		ID:             string(m.site.ID),
		TagKey:         m.site.TagKey(),
		Zone:           m.site.Rules,
		Calendar:       m.site.Calendar,
		Blackouts:      m.site.Closures(),
		SharedUserFobs: m.site.Policy.FobHolders == "anyone", LockdownShutsOut: m.site.Policy.LockdownEgress == "shut",
		FobSchedule:   string(m.site.Policy.FobSchedule),
		LeaseStandard: LeaseStandard,
		LeaseCritical: LeaseCritical,
	}
	switch p := m.site.Posture; {
	case m.site.Lockdown != "":
		r.Posture, r.PostureSource = unlock.Lockdown, m.site.Lockdown
	case p.Posture != "":
		r.Posture, r.PostureUntil, r.PostureSource = unlockPostures[p.Posture], instantOrNone(p.Until), p.Command
	}
	return r
}

func (m *rowMaker) doorRow(id ID) *unlock.Door {
	d, ok := m.s.Doors.Get(id)
	if !ok || d.Site != m.site.ID {
		return nil
	}
	r := &unlock.Door{
		ID: string(id), AreaIn: string(d.In), AreaOut: string(d.Out), Unit: string(d.Unit), Gateway: string(d.Gateway),
		Entry: d.Kind != DoorUnit, Enabled: !d.Disabled, FireRelease: d.FireRelease,
		Capabilities: unlockCapabilities(d.Capabilities), Hours: m.hoursOf(id),
	}
	if d.Class == ClassCritical {
		r.Class = unlock.Critical
	}
	if d.AfterLease == AfterLeaseLastTable {
		r.AfterLease = unlock.LastTable
	}
	if d.Hours != "" {
		r.Hours = append(r.Hours, doorHours(id))
	}
	m.posture(r, d)
	return r
}

// hoursRow is the right that has the hours in which a door stands open.
func (m *rowMaker) hoursRow(door ID) *unlock.Right {
	d, ok := m.s.Doors.Get(door)
	if !ok || d.Site != m.site.ID || d.Hours == "" {
		return nil
	}
	return &unlock.Right{ID: doorHours(door), Doors: []string{}, Hours: &unlock.Hours{Schedule: string(d.Hours)}}
}

func (m *rowMaker) rightRow(id ID) *unlock.Right {
	right, ok := m.s.AccessRights.Get(id)
	if !ok || !slices.Contains(right.Sites, m.site.ID) {
		return nil
	}
	return &unlock.Right{ID: string(id), Schedule: scheduleRef(right.Schedule), Doors: m.doorsHere(right.Doors)}
}

// doorsHere lists those doors that are at the site.
func (m *rowMaker) doorsHere(doors []ID) []string {
	here := []string{}
	for _, d := range doors {
		if door, ok := m.s.Doors.Get(d); ok && door.Site == m.site.ID {
			here = append(here, string(d))
		}
	}
	return here
}

// scheduleRef leaves out the schedule that narrows nothing.
func scheduleRef(id ID) string {
	if id == AlwaysID {
		return ""
	}
	return string(id)
}

func (m *rowMaker) scheduleRow(id string) *unlock.Schedule {
	if strings.HasPrefix(id, unitUserPrefix) {
		return m.limitRow(id)
	}
	if group, ok := strings.CutPrefix(id, groupPrefix); ok {
		return m.groupScheduleRow(id, group)
	}
	if credential, ok := strings.CutPrefix(id, credentialPrefix); ok {
		return m.credentialTimesRow(ID(credential))
	}
	named, ok := m.s.Schedules.Get(ID(id))
	if !ok || !m.usesSchedule(named.ID) {
		return nil
	}
	return &unlock.Schedule{ID: id, Schedule: named.Schedule}
}

// usesSchedule reports whether a row of the site refers to the schedule.
func (m *rowMaker) usesSchedule(id ID) bool {
	s, site := m.s, m.site.ID
	if m.site.Policy.FobSchedule == id || s.Doors.Any(DoorBySchedule, id, func(d *Door) bool { return d.Site == site }) {
		return true
	}
	if id == AlwaysID {
		return false
	}
	return s.AccessRights.Any(RightBySchedule, id, func(r *AccessRight) bool { return slices.Contains(r.Sites, site) }) ||
		s.Units.Any(UnitBySchedule, id, func(u *Unit) bool { return u.Site == site }) ||
		s.Grants.Any(GrantBySchedule, id, func(g *Grant) bool { return s.rightAt(g.Right, site) })
}

// rightAt reports whether the right has doors at the site.
func (s *State) rightAt(right, site ID) bool {
	r, ok := s.AccessRights.Get(right)
	return ok && slices.Contains(r.Sites, site)
}

func (m *rowMaker) unitRow(id ID) *unlock.Unit {
	u, ok := m.s.Units.Get(id)
	if !ok || u.Site != m.site.ID {
		return nil
	}
	r := &unlock.Unit{ID: string(id), State: unlock.UnitVacant}
	switch u.State {
	case UnitOccupied:
		r.State = unlock.UnitOccupied
	case UnitToCheck:
		r.State = unlock.UnitToCheck
	}
	for _, ur := range u.Rights {
		r.Rights = append(r.Rights, unlock.UnitRight{Right: string(ur.Right), Schedule: scheduleRef(ur.Schedule)})
	}
	slices.SortFunc(r.Rights, func(a, b unlock.UnitRight) int { return cmp.Compare(a.Right, b.Right) })
	return r
}

func (m *rowMaker) bookingRow(id ID) *unlock.Booking {
	b, ok := m.s.Bookings.Get(id)
	if !ok || b.Site != m.site.ID {
		return nil
	}
	return &unlock.Booking{
		ID: string(id), Unit: string(b.Unit), Person: string(b.Person),
		Window: m.s.window(b.Site, b.From, b.Until), State: unlockBookingState(b),
	}
}
