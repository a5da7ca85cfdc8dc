package domain

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// personRow is there when the person holds a grant or a credential at the site.
func (m *rowMaker) personRow(id ID) *unlock.Person {
	p, ok := m.s.People.Get(id)
	if !ok || !m.hasGrant(id) && !m.hasCredential(id) {
		return nil
	}
	return &unlock.Person{ID: string(id), State: unlockPersonState(p.State)}
}

// Denial returns the code that denies a person in the state; NoCode means none.
func (s PersonState) Denial() unlock.Code { return unlockPersonState(s).Denial() }

// unlockPersonState is a state as the door knows it: nothing opens for the erased either.
func unlockPersonState(s PersonState) unlock.PersonState {
	switch s {
	case PersonStateActive:
		return unlock.PersonActive
	case PersonStatePending:
		return unlock.PersonPending
	}
	return unlock.PersonSuspended
}

// hasGrant reports whether the site has a grant row of the person.
func (m *rowMaker) hasGrant(person ID) bool {
	s, site := m.s, m.site.ID
	return s.Bookings.Any(BookingByPerson, person, func(b *Booking) bool { return b.Site == site }) ||
		s.Shares.Any(ShareByPerson, person, func(sh *Share) bool { return sh.Site == site }) ||
		s.UnitUsers.Any(UnitUserByPerson, person, func(u *UnitUser) bool { return u.Site == site && len(u.Access) > 0 }) ||
		s.Grants.Any(GrantByPerson, person, func(g *Grant) bool { return s.rightAt(g.Right, site) }) ||
		s.GroupMembers.Any(MemberByPerson, person, func(g *GroupMember) bool { return s.groupAt(g.Group, site) })
}

func (m *rowMaker) hasCredential(person ID) bool {
	return m.s.Credentials.Any(CredentialByPerson, person, func(c *Credential) bool {
		return slices.Contains(c.Sites, m.site.ID)
	})
}

// credentialPrefix begins the id of the schedule of a credential of its own.
const credentialPrefix = "credential:"

// credentialKeys adds what a credential has.
func credentialKeys(c *Credential, out keySet) {
	out.add(unlock.KindCredential, string(c.ID))
	if len(c.Times.Windows) > 0 {
		out.add(unlock.KindSchedule, credentialPrefix+string(c.ID))
	}
}

// credentialRow is the row of a credential that has a holder and is known at the site.
// A credential without sites of its own is known where its holder has a grant. The
// credentials of an erased person have no row: not even the tag of a number stays.
func (m *rowMaker) credentialRow(id ID) *unlock.Credential {
	c, ok := m.s.Credentials.Get(id)
	if !ok || !m.hasCredentialRow(c) {
		return nil
	}
	r := &unlock.Credential{
		ID: string(id), Tag: m.tag(c), Kind: unlockCredentialKinds[c.Kind], Format: c.Format,
		Person: string(c.Person), Booking: string(c.Booking),
		Window:         unlock.Window{From: instantOrNone(c.From), Until: instantOrNone(c.Until)},
		State:          unlockCredentialState(c.State),
		SuspendedUntil: instantOrNone(c.SuspendedUntil),
		MaxUses:        uint32(c.MaxUses),
		Home:           string(c.Home),
		DenyListed:     c.Denied,
		Duress:         c.DuressOf != "",
	}
	if len(c.Times.Windows) > 0 {
		r.Schedule = credentialPrefix + string(id)
	}
	return r
}

// credentialTimesRow is the schedule of a credential that has one of its own, and
// a row.
func (m *rowMaker) credentialTimesRow(id ID) *unlock.Schedule {
	c, ok := m.s.Credentials.Get(id)
	if !ok || len(c.Times.Windows) == 0 || !m.hasCredentialRow(c) {
		return nil
	}
	return &unlock.Schedule{ID: credentialPrefix + string(id), Schedule: c.Times}
}

func (m *rowMaker) hasCredentialRow(c *Credential) bool {
	if c.Person == "" || c.State == CredentialStateStock {
		return false
	}
	if p, ok := m.s.People.Get(c.Person); !ok || p.State == PersonStateErased {
		return false
	}
	if len(c.Sites) == 0 {
		return m.hasGrant(c.Person)
	}
	return slices.Contains(c.Sites, m.site.ID)
}

// instantOrNone is the instant of a time, none for the zero time.
func instantOrNone(t time.Time) unlock.Instant {
	if t.IsZero() {
		return 0
	}
	return unlock.InstantOf(t)
}

// tag makes the tag of a credential's number, or notes that it cannot be made.
func (m *rowMaker) tag(c *Credential) unlock.Tag {
	if c.Number.Empty() {
		return unlock.Tag{}
	}
	if number, known := c.Number.Value(); known {
		if tag, ok := m.tags(m.site.ID, c.Kind, c.Format, number); ok {
			return tag
		}
	}
	m.untagged = append(m.untagged, c.ID)
	return unlock.Tag{}
}

var unlockCredentialKinds = map[CredentialKind]unlock.CredentialKind{
	KindFob:       unlock.Fob,
	KindCard:      unlock.Card,
	KindPin:       unlock.Pin,
	KindMobileKey: unlock.MobileKey,
}

func unlockCredentialState(s CredentialState) unlock.CredentialState {
	switch s {
	case CredentialStateActive:
		return unlock.CredentialActive
	case CredentialStateSuspended:
		return unlock.CredentialSuspended
	case CredentialStateLost:
		return unlock.CredentialLost
	case CredentialStateStolen:
		return unlock.CredentialStolen
	case CredentialStateDamaged:
		return unlock.CredentialDamaged
	case CredentialStateExpired:
		return unlock.CredentialExpired
	}
	return unlock.CredentialRevoked
}

var unlockCapabilityOf = map[DoorCapability]unlock.Capability{
	CapabilityRemoteUnlock: unlock.RemoteUnlock,
	CapabilityUnlockFor:    unlock.UnlockFor,
}

func unlockCapabilities(caps []DoorCapability) []unlock.Capability {
	var out []unlock.Capability
	for _, c := range caps {
		out = append(out, unlockCapabilityOf[c])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// grantRow makes the row of a grant, explicit or derived.
func (m *rowMaker) grantRow(id string) unlock.Row {
	if booking, ok := strings.CutPrefix(id, bookingPrefix); ok {
		return orNone(m.bookingGrantRow(ID(booking)))
	}
	if share, ok := strings.CutPrefix(id, sharePrefix); ok {
		return orNone(m.shareGrantRow(ID(share)))
	}
	if strings.HasPrefix(id, unitUserPrefix) {
		return orNone(m.unitUserGrantRow(id))
	}
	if member, ok := strings.CutPrefix(id, groupPrefix); ok {
		return orNone(m.memberGrantRow(ID(member)))
	}
	return orNone(m.explicitGrantRow(ID(id)))
}

func (m *rowMaker) bookingGrantRow(id ID) *unlock.Grant {
	b, ok := m.s.Bookings.Get(id)
	if !ok || b.Site != m.site.ID {
		return nil
	}
	return &unlock.Grant{
		ID: bookingGrant(id), Person: string(b.Person), Booking: string(id),
		Source: unlock.SourceBooking, State: unlock.GrantActive,
	}
}

func (m *rowMaker) shareGrantRow(id ID) *unlock.Grant {
	sh, ok := m.s.Shares.Get(id)
	if !ok || sh.Site != m.site.ID {
		return nil
	}
	r := &unlock.Grant{
		ID: shareGrant(id), Person: string(sh.Person), Booking: string(sh.Booking), Parent: bookingGrant(sh.Booking),
		Window: m.s.window(sh.Site, sh.From, sh.Until), Source: unlock.SourceShare, State: unlock.GrantActive,
	}
	if sh.Parent != "" {
		r.Parent = shareGrant(sh.Parent)
	}
	switch sh.State {
	case ShareStateActive:
	case ShareStateEnded:
		r.State = unlock.GrantEnded
	default:
		r.State = unlock.GrantRevoked
	}
	return r
}

// unitAccess finds the unit user of the site and the access of a grant.
func (m *rowMaker) unitAccess(grant string) (*UnitUser, *UnitAccess) {
	if u, a := m.s.AccessOfGrant(grant); u != nil && u.Site == m.site.ID {
		return u, a
	}
	return nil, nil
}

// AccessOfGrant finds the unit user and the access that a grant follows from, by the id
// of its permission row: "user:unit/person/right". The access is nil if it is no longer
// there, both are nil if the user is not known.
func (s *State) AccessOfGrant(grant string) (*UnitUser, *UnitAccess) {
	kind, id := GrantOf(grant)
	if kind != RecordUnitUser {
		return nil, nil
	}
	u, ok := s.UnitUsers.Get(id)
	if !ok {
		return nil, nil
	}
	right := ID(grant[strings.LastIndexByte(grant, '/')+1:])
	for k := range u.Access {
		if u.Access[k].Right == right {
			return u, &u.Access[k]
		}
	}
	return u, nil
}

// unitUserGrantRow is the grant of a unit user for one right of the unit. It bears the
// unit's schedule for the right and, where the access is limited, the limit as well. A
// right that was taken off the unit is not lost, only out of force.
func (m *rowMaker) unitUserGrantRow(id string) *unlock.Grant {
	u, a := m.unitAccess(id)
	if a == nil {
		return nil
	}
	r := &unlock.Grant{
		ID: id, Person: string(u.Person), Right: string(a.Right), Booking: string(u.Booking),
		Source: unlock.SourceUnitUser, State: unlock.GrantActive,
	}
	unit, mapped := m.s.RightOfUnit(u.Unit, a.Right)
	switch {
	case u.State != UnitUserStateActive:
		r.State = unlock.GrantRevoked
	case !mapped:
		r.State = unlock.GrantSuspended
	}
	r.Schedule = scheduleRef(unit)
	if a.Mode == ModeLimited {
		r.Schedule = id
	}
	return r
}

// RightOfUnit gives the unit's own schedule for a right that is mapped to it.
func (s *State) RightOfUnit(unit, right ID) (own ID, mapped bool) {
	u, ok := s.Units.Get(unit)
	if !ok {
		return "", false
	}
	for _, r := range u.Rights {
		if r.Right == right {
			return r.Schedule, true
		}
	}
	return "", false
}

// limitRow is the limit of a unit user's access within what the unit allows. As
// a rule the limit lies within it already. Should the two together be more than a
// schedule can say, none holds: the review that the reduction asked for is due.
func (m *rowMaker) limitRow(id string) *unlock.Schedule {
	u, a := m.unitAccess(id)
	if a == nil || a.Mode != ModeLimited {
		return nil
	}
	r := &unlock.Schedule{ID: id, Schedule: a.Limited}
	own, _ := m.s.RightOfUnit(u.Unit, a.Right)
	if scheduleRef(own) == "" {
		return r
	}
	var unit schedule.Schedule
	if named, ok := m.s.Schedules.Get(own); ok {
		unit = named.Schedule
	}
	if schedule.SubsetOf(a.Limited, unit) {
		return r
	}
	r.Schedule = schedule.Intersect(a.Limited, unit)
	if r.Schedule.Validate() != nil {
		r.Schedule = schedule.Schedule{}
	}
	return r
}

func (m *rowMaker) explicitGrantRow(id ID) *unlock.Grant {
	g, ok := m.s.Grants.Get(id)
	if !ok || !m.s.rightAt(g.Right, m.site.ID) {
		return nil
	}
	r := &unlock.Grant{
		ID: string(id), Person: string(g.Person), Right: string(g.Right),
		Window: m.s.grantWindow(m.site.ID, g), Schedule: scheduleRef(g.Schedule),
		Capabilities: unlockCapabilities(g.Capabilities),
		Source:       unlock.SourceGrant, State: unlock.GrantActive,
	}
	for _, k := range g.Kinds {
		r.Kinds = append(r.Kinds, unlockCredentialKinds[k])
	}
	slices.SortFunc(r.Kinds, cmp.Compare[unlock.CredentialKind])
	r.Kinds = slices.Compact(r.Kinds)
	if m.s.worksAt(g.Person, m.site.ID) {
		r.Source = unlock.SourceStaff
	}
	if g.Revoked {
		r.State = unlock.GrantRevoked
	}
	return r
}

// grantWindow is the period of a grant at a site, with what it holds before and
// after.
func (s *State) grantWindow(site ID, g *Grant) unlock.Window {
	w := s.window(site, g.From, g.Until)
	w.From, w.Until = later(w.From, -g.BufferBefore), later(w.Until, g.BufferAfter)
	return w
}

// worksAt reports whether a person has a role from staff upwards at the site or at the
// org. The state of the person does not count here: it is in the person's row.
func (s *State) worksAt(person, site ID) bool { return len(s.StaffRoles(person, site)) > 0 }

// StaffRoles lists the roles by which a person works at a site, by the ids of their rows.
// These are the roles from staff upwards at the org and at the site.
func (s *State) StaffRoles(person, site ID) (ids []ID) {
	for _, at := range []ID{"", site} {
		id := roleKey(person, at)
		if r, ok := s.RoleAssignments.Get(id); ok && r.Role.AtLeast(RoleStaff) {
			ids = append(ids, id)
		}
	}
	return ids
}

func unlockBookingState(b *Booking) unlock.BookingState {
	switch {
	case b.State == BookingStateRevoked:
		return unlock.BookingRevoked
	case b.State != BookingStateActive:
		return unlock.BookingEnded
	case b.Level == LevelGatelock:
		return unlock.BookingGatelock
	case b.Level != "":
		return unlock.BookingOverlock
	}
	return unlock.BookingActive
}
