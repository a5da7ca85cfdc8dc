package domain

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPrivacyIsJudgedAtTheTimeOfTheRecord tries every kind of record about a unit with
// two privacy periods. The second period lasts. It tries records before, within and
// after each period, for everybody who could see them.
func TestPrivacyIsJudgedAtTheTimeOfTheRecord(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	for _, line := range []string{
		`anna CreateUnitUser {"unit":"a1","email":"vera@example.com","access":[{"right":"unit-a1","mode":"always"}]}`,
		`@2026-03-02T10:00:00Z anna SetUnitPrivacy {"unit":"a1","enabled":true}`,
		`@2026-03-02T12:00:00Z anna SetUnitPrivacy {"unit":"a1","enabled":false}`,
		`@2026-03-02T14:00:00Z anna SetUnitPrivacy {"unit":"a1","enabled":true}`,
	} {
		_, r := w.command("privacy", line)
		require.Nil(t, r, line)
	}
	s := w.state
	user, _ := s.UnitUsers.Get("a1/vera")
	clock := func(hour, minute, second int) time.Time {
		return time.Date(2026, 3, 2, hour, minute, second, 0, time.UTC)
	}
	times := []struct {
		at     time.Time
		hidden bool
	}{
		{clock(9, 30, 0), false}, {clock(9, 59, 59), false},
		{clock(10, 0, 0), true}, {clock(11, 0, 0), true}, {clock(12, 0, 0), true},
		{clock(12, 0, 1), false}, {clock(13, 59, 59), false},
		{clock(14, 0, 0), true}, {clock(20, 0, 0), true},
		{time.Time{}, true}, // now
	}
	records := map[string]func(at time.Time) Record{
		"activity at the unit": func(at time.Time) Record { return ActivityRecord(s, "north", "door-a1", "gus", at) },
		"activity of the user": func(at time.Time) Record { return ActivityRecord(s, "north", "gate", "vera", at) },
		"event":                func(at time.Time) Record { return EventRecord(s, UnitUserRemoved{Unit: "a1", Person: "vera"}, at) },
		"unit user": func(at time.Time) Record {
			r := RecordOf(s, user)
			r.At = at
			return r
		},
		"activity elsewhere": func(at time.Time) Record { return ActivityRecord(s, "north", "gate", "ben", at) },
		"activity of staff":  func(at time.Time) Record { return ActivityRecord(s, "north", "gate", "stan", at) },
		"event of the site":  func(at time.Time) Record { return EventRecord(s, SiteRenamed{Site: "north"}, at) },
	}
	open := []string{"activity elsewhere", "activity of staff", "event of the site"}
	for name, record := range records {
		for _, at := range times {
			for _, person := range []ID{"olga", "mara", "stan"} {
				if person == "stan" && record(at.at).Kind == RecordCommit {
					continue // commits are not for staff
				}
				want := !at.hidden || slices.Contains(open, name)
				assert.Equal(t, want, Visible(s.AsOf(s.LastAt), person, record(at.at)), fmt.Sprint(name, " ", at.at, " ", person))
			}
			r := record(at.at)
			assert.False(t, Visible(s.AsOf(s.LastAt), "will", r), name)
			if r.Kind == RecordActivity && r.Unit == "a1" && !at.at.IsZero() {
				assert.True(t, Visible(s.AsOf(s.LastAt), "anna", r), name)
			}
		}
	}
}

func TestPrivacyIsBounded(t *testing.T) {
	w := newWorld(t)
	w.base("storage")
	set := func(on bool) *Refusal {
		_, r := w.command("privacy", fmt.Sprintf(`anna SetUnitPrivacy {"unit":"a1","enabled":%t}`, on))
		return r
	}
	for range maxPrivacyPeriods {
		require.Nil(t, set(true))
		require.Nil(t, set(false))
	}
	r := set(true)
	require.NotNil(t, r)
	require.Equal(t, "too_many_periods", r.Code)
	require.Nil(t, set(false))
}
