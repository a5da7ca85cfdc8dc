package unlock

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/schedule"
)

// gistCases change Joe, who has one card and one grant. A change that a gist cannot
// express must leave him without one.
var gistCases = []struct {
	name string
	set  func(s *storage)
	has  bool
}{
	{"as he is", func(*storage) {}, true},
	{"with windows", func(s *storage) {
		s.joeCard.Window, s.visit.Window = Window{From: noon - 3*hour}, Window{Until: noon + 3*hour + 7}
	}, true},
	{"with a booking", func(s *storage) {
		s.visit.Booking, s.bookingA.Window = "booking-a", Window{From: noon - hour, Until: noon + hour}
	}, true},
	{"with his booking's card", func(s *storage) { s.visit.Booking, s.joeCard.Booking = "booking-a", "booking-a" }, true},
	{"with a fob", func(s *storage) { s.joeCard.Kind = Fob }, true},
	{"with a PIN", func(s *storage) { s.joeCard.Kind = Pin }, true},
	{"with a shared card", func(s *storage) { s.visit.Source = SourceShare }, false},
	{"with a shared phone", func(s *storage) { s.joeCard.Kind, s.visit.Source = MobileKey, SourceShare }, true},
	{"with a parent that says the same", func(s *storage) { s.visit.Parent = "job" }, true},
	{"with an old card of somebody else's", func(s *storage) {
		s.card.Tag, s.card.State = s.joeCard.Tag, CredentialRevoked
	}, false},
	{"with the same tag as somebody else", func(s *storage) { s.card.Tag = s.joeCard.Tag }, false},
	{"with two cards", func(s *storage) { s.card.Person = "joe" }, false},
	{"with two cards of one tag", func(s *storage) { s.card.Person, s.card.Tag = "joe", s.joeCard.Tag }, false},
	{"with two grants", func(s *storage) { s.share.Person = "joe" }, false},
	{"with a parent that narrows", func(s *storage) { s.visit.Parent, s.job.Schedule = "job", "office" }, false},
	{"suspended", func(s *storage) { s.joe.State = PersonSuspended }, false},
	{"with a suspended card", func(s *storage) {
		s.joeCard.State, s.joeCard.SuspendedUntil = CredentialSuspended, noon
	}, false},
	{"with a lost card", func(s *storage) { s.joeCard.State = CredentialLost }, false},
	{"with a card on the deny list", func(s *storage) { s.joeCard.DenyListed = true }, false},
	{"with counted uses", func(s *storage) { s.joeCard.MaxUses, s.local.Uses = 1, 1 }, false},
	{"with a card for some hours", func(s *storage) { s.joeCard.Schedule = "never" }, false},
	{"with a card of another booking", func(s *storage) { s.joeCard.Booking = "booking-a" }, false},
	{"with a revoked grant", func(s *storage) { s.visit.State = GrantRevoked }, false},
	{"with a grant for some hours", func(s *storage) { s.visit.Schedule = "never" }, false},
	{"with a grant for other kinds", func(s *storage) { s.visit.Kinds = []CredentialKind{MobileKey} }, false},
	{"with a grant for his kind", func(s *storage) { s.visit.Kinds = []CredentialKind{Card} }, true},
	{"with a shared fob", func(s *storage) { s.visit.Source, s.joeCard.Kind = SourceShare, Fob }, false},
	{"with a gatelock", func(s *storage) { s.visit.Booking, s.bookingA.State = "booking-a", BookingGatelock }, false},
	{"with an overlock", func(s *storage) { s.visit.Booking, s.bookingA.State = "booking-a", BookingOverlock }, false},
	{"with a unit of several rights", func(s *storage) {
		s.visit.Right, s.visit.Booking = "", "booking-a"
		s.unitA.Rights = append(s.unitA.Rights, UnitRight{Right: "rounds"})
	}, false},
	{"with a unit for some hours", func(s *storage) {
		s.visit.Right, s.visit.Booking, s.unitA.Rights[0].Schedule = "", "booking-a", "never"
	}, false},
	{"with a window of a moment", func(s *storage) { s.joeCard.Window = Window{noon, noon + 1} }, false},
	{"with a window before 1970", func(s *storage) { s.joeCard.Window = Window{-2 * hour, -hour} }, false},
}

func TestGist(t *testing.T) {
	for _, c := range gistCases {
		t.Run(c.name, func(t *testing.T) {
			s := newStorage(t)
			c.set(s)
			table, err := NewTable(s.all()...)
			require.NoError(t, err)
			l, i := table.tags.find(keyOf(s.joeCard.Tag))
			for l[i].key != keyOf(s.joeCard.Tag) {
				i = (i + 1) & (len(l) - 1)
			}
			assert.Equal(t, c.has, l[i].extra.times != 0)
			sameAsOracle(t, s, table)
		})
	}
}

// sameAsOracle compares decisions about Joe's card with the oracle. It asks around
// noon, near the bounds of windows and of the units of gists, at every door, in some
// states of a gateway.
func sameAsOracle(t *testing.T, s *storage, table *Table) {
	t.Helper()
	o := oracleOf(s.all()...)
	uses := s.local.Uses
	for _, local := range []Local{
		{LeaseEnd: Held}, {LeaseEnd: Held, Keypad: Keypad{Until: Held}}, {LeaseEnd: Held, FirstInPending: true},
	} {
		local.Uses = uses
		for _, d := range []*Door{s.gate, s.doorA, s.doorB, s.hall} {
			for _, after := range []Instant{-3, -1, 0, 1, 3, 12} {
				for _, near := range []time.Duration{-20 * time.Second, -1, 0, 1, 6, 7, 8, 16 * time.Second} {
					r := Request{Door: IDOf(d.ID), At: noon + after*hour + Instant(near), Tag: s.joeCard.Tag}
					require.Equal(t, o.decide(local, r), verdictOf(Decide(table, &local, r)), "%s, %+v", d.ID, r)
				}
			}
		}
	}
}

// Hours of fobs, blackouts, holidays and factors count for people with a gist, too.
func TestGistIsNotAll(t *testing.T) {
	for name, set := range map[string]func(s *storage){
		"the hours of fobs":    func(s *storage) { s.site.FobSchedule, s.joeCard.Kind = "never", Fob },
		"a blackout":           func(s *storage) { s.site.Blackouts = blackoutAt(noon) },
		"a blackout of a door": func(s *storage) { s.hall.Blackouts = blackoutAt(noon) },
		"a second factor":      func(s *storage) { s.hall.Factor = PinFactor },
		"a holiday": func(s *storage) {
			day, err := schedule.ParseDate("2026-12-14")
			require.NoError(t, err)
			s.site.Calendar = schedule.Calendar{{Date: day, Kind: schedule.Holiday}}
		},
		"no right":    func(s *storage) { s.visit.Right = "nothing" },
		"no schedule": func(s *storage) { s.rounds.Schedule = "nothing" },
	} {
		s := newStorage(t)
		set(s)
		table, err := NewTable(s.all()...)
		require.NoError(t, err)
		sameAsOracle(t, s, table)
		s.ask(s.joeCard, s.hall)
		assert.False(t, Decide(table, &s.local, s.r).Allowed, name)
	}
}

// Deleting a row and putting it back changes everything that depends on it at once.
func TestEachRowGoesAndComesBack(t *testing.T) {
	s := newStorage(t)
	s.hall.Hours, s.site.FobSchedule = []string{"rounds"}, "office"
	s.rounds.Hours = &Hours{Schedule: "office", FirstIn: true}
	all := s.all()
	table, err := NewTable(all...)
	require.NoError(t, err)
	ask := func(o oracle, table *Table, about string) {
		for _, c := range []*Credential{s.fobA, s.fobB, s.keyA, s.card, s.pin, s.joeCard} {
			for _, d := range []*Door{s.gate, s.doorA, s.doorB, s.hall} {
				r := Request{Door: IDOf(d.ID), At: noon, Tag: c.Tag}
				require.Equal(t, o.decide(s.local, r), verdictOf(Decide(table, &s.local, r)), "%s: %s at %s", about, c.ID, d.ID)
			}
		}
	}
	for _, r := range all {
		without := oracleOf(all...)
		delete(without, r.Key())
		less, err := table.Apply(Delta{Delete: []Key{r.Key()}})
		require.NoError(t, err)
		ask(without, less, fmt.Sprint("without ", r.Key()))
		again, err := less.Apply(Delta{Put: Rows{r}})
		require.NoError(t, err)
		ask(oracleOf(all...), again, fmt.Sprint("again with ", r.Key()))
		require.Equal(t, table.Digest(), again.Digest(), r.Key())
		require.Equal(t, sizes(table), sizes(again), r.Key())
	}
}
