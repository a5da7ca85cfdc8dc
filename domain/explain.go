package domain

import (
	"fmt"
	"slices"
	"time"

	"gatehouse/domain/schedule"
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
	Command    DoorCapability `json:"command,omitempty"` // what is asked from afar; none: at the door
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

// Explanation says by which facts somebody may pass a door at an instant, or may
// not. It holds ids and the names of things, never anything about a person beyond
// the id.
type Explanation struct {
	Question Question    `json:"question"`
	Allowed  bool        `json:"allowed"`
	Code     unlock.Code `json:"code"`
	Meaning  string      `json:"meaning"`
	// Because names the one thing that failed, in its own words: "unit a1 (A1): Monday to
	// Friday, 08:30 - 17:30". Empty when the door opens.
	Because string        `json:"because,omitempty"`
	Failed  unlock.Checks `json:"failed"`
	Grant   string        `json:"grant"` // the way that opens, or that came closest; empty: none
	N       uint64        `json:"n"`     // number of the last commit that it follows
	Site    ID            `json:"site,omitempty"`
	Local   string        `json:"local,omitempty"` // the instant by the site's clock
	// Steps are what counts for every way: the door, the site, who asks.
	Steps []Step `json:"steps"`
	// Ways are what could let the person through this door, by the id of the grant.
	Ways []Way `json:"ways"`
	// Elsewhere are the grants of the person at the site that are for other doors.
	Elsewhere []string `json:"elsewhere,omitempty"`
	// Credentials are what the person carries, when the question is about a person and
	// leaves open with what they come.
	Credentials []Carried `json:"credentials,omitempty"`
	// Partial says that the asker may not see everything that counts at the site, so
	// that the door may decide otherwise.
	Partial bool `json:"partial,omitzero"`
}

// Way is one chain of facts by which the person could pass. It opens when no step
// of it fails and none of the common ones.
type Way struct {
	Grant string `json:"grant"` // id of the grant's permission row
	Steps []Step `json:"steps"`
}

// Step is one thing that counts, with what fails there.
type Step struct {
	Kind   string        `json:"kind"` // of thing: door, booking, share …
	ID     ID            `json:"id"`
	Name   string        `json:"name,omitempty"` // of things, never of people
	Says   string        `json:"says"`
	Failed []unlock.Code `json:"failed,omitempty"`
	// Commits are the numbers of those that made the thing and changed it,
	// ascending: the first and the latest, 17 at most.
	Commits []uint64 `json:"commits,omitempty"`
	// because holds, for those of Failed that Says does not tell well, what failed.
	because map[unlock.Code]string
}

// fail adds a reason when something fails, with what it is in words of its own; without
// words Says tells it.
func (s *Step) fail(failed bool, code unlock.Code, because ...string) {
	if !failed || slices.Contains(s.Failed, code) {
		return
	}
	s.Failed = append(s.Failed, code)
	if len(because) > 0 {
		if s.because == nil {
			s.because = map[unlock.Code]string{}
		}
		s.because[code] = because[0]
	}
}

// Explain answers a question with the facts that decide it. The answer itself is
// that of [unlock.Decide], as a gateway gives it that holds its lease; the steps
// name what failed where. It fails only when a row of the state is refused, which
// is a fault of the program.
//
// Its cost grows with what the person holds, not with the site.
func (s *State) Explain(q Question) (Explanation, error) {
	x := &explainer{s: s, q: q, at: unlock.InstantOf(q.At)}
	e := Explanation{Question: q, N: s.N, Code: unlock.DenyUnknownAccessPoint, Steps: []Step{}, Ways: []Way{}}
	door, ok := s.Doors.Get(q.Door)
	if ok {
		x.door = door
		x.m, ok = newRowMaker(s, door.Site, noTags)
	}
	if !ok {
		e.Meaning = e.Code.Meaning()
		e.Because = "no door " + string(q.Door)
		e.Failed = unlock.Decide(new(unlock.Table), stands, unlock.Request{}).Failed
		return e, nil
	}
	x.ask()
	answer, err := x.decide(x.grants())
	if err != nil {
		return e, err
	}
	e.Allowed, e.Code, e.Meaning, e.Failed = answer.Allowed, answer.Code, answer.Code.Meaning(), answer.Failed
	if grant := answer.Grant(); grant != nil {
		e.Grant = grant.ID
	}
	x.local = s.zone(door.Site).Local(int64(x.at))
	x.today = x.m.site.Calendar.Compile().Kind(x.local.Date)
	e.Site, e.Local = door.Site, fmt.Sprintf("%s %s %s", x.local.Weekday.Name(), x.local.Date, x.local.Time)
	e.Steps = slices.Concat(x.place(), x.who())
	for _, grant := range x.grants() {
		if w := x.way(grant); w.Steps != nil {
			e.Ways = append(e.Ways, w)
		} else {
			e.Elsewhere = append(e.Elsewhere, grant)
		}
	}
	e.Because = x.because(e)
	e.Credentials, err = x.carried()
	return e, err
}

// stands is what the service knows of a door: that its lease lasts.
var stands = &unlock.Local{LeaseEnd: unlock.Held}

// noTags is for rows that are asked by id.
func noTags(ID, CredentialKind, string, string) (unlock.Tag, bool) { return unlock.Tag{}, false }

type explainer struct {
	s     *State
	q     Question
	at    unlock.Instant
	door  *Door
	m     *rowMaker
	local schedule.Local
	today schedule.Kind
	// credential and person are whom the question turned out to be about.
	credential *Credential
	person     ID
}

// ask finds whom the question is about.
func (x *explainer) ask() {
	x.person = x.q.Person
	if x.q.Credential != "" {
		x.person = ""
		if c, ok := x.s.Credentials.Get(x.q.Credential); ok {
			x.credential, x.person = c, c.Person
		}
	}
}

// decide asks a table of the rows that have a part in the answer. It decides as if the
// person had only the given grants.
func (x *explainer) decide(grants []string) (unlock.Answer, error) {
	table, err := x.table(grants, x.q.Credential)
	if err != nil {
		return unlock.Answer{}, err
	}
	return unlock.Decide(table, stands, x.q.Request()), nil
}

// table holds what is decided on: all that a person with the grants and the
// credentials needs at the door.
func (x *explainer) table(grants []string, credentials ...ID) (*unlock.Table, error) {
	keys := keySet{}
	keys.add(unlock.KindSite, string(x.m.site.ID))
	keys.add(unlock.KindDoor, string(x.door.ID))
	keys.add(unlock.KindPerson, string(x.person))
	for _, id := range credentials {
		keys.add(unlock.KindCredential, string(id))
	}
	for _, grant := range grants {
		keys.add(unlock.KindGrant, grant)
	}
	table, err := unlock.NewTable(x.m.closure(keys)...)
	if err != nil {
		return nil, fmt.Errorf("domain: explain: %w", err)
	}
	return table, nil
}

// grants lists the ids of the grants that the person has at the site, sorted.
func (x *explainer) grants() []string {
	if x.person == "" {
		return nil
	}
	return x.s.grantsAt(x.person, x.m.site.ID)
}

// grantsAt lists the ids of the grants that a person has at a site, sorted, whatever
// their states.
func (s *State) grantsAt(person, site ID) []string {
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

// kind is the kind of credential that is judged. Empty means any that the person has.
func (x *explainer) kind() CredentialKind {
	switch {
	case x.credential != nil:
		return x.credential.Kind
	case x.q.Kind == "" && x.q.Command != "":
		return KindMobileKey
	}
	return x.q.Kind
}

// fobSchedule is the one schedule that counts for a fob or a card. Empty means that the
// user's schedules count.
func (x *explainer) fobSchedule() ID {
	if k := x.kind(); k != KindFob && k != KindCard {
		return ""
	}
	return x.m.site.Policy.FobSchedule
}
