package unlock

import (
	"cmp"
	"maps"
	"slices"

	"gatehouse/domain/schedule"
)

// oracle decides slowly and obviously, straight from the rows as the comments of
// their types tell it. Nothing of the table and its decision is used.
type oracle map[Key]Row

func oracleOf(rows ...Row) oracle {
	o := oracle{}
	for _, r := range rows {
		o[r.Key()] = r
	}
	return o
}

// verdict is an answer by the ids in it.
type verdict struct {
	Allowed                   bool
	Code                      Code
	Failed                    []Code
	Grant, Credential, Person string
	Source                    Source
	Duress                    bool
}

func verdictOf(a Answer) verdict {
	v := verdict{Allowed: a.Allowed, Code: a.Code, Failed: a.Failed.Codes(), Source: a.Source(), Duress: a.Duress()}
	if g := a.Grant(); g != nil {
		v.Grant = g.ID
	}
	if c := a.Credential(); c != nil {
		v.Credential = c.ID
	}
	if p := a.Person(); p != nil {
		v.Person = p.ID
	}
	return v
}

// case of the oracle: one request.
type slowCase struct {
	oracle
	local  Local
	r      Request
	site   *Site
	zone   *schedule.Zone
	door   *Door
	marks  codes
	escort bool // comes along
	duress bool // was shown as a second factor
}

type codes map[Code]bool

func (c codes) add(more ...Code) {
	for _, m := range more {
		c[m] = true
	}
}

func (c codes) addAll(o codes) { c.add(slices.Collect(maps.Keys(o))...) }

// sorted gives the codes in order of precedence.
func (c codes) sorted() []Code { return append([]Code{}, slices.Sorted(maps.Keys(c))...) }

// but gives the codes without some.
func (c codes) but(marks codes) codes {
	out := codes{}
	for k := range c {
		if !marks[k] {
			out.add(k)
		}
	}
	return out
}

func find[R Row](o oracle, k Kind, id string) (R, bool) {
	r, ok := o[Key{k, id}].(R)
	return r, ok
}

// each gives the rows of a type in the order of their ids.
func each[R Row](o oracle) []R {
	var out []R
	for _, r := range o {
		if r, ok := r.(R); ok {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b R) int { return cmp.Compare(a.Key().ID, b.Key().ID) })
	return out
}

func (o oracle) decide(local Local, r Request) verdict {
	s := slowCase{oracle: o, local: local, r: r, marks: codes{}}
	for _, site := range each[*Site](o) {
		s.site, s.zone = site, site.Zone.Compile()
	}
	for _, d := range each[*Door](o) {
		if IDOf(d.ID) == r.Door {
			s.door = d
		}
	}
	cred, person, who := s.who()
	v := verdict{}
	if cred != nil {
		v.Credential, v.Duress = cred.ID, cred.Duress
	}
	failed := codes{}
	failed.addAll(who)
	personID := ""
	if cred != nil {
		personID = cred.Person
	}
	if p, ok := find[*Person](o, KindPerson, personID); ok && cred != nil {
		person = p
	}
	if person != nil {
		v.Person = person.ID
	}
	if s.site == nil || s.door == nil {
		failed.add(DenyUnknownAccessPoint)
		v.Code, v.Failed = DenyUnknownAccessPoint, failed.sorted()
		return v
	}
	atDoor := s.atDoor()
	failed.addAll(atDoor)
	if person != nil {
		kind := r.Kind
		if cred != nil {
			kind = cred.Kind
		} else if kind == AnyKind && r.Command != NoCommand {
			kind = MobileKey
		}
		failed.addAll(s.second(person))
		grant, granted := s.grants(person, cred, kind)
		failed.addAll(granted)
		if grant != nil {
			v.Grant, v.Source = grant.ID, grant.Source
		}
		v.Duress = v.Duress || s.duress
	}
	denied := failed.but(s.marks)
	posture := s.posture()
	v.Failed = failed.sorted()
	early := false
	for c := range denied {
		early = early || c < DenyWrongFacilityCode
	}
	switch {
	case local.Fire && s.door.FireRelease:
		v.Code = AllowFire
	case early:
		v.Code = denied.sorted()[0]
	case posture == Unlocked:
		v.Code = AllowPostureUnlocked
	case posture == FreeAccess && len(who) == 0:
		v.Code = AllowPostureFreeAccess
	case len(denied) > 0:
		v.Code = denied.sorted()[0]
	case r.Command != NoCommand:
		v.Code = AllowCommand
	default:
		v.Code = map[Source]Code{SourceShare: AllowShare, SourceStaff: AllowStaff}[v.Source]
		if v.Code == NoCode {
			v.Code = AllowGrant
		}
	}
	v.Allowed = v.Code < firstDenial
	return v
}

func (s *slowCase) posture() Posture {
	posture := s.door.Posture
	if s.door.PostureUntil != 0 && s.r.At >= s.door.PostureUntil {
		posture = Normal
	}
	site := s.site.Posture
	if posture == Normal && s.door.Unit == "" && site != Lockdown && (s.site.PostureUntil == 0 || s.r.At < s.site.PostureUntil) {
		posture = site
	}
	for _, id := range s.door.Hours {
		if r, ok := find[*Right](s.oracle, KindRight, id); ok && posture == Normal && r.Hours != nil && s.open(r.Hours) {
			return Unlocked
		}
	}
	return posture
}

// open says whether business hours hold and have begun: the last time that they
// began is found minute by minute.
func (s *slowCase) open(h *Hours) bool {
	r, ok := find[*Schedule](s.oracle, KindSchedule, h.Schedule)
	if !ok || len(s.times(h.Schedule)) > 0 || s.blackout() {
		return false
	}
	if !h.FirstIn {
		return true
	}
	times, days := schedule.Compile(r.Schedule), s.site.Calendar.Compile()
	holds := func(at Instant) bool {
		local := s.zone.Local(int64(at))
		return times.Contains(local, days.Kind(local.Date))
	}
	began := s.r.At
	for range 60 * 24 * 5 {
		if !holds(began - 1) {
			break
		}
		began -= began % (60 * second)
		if holds(began - 1) {
			began--
		}
	}
	came := s.local.FirstIn
	return came != 0 && came <= s.r.At && came >= began-Instant(h.Grace)*second
}

func (s *slowCase) blackout() bool {
	for _, b := range slices.Concat(s.site.Blackouts, s.door.Blackouts) {
		if from, to := b.Span(s.zone); int64(s.r.At) >= from && int64(s.r.At) < to {
			return true
		}
	}
	return false
}

func (s *slowCase) atDoor() codes {
	failed, d := codes{}, s.door
	if !d.Enabled {
		failed.add(DenyPointDisabled)
	}
	if s.local.Blocked {
		failed.add(DenyLocalBlock)
	}
	if s.site.Posture == Lockdown || s.posture() == Lockdown {
		failed.add(DenyLockdown)
	}
	if s.local.ClockUnsure && d.Class == Critical {
		failed.add(DenyClockUnsure)
	}
	if s.local.LeaseEnd == 0 || s.r.At >= s.local.LeaseEnd {
		failed.add(DenyLeaseEnded)
		if d.AfterLease == LastTable {
			s.marks.add(DenyLeaseEnded)
			if s.r.At >= s.local.LeaseEnd+LastTableCeiling {
				failed.add(DenyProjectionStale)
			}
		}
	}
	if s.local.Interlock {
		failed.add(DenyInterlock)
	}
	in := s.r.Side != Out
	if d.Presence != PresenceOff {
		if s.local.LastSide == In && in || s.local.LastSide == Out && !in {
			failed.add(DenyPassback)
		}
		if in && d.Occupancy != 0 && s.local.Occupancy >= d.Occupancy {
			failed.add(DenyOccupancyLimit)
		}
	}
	if d.Presence == PresenceMark {
		s.marks.add(DenyPassback, DenyOccupancyLimit)
	}
	if !in {
		s.marks.add(DenyLeaseEnded, DenyProjectionStale, DenyClockUnsure, DenyPassback, DenyOccupancyLimit, DenyFirstInPending, DenyLockout, DenyGatelock, DenyOverlock)
		if !s.site.LockdownShutsOut {
			s.marks.add(DenyLockdown)
		}
	}
	return failed
}
