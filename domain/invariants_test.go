package domain

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

// TestWhatFollowsFromEndsIsFoundAgain: over any history the list of what is owed
// is what a search of everything finds, and once it is settled nothing hangs on
// what has ended.
func TestWhatFollowsFromEndsIsFoundAgain(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(40, 150).Draw(t, "steps") {
			h.pass()
			h.sendWithin(rapid.IntRange(0, 3).Draw(t, "room"), h.endingCommand())
			requireOwed(t, h.s)
			if rarely(t, "due") {
				h.due()
			}
		}
		h.due()
		require.Zero(t, h.s.Unsettled(1))
		requireSettled(t, h.s, h.at)
	})
}

// sendWithin sends a command as olga, with room for a few consequences only.
func (h *history) sendWithin(room int, cmd Command) {
	h.sent++
	id := DeriveUUID(UUID{}, fmt.Sprintf("history/%d", h.sent))
	actor := PersonActor("olga")
	if d, r := h.s.decideWithin(room, Context{ID: id, At: h.at, Actor: actor}, cmd); r == nil {
		h.s.Apply(Applied{Moment{N: h.s.N + 1, At: h.at, CommandID: id, Actor: actor}, d.Events})
	}
}

// endingCommand is one of those about what hangs on something else.
func (h *history) endingCommand() Command {
	switch draw(h.t, "noun", "booking", "share", "unit user", "unit user", "key", "right") {
	case "booking":
		return h.bookingCommand()
	case "share":
		return h.shareCommand()
	case "unit user":
		return h.unitUserCommand()
	case "key":
		return h.keyCommand()
	}
	return h.rightCommand()
}

// requireOwed compares the list of pending consequences with a search of the whole
// state. It also checks the invariants that must hold at any moment.
func requireOwed(t require.TestingT, s *State) {
	owed := map[ID]bool{}
	for _, sh := range s.Shares.All() {
		b, _ := s.Bookings.Get(sh.Booking)
		parent, reshared := s.Shares.Get(sh.Parent)
		if sh.State == ShareStateActive && (b.State != BookingStateActive || reshared && parent.State != ShareStateActive) {
			owed[b.ID] = true
		}
	}
	for _, u := range s.UnitUsers.All() {
		if b, _ := s.Bookings.Get(u.Booking); u.State == UnitUserStateActive && b.State != BookingStateActive {
			owed[b.ID] = true
		}
	}
	for _, c := range s.Credentials.All() {
		if b, ok := s.Bookings.Get(c.Booking); ok && c.live() && !mayHold(s, c, b) {
			owed[b.ID] = true
		}
	}
	for id := range s.Bookings.All() {
		require.Equal(t, owed[id], s.Pending.Has(pendingBooking(id)), "is anything owed about %s", id)
	}
	for _, o := range s.Pending.All() {
		if o.Booking != "" {
			continue
		}
		user := unitUserKey(o.Unit, o.Person)
		require.False(t, s.Reviews.HasBy(reviewOpenOf, userRight(user, o.Right)))
		requireLimited(t, s, user, o.Right)
	}
	requireReviews(t, s)
	requireNumbers(t, s)
}

// mayHold says whether a live credential of a booking still is its holder's.
func mayHold(s *State, c *Credential, b *Booking) bool {
	if b.State != BookingStateActive {
		return false
	}
	u, placed := s.UnitUsers.Get(unitUserKey(c.Unit, c.Person))
	placed = placed && u.State == UnitUserStateActive && u.Booking == b.ID
	return c.Person == b.Person || c.Unit != "" && placed || c.Unit == "" && c.Shared && s.hasShare(b.ID, c.Person)
}

func requireLimited(t require.TestingT, s *State, user, right ID) {
	u, ok := s.UnitUsers.Get(user)
	require.True(t, ok)
	a, ok := u.access(right)
	require.True(t, ok && u.State == UnitUserStateActive && a.Mode == ModeLimited, "a review of %s at %s", user, right)
}

// requireReviews: one review at most is open for each limited access, and none
// for what is not there.
func requireReviews(t require.TestingT, s *State) {
	open := map[ID]bool{}
	for _, r := range s.Reviews.All() {
		if r.Done {
			continue
		}
		user := unitUserKey(r.Unit, r.Person)
		require.False(t, open[userRight(user, r.Right)])
		open[userRight(user, r.Right)] = true
		requireLimited(t, s, user, r.Right)
	}
}

// requireNumbers: a number is that of one live credential per site and format.
func requireNumbers(t require.TestingT, s *State) {
	taken := map[ID]ID{}
	for id, c := range s.Credentials.All() {
		for _, site := range c.Sites {
			if k := numberAt(site, c.Format, c.Number.Text()); c.live() && c.Number.Text() != "" {
				require.Empty(t, taken[k], "%s and %s have one number", id, taken[k])
				taken[k] = id
			}
		}
	}
}

// requireSettled: nothing hangs on a booking that is over, no unit is moved in
// under one, and no unit is given to two tenants on one day.
func requireSettled(t require.TestingT, s *State, at time.Time) {
	tx := &Tx{View: s.AsOf(at), Context: Context{At: at}}
	for id, b := range s.Bookings.All() {
		if !b.over() {
			require.Nil(t, tx.checkBookingActive(b), "%s ended and is not on record", id)
			for other, o := range s.Bookings.Each(BookingByUnit, b.Unit) {
				require.True(t, other == id || o.over() || !meet(b.From, b.Until, o.From, o.Until), "%s and %s", id, other)
			}
			continue
		}
		require.False(t, s.Shares.HasBy(shareActive, id))
		require.False(t, s.UnitUsers.HasBy(unitUserActive, id))
		require.False(t, s.Credentials.HasBy(credentialBound, id))
	}
	for id, u := range s.Units.All() {
		b, ok := s.Bookings.Get(u.Booking)
		require.Equal(t, u.State == UnitOccupied, ok && !b.over() && b.MovedIn, "the unit %s", id)
	}
}
