package domain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
)

// TestSharedUsersReadThatABookingIsSuspendedAndNoMore: neither level nor cause is theirs
// to know, and through a share that is over nothing of the booking or the unit.
func TestSharedUsersReadThatABookingIsSuspendedAndNoMore(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	send := func(line string) {
		_, r := w.command("told", line)
		require.Nil(t, r, line)
	}
	send(`olga ShareAccess {"bookings":["book-a1"],"sharees":[{"email":"vera@example.com"}],"from":"2026-03-01","until":"2026-03-31","shares":["s1"]}`)
	send(`anna CreateUnitUser {"unit":"a1","email":"gus@example.com","access":[{"right":"unit-a1","mode":"always"},{"right":"entries","mode":"same_as_unit"}]}`)
	send(`vera IssueMobileKey {"credential":"key-vera","person":"vera"}`)
	at := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	told := func(viewer, person, door ID) explained {
		q := Question{Door: door, Side: unlock.In, At: at, Person: person}
		seen, _ := w.state.AskedBy(w.state.AsOf(at), viewer, "north", q)
		return explainTo(t, seen, w.state.AsOf(at), viewer, q)
	}
	for _, level := range []string{"gatelock", "overlock"} {
		send(`stan SuspendBooking {"booking":"book-a1","level":"` + level + `","cause":"unpaid-3-months"}`)
		for _, person := range []ID{"vera", "gus"} {
			e := told(person, person, "gate")
			text := e.text
			require.Equal(t, unlock.DenyBookingSuspended, e.Code, "%s, %s", person, text)
			require.Contains(t, text, "suspended")
			for _, hidden := range []string{"lock", "unpaid", "2026-12-31"} {
				require.NotContains(t, text, hidden, "%s reads", person)
			}
			for _, c := range e.Credentials {
				require.Equal(t, unlock.DenyBookingSuspended, c.Code)
			}
		}
		for _, viewer := range []ID{"anna", "stan"} {
			require.Contains(t, told(viewer, "anna", "gate").text, "suspended: "+level, "%s reads", viewer)
		}
		require.Contains(t, told("stan", "vera", "gate").text, "unpaid-3-months")
	}
	send(`anna RevokeShare {"share":"s1"}`)
	send(`anna RemoveUnitUser {"unit":"a1","person":"gus"}`)
	for person, code := range map[ID]unlock.Code{"vera": unlock.DenyShareRevoked, "gus": unlock.DenyNoAccessRight} {
		e := told(person, person, "door-a1")
		require.Equal(t, code, e.Code)
		require.Equal(t, []unlock.Code{code}, e.Failed.Codes())
		for _, c := range e.Credentials {
			require.Equal(t, code, c.Code)
		}
		for _, hidden := range []string{"suspended", "unpaid", "book-a1", "occupied", "unit a1", "right unit", "schedule "} {
			require.NotContains(t, e.text[len(e.Meaning)+len(e.Code.String()):], hidden, "%s reads", person)
		}
	}
}

// TestSharedUsersReadNoLevelOfSuspensionFromAfar: neither a refusal nor the outcome of a
// remote unlock tells how far the booking of somebody else is suspended.
func TestSharedUsersReadNoLevelOfSuspensionFromAfar(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	mustSend(w, `mara ChangeDoor {"door":"gate","capabilities":["remote_unlock","unlock_for"]}`)
	mustSend(w, `olga ShareAccess {"bookings":["book-a1"],"sharees":[{"email":"vera@example.com"}],"from":"2026-03-01","until":"2026-03-31","shares":["s1"]}`)
	mustSend(w, `stan SuspendBooking {"booking":"book-a1","level":"overlock","cause":"unpaid-3-months"}`)
	for person, code := range map[ID]string{"vera": "deny_booking_suspended", "anna": "deny_overlock"} {
		_, r := w.command("told", string(person)+` RemoteUnlock {"door":"gate"}`)
		require.NotNil(t, r, person)
		require.Contains(t, r.Message, code, person)
	}
	for viewer, code := range map[ID]RefusalCode{"vera": "deny_booking_suspended", "anna": "deny_overlock", "stan": "deny_overlock"} {
		require.Equal(t, code, w.state.AsOf(w.at).CodeToldTo(viewer, "north", "share:s1", "deny_overlock"), viewer)
		require.Equal(t, RefusalCode("deny_lease_ended"), w.state.AsOf(w.at).CodeToldTo(viewer, "north", "share:s1", "deny_lease_ended"))
	}
}
