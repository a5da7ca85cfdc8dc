package domain

import (
	"math"
	"slices"
	"time"

	"gatehouse/domain/unlock"
)

// # Why the impact is computed from rows
//
// To sample the decision on the tables before and after a command, at every instant at
// which anything can change, was tried: 4.1 s for a holiday at a site of 50,000 people,
// of which 1.2 s are the two tables, against 2.2 s by comparing the rows that differ, and
// it told that somebody loses a door but not through which grant. So the rows are
// compared, and a test holds the result to the decision (impact_random_test.go). The comparison
// needs the commands to be supposed and the rows of both states, so it is here and not
// in a package beside.

// Impact is what a command would do to what people can open, told before it
// happens. It compares what the permission rows of the sites give before and after
// the command, from its instant on, so that it is what gateways will decide.
//
// A person who keeps some other way to a door, at the same times and with the same
// things in hand, loses nothing there. Times are compared day by day and minute by
// minute, whatever holidays calendars may mark later; only where a period begins or
// ends within a day is the whole of that day counted. So no loss is left out, and on
// such a day one may be told that is none.
//
// Every list is sorted and holds at most [MaxImpact] entries, those that the sender
// may see; the numbers beside it count all.
type Impact struct {
	Lost        AccessChanges     `json:"lost"`
	Gained      AccessChanges     `json:"gained"`
	Credentials CredentialChanges `json:"credentials"`
	Doors       DoorChanges       `json:"doors"`
	Reviews     ReviewsDue        `json:"reviews"`
	Ends        Endings           `json:"ends"`
}

// MaxImpact is the greatest number of entries of a list of an [Impact].
const MaxImpact = 1000

// maxNamed is the greatest number of people that are named with one door, and of
// doors with one credential.
const maxNamed = 100

// AccessChanges are what people lose, or gain, at doors.
type AccessChanges struct {
	People int `json:"people"` // different ones
	Doors  int `json:"doors"`  // different ones
	Pairs  int `json:"pairs"`  // of a person and a door
	Hidden int `json:"hidden"` // pairs of which the sender may not see who it is
	// List is sorted by site, person and door.
	List []AccessChange `json:"list"`
}

// AccessChange is what one person loses, or gains, at one door.
type AccessChange struct {
	Person ID     `json:"person"`
	Door   ID     `json:"door"`
	Site   ID     `json:"site"`
	Effect Effect `json:"effect"` // lost, narrowed, gained or widened
	// Through are the grants by which it goes or comes, as ids of their permission
	// rows; posture:<door> where the door lets everybody in.
	Through []string `json:"through"`
	// Remains are other grants by which the person opens the door all along.
	Remains []string `json:"remains,omitempty"`
	// Code is what the door answers next where nothing is left.
	Code unlock.Code `json:"code,omitzero"`
	// Times say when the door opens next, where that changes; From and Until bound it,
	// where the bounds move.
	Times string    `json:"times,omitempty"`
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"` // exclusive
	// Calendar says that the times change on days alone that the calendar of the site
	// marks otherwise than before.
	Calendar bool `json:"calendar,omitempty"`
	// Uses are what changes otherwise than the door itself.
	Uses []UseChange `json:"uses,omitempty"`
}

// UseChange is a use of a door and when it is open next.
type UseChange struct {
	Use   string `json:"use"`   // fob, card, pin or mobile_key; remote_unlock, unlock_for or first_in
	Times string `json:"times"` // in words; Never: it is not
}

// Effect is what becomes of something.
type Effect string

// The effects.
const (
	EffectLost     Effect = "lost"     // no way is left, neither now nor later
	EffectNarrowed Effect = "narrowed" // fewer times, an earlier end, fewer kinds or capabilities
	EffectGained   Effect = "gained"   // there was no way
	EffectWidened  Effect = "widened"

	EffectStops Effect = "stops" // a credential opens nothing more at the site
	EffectWorks Effect = "works" // a credential opens something at the site, and did not

	EffectShuts        Effect = "shuts"          // a door opens for nobody
	EffectReopens      Effect = "reopens"        // a door opens again for those who may
	EffectStandsOpen   Effect = "stands_open"    // a door opens whoever comes
	EffectNoLongerOpen Effect = "no_longer_open" // a door asks who comes
)

// CredentialChanges are those of what single credentials open beyond what their
// holders lose or gain.
type CredentialChanges struct {
	Count  int `json:"count"`
	Hidden int `json:"hidden"`
	// List is sorted by site, person and credential.
	List []CredentialChange `json:"list"`
}

// CredentialChange is what becomes of one credential at a site.
type CredentialChange struct {
	Credential ID             `json:"credential"`
	Kind       CredentialKind `json:"kind"`
	Person     ID             `json:"person"`
	Site       ID             `json:"site"`
	Effect     Effect         `json:"effect"` // stops, narrowed, works or widened
	Doors      []ID           `json:"doors"`  // at which it opens less or more, sorted, at most 100
	DoorCount  int            `json:"door_count"`
	// NewNumber says that it is known by another number or other digits from now on.
	NewNumber bool `json:"new_number,omitempty"`
	// Beside are the kinds of what else the person holds that works at the site, as far
	// as the sender may see it.
	Beside []CredentialKind `json:"beside,omitempty"`
}

// DoorChanges are the changes of doors that count for everybody who comes.
type DoorChanges struct {
	Count  int `json:"count"`
	Hidden int `json:"hidden"`
	// List is sorted by site, door, effect and time.
	List []DoorChange `json:"list"`
}

// DoorChange is what becomes of a door for everybody.
type DoorChange struct {
	Door   ID     `json:"door"`
	Site   ID     `json:"site"`
	Effect Effect `json:"effect"` // shuts, reopens, stands_open or no_longer_open
	// Reason is lockdown, disabled or blackout of a door that shuts or reopens; unlocked,
	// free_access or business_hours of one that stands open or no longer does.
	Reason string    `json:"reason"`
	From   time.Time `json:"from,omitzero"`  // zero: at once
	Until  time.Time `json:"until,omitzero"` // exclusive; zero: until it is changed
	// People counts those who have the door by what they hold; of free access those
	// whom nothing else lets in. A door that is unlocked counts nobody: it is anybody's.
	People int  `json:"people"`
	Who    []ID `json:"who,omitempty"` // those of them whom the sender may see, sorted, at most 100
}

// ReviewsDue are the limited schedules of unit users that are reduced (rule U12).
type ReviewsDue struct {
	Count  int `json:"count"`
	Hidden int `json:"hidden"`
	Later  int `json:"later"` // of these, on record only in the commits that follow
	// List is sorted by unit, person and right.
	List []ReviewDue `json:"list"`
}

// ReviewDue is a unit user whose limited schedule is reduced.
type ReviewDue struct {
	Unit    ID     `json:"unit"`
	Person  ID     `json:"person"`
	Right   ID     `json:"right"`
	Message string `json:"message"` // ReviewMessage
}

// Endings are the shares and the places in units that end.
type Endings struct {
	Count  int `json:"count"`
	Hidden int `json:"hidden"`
	Later  int `json:"later"` // of these, on record only in the commits that follow
	// List is sorted by kind and id.
	List []Ending `json:"list"`
}

// Ending is a share or a place in a unit that ends.
type Ending struct {
	Kind   RecordKind `json:"kind"` // share or unit_user
	ID     ID         `json:"id"`   // of the share; of the unit
	Person ID         `json:"person"`
	Cause  string     `json:"cause,omitempty"`
}

// Foresee decides a list of commands as [State.Decide] does and returns what they would
// do. The impact covers the accepted ones. It is told to the actor: changes that the
// actor may not see are only counted. The state stays as it was.
//
// The cost grows with the size of the change and with the number of people affected. A
// change of a whole site, such as its calendar, affects all of its people.
func (s *State) Foresee(c Context, cmds ...Command) (Decision, Impact, *Refusal) {
	d, impact, _, r := s.ForeseeWithin(math.MaxInt, c, cmds...)
	return d, impact, r
}

// ForeseeWithin is Foresee unless a change affects more people than a number. Then it
// returns false, and no impact, before it looks at each of them. The caller may want a
// [State.Fork] for that.
func (s *State) ForeseeWithin(people int, c Context, cmds ...Command) (Decision, Impact, bool, *Refusal) {
	d, r := s.Decide(c, cmds...)
	if r != nil {
		return d, Impact{}, true, r
	}
	whole := d
	if len(d.Events) >= maxConsequences {
		if whole, r = s.decideWithin(math.MaxInt, c, cmds...); r != nil {
			return Decision{}, Impact{}, true, r
		}
	}
	f := &impactBuilder{s: s.AsOf(c.At), at: c.At, events: whole.Events, sites: map[ID]*siteDiff{}, most: people, losing: map[ID]bool{}, gaining: map[ID]bool{}}
	f.moment = Moment{N: s.N + 1, At: c.At, CommandID: c.ID, Actor: c.Actor}
	f.impact = Impact{
		Lost: AccessChanges{List: []AccessChange{}}, Gained: AccessChanges{List: []AccessChange{}},
		Credentials: CredentialChanges{List: []CredentialChange{}}, Doors: DoorChanges{List: []DoorChange{}},
		Reviews: ReviewsDue{List: []ReviewDue{}}, Ends: Endings{List: []Ending{}},
	}
	if c.Actor.Kind == ActorPerson {
		f.viewer = c.Actor.ID
	}
	if !f.look() {
		return d, Impact{}, false, nil
	}
	f.consequences(d.Events)
	return d, f.impact, true, nil
}

// impactBuilder is the making of an impact.
type impactBuilder struct {
	s      View
	viewer ID // empty: sees nobody
	at     time.Time
	moment Moment
	events []Event
	sites  map[ID]*siteDiff
	most   int // people to look at
	impact Impact
	// losing and gaining are the people who were found to, at any site.
	losing, gaining map[ID]bool
}

// suppose folds the events, looks, and takes them back.
func (f *impactBuilder) suppose(look func()) {
	j := f.s.journal
	start, n := j.begin(), j.n
	j.supposed = map[touch]any{}
	defer func() {
		j.supposed = nil
		j.rollback(start)
		j.n = n
	}()
	j.n = f.moment.N
	for _, e := range f.events {
		e.fold(f.s.State, f.moment)
	}
	look()
}

// look compares the state as it is with the one to come. It finds which rows differ,
// then the people who depend on them, on either side, then what those can open. It
// reports false when there are too many people to look at.
func (f *impactBuilder) look() bool {
	f.suppose(f.rowsAfter)
	if !f.rowsBefore() {
		return true
	}
	f.suppose(func() {
		for _, p := range f.sites {
			p.reach(f.s.State)
		}
	})
	hang := 0
	for _, p := range f.sites {
		hang += len(p.people) + len(p.crowd)
	}
	if hang > f.most {
		return false
	}
	for _, site := range sortedKeysOf(f.sites) {
		f.compare(f.sites[site])
	}
	return true
}

// together is how many people are looked at by both states before the next ones are.
const together = 500

// compare adds the differences at a site to the impact. The access of many people takes
// much memory, so it is computed for one batch of people at a time.
func (f *impactBuilder) compare(p *siteDiff) {
	var c *comparison
	p.before = p.siteView(f)
	f.suppose(func() {
		p.after = p.siteView(f)
		c = newComparison(f, p)
	})
	for people := range slices.Chunk(p.everybody(), together) {
		p.before.lookAt(f, people)
		f.suppose(func() {
			p.after.lookAt(f, people)
			c.add(people)
		})
	}
	c.end()
}

// consequences lists the reviews and the ends among all events; recorded are those
// of the commit itself.
func (f *impactBuilder) consequences(recorded []Event) {
	reviews, ends := &f.impact.Reviews, &f.impact.Ends
	f.suppose(func() {
		for _, e := range f.events {
			if r, ok := e.(ReviewRequired); ok {
				reviews.Count++
				unit := Record{Kind: RecordReview, Sites: f.s.sitesOfUnit(r.Unit), Unit: r.Unit, Person: r.Person}
				if f.sees(unit) {
					reviews.List = append(reviews.List, ReviewDue{r.Unit, r.Person, r.Right, r.Message})
				}
			}
		}
	})
	for _, e := range f.events {
		if end, of, ok := f.ending(e); ok {
			ends.Count++
			if f.sees(of) {
				ends.List = append(ends.List, end)
			}
		}
	}
	reviews.Hidden, ends.Hidden = reviews.Count-len(reviews.List), ends.Count-len(ends.List)
	reviews.Later, ends.Later = reviews.Count, ends.Count
	for _, e := range recorded {
		if _, ok := e.(ReviewRequired); ok {
			reviews.Later--
		}
		if _, _, ok := f.ending(e); ok {
			ends.Later--
		}
	}
	slices.SortFunc(reviews.List, ReviewDue.compare)
	slices.SortFunc(ends.List, Ending.compare)
	reviews.List = reviews.List[:min(len(reviews.List), MaxImpact)]
	ends.List = ends.List[:min(len(ends.List), MaxImpact)]
}

// ending says what ends by an event, and where that belongs.
func (f *impactBuilder) ending(e Event) (Ending, Record, bool) {
	var share ID
	var cause string
	switch e := e.(type) {
	case ShareRevoked:
		share, cause = e.Share, string(e.Cause)
	case ShareEnded:
		share = e.Share
	case UnitUserRemoved:
		u, ok := f.s.UnitUsers.Get(unitUserKey(e.Unit, e.Person))
		if !ok {
			return Ending{}, Record{}, false
		}
		return Ending{RecordUnitUser, e.Unit, e.Person, e.Cause}, RecordOf(f.s.State, u), true
	}
	sh, ok := f.s.Shares.Get(share)
	if !ok {
		return Ending{}, Record{}, false
	}
	return Ending{RecordShare, share, sh.Person, cause}, RecordOf(f.s.State, sh), true
}

// sees reports whether the sender may read a record.
func (f *impactBuilder) sees(r Record) bool { return Visible(f.s, f.viewer, r) }
