package tables

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxNames bounds how many names of a file are remembered.
const maxNames = 10_000

// Names makes ids of the names that a file has for things, as of doors. It never gives
// two names one id: what happened at one door would be judged at another.
type Names struct {
	Flag  string            // that gives names their ids, for messages
	Given map[string]string // id by name as it stands in the file, in any case; may be nil

	given map[string]string // by folded
	names map[string]named  // by id
}

// named is the name that an id was made of.
type named struct {
	name, folded string
	line         int
}

// folded is a name for comparison: case and blanks make no other name.
func folded(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(norm.NFC.String(name)), " "))
}

// ID is the id of a name that stands in columns of a line, whose values are the parts:
// the given one, or in lower case, with hyphens for blanks and signs. A [BadLine] says
// why a name has none; an [Error] that two names of the file would have one.
func (n *Names) ID(line int, parts ...string) (string, error) {
	name := strings.TrimSpace(strings.Join(parts, " "))
	key := folded(strings.Join(parts, "\x00"))
	if id, ok := n.givenID(name); ok {
		return id, n.meet(id, named{name, "\x00given", line})
	}
	lost := ""
	for _, c := range norm.NFC.String(name) {
		if (unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c)) && c > unicode.MaxASCII {
			lost = string(c)
			break
		}
	}
	id := Slug(parts...)
	switch {
	case lost != "":
		return "", &BadLine{line, fmt.Sprintf("the name %q has %s, which no id has; say which it is with %s %q", name, lost, n.Flag, name+"=ID")}
	case id == "":
		return "", &BadLine{line, fmt.Sprintf("the name %q has no letter or digit of which an id could be made", name)}
	}
	return id, n.meet(id, named{name, key, line})
}

// givenID is the id that a flag gave a name.
func (n *Names) givenID(name string) (string, bool) {
	if n.given == nil {
		n.given = map[string]string{}
		for name, id := range n.Given {
			n.given[folded(name)] = id
		}
	}
	id, ok := n.given[folded(name)]
	return id, ok
}

// meet remembers the name of an id, and refuses another name for it. Several names that
// a flag gave one id are meant so.
func (n *Names) meet(id string, met named) error {
	if n.names == nil {
		n.names = map[string]named{}
	}
	before, known := n.names[id]
	switch {
	case known && before.folded != met.folded:
		return refuse("the names %q (line %d) and %q (line %d) would both have the id %s: say which they are with %s %q",
			before.name, before.line, met.name, met.line, id, n.Flag, met.name+"=ID")
	case !known && len(n.names) == maxNames:
		return refuse("line %d: more than %d different names: are these the columns that name them?", met.line, maxNames)
	case !known:
		n.names[id] = met
	}
	return nil
}

// Slug makes an id of texts: lower case, everything but letters, digits and _ one
// hyphen, the parts joined by hyphens.
func Slug(parts ...string) string {
	var b strings.Builder
	hyphen := false
	for _, c := range strings.ToLower(strings.Join(parts, "-")) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' && b.Len() > 0 {
			if hyphen && b.Len() > 0 {
				b.WriteByte('-')
			}
			hyphen = false
			b.WriteRune(c)
			continue
		}
		hyphen = true
	}
	return b.String()
}
