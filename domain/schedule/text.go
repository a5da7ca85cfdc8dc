package schedule

import (
	"slices"
	"strings"
)

// String describes in words when the schedule holds, from its normal form: "Monday to
// Friday, 08:30 - 17:30".
func (s Schedule) String() string {
	s = s.Normal()
	var parts []string
	switch {
	case s.Always:
		parts = []string{"Always"}
	case len(s.Windows) == 0:
		return "Never"
	default:
		parts = describe(s.Windows)
	}
	if s.Holidays == HolidaysIgnored {
		parts = append(parts, "holidays included")
	}
	var valid []string
	if !s.ValidFrom.IsZero() {
		valid = append(valid, "from "+s.ValidFrom.String())
	}
	if !s.ValidUntil.IsZero() {
		valid = append(valid, "until "+s.ValidUntil.String())
	}
	if len(valid) > 0 {
		parts = append(parts, strings.Join(valid, " "))
	}
	return strings.Join(parts, "; ")
}

// describe returns one text for each list of days, with all its windows.
func describe(windows []Window) []string {
	var parts []string
	for i, w := range windows {
		same := func(other Window) bool { return slices.Equal(other.Days, w.Days) }
		if slices.ContainsFunc(windows[:i], same) {
			continue
		}
		var times []string
		for _, other := range windows[i:] {
			if same(other) {
				times = append(times, other.From.String()+" - "+other.To.String())
			}
		}
		parts = append(parts, describeDays(w.Days)+", "+enumerate(times))
	}
	return parts
}

// describeDays names the days of the week from Monday on, and then the kinds of days.
// Three or more days in a row become a range, such as "Monday to Friday".
func describeDays(days []Day) string {
	var names []string
	for i := 0; i < len(days); {
		d, err := days[i].parse()
		if err != nil { // not in a normal form
			return string(days[i])
		}
		if d.kind != "" {
			names = append(names, d.name())
			i++
			continue
		}
		run := 1
		for i+run < len(days) && days[i+run] == (d.weekday+Weekday(run)).Day() {
			run++
		}
		if run < 3 {
			run = 1
			names = append(names, d.weekday.Name())
		} else {
			names = append(names, d.weekday.Name()+" to "+(d.weekday+Weekday(run-1)).Name())
		}
		i += run
	}
	text := enumerate(names)
	return strings.ToUpper(text[:1]) + text[1:]
}

// name returns the plural of a kind of day: "holidays", "special days", or with a
// weekday "holidays on Saturday".
func (d dayType) name() string {
	text := strings.NewReplacer("_", " ", "-", " ").Replace(string(d.kind))
	if strings.HasSuffix(text, "day") {
		text += "s"
	} else {
		text += " days"
	}
	if !d.every {
		text += " on " + d.weekday.Name()
	}
	return text
}

// enumerate joins "a", "b" and "c" as "a, b and c".
func enumerate(items []string) string {
	last := len(items) - 1
	if last <= 0 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:last], ", ") + " and " + items[last]
}
