package tables

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/domain/schedule"
)

// Layout says how a file writes times: as package time has it, the moment 2006-01-02
// 15:04:05 in that form, or unix for seconds since 1970.
type Layout struct {
	text   string
	offset bool // times say their offset
	zone   *schedule.Zone
}

// element is what a part of a layout stands for.
type element string

const (
	year, months, day, hour, minute, second element = "year", "month", "day", "hour", "minute", "second"
	half, offset, zoneName, fraction        element = "AM or PM", "offset", "zone's letters", "fraction"
	weekday, yearDay                        element = "weekday", "day of the year"
)

// elements are the parts that layouts are made of, the longer ones first.
var elements = []struct {
	text string
	is   element
}{
	{"Z07:00:00", offset}, {"-07:00:00", offset}, {"Z070000", offset}, {"-070000", offset}, {"Z07:00", offset}, {"-07:00", offset},
	{"Z0700", offset}, {"-0700", offset}, {"Z07", offset}, {"-07", offset},
	{"January", months}, {"Monday", weekday}, {"2006", year}, {"Jan", months}, {"Mon", weekday}, {"MST", zoneName},
	{"002", yearDay}, {"__2", yearDay}, {"01", months}, {"02", day}, {"03", hour}, {"04", minute}, {"05", second}, {"06", year},
	{"15", hour}, {"PM", half}, {"pm", half}, {"_2", day}, {"1", months}, {"2", day}, {"3", hour}, {"4", minute}, {"5", second},
}

// part is an element of a layout, or the text between two; then is is empty.
type part struct {
	text string
	is   element
}

var fractions = regexp.MustCompile(`^[.,](0+|9+)`)

// partsOf reads a layout.
func partsOf(layout string) (parts []part) {
	for layout != "" {
		n, is := 1, element("")
		if f := fractions.FindString(layout); f != "" && (len(layout) == len(f) || layout[len(f)] < '0' || layout[len(f)] > '9') {
			n, is = len(f), fraction
		} else if i := slices.IndexFunc(elements, func(e struct {
			text string
			is   element
		}) bool {
			return strings.HasPrefix(layout, e.text)
		}); i >= 0 {
			n, is = len(elements[i].text), elements[i].is
		}
		if is == "" && len(parts) > 0 && parts[len(parts)-1].is == "" {
			parts[len(parts)-1].text += layout[:n]
		} else {
			parts = append(parts, part{layout[:n], is})
		}
		layout = layout[n:]
	}
	return parts
}

func joined(parts []part) string {
	var out strings.Builder
	for _, p := range parts {
		out.WriteString(p.text)
	}
	return out.String()
}

// NewLayout reads a layout; times without an offset are of the clock of the zone. It
// refuses one that means something else than it seems to, and names the one that is
// meant. zoned says that the zone was named for this file: then letters as Z are what
// stands there, and nothing else.
func NewLayout(layout string, zone *schedule.Zone, zoned bool) (*Layout, error) {
	l := &Layout{layout, layout == "unix", zone}
	if l.offset {
		return l, nil
	}
	if tail := offsetDigits.FindString(layout); tail != "" && tail != "-2006" && tail != "-0700" && tail != "-07:00" {
		stands := "Z07:00"
		if !strings.Contains(tail, ":") {
			stands = "-0700"
		}
		return nil, refuse("the time layout %q: an offset is written -07:00 or -0700 in a layout, whatever the times have; write %q", layout, strings.TrimSuffix(layout, tail)+stands)
	}
	parts := partsOf(layout)
	at := map[element]int{}
	for i, p := range parts {
		if p.is == "" || p.is == fraction {
			continue
		}
		if first, twice := at[p.is]; twice {
			return nil, refuse("the time layout %q has the %s twice, as %s and as %s%s", layout, p.is, parts[first].text, p.text, meant(parts, i, at))
		}
		at[p.is] = i
	}
	has := func(e element) bool { _, ok := at[e]; return ok }
	switch {
	case has(zoneName):
		return nil, refuse("the time layout %q: letters as CET do not say which offset they mean; write them into the layout as they stand, and give --zone", layout)
	case !has(hour) || !has(year) || !has(yearDay) && !(has(months) && has(day)):
		return nil, refuse("the time layout %q has no %s; a layout is the moment 2006-01-02 15:04:05 as the file writes it%s", layout, missing(has), translated(layout))
	case !has(half) && strings.HasSuffix(parts[at[hour]].text, "3"):
		parts[at[hour]].text = "15"
		return nil, refuse("the time layout %q has hours of 12 without AM or PM; for hours of 24 write %q, else PM where it stands", layout, joined(parts))
	}
	l.offset = has(offset)
	if letters, as := zoneLetters(parts); letters != "" && !l.offset && !zoned {
		return nil, refuse("the time layout %q takes %s as letters, and the times as those of the site's clock; write %q, or name the zone of these times with --zone", layout, letters, as)
	}
	return l, nil
}

// meant proposes a layout in which an element that is given twice is the one that seems
// to be meant.
func meant(parts []part, i int, at map[element]int) string {
	_, hours := at[hour]
	_, minutes := at[minute]
	wanted := ""
	switch {
	case hours && !minutes:
		wanted = "04"
	case hours && minutes:
		wanted = "05"
	default:
		for _, e := range []struct {
			is   element
			text string
		}{{year, "2006"}, {months, "01"}, {day, "02"}, {hour, "15"}} {
			if _, has := at[e.is]; !has && wanted == "" && !slices.ContainsFunc(parts[i+1:], func(p part) bool { return p.is == e.is }) {
				wanted = e.text
			}
		}
	}
	if wanted == "" {
		return ""
	}
	other := slices.Clone(parts)
	other[i].text = wanted
	return fmt.Sprintf("; is %q meant? Months are 01, days 02, hours 15, minutes 04, seconds 05", joined(other))
}

func missing(has func(element) bool) element {
	for _, e := range []element{year, months, day, hour} {
		if !has(e) {
			return e
		}
	}
	return hour
}

// translated proposes a layout for one in the words of other programs, as YYYY-MM-DD
// HH:mm or %Y-%m-%d %H:%M.
func translated(layout string) string {
	out := layout
	if strings.Contains(layout, "%") {
		out = strings.NewReplacer("%Y", "2006", "%y", "06", "%m", "01", "%d", "02", "%H", "15", "%I", "03", "%M", "04", "%S", "05", "%p", "PM",
			"%b", "Jan", "%B", "January", "%e", "_2", "%z", "-0700", "%T", "15:04:05", "%F", "2006-01-02").Replace(layout)
	} else {
		hours := regexp.MustCompile(`(?i)h+`)
		if i := hours.FindStringIndex(out); i != nil {
			behind := regexp.MustCompile(`(?i)m+`).ReplaceAllString(out[i[1]:], "04")
			out = out[:i[0]] + "15" + behind
		}
		out = strings.NewReplacer("YYYY", "2006", "yyyy", "2006", "JJJJ", "2006", "MM", "01", "DD", "02", "dd", "02", "TT", "02", "SS", "05", "ss", "05").Replace(out)
	}
	if out == layout {
		return ""
	}
	return fmt.Sprintf("; is %q meant?", out)
}

// offsetDigits matches an offset at the end of a layout.
var offsetDigits = regexp.MustCompile(`[+-][0-9]{2}:?[0-9]{2}$`)

// zoneWords matches letters at the end of a layout that seem to say a zone.
var zoneWords = regexp.MustCompile(`(Z|UTC|GMT|[A-Z]{2,3}T)$`)

// zoneLetters are letters of a layout that seem to say a zone, with the layout in which
// they do.
func zoneLetters(parts []part) (letters, as string) {
	last := parts[len(parts)-1]
	if last.is != "" {
		return "", ""
	}
	text := strings.TrimRight(last.text, ` '")]`)
	letters = zoneWords.FindString(text)
	if letters == "" {
		return "", ""
	}
	return letters, joined(parts[:len(parts)-1]) + strings.TrimRight(strings.TrimSuffix(text, letters), " ") + "Z07:00"
}

// Read reads a time. One that the clock of the zone skips is refused; of two that it
// reads alike the first is taken.
func (l *Layout) Read(text string) (time.Time, error) {
	if l.text == "unix" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("the time %q is no number of seconds", text)
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	at, err := time.Parse(l.text, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time %q is not written as %q", text, l.text)
	}
	if l.offset {
		return at.UTC(), nil
	}
	reading, err := schedule.ParseDateTime(at.Format("2006-01-02T15:04"))
	if err != nil {
		return time.Time{}, fmt.Errorf("the time %q: %w", text, err)
	}
	instant := l.zone.Instant(reading)
	if local := l.zone.Local(instant); local.Date != reading.Date || local.Time != reading.Time {
		return time.Time{}, fmt.Errorf("the time %s does not exist in %s: the clock is set forward over it", text, l.zone.Name())
	}
	return time.Unix(0, instant).Add(time.Duration(at.Second())*time.Second + time.Duration(at.Nanosecond())).UTC(), nil
}
