package unlock

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gatehouse/domain/schedule"

	"github.com/stretchr/testify/require"
)

// dice makes small worlds in which most things are in order and everything that
// can be wrong is wrong somewhere: rows that are missing, windows that begin and
// end at the instants that are asked about, circles of parents, tags twice.
type dice struct {
	*rand.Rand
	rules schedule.ZoneRules
}

func newDice(t testing.TB, seed uint64) *dice {
	t.Helper()
	rules, err := schedule.LoadRules("Europe/Berlin")
	require.NoError(t, err)
	return &dice{rand.New(rand.NewPCG(seed, 1)), rules}
}

// one in n.
func (d *dice) one(n int) bool { return d.IntN(n) == 0 }

func (d *dice) id(noun string, n int) string { return fmt.Sprint(noun, d.IntN(n)) }

// ref is mostly an id that may be there, sometimes none.
func (d *dice) ref(noun string, n int) string {
	if d.one(3) {
		return ""
	}
	return d.id(noun, n)
}

// instant is one of few, around the end of daylight saving in 2026, with a
// special day.
func (d *dice) instant() Instant {
	first := time.Date(2026, 10, 23, 22, 0, 0, 0, time.UTC)
	near := []time.Duration{0, 0, 1, 7 * time.Second, 16 * time.Second, -1}
	return InstantOf(first.Add(time.Duration(d.IntN(24))*3*time.Hour + near[d.IntN(len(near))]))
}

func (d *dice) window() Window {
	var w Window
	if d.one(3) {
		w.From = d.instant()
	}
	if d.one(3) {
		w.Until = d.instant()
	}
	if w.From != 0 && w.Until != 0 && w.From > w.Until {
		w.From, w.Until = w.Until, w.From
	}
	return w
}

func pick[T any](d *dice, mostly T, others ...T) T {
	if len(others) == 0 || !d.one(5) {
		return mostly
	}
	return others[d.IntN(len(others))]
}

func subset[T any](d *dice, all ...T) []T {
	if !d.one(4) {
		return nil
	}
	var some []T
	for _, v := range all {
		if d.one(2) {
			some = append(some, v)
		}
	}
	return some
}

const (
	manyDoors, manyRights, manySchedules, manyPeople = 5, 4, 4, 4
	manyUnits, manyBookings, manyCredentials         = 3, 4, 7
	manyGrants, manyTags                             = 9, 6
)

func (d *dice) tag() Tag {
	id := IDOf(d.id("tag", manyTags))
	if d.one(8) {
		return Tag{}
	}
	return Tag(id)
}

func (d *dice) schedule() schedule.Schedule {
	days := []schedule.Day{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	from := schedule.TimeOfDay(60 * d.IntN(8))
	s := schedule.Schedule{Windows: []schedule.Window{{Days: days[d.IntN(3):], From: from, To: from + 16*60}}}
	if d.one(3) {
		s.Holidays = schedule.HolidaysIgnored
	}
	if d.one(3) {
		s = schedule.Schedule{Always: true}
	}
	return s
}

func (d *dice) blackouts() schedule.Blackouts {
	if !d.one(6) {
		return nil
	}
	day := func(n int) schedule.Date {
		date, _ := schedule.DateOf(2026, 10, n)
		return date
	}
	n := 24 + d.IntN(3)
	return schedule.Blackouts{{From: schedule.DateTime{Date: day(n), Time: 120}, To: schedule.DateTime{Date: day(n + 1)}}}
}

// row makes a row of a kind.
func (d *dice) row(k Kind) Row {
	switch k {
	case KindSite:
		holiday, _ := schedule.DateOf(2026, 10, 24+d.IntN(3))
		s := &Site{
			ID: "site", Zone: d.rules, LeaseStandard: 900, LeaseCritical: 30, Blackouts: d.blackouts(),
			Posture: pick(d, Normal, Normal, Lockdown, Unlocked, FreeAccess, Secured), PostureUntil: d.window().Until, SharedUserFobs: d.one(2), LockdownShutsOut: d.one(2),
		}
		if d.one(2) {
			s.Calendar = schedule.Calendar{{Date: holiday, Kind: schedule.Holiday}}
		}
		if d.one(5) {
			s.FobSchedule = d.id("schedule", manySchedules+1)
		}
		if d.one(10) {
			s.Zone.Zone, s.Zone.First, s.Zone.Transitions, s.Zone.Footer = "Etc/GMT-9", 9*3600, nil, ""
		}
		return s
	case KindDoor:
		return d.door()
	case KindRight:
		r := &Right{ID: d.id("right", manyRights), Schedule: d.ref("schedule", manySchedules+1), Capabilities: subset(d, RemoteUnlock, UnlockFor)}
		if d.one(3) {
			r.Hours = &Hours{d.id("schedule", manySchedules+1), d.one(2), uint32(d.IntN(3)) * 3600}
		}
		for i := range manyDoors {
			if !d.one(4) {
				r.Doors = append(r.Doors, fmt.Sprint("door", i))
			}
		}
		return r
	case KindSchedule:
		s := &Schedule{ID: d.id("schedule", manySchedules), Schedule: d.schedule()}
		if d.one(6) {
			s.Closed = []Window{d.window()}
		}
		return s
	case KindPerson:
		return &Person{d.id("person", manyPeople), pick(d, PersonActive, PersonActive, PersonSuspended, PersonPending)}
	case KindUnit:
		u := &Unit{ID: d.id("unit", manyUnits), State: pick(d, UnitOccupied, UnitVacant, UnitToCheck)}
		for i := range manyRights {
			if d.one(2) {
				u.Rights = append(u.Rights, UnitRight{fmt.Sprint("right", i), d.ref("schedule", 2*manySchedules)})
			}
		}
		return u
	case KindBooking:
		return &Booking{
			ID: d.id("booking", manyBookings), Unit: d.id("unit", manyUnits), Person: d.id("person", manyPeople),
			Window: d.window(), State: pick(d, BookingActive, BookingGatelock, BookingOverlock, BookingEnded, BookingRevoked),
		}
	case KindCredential:
		return d.credential()
	case KindGrant:
		return d.grant()
	}
	panic("no such kind")
}

func (d *dice) door() *Door {
	return &Door{
		Hours: subset(d, "right0", "right1", "right2"),
		ID:    d.id("door", manyDoors), Unit: pick(d, "", "unit0"), Entry: d.one(2), Class: pick(d, Standard, Critical), Enabled: !d.one(10),
		Posture: pick(d, Normal, Unlocked, FreeAccess, Lockdown, Secured), PostureUntil: d.window().Until, FireRelease: d.one(2),
		Capabilities: subset(d, RemoteUnlock, UnlockFor), AfterLease: pick(d, AfterLeaseDeny, LastTable),
		Blackouts: d.blackouts(), Factor: pick(d, NoFactor, PinFactor, PersonFactor, EscortFactor),
		Gateway:  []string{"", "gw0", "gw1"}[d.IntN(3)],
		Presence: pick(d, PresenceOff, PresenceMark, PresenceDeny), Occupancy: uint32(d.IntN(3)),
	}
}

func (d *dice) credential() *Credential {
	c := &Credential{
		ID: d.id("credential", manyCredentials), Tag: d.tag(), Kind: []CredentialKind{Fob, Card, Pin, MobileKey}[d.IntN(4)],
		Person: d.id("person", manyPeople), Window: d.window(), MaxUses: uint32(max(0, d.IntN(6)-3)), DenyListed: d.one(12), Duress: d.one(4),
		State: pick(d, CredentialActive, CredentialSuspended, CredentialLost, CredentialStolen, CredentialDamaged,
			CredentialRevoked, CredentialExpired),
	}
	if c.MaxUses > 0 && d.one(2) {
		c.Home = []string{"gw0", "gw1"}[d.IntN(2)]
	}
	if d.one(3) {
		c.Booking = d.id("booking", manyBookings)
	}
	if d.one(4) {
		c.Schedule = d.id("schedule", manySchedules+1)
	}
	if c.State == CredentialSuspended {
		c.SuspendedUntil = d.window().Until
	}
	return c
}

func (d *dice) grant() *Grant {
	g := &Grant{
		ID: d.id("grant", manyGrants), Person: d.id("person", manyPeople), Right: d.ref("right", manyRights+1),
		Schedule: pick(d, "", d.id("schedule", manySchedules+1)), Window: d.window(),
		Kinds: subset(d, Fob, Card, Pin, MobileKey), Capabilities: subset(d, RemoteUnlock, UnlockFor, FirstIn, Escort),
		Source: Source(1 + d.IntN(6)), State: pick(d, GrantActive, GrantSuspended, GrantRevoked, GrantEnded),
	}
	if g.Right == "" || d.one(3) {
		g.Booking = d.id("booking", manyBookings)
	}
	if d.one(3) {
		g.Parent = d.id("grant", manyGrants)
	}
	return g
}

// rows makes a world; most of what is referred to is there.
func (d *dice) rows() []Row {
	rows := oracle{}
	add := func(k Kind, n int) {
		for range 2 * n {
			r := d.row(k)
			rows[r.Key()] = r
		}
	}
	if !d.one(20) {
		add(KindSite, 1)
	}
	add(KindDoor, manyDoors)
	add(KindRight, manyRights)
	add(KindSchedule, manySchedules)
	add(KindPerson, manyPeople)
	add(KindUnit, manyUnits)
	add(KindBooking, manyBookings)
	if d.one(2) {
		d.plain(rows)
		return each[Row](rows)
	}
	add(KindCredential, manyCredentials)
	add(KindGrant, manyGrants)
	return each[Row](rows)
}

// plain gives everybody one credential and one grant, nearly all of them in
// order, as most people have it.
func (d *dice) plain(rows oracle) {
	for i := range manyPeople {
		c, g, p := d.credential(), d.grant(), fmt.Sprint("person", i)
		c.ID, c.Person, c.Tag = fmt.Sprint("credential", i), p, Tag(IDOf(fmt.Sprint("tag", i)))
		g.ID, g.Person, g.Parent, g.Schedule = fmt.Sprint("grant", i), p, "", ""
		g.Right = pick(d, d.id("right", manyRights), "")
		if g.Right == "" {
			g.Booking = d.id("booking", manyBookings)
		} else {
			g.Booking = pick(d, "", d.id("booking", manyBookings))
		}
		if !d.one(4) {
			c.State, c.SuspendedUntil, c.DenyListed, g.State = CredentialActive, 0, false, GrantActive
		}
		if !d.one(4) {
			c.MaxUses, c.Home, g.Kinds = 0, "", nil
		}
		if !d.one(4) && c.Booking != "" {
			c.Booking = g.Booking
		}
		for _, r := range []Row{c, g, &Person{p, pick(d, PersonActive, PersonPending)}} {
			rows[r.Key()] = r
		}
		if b, ok := find[*Booking](rows, KindBooking, g.Booking); ok {
			b.State = pick(d, BookingActive, BookingGatelock)
			rows[Key{KindUnit, b.Unit}] = &Unit{b.Unit, UnitOccupied, []UnitRight{{Right: d.id("right", manyRights)}}}
		}
	}
}

func (d *dice) local() Local {
	l := Local{LeaseEnd: Held}
	switch {
	case d.one(3):
		l.LeaseEnd = d.instant()
	case d.one(10):
		l.LeaseEnd = 0
	}
	if d.one(2) {
		l.ClockUnsure, l.Fire, l.Blocked = d.one(6), d.one(12), d.one(12)
		l.FirstInPending, l.Interlock = d.one(4), d.one(12)
		if d.one(3) {
			l.Keypad.Until = d.instant()
		}
		if d.one(2) {
			l.FirstIn = d.instant()
		}
		l.LastSide, l.Uses, l.Occupancy = Side(d.IntN(3)), uint32(d.IntN(4)), uint32(d.IntN(4))
	}
	return l
}

func (d *dice) request() Request {
	r := Request{Door: IDOf(d.id("door", manyDoors)), Side: pick(d, In, NoSide, Out, Out), At: d.instant()}
	if d.one(20) {
		r.Door = IDOf("nowhere")
	}
	switch d.IntN(8) {
	case 0:
		r.Credential = IDOf(d.id("credential", manyCredentials+1))
	case 1, 2:
		r.Person = IDOf(d.id("person", manyPeople+1))
		r.Kind = CredentialKind(d.IntN(5))
		r.Command = Command(d.IntN(3))
	default:
		r.Tag = d.tag()
		r.Kind = pick(d, AnyKind, Pin, Card)
		r.Fault = pick(d, NoFault, NoFault, NoFault, NoFault, WrongFacilityCode, WrongCardFormat)
		r.Command = pick(d, NoCommand, NoCommand, CommandRemoteUnlock)
	}
	if d.one(2) {
		r.Second = d.tag()
	}
	return r
}

// delta changes some rows of a table, and now and then many.
func (d *dice) delta(rows oracle) Delta {
	var delta Delta
	touched := map[Key]bool{}
	n := 1 + d.IntN(3)
	if d.one(5) {
		n = 20
	}
	for range n {
		r := d.row(Kinds()[d.IntN(len(Kinds()))])
		if touched[r.Key()] {
			continue
		}
		touched[r.Key()] = true
		if d.one(4) {
			delta.Delete = append(delta.Delete, r.Key())
		} else {
			delta.Put = append(delta.Put, r)
		}
	}
	for _, r := range delta.Put {
		rows[r.Key()] = r
	}
	for _, k := range delta.Delete {
		delete(rows, k)
	}
	return delta
}
