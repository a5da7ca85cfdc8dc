package domain

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/schedule"
)

// mustSend commits a command that must be accepted. It returns the names of its events,
// each with the number of times it occurs.
func mustSend(w *world, line string) map[string]int {
	d, r := w.command("spec", line)
	require.Nil(w.t, r, line)
	names := map[string]int{}
	for _, e := range d.Events {
		names[EventName(e)]++
	}
	return names
}

// shareWith is a ShareAccess of a booking with many people who are known by
// address alone.
func shareWith(booking string, first, n int) string {
	var sharees []string
	for i := range n {
		sharees = append(sharees, fmt.Sprintf(`{"person":"v%d","email":"v%d@example.com"}`, first+i, first+i))
	}
	return fmt.Sprintf(`stan ShareAccess {"bookings":[%q],"sharees":[%s],"from":"2026-03-02","until":"2026-03-31"}`, booking, strings.Join(sharees, ","))
}

// TestARevocationIsNeverRefusedForItsSize: the fact alone takes away what 450
// people had; what follows is recorded in the commits that it takes, each thing
// once.
func TestARevocationIsNeverRefusedForItsSize(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, shareWith("book-a1", 0, 450))
	mustSend(w, `anna AssignFob {"credential":"f1","number":"1001","person":"anna","booking":"book-a1"}`)
	assert.Zero(t, w.state.Unsettled(10))

	names := mustSend(w, `stan RevokeBooking {"booking":"book-a1"}`)
	assert.Equal(t, map[string]int{"booking.revoked": 1, "share.revoked": maxConsequences}, names)
	assert.Equal(t, []string{"person=v449 door=gate side=in -> deny_identity_pending", "credential=f1 door=gate side=in -> deny_booking_revoked"},
		w.decide("person=v449 door=gate side=in\ncredential=f1 door=gate side=in"))

	total := map[string]int{}
	commits := 0
	for w.state.Unsettled(1) > 0 {
		commits++
		for name, n := range mustSend(w, `service:due SettleConsequences {}`) {
			total[name] += n
		}
		require.LessOrEqual(t, commits, 3)
	}
	assert.Equal(t, map[string]int{"share.revoked": 250, "unit_user.removed": 1, "fob.removed": 1}, total)
	assert.Empty(t, mustSend(w, `service:due SettleConsequences {}`))
	assert.False(t, w.state.Shares.HasBy(shareActive, "book-a1"))
	w.check()
}

// TestManyRevocationsInOneListShareTheRoom: the bound is of the commit, not of
// each entry of a list.
func TestManyRevocationsInOneListShareTheRoom(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, shareWith("book-a1", 0, 150))
	mustSend(w, shareWith("book-a2", 150, 150))
	names := mustSend(w, `stan RevokeBooking [{"booking":"book-a1"},{"booking":"book-a2"}]`)
	assert.Equal(t, map[string]int{"booking.revoked": 2, "share.revoked": maxConsequences - 1, "unit_user.removed": 1}, names)
	assert.Equal(t, map[string]int{"share.revoked": 101, "unit_user.removed": 1}, mustSend(w, `service:due SettleConsequences {}`))
	assert.Zero(t, w.state.Unsettled(10))
	w.check()
}

// TestReviewsThatHaveNoRoomFollow: a narrowed schedule asks for each review once,
// in as many commits as it takes.
func TestReviewsThatHaveNoRoomFollow(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	times := `{"holidays":"ignore","windows":[{"days":["mon"],"from":"06:00","to":"08:00"}]}`
	var users []string
	for i := range 250 {
		users = append(users, fmt.Sprintf(`{"unit":"a1","person":"u%d","name":"User %d","access":[{"right":"entries","limited":%s}]}`, i, i, times))
	}
	mustSend(w, "anna CreateUnitUser ["+strings.Join(users, ",")+"]")
	narrow := `mara ChangeSchedule {"schedule":"day-hours","times":{"holidays":"ignore","windows":[{"days":["mon"],"from":%q,"to":"08:00"}]}}`
	assert.Equal(t, maxConsequences, mustSend(w, fmt.Sprintf(narrow, "07:00"))["review.required"])
	assert.Equal(t, 50, w.state.Unsettled(1000))

	// A pending consequence is not added a second time, and it goes when its user is
	// removed.
	assert.Equal(t, 50, mustSend(w, fmt.Sprintf(narrow, "07:30"))["review.required"])
	assert.Zero(t, w.state.Unsettled(1000))
	open := 0
	for _, r := range w.state.Reviews.Each(reviewOpen, "") {
		assert.Equal(t, ReviewMessage, r.Message)
		open++
	}
	assert.Equal(t, 250, open)
	w.check()
}

// TestWhatIsOwedEndsWithItsUser: a review that was not recorded yet is not
// recorded for somebody who has no place any more, or other access.
func TestWhatIsOwedEndsWithItsUser(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	times := `{"holidays":"ignore","windows":[{"days":["mon"],"from":"06:00","to":"08:00"}]}`
	var users []string
	for i := range maxConsequences + 2 {
		users = append(users, fmt.Sprintf(`{"unit":"a1","person":"u%03d","name":"User","access":[{"right":"entries","limited":%s}]}`, i, times))
	}
	mustSend(w, "anna CreateUnitUser ["+strings.Join(users, ",")+"]")
	mustSend(w, `mara ChangeSchedule {"schedule":"day-hours","times":{"holidays":"ignore","windows":[{"days":["mon"],"from":"07:00","to":"08:00"}]}}`)
	require.Equal(t, 2, w.state.Unsettled(10))
	mustSend(w, fmt.Sprintf(`anna RemoveUnitUser {"unit":"a1","person":"u%03d"}`, maxConsequences))
	mustSend(w, fmt.Sprintf(`anna ChangeUnitUserAccess {"unit":"a1","person":"u%03d","access":[{"right":"unit-a1"}]}`, maxConsequences+1))
	assert.Zero(t, w.state.Unsettled(10))
	assert.True(t, w.state.Reviews.HasBy(reviewOpenOf, userRight("a1/u000", "entries")))
	mustSend(w, `anna RemoveUnitUser {"unit":"a1","person":"u000"}`)
	assert.False(t, w.state.Reviews.HasBy(reviewOpenOf, userRight("a1/u000", "entries")))
	w.check()
}

// TestU11TheAssociatedUserIsKept: who created a unit user, or gave a key, stands
// with it.
func TestU11TheAssociatedUserIsKept(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, `anna CreateUnitUser {"unit":"a1","person":"kim1","name":"Kim","access":[{"right":"entries"}]}`)
	mustSend(w, `stan CreateUnitUser {"unit":"a1","person":"kim2","name":"Kim","access":[{"right":"entries"}]}`)
	mustSend(w, `anna IssueMobileKey {"credential":"m1","person":"kim2","unit":"a1"}`)
	for person, creator := range map[ID]ID{"kim1": "anna", "kim2": "stan"} {
		u, ok := w.state.UnitUsers.Get(unitUserKey("a1", person))
		require.True(t, ok)
		assert.Equal(t, PersonActor(creator), u.Associated)
	}
	key, ok := w.state.Credentials.Get("m1")
	require.True(t, ok)
	assert.Equal(t, PersonActor("anna"), key.SharedBy)
	shown, err := json.Marshal(key.SharedBy)
	require.NoError(t, err)
	assert.Equal(t, `"person:anna"`, string(shown))
}

// TestU8U9TheOptionsOfAUnitRight: the modes that are offered, and the schedule of
// the unit in the words of the tooltip.
func TestU8U9TheOptionsOfAUnitRight(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, `olga DefineSchedule {"schedule":"work","name":"Work","times":{"windows":[{"days":["mon","tue","wed","thu","fri"],"from":"08:30","to":"17:30"}]}}`)
	mustSend(w, `olga DefineAccessRight {"right":"desk","name":"Desk","doors":["office"],"schedule":"always"}`)
	mustSend(w, `olga MapUnitAccess {"unit":"a1","rights":[{"right":"unit-a1"},{"right":"entries"},{"right":"desk","schedule":"work"}]}`)
	assert.Equal(t, []ScheduleMode{ModeAlways, ModeLimited}, w.state.ScheduleModes("a1", "unit-a1"))
	assert.Equal(t, []ScheduleMode{ModeSameAsUnit, ModeLimited}, w.state.ScheduleModes("a1", "entries"))
	assert.Equal(t, []ScheduleMode{ModeSameAsUnit, ModeLimited}, w.state.ScheduleModes("a1", "desk"))
	assert.Nil(t, w.state.ScheduleModes("a1", "unit-a2"))
	assert.Nil(t, w.state.ScheduleModes("none", "unit-a2"))
	assert.Equal(t, "Monday to Friday, 08:30 - 17:30", w.state.UnitSchedule("a1", "desk").String())
}

// sendWithin commits a command that must be accepted, with room for some
// consequences.
func sendWithin(w *world, room int, actor ID, cmd Command) {
	w.ids["within"]++
	id := DeriveUUID(UUID{}, fmt.Sprintf("within/%d", w.ids["within"]))
	d, r := w.state.decideWithin(room, Context{ID: id, At: w.at, Actor: PersonActor(actor)}, cmd)
	require.Nil(w.t, r, "%T", cmd)
	w.commit(Moment{N: w.state.N + 1, At: w.at, CommandID: id, Actor: PersonActor(actor)}, d.Events)
}

// TestAUnitLetAgainBeforeAllIsSettled: the place of somebody who comes back under
// the next booking is a new one, and what is still owed of the old ends.
func TestAUnitLetAgainBeforeAllIsSettled(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, `anna CreateUnitUser {"unit":"a1","email":"vera@example.com","access":[{"right":"entries","limited":{"windows":[{"days":["mon"],"from":"06:00","to":"08:00"}]}}]}`)
	mustSend(w, `stan AssignFob {"credential":"f1","number":"1001","person":"vera","unit":"a1"}`)
	times := schedule.Schedule{Windows: []schedule.Window{{Days: []schedule.Day{"mon"}, From: 7 * 60, To: 8 * 60}}}
	sendWithin(w, 0, "mara", ChangeSchedule{Schedule: "day-hours", Times: &times})
	sendWithin(w, 0, "stan", RevokeBooking{Booking: "book-a1"})
	assert.Equal(t, 2, w.state.Unsettled(10))
	mustSend(w, `stan ReleaseUnit {"unit":"a1"}`)
	mustSend(w, `stan CreateBooking {"booking":"next","unit":"a1","person":"anna","from":"2026-03-02"}`)
	mustSend(w, `mara MoveIn {"booking":"next"}`)
	mustSend(w, `anna CreateUnitUser {"unit":"a1","email":"vera@example.com","access":[{"right":"entries"}]}`)
	requireOwed(t, w.state)
	assert.Equal(t, []string{"person=vera door=gate side=in -> deny_outside_schedule", "credential=f1 door=gate side=in -> deny_credential_type_not_permitted"},
		w.decide("person=vera door=gate side=in\ncredential=f1 door=gate side=in"))
	assert.Equal(t, map[string]int{"fob.removed": 1}, mustSend(w, `service:due SettleConsequences {}`))
	assert.Zero(t, w.state.Unsettled(10))
	requireSettled(t, w.state, w.at)
	w.check()
}

// TestAPromotionClosesTheReviewOfWhatItChanges: a unit user who becomes a manager
// with other access has nothing left to look at.
func TestAPromotionClosesTheReviewOfWhatItChanges(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	for _, user := range []string{"vera", "will"} {
		mustSend(w, `anna CreateUnitUser {"unit":"a1","email":"`+user+`@example.com","access":[{"right":"entries","limited":{"windows":[{"days":["mon"],"from":"06:00","to":"08:00"}]}}]}`)
	}
	mustSend(w, `mara ChangeSchedule {"schedule":"day-hours","times":{"windows":[{"days":["mon"],"from":"07:00","to":"08:00"}]}}`)
	mustSend(w, `anna CreateUnitManager {"unit":"a1","email":"vera@example.com"}`)
	mustSend(w, `anna CreateUnitManager {"unit":"a1","email":"will@example.com","access":[{"right":"entries"}]}`)
	assert.True(t, w.state.Reviews.HasBy(reviewOpenOf, userRight("a1/vera", "entries")))
	assert.False(t, w.state.Reviews.HasBy(reviewOpenOf, userRight("a1/will", "entries")))
	requireOwed(t, w.state)
	w.check()
}

// TestAPlaceThatWasTakenAgainOwesNothing: the last thing that hung on an ended
// booking went without a record of its own.
func TestAPlaceThatWasTakenAgainOwesNothing(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	sendWithin(w, 0, "stan", RevokeBooking{Booking: "book-a1"})
	require.Equal(t, 1, w.state.Unsettled(10))
	mustSend(w, `stan ReleaseUnit {"unit":"a1"}`)
	mustSend(w, `stan CreateBooking {"booking":"next","unit":"a1","person":"anna","from":"2026-03-02"}`)
	mustSend(w, `mara MoveIn {"booking":"next"}`)
	assert.Zero(t, w.state.Unsettled(10))
	requireOwed(t, w.state)
	w.check()
}

// TestU8AlwaysIsSameAsUnitOnceTheRightHasHours: what a unit user is said to have
// follows what the unit has now.
func TestU8AlwaysIsSameAsUnitOnceTheRightHasHours(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, `anna CreateUnitUser {"unit":"a1","email":"vera@example.com","access":[{"right":"unit-a1"},{"right":"entries"}]}`)
	user, ok := w.state.UnitUsers.Get(unitUserKey("a1", "vera"))
	require.True(t, ok)
	modes := func() (out []ScheduleMode) {
		for _, a := range w.state.PresentAccess(user) {
			out = append(out, a.Mode)
		}
		return out
	}
	assert.Equal(t, []ScheduleMode{ModeSameAsUnit, ModeAlways}, modes())
	mustSend(w, `mara MapUnitAccess {"unit":"a1","rights":[{"right":"entries"},{"right":"unit-a1","schedule":"office-hours"}]}`)
	assert.Equal(t, []ScheduleMode{ModeSameAsUnit, ModeSameAsUnit}, modes())
	mustSend(w, `mara RetireAccessRight {"right":"entries"}`)
	assert.Equal(t, []ScheduleMode{ModeSameAsUnit}, modes())
}
