package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The settled cases, as the instants at which a schedule begins or ceases to hold.
func TestChanges(t *testing.T) {
	w := func(from, to string, days ...Day) Window { return window(t, from, to, days...) }
	night := windows(w("22:00", "06:00", "fri"))
	holiday := func(text string) Calendar { return Calendar{{Date: date(t, text), Kind: Holiday}} }
	for name, c := range map[string]struct {
		zone     string
		schedule Schedule
		calendar Calendar
		from     string
		changes  []string
	}{
		"a skipped hour never holds": {
			"Europe/Berlin", windows(w("02:00", "03:00", "sun")), nil, "2026-03-28T00:00:00Z",
			[]string{"2026-04-05T00:00:00Z", "2026-04-05T01:00:00Z"},
		},
		"half of a window is skipped": {
			"Europe/Berlin", windows(w("02:30", "03:30", "sun")), nil, "2026-03-28T00:00:00Z",
			[]string{"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-04-05T00:30:00Z"},
		},
		"a repeated hour holds twice": {
			"Europe/Berlin", windows(w("02:15", "02:45", "sun")), nil, "2026-10-24T00:00:00Z",
			[]string{"2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z", "2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z", "2026-11-01T01:15:00Z"},
		},
		"a repeated half hour": {
			"Australia/Lord_Howe", windows(w("01:00", "02:00", "sun")), nil, "2026-04-04T00:00:00Z",
			[]string{"2026-04-04T14:00:00Z", "2026-04-04T15:30:00Z"},
		},
		"a skipped date": {
			"Pacific/Apia", windows(w("08:00", "12:00", "fri")), nil, "2011-12-24T00:00:00Z",
			[]string{"2012-01-05T18:00:00Z", "2012-01-05T22:00:00Z"},
		},
		"a night into a holiday": {
			"Europe/Berlin", night, holiday("2026-11-28"), "2026-11-27T12:00:00Z",
			[]string{"2026-11-27T21:00:00Z", "2026-11-27T23:00:00Z", "2026-12-04T21:00:00Z", "2026-12-05T05:00:00Z"},
		},
		"a night out of a holiday": {
			"Europe/Berlin", night, holiday("2026-11-27"), "2026-11-27T12:00:00Z",
			[]string{"2026-11-27T23:00:00Z", "2026-11-28T05:00:00Z", "2026-12-04T21:00:00Z"},
		},
		"a night that ignores holidays": {
			"Europe/Berlin", Schedule{Windows: night.Windows, Holidays: HolidaysIgnored}, holiday("2026-11-28"), "2026-11-27T12:00:00Z",
			[]string{"2026-11-27T21:00:00Z", "2026-11-28T05:00:00Z"},
		},
		"a night that the kind goes on with": {
			"Europe/Berlin", windows(night.Windows[0], w("00:00", "04:00", "holiday")), holiday("2026-11-28"), "2026-11-27T12:00:00Z",
			[]string{"2026-11-27T21:00:00Z", "2026-11-28T03:00:00Z"},
		},
		"always, for two dates": {
			"America/Sao_Paulo", Schedule{Always: true, ValidFrom: date(t, "2018-11-04"), ValidUntil: date(t, "2018-11-05")}, nil, "2001-01-01T00:00:00Z",
			[]string{"2018-11-04T03:00:00Z", "2018-11-06T02:00:00Z", "never"},
		},
		"only on a holiday years away": {
			"Europe/Berlin", windows(w("10:00", "12:00", "holiday")), holiday("2040-12-25"), "2026-01-01T00:00:00Z",
			[]string{"2040-12-25T09:00:00Z", "2040-12-25T11:00:00Z", "never"},
		},
		"a weekday that comes again after the validity began": {
			"Europe/Berlin", Schedule{Windows: []Window{w("00:00", "24:00", "mon")}, ValidFrom: date(t, "2026-01-23")}, nil, "2026-01-01T00:00:00Z",
			[]string{"2026-01-25T23:00:00Z", "2026-01-26T23:00:00Z"},
		},
		"always": {"UTC", Schedule{Always: true}, holiday("2040-12-25"), "2026-01-01T00:00:00Z", []string{"never"}},
		"never":  {"UTC", Schedule{}, holiday("2040-12-25"), "2026-01-01T00:00:00Z", []string{"never"}},
	} {
		zone := placeNamed(t, c.zone)
		after, err := time.Parse(time.RFC3339, c.from)
		require.NoError(t, err)
		at := after.UnixNano()
		holds := Contains(c.schedule, zone, c.calendar, at)
		for _, want := range c.changes {
			next, found := NextChange(c.schedule, zone, c.calendar, at)
			if want == "never" {
				require.False(t, found, name)
				break
			}
			require.Equal(t, want, time.Unix(0, next).UTC().Format(time.RFC3339), name)
			require.Equal(t, holds, Contains(c.schedule, zone, c.calendar, next-1), name)
			holds = !holds
			require.Equal(t, holds, Contains(c.schedule, zone, c.calendar, next), name)
			at = next
		}
	}
	require.False(t, (*Compiled)(nil).Contains(Local{}, ""))
	_, found := (*Compiled)(nil).NextChange(placeNamed(t, "UTC"), nil, 0)
	require.False(t, found)
}
