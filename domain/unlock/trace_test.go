package unlock

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/randomtest"
)

// failedAt gives what failed at steps.
func failedAt(steps []Step) (failed Checks) {
	for _, s := range steps {
		for _, f := range s.Failed {
			failed |= check(f.Code)
		}
	}
	return failed
}

// TestTraceTellsTheDecision compares, in random worlds, every trace with the answer:
// what failed at the rows is what the decision denies with, and the grant is the one
// whose first denial comes last.
func TestTraceTellsTheDecision(t *testing.T) {
	ways := 0
	for seed := range uint64(120) {
		d := newDice(t, randomtest.Seed(t, seed))
		rows := d.rows()
		table, err := NewTable(rows...)
		require.NoError(t, err, "seed %d", seed)
		for range 60 {
			local, r := d.local(), d.request()
			ways += traced(t, table, local, r)
		}
	}
	require.NotZero(t, ways, "no random world had several ways")
}

// traced checks one trace; it returns 1 if there were several grants to choose from.
func traced(t *testing.T, table *Table, local Local, r Request) int {
	t.Helper()
	a, f := Decide(table, &local, r), Trace(table, &local, r)
	require.Equal(t, a, f.Answer)
	common := failedAt(f.Steps)
	if len(f.Ways) == 0 {
		// Without a grant the decision has not looked at what narrows every grant.
		narrows := common & (check(DenyCapability) | check(DenyBlackout) | check(DenyHoliday) | check(DenyOutsideSchedule))
		want := a.Failed | narrows
		if a.Person() != nil && a.Code != DenyUnknownAccessPoint {
			common |= check(DenyNoAccessRight)
		}
		require.Equal(t, want.Codes(), common.Codes(), "%+v\n%+v", r, f.Steps)
		return 0
	}
	if a.Person() == nil {
		require.Zero(t, a.Failed&^common, "%+v\n%+v", r, f.Steps)
		return 0
	}
	q := question{table: table, local: &local, at: r.At, command: r.Command, site: table.site, door: table.doors.get(keyOf(r.Door))}
	q.atDoor(r.Side)
	best, got, granted := "", -1, check(DenyNoAccessRight)
	for _, w := range f.Ways {
		// A credential's own checks do not choose between grants.
		failed := failedAt(w.Steps)
		if first := bits.TrailingZeros64(uint64((failed | q.always(q.kindOf(&r, a.credential))) &^ q.marks)); first > got {
			best, got, granted = w.Grant.ID, first, failed
		}
	}
	id := ""
	if g := a.Grant(); g != nil {
		id = g.ID
	}
	require.Equal(t, best, id, "%+v", r)
	require.Equal(t, a.Failed.Codes(), (common | granted).Codes(), "%+v\n%+v\n%+v", r, f.Steps, f.Ways)
	return min(1, len(f.Ways)/2)
}

// Where two facts of a row have one code, the trace tells them apart.
func TestTraceTellsFactsOfOneCodeApart(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(s *storage)
		want Failure
	}{
		{"a revoked card", func(s *storage) { s.card.State = CredentialRevoked }, Failure{DenyCredentialRevoked, ByState}},
		{"a listed card", func(s *storage) { s.card.DenyListed = true }, Failure{DenyCredentialRevoked, Listed}},
		{"an expired card", func(s *storage) { s.card.State = CredentialExpired }, Failure{DenyCredentialExpired, ByState}},
		{"a card that is over", func(s *storage) { s.card.Window.Until = noon }, Failure{DenyCredentialExpired, Over}},
		{"a card before its time", func(s *storage) { s.card.Window.From = noon + 1 }, Failure{DenyCredentialNotActive, NotBegun}},
	} {
		s := newStorage(t)
		c.set(s)
		s.ask(s.card, s.hall)
		s.r.At = noon
		table, err := NewTable(s.all()...)
		require.NoError(t, err)
		f := Trace(table, &s.local, s.r)
		var got []Failure
		for _, step := range f.Steps {
			if step.Row == s.card.Key() {
				got = step.Failed
			}
		}
		require.Equal(t, []Failure{c.want}, got, c.name)
	}
}
