package permissions

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas/wire"
)

func TestARestartPublishesWhatIsMissing(t *testing.T) {
	b := newBed(t)
	old := b.node().start()
	old.do("acme", house)
	old.flush()
	old.quit()
	before := len(b.deltas("acme", "north"))
	old.do("acme", `olga RevokeRight {"grant":"g-ben-n"}
olga RegisterPerson {"person":"carl","name":"Carl"}
olga SuspendPerson {"person":"anna"}
olga DisableDoor {"door":"office"}`)
	head, err := old.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	assert.Less(t, old.Settled("acme"), head.N)
	assert.Equal(t, head.N-4, old.Published("acme"))

	n := b.node()
	from, err := n.From(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, head.N-4, from, "the commits behind it are needed")
	n.start()
	n.agreeAfter("acme", head.N)
	assert.Zero(t, n.divergence())
	assert.Equal(t, []string{fmt.Sprint(head.N-3, " commit"), fmt.Sprint(head.N-1, " commit"), fmt.Sprint(head.N, " commit")},
		told(b.deltas("acme", "north")[before:]))
}

// agreeAfter waits until a commit is published and checks that all agree.
func (n *node) agreeAfter(org domain.ID, commit uint64) {
	n.b.t.Helper()
	_, err := n.store.Head(n.b.t.Context(), org)
	require.NoError(n.b.t, err)
	ctx, cancel := context.WithTimeout(n.b.t.Context(), patience)
	defer cancel()
	require.NoError(n.b.t, n.Wait(ctx, org, commit))
	n.flush()
	n.agree(org, "north", "south")
}

func TestACrashBetweenTheSitesOfOneCommitLosesNeither(t *testing.T) {
	b := newBed(t)
	old := b.node()
	old.do("acme", house)
	old.settle("acme")
	old.agree("acme", "north", "south")
	north, south := len(b.deltas("acme", "north")), len(b.deltas("acme", "south"))

	old.do("acme", `olga SuspendPerson {"person":"anna"}`)
	require.True(t, old.turnOnce())
	head, err := old.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	assert.Len(t, b.deltas("acme", "north"), north+1)
	assert.Len(t, b.deltas("acme", "south"), south, "the crash comes here")
	assert.Equal(t, head.N-1, b.deltas("acme", "north")[north].Done)

	n := b.node()
	from, err := n.From(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, head.N-1, from)
	n.do("acme", `olga ReinstatePerson {"person":"anna"}`)
	n.turnAll()
	n.agree("acme", "north", "south")
	assert.Zero(t, n.divergence())
	assert.Equal(t, []string{fmt.Sprint(head.N, " commit"), fmt.Sprint(head.N+1, " commit")}, told(b.deltas("acme", "north")[north:]))
	assert.Equal(t, []string{fmt.Sprint(head.N, " commit"), fmt.Sprint(head.N+1, " commit")}, told(b.deltas("acme", "south")[south:]))
}

func TestACrashAmongTheFirstDeltasOfAnOrgLosesNoSite(t *testing.T) {
	b := newBed(t)
	old := b.node()
	old.do("acme", house)
	for b.published("acme") == 0 {
		require.True(t, old.turnOnce())
	}
	n := b.node()
	n.do("acme", `olga SuspendPerson {"person":"anna"}`)
	n.settle("acme")
	n.agree("acme", "north", "south")
	assert.Zero(t, n.divergence())
}

// published is how many messages stand on the subjects of an org's sites.
func (b *bed) published(org domain.ID) (n uint64) {
	stream, err := b.js.Stream(b.t.Context(), streams.Permissions)
	require.NoError(b.t, err)
	subjects, err := stream.Info(b.t.Context(), withSubjects("permissions."+string(org)+".*"))
	require.NoError(b.t, err)
	for s, count := range subjects.State.Subjects {
		if s != cursorSubject(org) {
			n += count
		}
	}
	return n
}

func TestAProjectorThatComesLateBeginsWithWholeTables(t *testing.T) {
	b := newBed(t)
	old := b.node()
	old.do("acme", house)
	n := b.node()
	from, err := n.From(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, uint64(math.MaxUint64), from)
	head, err := n.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	n.turnAll()
	deltas := b.deltas("acme", "north")
	assert.Equal(t, []string{fmt.Sprint(head.N, " begin")}, told(deltas))
	assert.True(t, deltas[0].Whole())

	// The load had no keys of personal data: tags come when it is over.
	n.start()
	require.Eventually(t, func() bool { return len(b.deltas("acme", "north")) == 2 }, patience, time.Millisecond)
	assert.Equal(t, fmt.Sprint(head.N, " tags"), told(b.deltas("acme", "north"))[1])
	n.flush()
	n.agree("acme", "north")
	assert.Zero(t, n.divergence())
}

func TestSnapshotsAreTakenWhereTheNextStartGoesOn(t *testing.T) {
	b := newBed(t)
	k := &keys{Keeper: b.vault}
	old := b.nodeAt("same", k).start()
	old.do("acme", house)
	old.do("acme", `olga RegisterPerson {"person":"carl","name":"Carl"}`) // changes no row
	old.flush()
	head, err := old.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, head.N, old.Settled("acme"))
	old.quit()
	require.NoError(t, old.store.Close(t.Context()))

	n := b.nodeAt("same", k)
	from, err := n.From(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, head.N, from, "the snapshot at the head is of use")
	n.do("acme", `olga SuspendPerson {"person":"anna"}`)
	n.turnAll()
	n.agree("acme", "north", "south")
	assert.Zero(t, n.divergence())
}

func TestWhatTheLedgerSaysIsPublishedAnewWhereItDiffers(t *testing.T) {
	b := newBed(t)
	old := b.node().start()
	old.do("acme", house)
	old.flush()
	old.quit()
	b.forge("acme", "north", func(d *wire.PermissionDelta) { // as code would that folds another way
		d.Delete = []unlock.Key{{Kind: unlock.KindGrant, ID: "g-ben-n"}}
		d.Put = unlock.Rows{&unlock.Person{ID: "mallory", State: unlock.PersonActive}}
	})
	n := b.node()
	_, err := n.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	assert.Equal(t, 1.0, n.divergence())
	n.turnAll()
	n.agree("acme", "north", "south")
	deltas := b.deltas("acme", "north")
	last := deltas[len(deltas)-1]
	assert.Equal(t, wire.CauseRebuilt, last.Cause)
	assert.Len(t, last.Put, 1)
	assert.Equal(t, []unlock.Key{{Kind: unlock.KindPerson, ID: "mallory"}}, last.Delete)
	assert.Empty(t, n.Lags()[0].Diverged, "it is published as it should be")
}

func TestWhatCannotBeReadIsRefusedAndReplaced(t *testing.T) {
	for name, damage := range map[string]func(*wire.PermissionDelta){
		"previous digest": func(d *wire.PermissionDelta) { d.PrevDigest[3] ^= 1 },
		"previous number": func(d *wire.PermissionDelta) { d.PrevN-- },
		"digest":          func(d *wire.PermissionDelta) { d.Digest = unlock.Digest{1} },
		"order":           func(d *wire.PermissionDelta) { d.N-- },
		"site":            func(d *wire.PermissionDelta) { d.Site = "south" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			old := b.node().start()
			old.do("acme", house)
			old.flush()
			old.quit()
			b.forge("acme", "north", func(d *wire.PermissionDelta) {
				d.Delete = []unlock.Key{{Kind: unlock.KindGrant, ID: "g-ben-n"}}
				damage(d)
			})
			table, _, err := Load(t.Context(), b.js, "acme", "north")
			require.ErrorIs(t, err, wire.ErrPermissions)
			assert.Nil(t, table, "never a partial one")

			n := b.node().start()
			n.do("acme", `olga SuspendPerson {"person":"anna"}`)
			n.flush()
			assert.Equal(t, 1.0, n.divergence())
			require.Eventually(t, func() bool { // the base behind the damage
				_, _, err := Load(t.Context(), b.js, "acme", "north")
				return err == nil
			}, patience, time.Millisecond)
			n.tagged("acme", "north")
			n.agree("acme", "north", "south")
		})
	}
}

// tagged waits until all tags of a site are made and published.
func (n *node) tagged(org, site domain.ID) {
	n.b.t.Helper()
	want := n.fromState(org, site).Digest()
	require.Eventually(n.b.t, func() bool {
		table, _, err := Load(n.b.t.Context(), n.b.js, org, site)
		return err == nil && table.Digest() == want
	}, patience, time.Millisecond)
	n.flush()
}

func TestDamageThatIsMetWhilePublishingIsReplaced(t *testing.T) {
	b := newBed(t)
	n := b.node().start()
	n.do("acme", house)
	n.flush()
	b.forge("acme", "north", func(d *wire.PermissionDelta) { d.PrevDigest[3] ^= 1 })
	n.do("acme", `olga SuspendPerson {"person":"anna"}`)
	n.flush()
	assert.Equal(t, 1.0, n.divergence())
	require.Eventually(t, func() bool {
		_, _, err := Load(t.Context(), b.js, "acme", "north")
		return err == nil
	}, patience, time.Millisecond)
	n.agree("acme", "north", "south")
}

func TestWhatLaterCodePublishedIsLeftAlone(t *testing.T) {
	b := newBed(t)
	old := b.node().start()
	old.do("acme", house)
	old.flush()
	old.quit()
	b.forge("acme", "north", func(d *wire.PermissionDelta) { d.Format = wire.PermissionsFormat + 1 })
	before := b.published("acme")
	n := b.node().start()
	n.do("acme", `olga RevokeRight {"grant":"g-ben-n"}`)
	n.flush()
	assert.Equal(t, before, b.published("acme"))
	assert.Equal(t, []domain.ID{"north"}, n.Lags()[0].Diverged)
	assert.Equal(t, n.fromState("acme", "north").Count(unlock.KindGrant), n.Table("acme", "north").Count(unlock.KindGrant), "it still decides")
}
