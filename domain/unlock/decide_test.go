package unlock

import (
	"testing"
	"time"

	"gatehouse/domain/schedule"

	"github.com/stretchr/testify/require"
)

// storage is a small site to change and ask about: Anna rents unit A and has a
// fob for it; Ben rents unit B and shares it with Anna; Sue is staff, with a card
// and a PIN, during office hours; Joe is a vendor with a card who is escorted.
type storage struct {
	site                          *Site
	gate, doorA, doorB, hall      *Door
	rightA, rightB, rounds        *Right
	office                        *Schedule
	anna, ben, sue, joe           *Person
	unitA, unitB                  *Unit
	bookingA, bookingB            *Booking
	fobA, fobB, keyA, card, pin   *Credential
	joeCard                       *Credential
	ownA, ownB, share, job, visit *Grant

	rows    []Row // beside these
	dropped []Key
	local   Local
	r       Request
}

// noon is a Monday, in winter.
var noon = InstantOf(time.Date(2026, 12, 14, 11, 0, 0, 0, time.UTC))

const hour = Instant(time.Hour)

func tagged(text string) Tag { return Tag(IDOf("number of " + text)) }

func newStorage(t *testing.T) *storage {
	t.Helper()
	rules, err := schedule.LoadRules("Europe/Berlin")
	require.NoError(t, err)
	christmas, err := schedule.DateOf(2026, 12, 25)
	require.NoError(t, err)
	weekdays := []schedule.Day{"mon", "tue", "wed", "thu", "fri"}
	hours := schedule.Schedule{Windows: []schedule.Window{{Days: weekdays, From: 7 * 60, To: 18 * 60}}}
	door := func(id, unit string, more ...Capability) *Door {
		return &Door{ID: id, Unit: unit, Entry: unit == "", Enabled: true, Capabilities: more}
	}
	credential := func(id, person string, kind CredentialKind) *Credential {
		return &Credential{ID: id, Tag: tagged(id), Kind: kind, Person: person, State: CredentialActive}
	}
	unit := func(id, right string) *Unit {
		return &Unit{ID: id, State: UnitOccupied, Rights: []UnitRight{{Right: right}}}
	}
	own := func(id, person, booking string) *Grant {
		return &Grant{ID: id, Person: person, Booking: booking, Source: SourceBooking, State: GrantActive}
	}
	s := &storage{
		site: &Site{
			ID: "site", Zone: rules, LeaseStandard: 900, LeaseCritical: 30,
			Calendar: schedule.Calendar{{Date: christmas, Kind: schedule.Holiday}},
		},
		gate: door("gate", ""), doorA: door("door-a", "a"), doorB: door("door-b", "b"),
		hall:   door("hall", "", RemoteUnlock, UnlockFor),
		rightA: &Right{ID: "right-a", Doors: []string{"door-a", "gate"}},
		rightB: &Right{ID: "right-b", Doors: []string{"door-b", "gate"}},
		rounds: &Right{ID: "rounds", Doors: []string{"gate", "hall"}, Schedule: "office"},
		office: &Schedule{ID: "office", Schedule: hours},
		anna:   &Person{"anna", PersonActive}, ben: &Person{"ben", PersonActive},
		sue: &Person{"sue", PersonActive}, joe: &Person{"joe", PersonActive},
		unitA: unit("a", "right-a"), unitB: unit("b", "right-b"),
		bookingA: &Booking{ID: "booking-a", Unit: "a", Person: "anna", State: BookingActive},
		bookingB: &Booking{ID: "booking-b", Unit: "b", Person: "ben", State: BookingActive},
		fobA:     credential("fob-a", "anna", Fob), fobB: credential("fob-b", "ben", Fob),
		keyA: credential("key-a", "anna", MobileKey), card: credential("card", "sue", Card),
		pin: credential("pin", "sue", Pin), joeCard: credential("joe-card", "joe", Card),
		ownA: own("own-a", "anna", "booking-a"), ownB: own("own-b", "ben", "booking-b"),
		share: &Grant{ID: "share", Person: "anna", Booking: "booking-b", Parent: "own-b", Source: SourceShare, State: GrantActive},
		job: &Grant{
			ID: "job", Person: "sue", Right: "rounds", Source: SourceStaff, State: GrantActive,
			Capabilities: []Capability{RemoteUnlock, FirstIn, Escort},
		},
		visit: &Grant{ID: "visit", Person: "joe", Right: "rounds", Source: SourceGrant, State: GrantActive},
		local: Local{LeaseEnd: noon + hour},
		r:     Request{Side: In, At: noon},
	}
	s.fobA.Booking, s.fobB.Booking = "booking-a", "booking-b"
	return s
}

func (s *storage) all() []Row {
	all := []Row{
		s.site, s.gate, s.doorA, s.doorB, s.hall, s.rightA, s.rightB, s.rounds, s.office, s.anna, s.ben, s.sue, s.joe,
		s.unitA, s.unitB, s.bookingA, s.bookingB, s.fobA, s.fobB, s.keyA, s.card, s.pin, s.joeCard,
		s.ownA, s.ownB, s.share, s.job, s.visit,
	}
	return append(all, s.rows...)
}

// ask asks with a credential at a door.
func (s *storage) ask(c *Credential, d *Door) { s.r.Tag, s.r.Door = c.Tag, IDOf(d.ID) }

// command asks remotely.
func (s *storage) command(p *Person, d *Door, c Command) {
	s.r.Person, s.r.Door, s.r.Command = IDOf(p.ID), IDOf(d.ID), c
}

func (s *storage) drop(r Row) { s.dropped = append(s.dropped, r.Key()) }
