package permissions

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore/streams"
)

func TestALongQueueOfOneOrgDoesNotHoldUpAnother(t *testing.T) {
	b := newBed(t)
	n := b.node()
	other := strings.ReplaceAll(house, `"org":"acme"`, `"org":"brick"`)
	n.do("acme", house)
	n.do("brick", other)
	n.settle("acme")
	n.settle("brick")
	for range 20 {
		n.do("acme", `olga SuspendPerson {"person":"anna"}
olga ReinstatePerson {"person":"anna"}`)
	}
	n.do("brick", `olga RevokeRight {"grant":"g-ben-n"}`)
	head, err := n.store.Head(t.Context(), "brick")
	require.NoError(t, err)

	before := b.published("acme")
	for n.Published("brick") < head.N {
		require.True(t, n.turnOnce()) // as the one worker that is free
	}
	assert.LessOrEqual(t, b.published("acme"), before+1)
	assert.Equal(t, 80-int(b.published("acme")-before), n.Lags()[0].Waiting)
	n.agree("brick", "north", "south")
	n.turnAll()
	n.agree("acme", "north", "south")
}

func TestTooManyWaitingRowsAreMerged(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.do("acme", house)
	n.settle("acme")
	north := len(b.deltas("acme", "north"))
	n.maxWaiting = 10
	n.do("acme", `olga DisableDoor {"door":"gate"}
olga SuspendCredential {"credential":"f-anna"}`)
	for range 10 {
		n.do("acme", `olga SuspendPerson {"person":"anna"}
olga DisableDoor {"door":"office"}
olga ReinstatePerson {"person":"anna"}
olga EnableDoor {"door":"office"}`)
	}
	n.do("acme", `olga RevokeRight {"grant":"g-ben-n"}
olga SuspendPerson {"person":"ben"}`)
	lag := n.Lags()[0]
	assert.LessOrEqual(t, lag.Waiting, 12)
	head, err := n.store.Head(t.Context(), "acme")
	require.NoError(t, err)
	assert.Less(t, n.Settled("acme"), head.N)
	n.turnAll()
	n.agree("acme", "north", "south")
	assert.Equal(t, head.N, n.Settled("acme"))
	causes := strings.Join(told(b.deltas("acme", "north")[north:]), ",")
	assert.Contains(t, causes, "jump")
	assert.Zero(t, n.divergence())
	assert.NotZero(t, count(t, n.metrics.jumps))

	// A crash before the merged deltas loses nothing.
	for range 10 {
		n.do("acme", `olga ReinstatePerson {"person":"anna"}
olga SuspendPerson {"person":"anna"}`)
	}
	n.turnOnce()
	n.turnOnce()
	next := b.node()
	next.caughtUp("acme", n)
	next.turnAll()
	next.agree("acme", "north", "south")
}

func TestLagTellsWhatWaits(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.do("acme", house)
	n.settle("acme")
	assert.Equal(t, Lag{Org: "acme", Head: 14, Published: 14}, n.Lags()[0])
	n.do("acme", `olga RevokeRight {"grant":"g-ben-n"}`)
	b.now.Add(int64(3 * time.Second))
	n.do("acme", `olga SuspendPerson {"person":"anna"}`)
	assert.Equal(t, Lag{Org: "acme", Head: 16, Published: 14, Waiting: 3, Oldest: 3 * time.Second}, n.Lags()[0])
	n.turnAll()
	assert.Equal(t, Lag{Org: "acme", Head: 16, Published: 16}, n.Lags()[0])
	assert.NotZero(t, count(t, n.metrics.deltas))
	assert.NotZero(t, count(t, n.metrics.bytes))
}

// crowd is a list of persons whose ids do not compress.
func crowd(n int) []unlock.Row {
	rows := make([]unlock.Row, n)
	for i := range rows {
		h := sha256.Sum256(fmt.Append(nil, i))
		rows[i] = &unlock.Person{ID: hex.EncodeToString(h[:]), State: unlock.PersonActive}
	}
	return rows
}

// push lets a site's projector publish rows that belong to no commit.
func (n *node) push(org, site domain.ID, put []unlock.Row, gone []unlock.Key) {
	o := n.org(org)
	o.mu.Lock()
	o.site(site).apply(domain.SiteChange{Site: site, Put: put, Delete: gone})
	o.mu.Unlock()
	o.wake()
}

func TestADeltaGreaterThanAMessageIsPublishedAsAWhole(t *testing.T) {
	b := newBed(t)
	one, two := b.node(), b.node()
	one.do("acme", house)
	one.settle("acme")
	two.caughtUp("acme", one)
	two.settle("acme")
	before := b.published("acme")
	rows := crowd(14_000)
	one.push("acme", "north", rows, nil)
	two.push("acme", "north", rows, nil)
	one.turnAll()
	assert.Equal(t, before+2, b.published("acme"), "parts")
	table, _ := b.load("acme", "north")
	assert.Equal(t, one.Table("acme", "north").Digest(), table.Digest())
	assert.Equal(t, 14_002, table.Count(unlock.KindPerson))

	two.turnAll()
	assert.Equal(t, before+2, b.published("acme"), "the other one found them done")
	assert.Zero(t, two.Lags()[0].Waiting)
	assert.Zero(t, two.divergence())

	// The parts of a delta that an instance left when it died are skipped.
	stream, err := b.js.Stream(t.Context(), streams.Permissions)
	require.NoError(t, err)
	last, err := stream.GetLastMsgForSubject(t.Context(), subject("acme", "north"))
	require.NoError(t, err)
	first, err := stream.GetMsg(t.Context(), last.Sequence-1)
	require.NoError(t, err)
	_, err = b.js.Publish(t.Context(), first.Subject, first.Data)
	require.NoError(t, err)
	two.do("acme", `olga RevokeRight {"grant":"g-ben-n"}`)
	two.turnAll()
	table, _ = b.load("acme", "north")
	assert.Equal(t, two.Table("acme", "north").Digest(), table.Digest())
	assert.Zero(t, two.divergence())
}

func TestReadersBeginAtTheNewestBase(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.minBase = 100 << 10
	n.start()
	n.do("acme", house)
	n.flush()
	n.tagged("acme", "north")
	rows := crowd(8_000)
	n.push("acme", "north", rows[:6_000], nil)
	require.Eventually(t, func() bool { return count(t, n.metrics.bases) == 1 }, patience, time.Millisecond)
	n.push("acme", "north", rows[6_000:], nil)
	n.do("acme", `olga RevokeRight {"grant":"g-ben-n"}`)
	n.flush()
	pub, err := loadSite(t.Context(), n.cfg.JS, n.stream, "acme", "north", nil)
	require.NoError(t, err)
	assert.Equal(t, n.Table("acme", "north").Digest(), pub.table.Digest(), "base and deltas behind it")
	assert.NotZero(t, pub.baseSize)
}

func TestOldBasesGoAndDeltasBehindThemAtTheHorizon(t *testing.T) {
	b := newBed(t)
	n := b.node()
	n.do("acme", house)
	n.settle("acme")
	deltas := len(b.deltas("acme", "north"))
	base := func() {
		t.Helper()
		table, head := b.load("acme", "north")
		_, err := n.writeBase(t.Context(), baseJob{n.org("acme").site("north"), table, head})
		require.NoError(t, err)
		n.do("acme", `olga SuspendPerson {"person":"anna"}
olga ReinstatePerson {"person":"anna"}`)
		n.turnAll()
		deltas += 2
		n.agree("acme", "north", "south")
	}
	base()
	base()
	base()
	assert.Equal(t, 2, b.count(baseSubject("acme", "north")), "a reader of the last but one may still be reading")
	assert.Equal(t, deltas, b.count(subject("acme", "north")))

	b.now.Store(time.Now().Add(n.cfg.Horizon + time.Hour).UnixNano())
	base()
	assert.Equal(t, 2, b.count(baseSubject("acme", "north")))
	assert.Equal(t, 1+2+2, b.count(subject("acme", "north")), "from the last but one base on")
	n.agree("acme", "north", "south")

	next := b.node()
	next.caughtUp("acme", n)
	next.turnAll()
	next.agree("acme", "north", "south")
	assert.Zero(t, next.divergence())
}

// count is the number of messages of a subject.
func (b *bed) count(subject string) int {
	stream, err := b.js.Stream(b.t.Context(), streams.Permissions)
	require.NoError(b.t, err)
	info, err := stream.Info(b.t.Context(), withSubjects(subject))
	require.NoError(b.t, err)
	return int(info.State.Subjects[subject])
}
