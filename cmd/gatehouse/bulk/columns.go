package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/domain/cardnumber"
	"gatehouse/gateways/tables"
	"gatehouse/schemas"
)

// importColumn says to which field a column goes, or several whose values are one.
type importColumn struct {
	indexes []int
	between string // what joins their values
	to      input.Assignment
}

// columnsNamed finds the column of a name, or those of facility+number.
func columnsNamed(t *tables.File, name string) ([]int, error) {
	index, err := t.Column(name)
	if err == nil || !strings.Contains(name, "+") {
		return []int{index}, err
	}
	var indexes []int
	for part := range strings.SplitSeq(name, "+") {
		if index, err = t.Column(part); err != nil {
			return nil, err
		}
		indexes = append(indexes, index)
	}
	return indexes, nil
}

// value is the value of the columns in a row; empty when one has none.
func (c importColumn) value(values []string) string {
	parts := of(values, c.indexes)
	if slices.Contains(parts, "") {
		return ""
	}
	return strings.Join(parts, c.between)
}

// fields finds out which column goes to which field.
func (i *importer) fields(t *tables.File) error {
	for _, field := range slices.Sorted(maps.Keys(i.opt.Mapped)) {
		indexes, err := columnsNamed(t, i.opt.Mapped[field])
		if err != nil {
			return err
		}
		to, err := i.target(field)
		if err != nil {
			return err
		}
		between := " "
		if field == "number" {
			between = "-"
		}
		i.columns = append(i.columns, importColumn{indexes, between, to})
	}
	for _, field := range slices.Sorted(maps.Keys(i.opt.Set)) {
		to, err := i.target(field)
		if err != nil {
			return err
		}
		to.Text = i.opt.Set[field]
		i.fixed = append(i.fixed, to)
	}
	var unknown []string
	for index, column := range t.Columns {
		mapped := slices.ContainsFunc(i.columns, func(c importColumn) bool { return slices.Contains(c.indexes, index) })
		left := slices.ContainsFunc(i.opt.LeaveOut, func(name string) bool { return strings.EqualFold(name, column) })
		if mapped || left || column == "" || column == reasonColumn {
			continue
		}
		name := i.fieldNamed(column)
		_, named := i.opt.Mapped[name]
		_, set := i.opt.Set[name]
		if named || set {
			continue
		}
		if to, err := i.target(name); err == nil {
			i.columns = append(i.columns, importColumn{[]int{index}, "", to})
			continue
		}
		unknown = append(unknown, column)
	}
	if len(i.columns) == 0 {
		return client.Usagef("no column of %s goes to a field of %s, which has %s; is its first line a header? Name some with --map FIELD=COLUMN",
			i.opt.File, i.kind.Command, strings.Join(i.kind.shape.Names(), ", "))
	}
	if err := i.checkFields(t); err != nil {
		return err
	}
	return i.leaveOut(unknown)
}

// fieldNamed is the field that a column is named for, whatever its case, blanks,
// hyphens and underscores; else the name of the column in lower case.
func (i *importer) fieldNamed(column string) string {
	for _, field := range i.kind.shape.Names() {
		if tables.Letters(field) == tables.Letters(column) {
			return field
		}
	}
	return strings.ToLower(column)
}

// leaveOut tells which columns go to no field. One whose name is near that of a field
// without a column is refused: an until that is misspelt would last for ever.
func (i *importer) leaveOut(columns []string) error {
	var open []string
	for _, field := range i.kind.shape.Names() {
		taken := func(a input.Assignment) bool { return a.Root() == field }
		if !slices.ContainsFunc(i.columns, func(c importColumn) bool { return taken(c.to) }) && !slices.ContainsFunc(i.fixed, taken) {
			open = append(open, field)
		}
	}
	for _, column := range columns {
		near := schemas.Nearest(strings.ToLower(column), open)
		if len(near) > 0 {
			return client.Usagef("%s: the column %q goes to no field of %s; for %s say --map %s=%q, else --leave-out %q",
				i.opt.File, column, i.kind.Command, near[0], near[0], column, column)
		}
		i.teller.say("the column %q goes to no field of %s; it is left out%s", column, i.kind.Command, perhaps(column, open))
	}
	return nil
}

// checkFields refuses a field with two values, and a command without one that it
// needs.
func (i *importer) checkFields(t *tables.File) error {
	from := map[string]string{}
	for _, x := range i.fixed {
		from[x.Key] = "--set"
	}
	given := map[string]bool{}
	for _, c := range i.columns {
		column := fmt.Sprintf("the column %q", strings.Join(of(t.Columns, c.indexes), "+"))
		if other, twice := from[c.to.Key]; twice {
			return client.Usagef("%s: %s and %s both go to the field %s; name one with --map, or rename the other", i.opt.File, other, column, c.to.Key)
		}
		from[c.to.Key] = column
	}
	for key := range from {
		root, _, _ := strings.Cut(strings.ReplaceAll(key, "[", "."), ".")
		given[root] = true
	}
	for _, field := range i.kind.shape.Required {
		if !given[field] {
			return client.Usagef("%s: no column goes to %s, which %s needs; name one with --map %s=COLUMN, or a value for all with --set %s=VALUE",
				i.opt.File, field, i.kind.Command, field, field)
		}
	}
	return nil
}

// perhaps proposes the field whose name is within that of a column, as name in Full
// Name.
func perhaps(column string, fields []string) string {
	for _, field := range fields {
		if strings.Contains(tables.Letters(column), tables.Letters(field)) {
			return fmt.Sprintf("; for %s say --map %s=%q", field, field, column)
		}
	}
	return ""
}

// target is the field of a name, which the command must have.
func (i *importer) target(field string) (input.Assignment, error) {
	to, err := input.ReadAssignments([]string{field + "="})
	if err != nil {
		return input.Assignment{}, err
	}
	_, err = i.assigner.Find(to[0])
	return to[0], err
}

// fieldsOf makes the fields of the command of a line.
func (i *importer) fieldsOf(ctx context.Context, t *tables.File, values []string) ([]byte, error) {
	fields := map[string]any{}
	for _, x := range i.fixed {
		if err := i.assigner.Assign(ctx, fields, x); err != nil {
			return nil, err
		}
	}
	for _, c := range i.columns {
		x := c.to
		if x.Text = c.value(values); x.Text == "" {
			continue
		}
		if slices.ContainsFunc(of(t.Cells, c.indexes), tables.Shortened) {
			return nil, client.Usagef("%s: %s is a number that a spreadsheet has shortened, its digits are lost; make the column text there and type it in again",
				c.to.Key, x.Text)
		}
		if err := i.assigner.Assign(ctx, fields, x); err != nil {
			return nil, err
		}
	}
	for _, field := range i.kind.shape.Required {
		if _, given := fields[field]; !given {
			return nil, client.Usagef("%s: it is missing", field)
		}
	}
	if number, ok := fields["number"].(string); ok {
		i.digits.note(number)
		format, _ := fields["format"].(string)
		form, err := cardnumber.Canonical(format, number)
		if err != nil {
			return nil, client.Usagef("number: %v", err)
		}
		fields["number"] = form // so that a line is the same as what the org has from it
	}
	line, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	// A line that the service could not read would end the list without its line
	// number.
	if _, err := schemas.DecodeCommands(i.typ, line); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return line, nil
}

// digits watches numbers of fobs and cards for zeros that a spreadsheet may have
// taken from their beginning.
type digits struct {
	lines, shortest, longest int
	zero                     bool // one begins with it, so that they are kept
}

// fewNumbers are too few to say anything about.
const fewNumbers = 20

func (d *digits) note(number string) {
	if strings.ContainsFunc(number, func(c rune) bool { return c < '0' || c > '9' }) || number == "" {
		return
	}
	if d.lines++; d.lines == 1 {
		d.shortest = len(number)
	}
	d.shortest, d.longest = min(d.shortest, len(number)), max(d.longest, len(number))
	d.zero = d.zero || number[0] == '0'
}

func (d *digits) tell(to Teller) {
	if d.lines >= fewNumbers && d.shortest < d.longest && !d.zero {
		to.say("the numbers have %d to %d digits and none begins with 0: should they all have as many, a spreadsheet has taken zeros away", d.shortest, d.longest)
	}
}
