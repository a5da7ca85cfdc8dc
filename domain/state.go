package domain

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// FoldVersion grows whenever the same commits fold to another state. A snapshot of
// older code is then thrown away and the ledger is folded again. The test of the golden
// digests tells when it must grow.
const FoldVersion = 4

// State is what all commits of one org add up to. It is not safe for concurrent
// use. Rows that are read must not be changed.
type State struct {
	N      uint64    // number of the last commit; 0: none yet
	LastAt time.Time // moment of the last commit

	Orgs            *table[Org] // one row; in the org _system one per org of the ledger
	Sites           *table[Site]
	Areas           *table[Area]
	Doors           *table[Door]
	Units           *table[Unit]
	Bookings        *table[Booking]
	People          *table[Person]
	RoleAssignments *table[RoleAssignment] // by roleKey
	Tokens          *table[Token]
	Schedules       *table[NamedSchedule]
	AccessRights    *table[AccessRight]
	Grants          *table[Grant] // explicit ones
	Shares          *table[Share]
	UnitUsers       *table[UnitUser] // by unitUserKey
	Reviews         *table[Review]
	Credentials     *table[Credential]
	Groups          *table[Group]
	GroupMembers    *table[GroupMember] // by memberKey
	Gateways        *table[Gateway]
	UnlockRequests  *table[UnlockRequest] // the latest, by id
	Pending         *table[Pending]       // consequences that are not on record yet
	Keys            *table[SubjectKey]    // by subject: the key that seals its personal values

	journal *journal
	zones   *sync.Map // ID of a site -> compiledZone
	due     *dueIndex
	crowds  crowds
}

// SubjectKey names the key of a subject of personal values. The bytes of the key
// are in the vault.
type SubjectKey struct {
	Key string `json:"key"`
}

// NewState returns the state before the first commit.
func NewState() *State {
	s := &State{journal: &journal{}, zones: &sync.Map{}}
	j := s.journal
	s.Orgs = newTable[Org](j, "orgs", nil)
	s.Sites = newTable(j, "sites", (*Site).keys)
	s.Areas = newTable(j, "areas", (*Area).keys)
	s.Doors = newTable(j, "doors", (*Door).keys)
	s.Units = newTable(j, "units", (*Unit).keys)
	s.Bookings = newTable(j, "bookings", (*Booking).keys)
	s.People = newTable(j, "people", (*Person).keys)
	s.RoleAssignments = newTable(j, "roles", (*RoleAssignment).keys)
	s.Tokens = newTable(j, "tokens", (*Token).keys)
	s.Schedules = newTable[NamedSchedule](j, "schedules", nil)
	s.AccessRights = newTable(j, "access_rights", (*AccessRight).keys)
	s.Grants = newTable(j, "grants", (*Grant).keys)
	s.Shares = newTable(j, "shares", (*Share).keys)
	s.UnitUsers = newTable(j, "unit_users", (*UnitUser).keys)
	s.Reviews = newTable(j, "reviews", (*Review).keys)
	s.Credentials = newTable(j, "credentials", (*Credential).keys)
	s.Groups = newTable(j, "groups", (*Group).keys)
	s.GroupMembers = newTable(j, "group_members", (*GroupMember).keys)
	s.Gateways = newTable(j, "gateways", (*Gateway).keys)
	s.UnlockRequests = newTable(j, "unlock_requests", (*UnlockRequest).keys)
	s.Pending = newTable(j, "owed", (*Pending).keys)
	s.Keys = newTable[SubjectKey](j, "keys", nil)
	s.due = newDueIndex(s)
	s.crowds = crowds{}
	s.Credentials.follow = func(old, now *row[Credential]) { s.crowds.follow(s.Credentials, old, now) }
	return s
}

// View is the state as it is read at an instant: a role whose time is over by then is
// over, though that is not on record yet. The state must not be changed while it is read.
type View struct {
	*State
	at time.Time
}

// AsOf returns the state as it is read at an instant, or at the last commit if that is
// later.
func (s *State) AsOf(at time.Time) View {
	if at.Before(s.LastAt) {
		at = s.LastAt
	}
	return View{s, at}
}

// noteKey remembers which key seals the values of a subject, as the boxes of a
// commit tell.
func (s *State) noteKey(subject ID, p Personal) {
	key, _, ok := bytesCut(p.box)
	if !ok {
		return
	}
	if k, ok := s.Keys.Get(subject); ok && k.Key == key {
		return
	}
	s.Keys.Put(subject, SubjectKey{key})
}

func bytesCut(box string) (key, rest string, ok bool) {
	for i := range len(box) {
		if box[i] == '.' {
			return box[:i], box[i+1:], true
		}
	}
	return "", "", false
}

// KeyOf returns the id of the key that seals the values of a subject, or "".
func (s *State) KeyOf(subject ID) string {
	if k, ok := s.Keys.Get(subject); ok {
		return k.Key
	}
	return ""
}

// EachPersonal walks the personal values of the whole state, in no order; open
// is given the subject and may change the value's clear form. Call Reindex
// afterwards.
func (s *State) EachPersonal(open func(subject ID, p *Personal)) {
	for _, t := range s.journal.tables {
		t.eachPersonal(open)
	}
}

// Reindex finds things by their clear values again after those were opened.
func (s *State) Reindex() {
	s.People.reindex()
	clear(s.crowds)
	s.Credentials.reindex()
}

// MarshalJSON writes the state as its digest takes it; personal values as their boxes.
// The same state gives the same bytes.
func (s *State) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	at, err := json.Marshal(s.LastAt)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, `{"fold":%d,"n":%d,"at":%s`, FoldVersion, s.N, at)
	for _, t := range s.journal.tables {
		v, err := t.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("domain: write %s: %w", t.tableName(), err)
		}
		fmt.Fprintf(&b, `,%q:%s`, t.tableName(), v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Digest is the SHA-256 of the state's JSON form: equal for equal histories.
func (s *State) Digest() ([32]byte, error) {
	b, err := s.MarshalJSON()
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(b), nil
}

// Fork returns an independent copy of the state, so that a long read need not hold up
// the org. It takes some 10 ms for 20,000 people: rows are shared, because none is ever
// changed in place. Nothing falls due in a fork, and its changes are not watched.
//
// Personal values that were still sealed stay so in the fork, and must not be opened in
// this state while the fork is used.
func (s *State) Fork() *State {
	f := NewState()
	f.N, f.LastAt = s.N, s.LastAt
	f.journal.n = s.journal.n
	for i, t := range s.journal.tables {
		t.forkTo(f.journal.tables[i])
	}
	return f
}

// Frozen is a state as it was at one moment, only good for being written.
type Frozen struct{ state *State }

// Freeze returns the state as it is now, so that writing it need not hold up the
// org: rows are shared, as with Fork, and neither are found by anything but their
// ids. Personal values must not be opened in this state until it is written.
func (s *State) Freeze() Frozen {
	f := NewState()
	f.N, f.LastAt = s.N, s.LastAt
	for i, t := range s.journal.tables {
		t.freezeTo(f.journal.tables[i])
	}
	return Frozen{f}
}
