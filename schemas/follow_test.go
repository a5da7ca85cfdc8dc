package schemas

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain"
	"gatehouse/randomtest"
	"gatehouse/schemas/wire"
)

func TestACommitFollowsAnotherOrALostRange(t *testing.T) {
	hash := wire.HashOf([]byte("the one before"))
	restored := func(epoch, from, to uint64, hash string) []Event {
		data, err := json.Marshal(domain.LedgerRestored{Epoch: epoch, LostFrom: from, LostTo: to, HashAtLostFrom: hash})
		require.NoError(t, err)
		return []Event{{Type: "ledger.restored", Version: 1, Data: data}}
	}
	for _, c := range []struct {
		epoch, n uint64
		prev     wire.Hash
		events   []Event
		wrong    string // empty: it follows 1-7
	}{
		{1, 8, hash, nil, ""},
		{1, 9, hash, nil, "it should be 1-8"},
		{1, 7, hash, nil, "it should be 1-8"},
		{2, 8, hash, nil, "it should be 1-8"},
		{1, 8, wire.Hash{}, nil, "another hash"},
		{2, 21, hash, restored(2, 8, 20, hash.String()), ""},
		{2, 9, hash, restored(2, 8, 8, hash.String()), ""},
		{2, 8, hash, restored(2, 8, 7, hash.String()), "lost"},                          // nothing lost
		{2, 22, hash, restored(2, 8, 20, hash.String()), "it should be 2-21"},           // a second gap behind
		{2, 8, hash, restored(2, 8, 20, hash.String()), "it should be 2-21"},            // a number of the range
		{3, 21, hash, restored(3, 8, 20, hash.String()), "it should be 2-21"},           // an epoch is left out
		{1, 21, hash, restored(1, 8, 20, hash.String()), "it should be 2-21"},           // none begins
		{2, 21, hash, restored(3, 8, 20, hash.String()), "epoch 3"},                     // it contradicts itself
		{2, 21, hash, restored(2, 9, 20, hash.String()), "from 9 on"},                   // a gap before the range
		{2, 21, hash, restored(2, 7, 20, hash.String()), "from 7 on"},                   // what is there is lost
		{2, 21, hash, restored(2, 8, 20, wire.HashOf(nil).String()), "behind e3b0c442"}, // another branch
		{2, 21, wire.Hash{}, restored(2, 8, 20, wire.Hash{}.String()), "another hash"},
		{2, domain.MaxLost + 2, hash, restored(2, 8, domain.MaxLost+1, hash.String()), "lost"},
	} {
		commit := &Commit{Epoch: c.epoch, N: c.n, Prev: c.prev, Events: c.events, MinReader: Format}
		err := commit.Follows(wire.Position{Epoch: 1, N: 7}, hash)
		if c.wrong == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorIs(t, err, ErrDoesNotFollow, "%s %s", commit.Position(), c.events)
		assert.ErrorContains(t, err, c.wrong)
	}
	first := &Commit{Epoch: 1, N: 1, MinReader: Format}
	assert.NoError(t, first.Follows(wire.Position{}, wire.Hash{}))
	lostAll := &Commit{Epoch: 2, N: 6, Events: restored(2, 1, 5, strings.Repeat("0", 64)), MinReader: Format}
	assert.NoError(t, lostAll.Follows(wire.Position{Epoch: 1, N: 0}, wire.Hash{}), "a ledger may be lost as a whole")
}

func TestNumbersWithLostRanges(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(rt *rapid.T) {
		var lost Ranges
		var there []uint64 // the numbers that have a commit
		n := uint64(0)
		for i := range rapid.IntRange(1, 60).Draw(rt, "commits") {
			if rapid.IntRange(0, 4).Draw(rt, fmt.Sprint("lost before ", i)) == 0 && (len(lost) == 0 || lost[len(lost)-1].To != n) {
				to := n + rapid.Uint64Range(1, 30).Draw(rt, "so many")
				lost = append(lost, Range{n + 1, to})
				n = to
			}
			n++
			there = append(there, n)
		}
		count := uint64(0)
		for at := uint64(0); at <= n; at++ {
			has := count < uint64(len(there)) && there[count] == at
			if has {
				count++
			}
			require.Equal(rt, count, lost.Count(at), "up to %d", at)
			require.Equal(rt, at > 0 && !has, lost.Has(at), "%d", at)
		}
		require.Zero(rt, lost.Number(0))
		for i, at := range there {
			require.Equal(rt, at, lost.Number(uint64(i)+1))
		}
	})
}

func TestPositionsAreOrderedByEpochFirst(t *testing.T) {
	assert.True(t, wire.Position{Epoch: 1, N: 9}.Before(wire.Position{Epoch: 1, N: 10}))
	assert.True(t, wire.Position{Epoch: 1, N: 900}.Before(wire.Position{Epoch: 2, N: 21}), "what was lost is before what came after")
	assert.False(t, wire.Position{Epoch: 2, N: 21}.Before(wire.Position{Epoch: 1, N: 900}))
	assert.False(t, wire.Position{Epoch: 2, N: 21}.Before(wire.Position{Epoch: 2, N: 21}))
}
