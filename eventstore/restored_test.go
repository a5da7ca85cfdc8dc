package eventstore

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
	"gatehouse/randomtest"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// standing is a commit as a test remembers it.
type standing struct {
	at     wire.Position
	hash   wire.Hash
	digest [32]byte
}

// restored goes on behind a head of which some numbers are given up.
func restored(t *testing.T, s *Store, org domain.ID, lost uint64) Result {
	t.Helper()
	_, head := digest(t, s, org)
	r, err := s.GoOn(t.Context(), org, Loss{KnownTo: head.N + lost, LostTo: head.N + lost, Accepted: head.Position().String()})
	require.NoError(t, err)
	assert.Equal(t, wire.Position{Epoch: head.Position().Epoch + 1, N: head.N + lost + 1}, r.Position)
	return r
}

// history sends commands and restores at random and returns every commit.
func history(t *testing.T, s *Store, rnd *rand.Rand, steps int) []standing {
	t.Helper()
	var all []standing
	note := func() {
		d, head := digest(t, s, "acme")
		all = append(all, standing{head.Position(), head.Hash, d})
	}
	newOrg(t, s, "acme")
	note()
	for range steps {
		switch rnd.IntN(4) {
		case 0:
			restored(t, s, "acme", 1+rnd.Uint64N(5)*rnd.Uint64N(200))
		default:
			fill(t, s, "acme", 1)
		}
		note()
	}
	return all
}

// A ledger with lost ranges is read as any other, by whatever way and from wherever.
func TestALedgerGoesOnAboveWhatItLost(t *testing.T) {
	for seed := range uint64(count(3)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(randomtest.Seed(t, seed), 1))
			b := newR1(t)
			cfg := b.config()
			s := b.open(cfg)
			follower := b.store()
			newOrg(t, s, "beta")
			digest(t, follower, "acme") // it follows from the beginning
			all := history(t, s, rnd, 14)
			require.NoError(t, s.SnapshotAll(t.Context()))
			fill(t, s, "beta", 1)
			for range 3 {
				restored(t, s, "acme", 7)
				d, head := digest(t, s, "acme")
				all = append(all, standing{head.Position(), head.Hash, d})
			}
			end := all[len(all)-1]
			_, err := follower.Head(t.Context(), "acme")
			require.NoError(t, err)
			for name, node := range map[string]*Store{"itself": s, "a follower": follower, "over a snapshot": b.open(cfg), "again": b.store()} {
				d, head := digest(t, node, "acme")
				assert.Equal(t, end, standing{head.Position(), head.Hash, d}, name)
				assertCommits(t, node, all, rnd)
			}
			require.NoError(t, s.check(t.Context(), 0))
			flaws, unread := s.Flaws()
			assert.Empty(t, flaws)
			assert.Zero(t, unread)
		})
	}
}

// assertCommits compares what a node gives of parts of the ledger with what is there.
func assertCommits(t *testing.T, s *Store, all []standing, rnd *rand.Rand) {
	t.Helper()
	end := all[len(all)-1].at.N
	for range 30 {
		from, to := rnd.Uint64N(end+2), rnd.Uint64N(end+2)
		if rnd.IntN(3) == 0 {
			from = all[rnd.IntN(len(all))].at.N
		}
		var want, got []wire.Position
		for _, c := range all {
			if c.at.N > from && (c.at.N <= to || to == 0) {
				want = append(want, c.at)
			}
		}
		require.NoError(t, s.Commits(t.Context(), "acme", from, to, func(c *schemas.Commit, _ []byte) error {
			got = append(got, c.Position())
			return nil
		}))
		require.Equal(t, want, got, "behind %d up to %d", from, to)

		at, head, err := s.StateAt(t.Context(), budget.Who{Org: "acme"}, wire.Position{Epoch: 1 + rnd.Uint64N(3), N: from})
		for _, c := range all {
			if err == nil && c.at == head.Position() {
				d, derr := at.Digest()
				require.NoError(t, derr)
				require.Equal(t, c, standing{head.Position(), head.Hash, d})
			}
		}
		i := rnd.IntN(len(all))
		_, head, err = s.StateAt(t.Context(), budget.Who{Org: "acme"}, all[i].at)
		require.NoError(t, err)
		require.Equal(t, all[i].hash, head.Hash)

		step := rnd.IntN(5)
		next, err := s.Step(t.Context(), "acme", all[i].at.N, step)
		require.NoError(t, err)
		require.Equal(t, all[min(i+step, len(all)-1)].at.N, next)
		before, err := s.Step(t.Context(), "acme", all[i].at.N, -step)
		require.NoError(t, err)
		if step > i {
			require.Zero(t, before)
		} else {
			require.Equal(t, all[i-step].at.N, before)
		}
	}
	for i, c := range all[1:] {
		for _, lost := range []uint64{all[i].at.N + 1, c.at.N - 1} {
			if lost <= all[i].at.N || lost >= c.at.N {
				continue
			}
			for epoch := range c.at.Epoch {
				_, _, err := s.StateAt(t.Context(), budget.Who{Org: "acme"}, wire.Position{Epoch: epoch + 1, N: lost})
				require.ErrorIs(t, err, ErrNoPosition, "%d is lost", lost)
			}
		}
	}
}

// An observer that knows a commit that was lost begins before the commit that says so.
// So does one that was told of a number within the lost range. Both see that commit.
func TestAnObserverBeginsBeforeWhatWasRestored(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	fill(t, s, "acme", 2)
	back := restored(t, s, "acme", 50).Position
	fill(t, s, "acme", 1)
	for _, from := range []uint64{3, 4, 30, 53, 54, 55} {
		w := &recorder{from: from}
		node := b.open(b.config())
		node.Observe(w)
		digest(t, node, "acme")
		assert.LessOrEqual(t, w.began, from)
		if from < back.N {
			assert.Equal(t, uint64(3), w.began)
			assert.Equal(t, []uint64{54, 55}, w.seen)
		}
	}
}

// Nothing but LedgerRestored makes a gap, and only the one that it names.
func TestNoOtherGapIsServed(t *testing.T) {
	event := func(e domain.LedgerRestored) []schemas.Event {
		data, err := json.Marshal(e)
		require.NoError(t, err)
		return []schemas.Event{{Type: "ledger.restored", Version: 1, Sites: []domain.ID{}, Data: data}}
	}
	for name, change := range map[string]func(*schemas.Commit){
		"beyond the range":    func(c *schemas.Commit) { c.N += 2 },
		"within the range":    func(c *schemas.Commit) { c.N -= 2 },
		"in the same epoch":   func(c *schemas.Commit) { c.Epoch = 1 },
		"behind another body": func(c *schemas.Commit) { c.Prev[0] ^= 1 },
		"without the event":   func(c *schemas.Commit) { c.Events = nil },
		"from a later number": func(c *schemas.Commit) {
			c.Events = event(domain.LedgerRestored{Epoch: 2, LostFrom: 5, LostTo: 9, HashAtLostFrom: c.Prev.String()})
		},
		"from an earlier one": func(c *schemas.Commit) {
			c.Events = event(domain.LedgerRestored{Epoch: 2, LostFrom: 3, LostTo: 9, HashAtLostFrom: c.Prev.String()})
		},
		"behind another chain": func(c *schemas.Commit) {
			c.Events = event(domain.LedgerRestored{Epoch: 2, LostFrom: 4, LostTo: 9, HashAtLostFrom: wire.Hash{}.String()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newR1(t)
			s := b.store()
			newOrg(t, s, "acme")
			fill(t, s, "acme", 2)
			forge(t, s, "acme", func(c *schemas.Commit) {
				c.Epoch, c.N = 2, 10
				c.Events = event(domain.LedgerRestored{Epoch: 2, LostFrom: 4, LostTo: 9, HashAtLostFrom: c.Prev.String()})
				change(c)
			})
			fresh := b.store()
			assert.ErrorIs(t, fresh.View(t.Context(), "acme", func(*domain.State, Head) error { return nil }), ErrBrokenChain)
			require.NoError(t, fresh.check(t.Context(), 0))
			flaws, _ := fresh.Flaws()
			assert.ErrorIs(t, flaws["acme"], ErrBrokenChain)
		})
	}
}

// A restore is decided on the head that it names.
func TestARestoreNamesTheHead(t *testing.T) {
	b := newR1(t)
	s := b.store()
	newOrg(t, s, "acme")
	_, head := digest(t, s, "acme")
	send := func(change func(*domain.RestoreLedger)) error {
		c := &domain.RestoreLedger{Epoch: 2, LostFrom: 2, LostTo: 9, HashAtLostFrom: head.Hash.String()}
		change(c)
		req := request(c)
		req.Actor = domain.ServiceActor("restore")
		_, err := s.Execute(t.Context(), "acme", req)
		return err
	}
	assert.ErrorIs(t, send(func(c *domain.RestoreLedger) { c.HashAtLostFrom = wire.Hash{}.String() }), ErrPosition)
	assert.ErrorIs(t, send(func(c *domain.RestoreLedger) { c.Epoch = 3 }), ErrPosition)
	assert.ErrorContains(t, send(func(c *domain.RestoreLedger) { c.LostFrom = 3 }), "the ledger ends with 1")
	assert.NoError(t, send(func(*domain.RestoreLedger) {}))
	again, err := s.GoOn(t.Context(), "acme", Loss{LostTo: 20})
	require.NoError(t, err)
	assert.Equal(t, wire.Position{Epoch: 3, N: 21}, again.Position)
}

// recorder is an observer that begins at a number and notes what it sees.
type recorder struct {
	from, began uint64
	seen        []uint64
}

func (r *recorder) From(context.Context, domain.ID) (uint64, error) { return r.from, nil }
func (r *recorder) Begin(_ domain.ID, _ *domain.State, head Head)   { r.began = head.N }
func (r *recorder) Applied(_ domain.ID, _ *domain.State, c *schemas.Commit, _ Head) {
	r.seen = append(r.seen, c.N)
}
func (r *recorder) Seen(domain.ID) wire.Position { return wire.Position{} }
func (r *recorder) Settled(domain.ID) uint64     { return 0 }
func (r *recorder) End(domain.ID) bool           { return true }
