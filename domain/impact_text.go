package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/domain/schedule"
)

// Wording names the people and reads the clocks for the words of an [Impact].
type Wording struct {
	// Zone is the zone of a site; where it is nil or gives none, times are in UTC.
	Zone func(site ID) *schedule.Zone
	// Person is the name for an id; nil: the id itself.
	Person func(person ID) string
}

// person names a person.
func (w Wording) person(id ID) string {
	if w.Person == nil {
		return string(id)
	}
	return w.Person(id)
}

// people names people.
func (w Wording) people(ids []ID) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = w.person(id)
	}
	return names
}

// Lines tells an impact in words, one line for each entry. It adds one line for each
// number that the lists do not show. No lines mean that nothing changes for anybody.
func (i Impact) Lines(w Wording) []string {
	var out []string
	out = append(out, i.Lost.lines(w, "lose")...)
	out = append(out, i.Gained.lines(w, "gain")...)
	for _, c := range i.Credentials.List {
		out = append(out, c.line(w))
	}
	out = unlisted(out, "credentials", i.Credentials.Count, len(i.Credentials.List), i.Credentials.Hidden)
	for _, d := range i.Doors.List {
		out = append(out, d.line(w))
	}
	out = unlisted(out, "changes of doors", i.Doors.Count, len(i.Doors.List), i.Doors.Hidden)
	for _, r := range i.Reviews.List {
		out = append(out, fmt.Sprintf("review of %s in unit %s, right %s: %s", w.person(r.Person), r.Unit, r.Right, r.Message))
	}
	out = unlisted(out, "reviews", i.Reviews.Count, len(i.Reviews.List), i.Reviews.Hidden)
	for _, e := range i.Ends.List {
		line := fmt.Sprintf("%s %s of %s ends", strings.ReplaceAll(string(e.Kind), "_", " "), e.ID, w.person(e.Person))
		if e.Cause != "" {
			line += ": " + e.Cause
		}
		out = append(out, line)
	}
	return unlisted(out, "ends", i.Ends.Count, len(i.Ends.List), i.Ends.Hidden)
}

// unlisted adds how many entries there are that the lines do not show.
func unlisted(lines []string, what string, count, listed, hidden int) []string {
	if rest := count - listed; rest > 0 {
		lines = append(lines, fmt.Sprintf("%d more %s, %d of which you may not see", rest, what, hidden))
	}
	return lines
}

func (c AccessChanges) lines(w Wording, verb string) []string {
	if c.Pairs == 0 {
		return nil
	}
	if c.People == 1 {
		verb += "s"
	}
	out := []string{fmt.Sprintf("%s %s access, or some of it, at %s", quantity(c.People, "person", "people"), verb, quantity(c.Doors, "door", "doors"))}
	for _, a := range c.List {
		out = append(out, "  "+a.line(w))
	}
	return unlisted(out, "entries of a person and a door", c.Pairs, len(c.List), c.Hidden)
}

// quantity says how many there are.
func quantity(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// line tells the change in words.
func (c AccessChange) line(w Wording) string {
	parts := []string{fmt.Sprintf("%s at %s (%s): %s", w.person(c.Person), c.Door, c.Site, c.Effect)}
	if c.Code != 0 {
		parts = append(parts, c.Code.String())
	}
	if c.Times != "" {
		parts = append(parts, "then "+c.Times)
	}
	parts = append(parts, w.bounds(c.Site, c.From, c.Until)...)
	if c.Calendar {
		parts = append(parts, "on days that the calendar marks otherwise")
	}
	for _, u := range c.Uses {
		parts = append(parts, fmt.Sprintf("%s %s", u.Use, u.Times))
	}
	parts = append(parts, "through "+strings.Join(c.Through, " "))
	if len(c.Remains) > 0 {
		parts = append(parts, "beside "+strings.Join(c.Remains, " "))
	}
	return strings.Join(parts, ", ")
}

// bounds tell from when until when something holds, by the clock of its site. An end at
// midnight is told as the end of the day before, since that is the last day that counts.
func (w Wording) bounds(site ID, from, until time.Time) (parts []string) {
	zone, mark := utc, " UTC"
	if w.Zone != nil {
		if z := w.Zone(site); z != nil {
			zone, mark = z, ""
		}
	}
	day := func(d schedule.Date) string {
		year, month, n := d.Civil()
		return fmt.Sprintf("%d %s %d", n, month, year)
	}
	if !from.IsZero() {
		at := zone.Local(from.UnixNano())
		text := "from " + day(at.Date)
		if at.Time != 0 {
			text += ", " + at.Time.String()
		}
		parts = append(parts, text+mark)
	}
	if !until.IsZero() {
		at := zone.Local(until.UnixNano())
		text := "until the end of " + day(at.Date.AddDays(-1))
		if at.Time != 0 {
			text = "until " + day(at.Date) + ", " + at.Time.String()
		}
		parts = append(parts, text+mark)
	}
	return parts
}

// line tells the change in words.
func (c CredentialChange) line(w Wording) string {
	parts := []string{fmt.Sprintf("%s %s of %s (%s): %s", strings.ReplaceAll(string(c.Kind), "_", " "), c.Credential, w.person(c.Person), c.Site, c.Effect)}
	if c.NewNumber {
		parts = append(parts, "another number")
	}
	if c.DoorCount > 0 {
		parts = append(parts, "at "+andMore(c.Doors, c.DoorCount))
	}
	if len(c.Beside) > 0 {
		parts = append(parts, fmt.Sprintf("beside %s", joinTexts(c.Beside)))
	}
	return strings.Join(parts, ", ")
}

// line tells the change in words.
func (c DoorChange) line(w Wording) string {
	parts := []string{fmt.Sprintf("door %s (%s) %s: %s", c.Door, c.Site, strings.ReplaceAll(string(c.Effect), "_", " "), c.Reason)}
	parts = append(parts, w.bounds(c.Site, c.From, c.Until)...)
	if c.People > 0 {
		parts = append(parts, "for "+quantity(c.People, "person", "people"))
	}
	if len(c.Who) > 0 {
		parts = append(parts, andMore(w.people(c.Who), c.People))
	}
	return strings.Join(parts, ", ")
}

// andMore names some of a number of things.
func andMore[S ~string](named []S, count int) string {
	text := joinTexts(named)
	if rest := count - len(named); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

func joinTexts[S ~string](list []S) string {
	texts := make([]string, len(list))
	for i, t := range list {
		texts[i] = string(t)
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}
