package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newPool(places, line Shares) (*Pool, *Metrics) {
	m := NewMetrics(prometheus.NewRegistry())
	return New(Config{Name: "folds", Places: places, Line: line, Patience: time.Second}, m), m
}

// value is what a metric shows.
func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	require.NoError(t, m.Write(&out))
	return out.GetGauge().GetValue() + out.GetCounter().GetValue()
}

// take takes a place and fails the test when there is none.
func take(t *testing.T, p *Pool, who Who) (release func()) {
	t.Helper()
	release, err := p.Take(t.Context(), who, 1)
	require.NoError(t, err)
	return release
}

func TestNobodyTakesMoreThanTheirShare(t *testing.T) {
	p, m := newPool(Shares{All: 6, Org: 4, Person: 3, Token: 2}, Shares{})
	full := func(who Who, share Share, limit int) {
		t.Helper()
		_, err := p.Take(t.Context(), who, 1)
		f, ok := errors.AsType[*Full](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, Full{"folds", share, limit}, *f)
		assert.Contains(t, f.Error(), "folds")
		assert.Contains(t, f.Error(), string(share))
	}
	one := Who{"acme", "gus", "t1"}
	first := take(t, p, one)
	take(t, p, one)
	full(one, ShareToken, 2)
	take(t, p, Who{"acme", "gus", "t2"})
	full(Who{"acme", "gus", "t3"}, SharePerson, 3)
	take(t, p, Who{"acme", "olga", "t4"})
	full(Who{"acme", "stan", "t5"}, ShareOrg, 4)
	take(t, p, Who{"globex", "gus", "t1"}) // another person, as it is another org
	take(t, p, Who{"globex", "gus", "t1"})
	full(Who{"initech", "ira", "t6"}, ShareAll, 6)
	assert.Equal(t, 6, p.Taken())
	first()
	first() // gives nothing back twice
	assert.Equal(t, 5, p.Taken())
	take(t, p, one)
	for share, want := range map[Share]float64{ShareToken: 1, SharePerson: 1, ShareOrg: 1, ShareAll: 1} {
		assert.Equal(t, want, value(t, m.Refused.WithLabelValues("folds", string(share))), share)
	}
	assert.Equal(t, 6.0, value(t, m.Taken.WithLabelValues("folds")))
	assert.Equal(t, 6.0, value(t, m.Limit.WithLabelValues("folds")))
}

// The places that one asks for at once may be many, as bytes are; who asks for more
// than their share gets all of it.
func TestPlacesAreWeighed(t *testing.T) {
	p, _ := newPool(Shares{All: 10, Org: 6}, Shares{})
	release, err := p.Take(t.Context(), Who{Org: "acme"}, 100)
	require.NoError(t, err)
	assert.Equal(t, 6, p.Taken())
	_, err = p.Take(t.Context(), Who{Org: "globex"}, 5)
	require.Error(t, err)
	release()
	assert.Zero(t, p.Taken())
	assert.Empty(t, p.taken, "who has nothing is forgotten")
}

// Of those who wait, the orgs take turns, whatever number of each there is.
func TestOrgsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m := newPool(Shares{All: 1}, Shares{All: 10})
		held := take(t, p, Who{Org: "first"})
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		for _, name := range []string{"acme 1", "acme 2", "acme 3", "globex 1", "globex 2", "initech 1"} {
			all.Go(func() {
				release, err := p.Take(t.Context(), Who{Org: name[:len(name)-2]}, 1)
				assert.NoError(t, err)
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				release()
			})
			synctest.Wait() // it waits, before the next one comes
		}
		assert.Equal(t, 6, p.Waiting())
		assert.Equal(t, 6.0, value(t, m.Waiting.WithLabelValues("folds")))
		held()
		all.Wait()
		assert.Equal(t, []string{"acme 1", "globex 1", "initech 1", "acme 2", "globex 2", "acme 3"}, order)
		assert.Zero(t, p.Waiting())
		assert.Zero(t, p.Taken())
		assert.Empty(t, p.waiting)
	})
}

func TestALineIsBoundedAndEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m := newPool(Shares{All: 4, Org: 1}, Shares{All: 3, Org: 1})
		held := take(t, p, Who{Org: "acme"})
		began := time.Now()
		failed := make(chan error)
		go func() {
			_, err := p.Take(t.Context(), Who{Org: "acme"}, 1)
			failed <- err
		}()
		synctest.Wait()
		_, err := p.Take(t.Context(), Who{Org: "acme"}, 1)
		require.ErrorContains(t, err, "the share of this org in the budget folds, 1, is used up")
		assert.Zero(t, time.Since(began), "the line of the org is full")
		take(t, p, Who{Org: "globex"})() // nobody waits for what others have used up
		err = <-failed
		require.ErrorContains(t, err, "folds")
		assert.Equal(t, time.Second, time.Since(began))
		assert.Equal(t, 2.0, value(t, m.Refused.WithLabelValues("folds", "org")))

		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := p.Take(ctx, Who{Org: "acme"}, 1)
			failed <- err
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-failed, context.Canceled)
		assert.Zero(t, p.Waiting())
		held()
		assert.Zero(t, p.Taken())
	})
}

// Heavy work runs one piece at a time, and a piece that began later is not last: the
// orgs share the core in slices.
func TestHeavyWorkSharesOneCore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCore(NewMetrics(prometheus.NewRegistry()))
		var mu sync.Mutex
		var order []string
		running := 0
		work := func(who Who, name string, slices int) {
			turn, err := c.Begin(t.Context(), who)
			assert.NoError(t, err)
			for i := range slices {
				mu.Lock()
				running++
				assert.Equal(t, 1, running)
				order = append(order, fmt.Sprint(name, i))
				mu.Unlock()
				time.Sleep(slice)
				mu.Lock()
				running--
				mu.Unlock()
				assert.NoError(t, turn.Yield(t.Context()))
			}
			turn.End()
		}
		var all sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			org := "acme"
			if name == "c" {
				org = "globex"
			}
			all.Go(func() { work(Who{Org: org}, name, 3) })
			synctest.Wait()
		}
		all.Wait()
		assert.Equal(t, []string{"a0", "c0", "b0", "c1", "a1", "c2", "b1", "a2", "b2"}, order, "whatever number of pieces acme has, globex has every second turn")
		assert.Zero(t, c.pool.Taken())
	})
}

func TestHeavyWorkEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCore(NewMetrics(prometheus.NewRegistry()))
		ctx, cancel := context.WithCancel(t.Context())
		turn, err := c.Begin(ctx, Who{Org: "acme"})
		require.NoError(t, err)
		require.NoError(t, turn.Yield(ctx))
		time.Sleep(slice)
		cancel()
		require.ErrorIs(t, turn.Yield(ctx), context.Canceled)
		turn.End()
		assert.Zero(t, c.pool.Taken())
		_, err = c.Begin(ctx, Who{Org: "acme"})
		require.NoError(t, err, "a free core is not refused")
	})
}
