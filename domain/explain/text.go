package explain

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"gatehouse/domain/unlock"
)

// String returns the explanation for people: the answer, the steps common to every way,
// and the steps of each way. A step that fails is marked with an x.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", e.answer(), e.asked())
	b.WriteByte('\n')
	writeSteps(&b, e.Steps)
	for _, w := range e.Ways {
		fmt.Fprintf(&b, "\nby %s%s\n", strings.Replace(w.Grant, ":", " ", 1), e.verdict(w))
		writeSteps(&b, w.Steps)
	}
	if len(e.Credentials) > 0 {
		b.WriteString("\nwith what the person carries\n")
		for _, c := range e.Credentials {
			mark := "x"
			if c.Allowed {
				mark = " "
			}
			fmt.Fprintf(&b, "%s %s %s -> %s\n", mark, c.Kind, c.Credential, c.Code)
		}
	}
	if len(e.Ways) == 0 && e.Site != "" {
		b.WriteString("\nnothing that was given to this person opens this door\n")
	}
	if len(e.Elsewhere) > 0 {
		fmt.Fprintf(&b, "\nfor other doors of the site: %s\n", strings.Join(e.Elsewhere, ", "))
	}
	if e.Partial {
		b.WriteString("\nthis is what you may see; more may count at the site, and the door decide otherwise\n")
	}
	return b.String()
}

// asked repeats the question.
func (e Explanation) asked() string {
	q := e.Question
	who := "person " + string(q.Person)
	if q.Credential != "" {
		who = "credential " + string(q.Credential)
	} else if q.Kind != "" {
		who += " with a " + string(q.Kind)
	}
	side := "in"
	if q.Side == unlock.Out {
		side = "out"
	}
	if q.Command != "" {
		side += ", " + string(q.Command)
	}
	at := q.At.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
	if e.Local != "" {
		at = e.Local + " (" + at + ")"
	}
	return fmt.Sprintf("%s at the door %s, %s, on %s, as of commit %d", who, q.Door, side, at, e.N)
}

// verdict tells the outcome of a way.
func (e Explanation) verdict(w Way) string {
	switch {
	case w.Grant == e.Grant && e.Allowed:
		return ", which opens"
	case w.Grant == e.Grant && len(e.Ways) > 1:
		return ", which comes closest"
	}
	return ""
}

func writeSteps(b *strings.Builder, steps []Step) {
	var lines strings.Builder
	tab := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	for _, s := range steps {
		mark := " "
		if len(s.Failed) > 0 {
			mark = "x"
		}
		says := s.Says
		for _, code := range s.Failed {
			says += " -> " + code.String()
		}
		fmt.Fprintf(tab, "%s %s\t%s\t%s\n", mark, s.thing(), says, commitsText(s.Commits))
	}
	// Writing to a strings.Builder never fails.
	_ = tab.Flush()
	for line := range strings.Lines(lines.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

func commitsText(commits []uint64) string {
	if len(commits) == 0 {
		return ""
	}
	list := strings.Trim(fmt.Sprint(commits), "[]")
	if len(commits) == 1 {
		return "commit " + list
	}
	return "commits " + strings.ReplaceAll(list, " ", ", ")
}
