package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestString(t *testing.T) {
	w := func(from, to string, days ...Day) Window { return window(t, from, to, days...) }
	dated := func(s Schedule, from, until string) Schedule {
		require.NoError(t, s.ValidFrom.UnmarshalText([]byte(from)))
		require.NoError(t, s.ValidUntil.UnmarshalText([]byte(until)))
		return s
	}
	office := windows(w("08:30", "17:30", weekdays...))
	for want, s := range map[string]Schedule{
		"Monday to Friday, 08:30 - 17:30": office,
		"Always":                          {Always: true},
		"Never":                           {},
		"Monday to Sunday, 08:00 - 20:00": windows(w("08:00", "20:00", append(weekdays, weekend...)...)),
		"Saturday, 09:00 - 12:00":         windows(w("09:00", "12:00", "sat")),
		"Monday, Wednesday and Friday, 08:00 - 12:00":                          windows(w("08:00", "12:00", "fri", "wed", "mon")),
		"Saturday and Sunday, 00:00 - 24:00":                                   windows(w("00:00", "00:00", weekend...)),
		"Monday to Wednesday and Friday, 08:00 - 12:00":                        windows(w("08:00", "12:00", "mon", "tue", "wed", "fri")),
		"Monday, Tuesday and Thursday to Saturday, 08:00 - 12:00":              windows(w("08:00", "12:00", "mon", "tue", "thu", "fri", "sat")),
		"Friday and Saturday, 22:00 - 06:00":                                   windows(w("22:00", "06:00", "fri", "sat")),
		"Monday to Friday, 08:00 - 12:00 and 13:00 - 17:00":                    windows(w("13:00", "17:00", weekdays...), w("08:00", "12:00", weekdays...)),
		"Monday to Friday, 08:30 - 17:30; Saturday, 09:00 - 12:00":             windows(w("09:00", "12:00", "sat"), w("08:30", "17:30", weekdays...)),
		"Monday to Friday, 08:30 - 17:30; Holidays, 10:00 - 12:00":             windows(w("08:30", "17:30", weekdays...), w("10:00", "12:00", "holiday")),
		"Monday to Friday and holidays, 08:30 - 17:30":                         windows(w("08:30", "17:30", append([]Day{"holiday"}, weekdays...)...)),
		"Half days and special days, 08:00 - 12:00":                            windows(w("08:00", "12:00", "half_day", "special")),
		"Holidays on Saturday, 08:00 - 12:00":                                  windows(w("08:00", "12:00", "holiday/sat")),
		"Monday to Friday, 08:30 - 17:30; holidays included":                   {Windows: office.Windows, Holidays: HolidaysIgnored},
		"Monday to Friday, 08:30 - 17:30; from 2026-11-21":                     dated(office, "2026-11-21", ""),
		"Always; from 2026-11-21 until 2027-03-31":                             dated(Schedule{Always: true}, "2026-11-21", "2027-03-31"),
		"Monday to Friday, 08:30 - 17:30; holidays included; until 2027-03-31": dated(Schedule{Windows: office.Windows, Holidays: HolidaysIgnored}, "", "2027-03-31"),
	} {
		require.Equal(t, want, s.String())
	}
}
