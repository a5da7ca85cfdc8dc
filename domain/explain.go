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

// fail adds what failed, with words of its own where there are any; otherwise Says tells it.
func (s *Step) fail(failed []unlock.Failure, words func(unlock.Failure) string) {
	for _, f := range failed {
		if slices.Contains(s.Failed, f.Code) {
			continue
		}
		s.Failed = append(s.Failed, f.Code)
		if words == nil {
			continue
		}
		if text := words(f); text != "" {
			if s.because == nil {
				s.because = map[unlock.Code]string{}
			}
			s.because[f.Code] = text
		}
	}
}

// Explain answers a question with the facts that decide it. The answer is that of
// [unlock.Trace], as a gateway gives it that holds its lease; the steps name the things
// of the trace. It fails only when a row of the state is refused, which is a fault of the
// program.
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
		e.Failed = unlock.Decide(new(unlock.Table), LeaseHeld, unlock.Request{}).Failed
		return e, nil
	}
	x.ask()
	if err := x.trace(); err != nil {
		return e, err
	}
	e.Allowed, e.Code, e.Meaning, e.Failed = x.found.Allowed, x.found.Code, x.found.Code.Meaning(), x.found.Failed
	if grant := x.found.Grant(); grant != nil {
		e.Grant = grant.ID
	}
	x.local = s.zone(door.Site).Local(int64(x.at))
	x.today = x.m.site.Calendar.Compile().Kind(x.local.Date)
	e.Site, e.Local = door.Site, fmt.Sprintf("%s %s %s", x.local.Weekday.Name(), x.local.Date, x.local.Time)
	e.Steps = x.common()
	for _, grant := range x.grants() {
		i := slices.IndexFunc(x.found.Ways, func(w unlock.Way) bool { return w.Grant.ID == grant })
		if i < 0 {
			e.Elsewhere = append(e.Elsewhere, grant)
			continue
		}
		e.Ways = append(e.Ways, x.way(x.found.Ways[i]))
	}
	e.Because = x.because(e)
	var err error
	e.Credentials, err = x.carried()
	return e, err
}

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
	rows       *unlock.Table
	found      unlock.Findings
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

// trace decides on the rows that have a part in the answer. Of a credential that is not
// known here it finds what its holder could do with it if it was.
func (x *explainer) trace() (err error) {
	if x.rows, err = x.s.TableFor(x.door, x.person, x.q.Credential); err != nil {
		return err
	}
	r := x.q.Request()
	r.Kind = unlockCredentialKinds[x.kind()]
	x.found = unlock.Trace(x.rows, LeaseHeld, r)
	if x.credential == nil || x.person == "" || x.found.Credential() != nil {
		return nil
	}
	row := &unlock.Credential{ID: string(x.q.Credential), Person: string(x.person), Kind: r.Kind,
		Booking: string(x.credential.Booking), State: unlock.CredentialActive}
	known, err := x.rows.Apply(unlock.Delta{Put: []unlock.Row{row}})
	if err != nil {
		return err
	}
	here := unlock.Trace(known, LeaseHeld, r)
	x.found.Steps = append(x.found.Steps, here.Steps[len(here.Steps)-1]) // the person
	x.found.Ways = here.Ways
	return nil
}

// grants lists the ids of the grants that the person has at the site, sorted.
func (x *explainer) grants() []string {
	if x.person == "" {
		return nil
	}
	return x.s.GrantsAt(x.person, x.m.site.ID)
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

// byFobs reports whether the one schedule of fobs counts in place of the user's own.
func (x *explainer) byFobs() bool {
	return slices.ContainsFunc(x.found.Steps, func(s unlock.Step) bool { return s.Of.Kind == unlock.KindSite })
}
