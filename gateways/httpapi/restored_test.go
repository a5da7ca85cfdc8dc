package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

// A ledger that goes on far above what it lost is listed as any other, in as few
// pages; what was lost is at no position.
func TestCommitsOverALostRange(t *testing.T) {
	b := newWorld(t, "storage")
	olga := b.token("olga", domain.ScopeFull)
	before := b.positions(olga, "/commits?limit=500")
	head := uint64(len(before))
	const lost = 1_000_000_000
	_, err := b.store.GoOn(t.Context(), "acme", eventstore.Loss{LostTo: head + lost})
	require.NoError(t, err)
	b.execute(domain.PersonActor("olga"), "RenameSite", `{"site":"north","name":"Northern"}`)
	all := append(slices.Clone(before), fmt.Sprintf("2-%d", head+lost+1), fmt.Sprintf("2-%d", head+lost+2))
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	for order, want := range map[string][]string{"oldest": all, "newest": reversed} {
		assert.Equal(t, want, b.positions(olga, "/commits?limit=500&order="+order), order)
		assert.Equal(t, want, b.pages(olga, "/commits?limit=7&order="+order), order)
		assert.Len(t, b.positions(olga, "/commits?type=ledger.restored&order="+order), 1, order)
		assert.Equal(t, all[len(all)-1:], b.positions(olga, "/commits?from=2-1000&type=site&order="+order), "behind a lost one")
	}
	assert.Equal(t, all[len(all)-2:], b.positions(olga, fmt.Sprintf("/commits?from=1-%d", head+5)))
	assert.Equal(t, before[len(before)-1:], b.positions(olga, fmt.Sprintf("/commits?from=1-%d&to=1-%d", head-1, head+5)))
	assert.Equal(t, "2-"+fmt.Sprint(head+lost+2), b.get(olga, "/doors").is(http.StatusOK).header.Get("Gatehouse-Position"))
	b.send(olga, "RestoreLedger", `{"epoch":3,"lost_from":1,"lost_to":2,"hash_at_lost_from":"00"}`).problem(http.StatusForbidden, "role_not_permitted")
}
