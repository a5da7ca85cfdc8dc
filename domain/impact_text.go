package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Lines tell an impact in words, a line for each entry and one for each number that
// the lists do not show; none: nothing changes for anybody.
func (i Impact) Lines() []string {
	var out []string
	out = append(out, i.Lost.lines("lose")...)
	out = append(out, i.Gained.lines("gain")...)
	for _, c := range i.Credentials.List {
		out = append(out, c.String())
	}
	out = unlisted(out, "credentials", i.Credentials.Count, len(i.Credentials.List), i.Credentials.Hidden)
	for _, d := range i.Doors.List {
		out = append(out, d.String())
	}
	out = unlisted(out, "changes of doors", i.Doors.Count, len(i.Doors.List), i.Doors.Hidden)
	for _, r := range i.Reviews.List {
		out = append(out, fmt.Sprintf("review of %s in unit %s, right %s: %s", r.Person, r.Unit, r.Right, r.Message))
	}
	out = unlisted(out, "reviews", i.Reviews.Count, len(i.Reviews.List), i.Reviews.Hidden)
	for _, e := range i.Ends.List {
		line := fmt.Sprintf("%s %s of %s ends", strings.ReplaceAll(string(e.Kind), "_", " "), e.ID, e.Person)
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

func (c AccessChanges) lines(verb string) []string {
	if c.Pairs == 0 {
		return nil
	}
	if c.People == 1 {
		verb += "s"
	}
	out := []string{fmt.Sprintf("%s %s access, or some of it, at %s", quantity(c.People, "person", "people"), verb, quantity(c.Doors, "door", "doors"))}
	for _, a := range c.List {
		out = append(out, "  "+a.String())
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

// String tells the change in a line.
func (c AccessChange) String() string {
	parts := []string{fmt.Sprintf("%s at %s (%s): %s", c.Person, c.Door, c.Site, c.Effect)}
	if c.Code != 0 {
		parts = append(parts, c.Code.String())
	}
	if c.Times != "" {
		parts = append(parts, "then "+c.Times)
	}
	parts = append(parts, boundsText(c.From, c.Until)...)
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

func boundsText(from, until time.Time) (parts []string) {
	if !from.IsZero() {
		parts = append(parts, "from "+from.Format(time.RFC3339))
	}
	if !until.IsZero() {
		parts = append(parts, "until "+until.Format(time.RFC3339))
	}
	return parts
}

// String tells the change in a line.
func (c CredentialChange) String() string {
	parts := []string{fmt.Sprintf("%s %s of %s (%s): %s", strings.ReplaceAll(string(c.Kind), "_", " "), c.Credential, c.Person, c.Site, c.Effect)}
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

// String tells the change in a line.
func (c DoorChange) String() string {
	parts := []string{fmt.Sprintf("door %s (%s) %s: %s", c.Door, c.Site, strings.ReplaceAll(string(c.Effect), "_", " "), c.Reason)}
	parts = append(parts, boundsText(c.From, c.Until)...)
	if c.People > 0 {
		parts = append(parts, "for "+quantity(c.People, "person", "people"))
	}
	if len(c.Who) > 0 {
		parts = append(parts, andMore(c.Who, c.People))
	}
	return strings.Join(parts, ", ")
}

// andMore names some of a number of things.
func andMore(named []ID, count int) string {
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
