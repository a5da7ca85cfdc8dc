package domain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

// TestNoCommandFillsADeviceBeyondItsRoom: over any history, whatever it is by which
// people come to have access.
func TestNoCommandFillsADeviceBeyondItsRoom(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for _, door := range storageDoors {
			d, _ := h.s.Doors.Get(door)
			room := len((&Tx{View: h.s.AsOf(h.at), Context: Context{At: h.at}}).storedAt(d)) + rapid.IntRange(0, 1).Draw(t, "room")
			room = max(room, 1)
			require.Nil(t, h.send(PersonActor("olga"), ChangeDoor{Door: door, Capacity: Give(room)}))
		}
		for range rapid.IntRange(5, 60).Draw(t, "commands") {
			h.pass()
			if rapid.Bool().Draw(t, "due") {
				h.due()
			}
			if rarely(t, "a list") {
				h.listOfPins()
			}
			cmd := h.command()
			if r := h.send(PersonActor("olga"), cmd); r != nil && r.Code == "device_capacity_exceeded" {
				refused++
			}
			for id, d := range h.s.Doors.All() {
				held := (&Tx{View: h.s.AsOf(h.at), Context: Context{At: h.at}}).storedAt(d)
				require.True(t, d.Capacity == 0 || len(held) <= d.Capacity, "%s holds %v after %T", id, held, cmd)
				for c, cr := range h.s.Credentials.All() {
					allowed, code := slowDecide(h.s, asked{Site: d.Site, Door: id, Credential: c, At: h.at})
					require.True(t, !allowed || strings.HasPrefix(code, "allow_posture") || cr.Kind == KindMobileKey || held[c], "%s opens %s", c, id)
				}
			}
		}
	})
	require.NotZero(t, refused)
}

// listOfPins sends a list of commands. When it is refused, so is one of them
// where each is sent by itself.
func (h *history) listOfPins() {
	var cmds []Command
	for i := range rapid.IntRange(2, 5).Draw(h.t, "entries") {
		pin := IssuePin{Person: draw(h.t, "person", storagePeople...), Booking: draw(h.t, "booking", storageBookings...)}
		if rapid.Bool().Draw(h.t, "for sites") {
			pin.Booking, pin.Sites = "", storageSites[:rapid.IntRange(1, 2).Draw(h.t, "sites")]
		}
		pin.SetCandidates(candidates(DeriveUUID(UUID{}, fmt.Sprintf("list/%d/%d", h.sent, i))))
		cmds = append(cmds, pin)
	}
	if h.send(PersonActor("olga"), cmds...) == nil {
		return
	}
	for _, cmd := range cmds {
		if h.send(PersonActor("olga"), cmd) != nil {
			return
		}
	}
	h.t.Fatalf("a list was refused, and none of its entries")
}
