package eventstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// guessable are commands of the service whose ids anybody can work out who knows what
// they are about: one of each kind of id.
func guessable() map[string]Request {
	service := func(id domain.UUID, part domain.ID, command string, fields any) Request {
		return Request{ID: id, Actor: domain.ServiceActor(part), Command: command, Fields: []any{fields}}
	}
	due := func(cmd domain.Command, subject domain.ID) domain.UUID {
		return domain.DueCommand{Command: cmd, Subject: subject, At: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)}.ID()
	}
	return map[string]Request{
		"due":         service(due(domain.EndBooking{Booking: "b1"}, "b1"), "due", "EndBooking", &domain.EndBooking{Booking: "b1"}),
		"consequence": service(due(domain.SettleConsequences{}, "commit-2"), "due", "SettleConsequences", &domain.SettleConsequences{}),
		"zones": service(domain.DeriveUUID(domain.UUID{}, "gatehouse/zones/north/"+schedule.TZDataVersion), "zones", "SetZoneRules",
			&domain.SetZoneRules{Site: "north"}),
		"outcome": service(domain.DeriveUUID(domain.DeriveUUID(domain.UUID{}, "gatehouse/control"), "o1"), "control", "SettleRemoteUnlock",
			&domain.SettleRemoteUnlock{Request: "o1", Outcome: domain.UnlockUnknown}),
		"override": service(domain.DeriveUUID(domain.UUID{}, "override/x/1"), "serve", "RecordOverride", &domain.RecordOverride{Setting: "x", Value: "1", Needed: "2"}),
		"identity": service(domain.DeriveUUID(domain.UUID{}, "bind"), "api", "BindIdentity", &domain.BindIdentity{Person: "olga"}),
	}
}

// noOp is a command that anybody may send and that changes nothing.
func noOp() Request {
	return request(&domain.ChangePerson{Person: "olga", Name: domain.Give(domain.Clear("Olga"))})
}

func TestNobodyTakesAnIDOfTheService(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	_, err := s.Execute(t.Context(), "acme", noOp())
	require.NoError(t, err)
	for kind, sent := range guessable() {
		for _, id := range []domain.UUID{sent.ID, sent.ID.ForService()} {
			squat := noOp()
			squat.ID = id
			_, err := s.Execute(t.Context(), "acme", squat)
			if id.OfService() {
				assert.ErrorIs(t, err, ErrReservedID, kind)
			} else {
				assert.NoError(t, err, kind)
			}
		}
		// As in a ledger in which somebody took it before the name spaces were parted.
		for _, node := range []*Store{s, b.store()} {
			_, err = node.Execute(t.Context(), "acme", sent)
			if err != nil { // what it is about is not there; but it was decided
				_, decided := errors.AsType[*domain.Refusal](err)
				assert.True(t, decided, "%s: %v", kind, err)
			}
			assert.NotErrorIs(t, err, ErrReused, kind)
		}
	}
}

func TestWhatTheServiceSentUnderAFormerIDIsNotSentAgain(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	for _, kind := range []string{"override", "identity", "consequence"} {
		sent := guessable()[kind]
		old := storeAsBefore(t, s, "acme", sent)
		for _, node := range []*Store{s, b.store()} {
			r, err := node.Execute(t.Context(), "acme", sent)
			require.NoError(t, err, kind)
			assert.True(t, r.Repeated, kind)
			assert.Equal(t, old.Position, r.Position, kind)
		}
	}
}

// storeAsBefore commits a command of the service under the id that it is given.
func storeAsBefore(t *testing.T, s *Store, org domain.ID, req Request) Result {
	t.Helper()
	o, err := s.org(t.Context(), org)
	require.NoError(t, err)
	defer s.release(o)
	typ, _ := domain.CommandNamed(req.Command)
	x := &execution{store: s, org: o, req: req, typ: typ}
	var r Result
	require.NoError(t, o.queue.do(t.Context(), laneOf(false, 1), func(ctx context.Context) { r, x.err = x.run(ctx) }))
	require.NoError(t, x.err)
	return r
}

func TestATokenThatEndsOnTheWayCommitsNothing(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	hash := "00000000000000000000000000000000000000000000000000000000000000"
	issue := func(id domain.ID, n string) {
		_, err := s.Execute(t.Context(), "acme", request(&domain.IssueToken{Token: id, Person: "olga", Hash: hash + n, Scope: domain.ScopeFull,
			Expires: s.cfg.Now().Add(time.Hour)}))
		require.NoError(t, err)
	}
	issue("good", "01")
	issue("bad", "02")
	send := func(token domain.ID, dry bool) error {
		req := request(&domain.RegisterPerson{Name: domain.Clear("Ana")})
		req.Token, req.DryRun = token, dry
		_, err := s.Execute(t.Context(), "acme", req)
		return err
	}
	require.NoError(t, send("bad", false))
	// Another instance revokes it; this one's tail may not have heard of it yet.
	other := b.store()
	_, err := other.Execute(t.Context(), "acme", request(&domain.RevokeToken{Token: "bad"}))
	require.NoError(t, err)
	_, before := digest(t, other, "acme")
	assert.ErrorIs(t, send("bad", true), ErrTokenEnded)
	assert.ErrorIs(t, send("bad", false), ErrTokenEnded)
	assert.ErrorIs(t, send("unknown", false), ErrTokenEnded)
	_, after := digest(t, s, "acme")
	assert.Equal(t, before.N, after.N)
	rehearsal, err := s.Rehearse(t.Context(), "acme")
	require.NoError(t, err)
	tried := request(&domain.RegisterPerson{Name: domain.Clear("Ana")})
	tried.Token = "bad"
	_, err = rehearsal.Execute(t.Context(), tried)
	assert.ErrorIs(t, err, ErrTokenEnded)
	assert.NoError(t, send("good", false))
}

// The tail may follow another instance's commit between a dry run's decision and its
// answer: the answer is then of a state that is past, and is made again.
func TestAnAnswerThatTheTailOvertookIsMadeAgain(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	o, err := s.org(t.Context(), "acme")
	require.NoError(t, err)
	defer s.release(o)
	req := request(&domain.RegisterPerson{Name: domain.Clear("Ana")})
	req.DryRun = true
	typ, _ := domain.CommandNamed(req.Command)
	x := &execution{store: s, org: o, req: req, typ: typ}
	defer x.free()
	p, err := x.prepare(t.Context())
	require.NoError(t, err)
	again, err := x.behind(t.Context(), p, nil)
	require.NoError(t, err)
	assert.False(t, again, "nothing was committed since")
	_, err = s.Execute(t.Context(), "acme", request(&domain.RegisterPerson{Name: domain.Clear("Ben")}))
	require.NoError(t, err)
	again, err = x.behind(t.Context(), p, nil)
	require.NoError(t, err)
	assert.True(t, again, "the state has moved on since the decision")
}
