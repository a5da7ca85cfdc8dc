package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// because is the one thing that failed, also where the person has nothing that could.
func (x *explainer) because(e Explanation) string {
	if said := e.firstFailed(); said != "" || e.Allowed {
		return said
	}
	if e.Code == unlock.DenyNoAccessRight && x.person != "" {
		return fmt.Sprintf("%s has no access to door %s", x.person, x.door.ID)
	}
	return ""
}

// firstFailed tells of the step that fails with the code of the answer: one that counts
// for every way, else one of the way that came closest. Empty when nothing does.
func (e Explanation) firstFailed() string {
	if e.Allowed {
		return ""
	}
	steps := e.Steps
	for _, w := range e.Ways {
		if w.Grant == e.Grant {
			steps = slices.Concat(e.Steps, w.Steps)
		}
	}
	for _, step := range steps {
		if !slices.Contains(step.Failed, e.Code) {
			continue
		}
		if said := step.because[e.Code]; said != "" {
			return said
		}
		says, _, _ := strings.Cut(step.Says, ",")
		return step.thing() + ": " + says
	}
	return ""
}

// answer is the answer in one sentence: "denied: outside the permitted hours (unit a1:
// Monday to Friday, 08:30 - 17:30)".
func (e Explanation) answer() string {
	answer := "denied: " + e.Meaning
	if e.Allowed {
		answer = "allowed: " + e.Meaning
	}
	if e.Because != "" {
		answer += " (" + e.Because + ")"
	}
	return answer
}

// thing names what a step is about: "unit a1 (A1)".
func (s Step) thing() string { return nameOf(strings.ReplaceAll(s.Kind, "_", " "), s.ID, s.Name) }

// nameOf is a thing by its id, with its name where that says more.
func nameOf(kind string, id domain.ID, name string) string {
	if name == "" || strings.EqualFold(name, string(id)) {
		return kind + " " + string(id)
	}
	return fmt.Sprintf("%s %s (%s)", kind, id, name)
}

// dayWords writes a date as people do: "3 November 2026".
func dayWords(d schedule.Date) string {
	year, month, day := d.Civil()
	return fmt.Sprintf("%d %s %d", day, month, year)
}

// whenWords is an instant by the site's clock: "3 November 2026, 08:30".
func (x *explainer) whenWords(t time.Time) string {
	local := x.s.ZoneOf(x.site.ID).Local(schedule.Nanos(t))
	return dayWords(local.Date) + ", " + local.Time.String()
}

// spanWords are the ends of a closure by the site's clock.
func spanWords(b schedule.Blackout) string {
	words := func(t schedule.DateTime) string { return dayWords(t.Date) + ", " + t.Time.String() }
	return words(b.From) + " to " + words(b.To)
}

// kindsWords names kinds of credential: "fob or mobile key".
func kindsWords(kinds []domain.CredentialKind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, strings.ReplaceAll(string(k), "_", " "))
	}
	return strings.Join(names, " or ")
}
