package domain

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestNoCommandFillsADeviceBeyondItsRoom: over any history, whatever it is by which
// people come to have access.
func TestNoCommandFillsADeviceBeyondItsRoom(t *testing.T) {
	steady(t)
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for _, door := range storageDoors {
			d, _ := h.s.Doors.Get(door)
			room := len((&Tx{State: h.s, Context: Context{At: h.at}}).storedAt(d)) + rapid.IntRange(0, 1).Draw(t, "room")
			room = max(room, 1)
			require.Nil(t, h.send(PersonActor("olga"), ChangeDoor{Door: door, Capacity: &room}))
		}
		for range rapid.IntRange(5, 60).Draw(t, "commands") {
			h.pass()
			if rapid.Bool().Draw(t, "due") {
				h.due()
			}
			cmd := h.command()
			if r := h.send(PersonActor("olga"), cmd); r != nil && r.Code == "device_capacity_exceeded" {
				refused++
			}
			for id, d := range h.s.Doors.All() {
				held := (&Tx{State: h.s, Context: Context{At: h.at}}).storedAt(d)
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
