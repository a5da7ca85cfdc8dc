package domain

import (
	"slices"
	"time"

	"gatehouse/domain/unlock"
)

// Question asks whether somebody may pass a door. It names a credential, or else
// a person.
type Question struct {
	Door       ID             `json:"door"`
	Side       unlock.Side    `json:"side,omitzero"` // in when it is left out
	At         time.Time      `json:"at"`
	Credential ID             `json:"credential,omitempty"`
	Person     ID             `json:"person,omitempty"`
	Kind       CredentialKind `json:"kind,omitempty"`    // beside Person: as if they showed one; none: whatever they have
	Command    DoorCapability `json:"command,omitempty"` // what is asked remotely; none: at the door
}

// Request is the question as a table takes it.
func (q Question) Request() unlock.Request {
	r := unlock.Request{
		Door: unlock.IDOf(string(q.Door)), Side: q.Side, At: unlock.InstantOf(q.At),
		Credential: unlock.IDOf(string(q.Credential)), Person: unlock.IDOf(string(q.Person)),
		Kind: unlockCredentialKinds[q.Kind],
	}
	switch q.Command {
	case CapabilityRemoteUnlock:
		r.Command = unlock.CommandRemoteUnlock
	case CapabilityUnlockFor:
		r.Command = unlock.CommandUnlockFor
	}
	return r
}

// AskedBy gives the state from which a question at a site is answered to a viewer: s without
// what the viewer may not see of the person whom the question is about, who is
// unknown when nothing is left. To decide on more would tell by the answer what the
// records hide, for one has but to ask about a private unit's doors. now is the state
// of the org as it is; s is that, or one of the past: what people may see is judged by
// now, and what a unit's privacy hid at the time stays hidden as well.
//
// partial says that something is hidden from the viewer that may let somebody through
// at the site. It depends on the viewer and the site alone, so that it tells nothing of
// anybody either.
//
// The state that it gives shares all that is not hidden with s, and is only for
// questions.
func (s *State) AskedBy(now View, viewer, site ID, q Question) (seen *State, partial bool) {
	person := q.Person
	if c, ok := s.Credentials.Get(q.Credential); ok {
		person = c.Person
	}
	if person == viewer {
		return s, false
	}
	partial = !now.seesWhole(viewer, site) || s.hasPrivate(site)
	if !partial && !HasPrivacy(now.State) {
		return s, false
	}
	v := &asker{then: s, now: now, viewer: viewer}
	out := *s
	out.People = seenRows(v, s.People, now.People, person)
	out.Bookings = seenRows(v, s.Bookings, now.Bookings, s.Bookings.IDs(BookingByPerson, person)...)
	out.Shares = seenRows(v, s.Shares, now.Shares, s.Shares.IDs(ShareByPerson, person)...)
	out.UnitUsers = seenRows(v, s.UnitUsers, now.UnitUsers, s.UnitUsers.IDs(UnitUserByPerson, person)...)
	out.Grants = seenRows(v, s.Grants, now.Grants, s.Grants.IDs(GrantByPerson, person)...)
	out.GroupMembers = seenRows(v, s.GroupMembers, now.GroupMembers, s.GroupMembers.IDs(MemberByPerson, person)...)
	out.Credentials = seenRows(v, s.Credentials, now.Credentials, append(s.Credentials.IDs(CredentialByPerson, person), q.Credential)...)
	return &out, partial
}

// seesWhole reports whether somebody may see all that lets people through at a site.
// Its staff may, while no unit of it has privacy. Records that stay hidden after a
// privacy period has ended let nobody through any more.
func (s View) seesWhole(viewer, site ID) bool {
	return s.RoleAt(viewer, site).AtLeast(RoleStaff) && !s.hasPrivate(site)
}

// hasPrivate reports whether a unit of a site has privacy.
func (s *State) hasPrivate(site ID) bool {
	return s.Units.Any(unitWithPrivacy, "", func(u *Unit) bool { return u.Site == site && u.private() })
}

// asker is who asks, of what was and what is.
type asker struct {
	then   *State
	now    View
	viewer ID
}

// sees reports whether the viewer may know of a row, given as it was and as it is.
func (v *asker) sees(then, now Record) bool {
	return v.now.seenByStaff(v.viewer, now) && !v.now.private(now) && !v.then.private(then) || v.now.seenByOthers(v.viewer, now)
}

// seenRows is a table of the past without those of some rows that a viewer may not
// see.
func seenRows[T any](v *asker, then, now *table[T], ids ...ID) *table[T] {
	hidden := map[ID]struct{}{}
	for _, id := range ids {
		if then.Has(id) && !v.sees(recordIn(v.then, then, id), recordIn(v.now.State, now, id)) {
			hidden[id] = struct{}{}
		}
	}
	if len(hidden) == 0 {
		return then
	}
	return then.without(hidden)
}

// Carried is something that a person carries, and what the door answers to it.
type Carried struct {
	Credential ID             `json:"credential"`
	Kind       CredentialKind `json:"kind"`
	Allowed    bool           `json:"allowed"`
	Code       unlock.Code    `json:"code"`
}

// Carried lists the credentials of a person that may open doors of a site. It includes
// those that would but for a suspension or a report. Each comes with the answer of
// decide to the question for it, because a credential opens a door, not the person.
// Those that open come first; the rest are sorted by id. PINs for duress are left out:
// nobody is to know of them. The list is empty for a question that names a kind of
// credential or a remote command.
func (s *State) Carried(q Question, site ID, decide func(Question) unlock.Answer) (out []Carried) {
	m, ok := newRowMaker(s, site, noTags)
	if !ok || q.Person == "" || q.Kind != "" || q.Command != "" {
		return nil
	}
	for id, c := range s.Credentials.Each(CredentialByPerson, q.Person) {
		if c.live() && c.DuressOf == "" && m.hasCredentialRow(c) {
			one := q
			one.Person, one.Credential = "", id
			a := decide(one)
			out = append(out, Carried{id, c.Kind, a.Allowed, a.Code})
		}
	}
	slices.SortStableFunc(out, func(a, b Carried) int {
		switch {
		case a.Allowed == b.Allowed:
			return 0
		case a.Allowed:
			return -1
		}
		return 1
	})
	return out
}
