package bulk

import (
	"fmt"
	"strings"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/gateways/httpapi"
)

// kind is a kind of line of a file, the same for import and export.
type kind struct {
	httpapi.Kind
	shape *input.Shape // of the command that a line becomes
}

func kindNamed(name string) (kind, error) {
	k, ok := httpapi.KindNamed(name)
	if !ok {
		return kind{}, client.Usagef("there is no kind of line %s%s", name, input.DidYouMean(name, KindNames()))
	}
	shape, err := input.ShapeOf(k.Command)
	return kind{k, shape}, err
}

// KindNames lists the kinds in the order in which files are imported.
func KindNames() []string {
	var out []string
	for _, k := range httpapi.Kinds {
		out = append(out, k.Name)
	}
	return out
}

// KindTable lists the kinds with their commands for a help text, in their order.
func KindTable() string {
	var out strings.Builder
	rows := (len(httpapi.Kinds) + 1) / 2
	for i := range rows {
		left := httpapi.Kinds[i]
		fmt.Fprintf(&out, "  %-18s %-24s", left.Name, left.Command)
		if i+rows < len(httpapi.Kinds) {
			right := httpapi.Kinds[i+rows]
			fmt.Fprintf(&out, "%-18s %s", right.Name, right.Command)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// idOf is the id of the thing that a line of the kind makes, by the fields of its
// command. Empty means that they leave the id to the service.
func (k kind) idOf(fields map[string]any) string {
	var parts []string
	for _, name := range k.ID {
		value := fields[name]
		if list, ok := value.([]any); ok && len(list) > 0 {
			value = list[0]
		}
		text, ok := value.(string)
		if !ok || text == "" {
			return ""
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "/")
}
