package eventstore

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
)

// count returns how often a test repeats its core: a few times by default, as
// often as GATEHOUSE_LONG says when that is a number above.
func count(few int) int {
	if n, err := strconv.Atoi(os.Getenv("GATEHOUSE_LONG")); err == nil {
		return max(few, n)
	}
	return few
}

// ledgerModel is an org's ledger as its writers may see it: every commit gets the
// next number.
var ledgerModel = porcupine.Model{
	Init: func() any { return uint64(1) }, // the commit that made the org
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byOrg := map[domain.ID][]porcupine.Operation{}
		for _, op := range history {
			id := op.Input.(appendInput).org
			byOrg[id] = append(byOrg[id], op)
		}
		var out [][]porcupine.Operation
		for _, ops := range byOrg {
			out = append(out, ops)
		}
		return out
	},
	Step: func(state, _, output any) (bool, any) {
		n := state.(uint64)
		got := output.(appendOutput)
		if got.unknown {
			return true, n // judged by what the ledger holds in the end
		}
		return got.n == n+1, n + 1
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(input, output any) string {
		return fmt.Sprintf("%v -> %v", input, output)
	},
}

type appendInput struct {
	org domain.ID
	id  domain.UUID
}

type appendOutput struct {
	n       uint64
	unknown bool
}

// Sixteen writers over four orgs on three nodes: every acknowledged commit is in
// the ledger once, at the position that was answered, and the numbers are those of
// some order in which the commands ran one after the other.
func TestContentionLosesAndDoublesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		nodes := []*Store{b.store(), b.store(), b.store()}
		orgs := []domain.ID{"acme", "beta", "core", "dune"}
		for _, id := range orgs {
			newOrg(t, nodes[0], id)
		}
		c := &contention{began: time.Now(), acked: map[domain.UUID]uint64{}}
		var writers sync.WaitGroup
		for w := range 16 {
			writers.Go(func() { c.write(t, nodes[w%len(nodes)], orgs[w%len(orgs)], w) })
		}
		writers.Wait()
		for _, id := range orgs {
			c.compare(t, nodes, id)
		}
		result := porcupine.CheckOperationsTimeout(ledgerModel, c.history, time.Minute)
		assert.Equal(t, porcupine.Ok, result, "the answers are those of no order of the commands")
		assert.NotEmpty(t, c.acked)
		t.Logf("%d operations, %d acknowledged, %d busy", len(c.history), len(c.acked), c.busy)
	})
}

// contention collects what writers were answered.
type contention struct {
	began time.Time

	mu      sync.Mutex // guards what follows
	history []porcupine.Operation
	acked   map[domain.UUID]uint64
	busy    int
}

func (c *contention) write(t *testing.T, s *Store, org domain.ID, writer int) {
	for i := range count(25) {
		req := request(&domain.RegisterPerson{Name: domain.Clear(fmt.Sprintf("writer %d, %d", writer, i))})
		call := time.Since(c.began).Nanoseconds()
		r, err := s.Execute(t.Context(), org, req)
		ret := time.Since(c.began).Nanoseconds()
		c.mu.Lock()
		switch {
		case err == nil:
			c.acked[req.ID] = r.Position.N
			c.history = append(c.history, porcupine.Operation{ClientId: writer, Input: appendInput{org, req.ID}, Call: call, Output: appendOutput{n: r.Position.N}, Return: ret})
		case errors.Is(err, ErrUnsettled):
			c.history = append(c.history, porcupine.Operation{ClientId: writer, Input: appendInput{org, req.ID}, Call: call, Output: appendOutput{unknown: true}, Return: math.MaxInt64})
		case errors.Is(err, ErrBusy):
			c.busy++
		default:
			t.Errorf("writer %d: %v", writer, err)
		}
		c.mu.Unlock()
	}
}

// compare reads an org's ledger and sets it against the answers, and the state of
// every node against each other.
func (c *contention) compare(t *testing.T, nodes []*Store, org domain.ID) {
	stored := map[domain.UUID]uint64{}
	last := uint64(0)
	_, err := nodes[0].Head(t.Context(), org) // up to the tail
	require.NoError(t, err)
	require.NoError(t, nodes[0].Commits(t.Context(), org, 0, 0, func(commit *schemas.Commit, _ []byte) error {
		_, twice := stored[commit.ID]
		assert.False(t, twice, "command %s is stored twice in %s", commit.ID, org)
		stored[commit.ID], last = commit.N, commit.N
		return nil
	}))
	for _, op := range c.history {
		in, out := op.Input.(appendInput), op.Output.(appendOutput)
		if in.org == org && !out.unknown {
			assert.Equal(t, out.n, stored[in.id], "command %s of %s", in.id, org)
		}
	}
	var want [32]byte
	for i, s := range nodes {
		_, err := s.WaitFor(t.Context(), org, last)
		require.NoError(t, err)
		d, head := digest(t, s, org)
		if i == 0 {
			want = d
		}
		assert.Equal(t, want, d, "node %d has another state of %s", i, org)
		assert.Equal(t, last, head.N)
	}
}
