// Package explain says why a door opens for somebody, or does not. It names the things of
// a trace of the decision and says in words what the trace found at each. It decides
// nothing itself: no rule is written here.
package explain

import (
	"fmt"
	"slices"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// Explanation says by which facts somebody may pass a door at an instant, or may
// not. It holds ids and the names of things, never anything about a person beyond
// the id.
type Explanation struct {
	Question domain.Question `json:"question"`
	Allowed  bool            `json:"allowed"`
	Code     unlock.Code     `json:"code"`
	Meaning  string          `json:"meaning"`
	// Because names the one thing that failed, in its own words: "unit a1 (A1): Monday to
	// Friday, 08:30 - 17:30". Empty when the door opens.
	Because string        `json:"because,omitempty"`
	Failed  unlock.Checks `json:"failed"`
	Grant   string        `json:"grant"` // the way that opens, or that came closest; empty: none
	N       uint64        `json:"n"`     // number of the last commit that it follows
	Site    domain.ID     `json:"site,omitempty"`
	Local   string        `json:"local,omitempty"` // the instant by the site's clock
	// Steps are what counts for every way: the door, the site, who asks.
	Steps []Step `json:"steps"`
	// Ways are what could let the person through this door, by the id of the grant.
	Ways []Way `json:"ways"`
	// Elsewhere are the grants of the person at the site that are for other doors.
	Elsewhere []string `json:"elsewhere,omitempty"`
	// Credentials are what the person carries, when the question is about a person and
	// leaves open with what they come.
	Credentials []domain.Carried `json:"credentials,omitempty"`
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
	ID     domain.ID     `json:"id"`
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
func Explain(s *domain.State, q domain.Question) (Explanation, error) {
	x := &explainer{s: s, q: q, at: unlock.InstantOf(q.At)}
	e := Explanation{Question: q, N: s.N, Code: unlock.DenyUnknownAccessPoint, Steps: []Step{}, Ways: []Way{}}
	door, ok := s.Doors.Get(q.Door)
	if ok {
		x.door = door
		x.site, ok = s.Sites.Get(door.Site)
	}
	if !ok {
		e.Meaning = e.Code.Meaning()
		e.Because = "no door " + string(q.Door)
		e.Failed = unlock.Decide(new(unlock.Table), domain.LeaseHeld, unlock.Request{}).Failed
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
	x.local = s.ZoneOf(door.Site).Local(int64(x.at))
	x.today = x.site.Calendar.Compile().Kind(x.local.Date)
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
	s     *domain.State
	q     domain.Question
	at    unlock.Instant
	door  *domain.Door
	site  *domain.Site
	local schedule.Local
	today schedule.Kind
	// credential and person are whom the question turned out to be about.
	credential *domain.Credential
	person     domain.ID
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
	q := x.q
	q.Kind = x.kind()
	r := q.Request()
	x.found = unlock.Trace(x.rows, domain.LeaseHeld, r)
	if x.credential == nil || x.person == "" || x.found.Credential() != nil {
		return nil
	}
	row := &unlock.Credential{ID: string(x.q.Credential), Person: string(x.person), Kind: r.Kind,
		Booking: string(x.credential.Booking), State: unlock.CredentialActive}
	known, err := x.rows.Apply(unlock.Delta{Put: []unlock.Row{row}})
	if err != nil {
		return err
	}
	here := unlock.Trace(known, domain.LeaseHeld, r)
	x.found.Steps = append(x.found.Steps, here.Steps[len(here.Steps)-1]) // the person
	x.found.Ways = here.Ways
	return nil
}

// grants lists the ids of the grants that the person has at the site, sorted.
func (x *explainer) grants() []string {
	if x.person == "" {
		return nil
	}
	return x.s.GrantsAt(x.person, x.site.ID)
}

// kind is the kind of credential that is judged. Empty means any that the person has.
func (x *explainer) kind() domain.CredentialKind {
	switch {
	case x.credential != nil:
		return x.credential.Kind
	case x.q.Kind == "" && x.q.Command != "":
		return domain.KindMobileKey
	}
	return x.q.Kind
}

// byFobs reports whether the one schedule of fobs counts in place of the user's own.
func (x *explainer) byFobs() bool {
	return slices.ContainsFunc(x.found.Steps, func(s unlock.Step) bool { return s.Of.Kind == unlock.KindSite })
}

// carried answers for what the person carries.
func (x *explainer) carried() ([]domain.Carried, error) {
	table, err := x.s.TableFor(x.door, x.q.Person, x.s.Credentials.IDs(domain.CredentialByPerson, x.q.Person)...)
	if err != nil {
		return nil, err
	}
	return x.s.Carried(x.q, x.door.Site, func(one domain.Question) unlock.Answer { return unlock.Decide(table, domain.LeaseHeld, one.Request()) }), nil
}
