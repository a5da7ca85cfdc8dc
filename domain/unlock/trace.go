package unlock

import "slices"

// Findings are a decision with the rows that took part in it, and what failed at each.
type Findings struct {
	Answer
	// Steps are the rows that count whatever the grant: the door, the site, the schedule
	// of fobs, the credential with its schedule, booking and unit, and the person.
	Steps []Step
	// Ways are the grants of the person that are for the door, by id.
	Ways []Way
}

// Way is a grant that is for the door. It opens if nothing fails at its rows and at
// those that count whatever the grant.
type Way struct {
	Grant *Grant
	// Steps are the grant and its parents, each with the person who shares it, then
	// their bookings with the units, then their rights with the schedules.
	Steps []Step
}

// Step is a row that took part in a decision.
type Step struct {
	// Row has no id if the request named a row that is not known here.
	Row Key
	// Of is the row that a schedule restricts: the site for its fobs, or the credential,
	// the right, the unit or the grant that names it.
	Of     Key
	Failed []Failure
	// Next is when a schedule that does not hold will hold; zero means never, or that
	// it holds.
	Next Instant
}

// Failure is one check of a row that failed.
type Failure struct {
	Code Code
	Fact Fact
}

// Fact says which fact of its row a failure follows from.
type Fact uint8

// The facts.
const (
	ByCode       Fact = iota // the code tells
	Missing                  // the row that another one or the request names is not there
	ByState                  // the state of the row
	NotBegun                 // its window
	Over                     // its window
	Listed                   // the deny list
	WrongKind                // kinds of credential of the grant
	SharedFob                // no fob or card opens what is shared
	OtherBooking             // the credential is bound to another booking
)

// Trace decides as Decide does, and also gives the rows that the answer follows from.
// It is for people who ask why. It checks all rows, also those that a decision need not
// look at: the door and the site where nobody is known, and the grants that are no
// better than another.
func Trace(t *Table, local *Local, r Request) Findings {
	f := Findings{Answer: Decide(t, local, r)}
	if local == nil {
		local = &nothingKnown
	}
	x := tracer{question: question{table: t, local: local, at: r.At, command: r.Command, site: t.site, door: t.doors.get(keyOf(r.Door))}, request: &r}
	x.maker.table = t
	if x.site != nil {
		x.read()
	}
	h, c, failed := x.who(&r)
	if x.site == nil || x.door == nil {
		x.nowhere()
	} else {
		x.place(h, c)
	}
	x.whom(h, c, failed)
	f.Steps = x.steps
	if h != nil && x.site != nil && x.door != nil {
		f.Ways = x.ways(h, c)
	}
	return f
}

// tracer is one request while it is traced.
type tracer struct {
	question
	maker   maker // compiles rows one by one
	request *Request
	steps   []Step
}

// add adds a step unless the row has one.
func (x *tracer) add(row Key, failed ...Failure) {
	if !slices.ContainsFunc(x.steps, func(s Step) bool { return s.Row == row }) {
		x.steps = append(x.steps, Step{Row: row, Failed: failed})
	}
}

// byCode gives the failures that their codes tell, in order of precedence.
func byCode(failed Checks) (list []Failure) {
	for _, c := range failed.Codes() {
		list = append(list, Failure{Code: c})
	}
	return list
}

// because gives the failure of a fact with a code; none without one.
func because(c Code, fact Fact) []Failure {
	if c == NoCode {
		return nil
	}
	return []Failure{{c, fact}}
}

// window gives what fails of a window.
func (x *tracer) window(from, until Instant, early, late Code) (failed []Failure) {
	if x.at < from {
		failed = append(failed, Failure{early, NotBegun})
	}
	if x.at >= until {
		failed = append(failed, Failure{late, Over})
	}
	return failed
}

// nowhere adds what is not known of the place.
func (x *tracer) nowhere() {
	if x.site == nil {
		x.add(Key{Kind: KindSite}, Failure{DenyUnknownAccessPoint, Missing})
	}
	if x.door == nil {
		x.add(Key{Kind: KindDoor}, Failure{DenyUnknownAccessPoint, Missing})
	}
}

// place adds the door, the site and the schedule of fobs.
func (x *tracer) place(h *holder, c *credential) {
	failed := x.atDoor(x.request.Side) &^ check(DenyLockdown)
	if x.posture == Lockdown {
		failed |= check(DenyLockdown)
	}
	failed |= x.incapable()
	if x.door.blackouts.Contains(int64(x.at)) {
		failed |= check(DenyBlackout)
	}
	if h != nil && h.person != nil && x.door.factor != NoFactor {
		failed |= x.second(h, keyOf(x.request.Second))
	}
	x.add(x.door.row.Key(), byCode(failed)...)
	failed = 0
	if x.site.lockdown {
		failed |= check(DenyLockdown)
	}
	if x.site.blackouts.Contains(int64(x.at)) {
		failed |= check(DenyBlackout)
	}
	x.add(x.site.row.Key(), byCode(failed)...)
	if x.fobHours(x.kindOf(x.request, c)) {
		x.schedule(x.site.row.Key(), x.site.row.FobSchedule, ^Checks(0))
	}
}

// schedule adds the schedule of a row; of its failures only some may count. The empty id
// is none.
func (x *tracer) schedule(of Key, id string, counted Checks) {
	k := keyOf(IDOf(id))
	failed := x.times(k)
	if id == "" || counted != ^Checks(0) && failed&counted == 0 {
		return
	}
	step := Step{Row: Key{KindSchedule, id}, Of: of}
	if s := x.table.schedules.get(k); s == nil {
		step.Failed = []Failure{{DenyOutsideSchedule, Missing}}
	} else {
		step.Failed = byCode(failed & counted)
		if !s.compiled.Contains(x.today, x.day) {
			if next, ok := s.compiled.NextChange(x.site.zone, x.site.days, int64(x.at)); ok {
				step.Next = Instant(next)
			}
		}
	}
	x.steps = append(x.steps, step)
}

// whom adds the credential and the person, or that they are not known.
func (x *tracer) whom(h *holder, c *credential, failed Checks) {
	if h == nil {
		row := Key{Kind: KindCredential}
		if x.request.Fault == NoFault && x.request.Tag == (Tag{}) && x.request.Credential == (ID{}) && x.request.Person != (ID{}) {
			row.Kind = KindPerson
		}
		x.add(row, byCode(failed)...)
		return
	}
	if c != nil {
		x.credentialSteps(c)
	}
	x.add(Key{KindPerson, h.id}, person(h.person, NoCode)...)
}

// person gives what stands against a person. Of a sharer it has a code of its own.
func person(p *Person, sharer Code) []Failure {
	fact, code := ByState, ofPerson(p).First()
	if p == nil {
		fact = Missing
	}
	if code != NoCode && sharer != NoCode {
		code = sharer
	}
	return because(code, fact)
}

// credentialSteps add a credential with its schedule, its booking and the unit.
func (x *tracer) credentialSteps(c *credential) {
	var failed []Failure
	if r := c.row(); r.State != CredentialSuspended || c.suspendedAt(x.at) {
		failed = because(r.State.Denial(), ByState)
	}
	if c.marks&denyListed != 0 {
		failed = append(failed, Failure{DenyCredentialRevoked, Listed})
	}
	if c.maxUses > 0 {
		failed = append(failed, byCode(x.uses(c))...)
	}
	failed = append(failed, x.window(c.from(), c.until(), DenyCredentialNotActive, DenyCredentialExpired)...)
	if c.kind == Pin && x.local.Keypad.LockedOut(x.at) {
		failed = append(failed, Failure{Code: DenyLockout})
	}
	x.add(c.row().Key(), failed...)
	if x.site != nil {
		x.schedule(c.row().Key(), c.text(credentialSchedule), ^Checks(0))
	}
	x.booking(c.text(credentialBooking))
}

// booking adds a booking and its unit. The empty id is none.
func (x *tracer) booking(id string) {
	if id == "" {
		return
	}
	row := Key{KindBooking, id}
	found := x.maker.booking(id)
	b, unit := found.row, found.unit
	if b == nil {
		x.add(row, Failure{DenyBookingRevoked, Missing})
		return
	}
	var failed []Failure
	if b.State != BookingGatelock || x.door != nil && x.door.entry {
		failed = because(b.State.Denial(), ByState)
	}
	x.add(row, append(failed, x.window(begin(b.Window.From), end(b.Window.Until), DenyBookingNotStarted, DenyBookingEnded)...)...)
	if unit == nil {
		x.add(Key{KindUnit, b.Unit}, Failure{DenyBookingRevoked, Missing})
		return
	}
	x.add(unit.Key(), because(unit.State.Denial(), ByState)...)
}
