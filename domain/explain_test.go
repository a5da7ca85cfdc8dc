package domain

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain/unlock"
	"gatehouse/randomtest"
)

// explained asks for the explanation of a question and checks it against the gateway's
// answer. It checks each way of the explanation against a decision that knows only that
// way.
func (g gateway) explained(t require.TestingT, s *State, q asked) explained {
	question := Question{Door: q.Door, Side: unlock.In, At: q.At, Credential: q.Credential, Person: q.Person, Kind: q.Kind}
	if q.Remote {
		question.Command = CapabilityRemoteUnlock
	}
	e := explain(t, s, question)
	a := g.decide(q)
	require.Equal(t, a.Code, e.Code, "%s", q)
	require.Equal(t, a.Failed.Codes(), e.Failed.Codes(), "%s", q)
	require.Equal(t, a.Allowed, e.Allowed, "%s", q)
	require.Equal(t, e.Allowed, e.Because == "", "%s: %s", q, e.text)
	for _, step := range e.all() {
		require.NotEmpty(t, step.Says, "%s %s", step.Kind, step.ID)
	}
	if e.Failed.Has(unlock.DenyUnknownAccessPoint) || e.Failed.Has(unlock.DenyUnknownCredential) {
		return e
	}
	for _, w := range e.Ways {
		alone := g.aloneBy(t, s, q, question, w.Grant)
		if alone.Grant().ID != w.Grant {
			continue // shared with the tenant, whose own way comes with it
		}
		var failed []unlock.Code
		for _, step := range slices.Concat(e.Steps, w.Steps) {
			failed = append(failed, step.Failed...)
		}
		slices.Sort(failed)
		require.ElementsMatch(t, alone.Failed.Codes(), slices.Compact(failed), "%s by %s:\n%s", q, w.Grant, e.text)
	}
	return e
}

// aloneBy decides as if the person had only one grant at the site of the door.
func (g gateway) aloneBy(t require.TestingT, s *State, q asked, question Question, grant string) unlock.Answer {
	person := question.Person
	if c, ok := s.Credentials.Get(question.Credential); ok {
		person = c.Person
	}
	var others []unlock.Key
	parents := parentsOf(g[q.Site], grant)
	for _, id := range s.GrantsAt(person, q.Site) {
		if !slices.Contains(parents, id) {
			others = append(others, unlock.Key{Kind: unlock.KindGrant, ID: id})
		}
	}
	table, err := g[q.Site].Apply(unlock.Delta{Delete: others})
	require.NoError(t, err)
	return unlock.Decide(table, LeaseHeld, question.Request())
}

// parentsOf lists a grant and those that it is a part of.
func parentsOf(table *unlock.Table, grant string) (ids []string) {
	for grant != "" && !slices.Contains(ids, grant) {
		ids = append(ids, grant)
		row, ok := table.Row(unlock.Key{Kind: unlock.KindGrant, ID: grant})
		if !ok {
			break
		}
		grant = row.(*unlock.Grant).Parent
	}
	return ids
}

func TestExplanationsNameWhatFails(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	rapid.Check(t, func(t *rapid.T) {
		s := NewState()
		s.WatchChanges()
		g := gateway{}
		for n := range rapid.IntRange(1, 10).Draw(t, "commits") {
			scramble(t, s, uint64(n+1))
		}
		g.follow(t, s)
		for range 10 {
			q := drawQuestion(t, s)
			q.Site = siteOf(q.Door)
			g.explained(t, s, q)
		}
	})
}

func TestExplanationsOfHistoriesNameCommits(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(1, 15).Draw(t, "commands") {
			h.pass()
			h.step()
			e := h.gates.explained(t, h.s, h.question())
			for _, step := range e.all() {
				if step.Says != "not known" && step.Says != "not known at the site" {
					require.NotEmpty(t, step.Commits, "%s %s", step.Kind, step.ID)
				}
				require.True(t, slices.IsSorted(step.Commits))
			}
		}
	})
}

func TestAnExplanationReads(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	for _, line := range []string{
		`olga ShareAccess {"bookings":["book-a1"],"sharees":[{"person":"vera"}],"from":"2026-03-01","until":"2026-03-31","shares":["s1"]}`,
		`stan SuspendBooking {"booking":"book-a1","level":"gatelock","cause":"unpaid"}`,
	} {
		_, r := w.command("explain", line)
		require.Nil(t, r)
	}
	at := time.Date(2026, 3, 5, 22, 30, 0, 0, time.UTC)
	e := explain(t, w.state, Question{Door: "gate", Side: unlock.In, At: at, Person: "vera"})
	require.Equal(t, `denied: the booking is suspended at the entrances (booking book-a1: gatelock for unpaid)
person vera at the door gate, in, on Thursday 2026-03-05 23:30 (2026-03-05T22:30:00Z), as of commit 48

  door gate    in service     commit 5
  site north   Europe/Berlin  commits 2, 25, 26
  person vera  active         commit 45

by share s1
  share s1                        active, from 2026-03-01 to 2026-03-31, by person:olga                                                          commit 47
  person anna                     active, who shares it                                                                                          commit 23
x booking book-a1                 suspended: gatelock for unpaid, from 2026-03-01 to 2026-12-31 -> deny_gatelock                                 commits 41, 43, 48
  unit a1                         occupied                                                                                                       commits 27, 38, 43
  right entries (Gate and lift)   2 doors                                                                                                        commit 34
x schedule day-hours (Day hours)  Monday to Sunday, 06:00 - 22:00; holidays included; holds next from 2026-03-06 06:00 -> deny_outside_schedule  commit 11
`, e.text)

	e = explain(t, w.state, Question{Door: "office", Side: unlock.Out, At: at, Person: "vera", Command: CapabilityRemoteUnlock})
	require.Equal(t, `denied: no access to this door (vera has no access to door office)
person vera at the door office, out, remote_unlock, on Thursday 2026-03-05 23:30 (2026-03-05T22:30:00Z), as of commit 48

x door office  in service -> deny_capability  commit 7
  site north   Europe/Berlin                  commits 2, 25, 26
  person vera  active                         commit 45

nothing that was given to this person opens this door

for other doors of the site: share:s1
`, e.text)

	e = explain(t, w.state, Question{Door: "nowhere", At: at, Person: "vera"})
	require.Equal(t, `denied: the door is unknown (no door nowhere)
person vera at the door nowhere, in, on 2026-03-05T22:30:00Z, as of commit 48

`, e.text)
}
