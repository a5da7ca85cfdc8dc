package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/schemas"
)

// importCmd sends the lines of a file as commands.
type importCmd struct {
	Remote  remote            `embed:""`
	What    string            `arg:"" enum:"${kinds}" help:"What the lines are: ${enum}."`
	File    string            `arg:"" help:"File of comma-separated values with a header."`
	Map     map[string]string `placeholder:"FIELD=COLUMN" mapsep:"," help:"Column that a field is taken from; without it the column of its name."`
	Set     map[string]string `placeholder:"FIELD=VALUE" mapsep:";" help:"Value of a field in every line, as kind=card."`
	DryRun  bool              `help:"Decide everything, change nothing, and report what would be refused."`
	SkipBad bool              `help:"Pass over lines that cannot be read or are refused; without it the first list with such a line ends the import."`
}

// Help tells what is sent.
func (importCmd) Help() string {
	return `Up to 1,000 lines become one list of commands, which is committed as a whole or not
at all. A list that was committed is not committed again, and a line of which the org
has the same already is passed over: an import that was stopped, or of which lines
were mended, is started again in the same words. The commands are

  sites        CreateSite           roles             AssignRole
  areas        CreateArea           bookings          CreateBooking
  units        CreateUnit           move-ins          MoveIn
  doors        CreateDoor           shares            ShareAccess
  schedules    DefineSchedule       grants            GrantRight
  rights       DefineAccessRight    credentials       AssignFob
  unit-rights  MapUnitAccess        suspensions       SuspendBooking
  people       RegisterPerson       suspended-people  SuspendPerson

and their fields those of gatehouse do NAME --describe. Empty values are left out.
Values are separated by commas, semicolons or tabs, as in the header; the file is in
UTF-8. Times without an offset are of the clock of --site.
With --dry-run each list is decided on its own: a line does not see the lists before.

Examples:

  gatehouse import people people.csv --map person=id,name="full name"
  gatehouse import credentials badges.csv --map number=prox-id,person=holder --set kind=card --set sites=hq
  gatehouse import bookings bookings.csv --dry-run`
}

// importCommands says which command a line of each kind becomes.
var importCommands = map[string]string{
	"sites": "CreateSite", "areas": "CreateArea", "units": "CreateUnit", "doors": "CreateDoor", "schedules": "DefineSchedule",
	"rights": "DefineAccessRight", "unit-rights": "MapUnitAccess", "people": "RegisterPerson", "roles": "AssignRole",
	"bookings": "CreateBooking", "move-ins": "MoveIn", "shares": "ShareAccess", "grants": "GrantRight", "credentials": "AssignFob",
	"suspensions": "SuspendBooking", "suspended-people": "SuspendPerson",
}

// importKinds lists what is imported and exported.
func importKinds() string { return strings.Join(slices.Sorted(maps.Keys(importCommands)), ",") }

// importList bounds a list of commands in bytes, so that it fits a request and its
// events, with their boxes, a commit.
const importList = 200 << 10

// imported is what import writes in the end.
type imported struct {
	Lines    int `json:"lines"`    // with values
	Accepted int `json:"accepted"` // with a dry run: would be
	Refused  int `json:"refused"`  // by a rule
	Bad      int `json:"bad"`      // cannot be read
	Commits  int `json:"commits"`
	Repeated int `json:"repeated"` // lists that were there from an earlier run
	There    int `json:"there"`    // lines of which the org has the same already
	// Refusals are the refused lines by code.
	Refusals []refusals `json:"refusals,omitempty"`
	Position string     `json:"position,omitempty"`
	DryRun   bool       `json:"dry_run,omitempty"`
}

// refusals are the lines that were refused with one code.
type refusals struct {
	Code  string `json:"code"`
	Count int    `json:"count"`
	First []int  `json:"first"` // the first of the lines
}

// firstLines is how many lines a refusal code is shown with.
const firstLines = 5

// refuse counts a refused line.
func (r *imported) refuse(code string, line int) {
	r.Refused++
	at := slices.IndexFunc(r.Refusals, func(c refusals) bool { return c.Code == code })
	if at < 0 {
		at = len(r.Refusals)
		r.Refusals = append(r.Refusals, refusals{Code: code})
	}
	c := &r.Refusals[at]
	if c.Count++; len(c.First) < firstLines {
		c.First = append(c.First, line)
	}
}

// Run sends the lines and reports.
func (c *importCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.authorized(); err != nil {
		return err
	}
	command := importCommands[c.What]
	shape, err := commandShape(command)
	if err != nil {
		return err
	}
	typ, _ := domain.CommandNamed(command)
	i := &importer{cmd: c, w: w, remote: remote, command: command, typ: typ, bad: badLines{w: w},
		assigner: assigner{command, shape, remote.siteClock()}, report: imported{DryRun: c.DryRun}}
	err = i.run()
	return errors.Join(err, w.print(i.report, c.Remote.JSON))
}

// importer is one import on its way.
type importer struct {
	cmd      *importCmd
	w        *world
	remote   *client
	command  string
	typ      domain.CommandType
	assigner assigner
	columns  []importColumn
	fixed    []assignment
	bad      badLines
	report   imported
	told     time.Time

	list  []json.RawMessage // the commands of the present list
	lines []int             // and the lines that they are of
	size  int
}

// importColumn says to which field a column goes.
type importColumn struct {
	index int
	to    assignment
}

func (i *importer) run() (err error) {
	t, err := openTable(i.cmd.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := i.fields(t); err != nil {
		return err
	}
	for {
		values, err := t.next()
		if errors.Is(err, io.EOF) {
			return i.send()
		}
		i.report.Lines++
		var fields []byte
		if err == nil {
			fields, err = i.fieldsOf(i.w.ctx, values)
		}
		if err != nil {
			if err := i.badLine(t.line, err); err != nil {
				return err
			}
			continue
		}
		i.list, i.lines, i.size = append(i.list, fields), append(i.lines, t.line), i.size+len(fields)
		if len(i.list) == domain.MaxList || i.size >= importList {
			if err := i.send(); err != nil {
				return err
			}
		}
	}
}

// fields finds out which column goes to which field.
func (i *importer) fields(t *tableFile) error {
	for _, field := range slices.Sorted(maps.Keys(i.cmd.Map)) {
		index, err := t.column(i.cmd.Map[field])
		if err != nil {
			return err
		}
		to, err := i.target(field)
		if err != nil {
			return err
		}
		i.columns = append(i.columns, importColumn{index, to})
	}
	for _, field := range slices.Sorted(maps.Keys(i.cmd.Set)) {
		to, err := i.target(field)
		if err != nil {
			return err
		}
		to.text = i.cmd.Set[field]
		i.fixed = append(i.fixed, to)
	}
	for index, column := range t.columns {
		mapped := slices.ContainsFunc(i.columns, func(c importColumn) bool { return c.index == index })
		name := strings.ToLower(column)
		_, named := i.cmd.Map[name]
		_, set := i.cmd.Set[name]
		if mapped || named || set {
			continue
		}
		if to, err := i.target(name); err == nil {
			i.columns = append(i.columns, importColumn{index, to})
			continue
		}
		i.w.say("the column %q goes to no field of %s; it is left out", column, i.command)
	}
	if len(i.columns) == 0 {
		return usage("no column of %s goes to a field of %s, which has %s; is its first line a header? Name some with --map FIELD=COLUMN",
			i.cmd.File, i.command, strings.Join(i.assigner.shape.fields(), ", "))
	}
	return i.checkFields(t)
}

// checkFields refuses a field with two values, and a command without one that it
// needs.
func (i *importer) checkFields(t *tableFile) error {
	from := map[string]string{}
	for _, x := range i.fixed {
		from[x.key] = "--set"
	}
	given := map[string]bool{}
	for _, c := range i.columns {
		column := fmt.Sprintf("the column %q", t.columns[c.index])
		if other, twice := from[c.to.key]; twice {
			return usage("%s: %s and %s both go to the field %s; name one with --map, or rename the other", i.cmd.File, other, column, c.to.key)
		}
		from[c.to.key] = column
	}
	for key := range from {
		root, _, _ := strings.Cut(strings.ReplaceAll(key, "[", "."), ".")
		given[root] = true
	}
	for _, field := range i.assigner.shape.Required {
		if !given[field] {
			return usage("%s: no column goes to %s, which %s needs; name one with --map %s=COLUMN, or a value for all with --set %s=VALUE",
				i.cmd.File, field, i.command, field, field)
		}
	}
	return nil
}

// target is the field of a name, which the command must have.
func (i *importer) target(field string) (assignment, error) {
	to, err := readAssignments([]string{field + "="})
	if err != nil {
		return assignment{}, err
	}
	_, err = i.assigner.find(to[0])
	return to[0], err
}

// fieldsOf makes the fields of the command of a line.
func (i *importer) fieldsOf(ctx context.Context, values []string) ([]byte, error) {
	fields := map[string]any{}
	for _, x := range i.fixed {
		if err := i.assigner.assign(ctx, fields, x); err != nil {
			return nil, err
		}
	}
	for _, c := range i.columns {
		if values[c.index] == "" {
			continue
		}
		x := c.to
		x.text = values[c.index]
		if err := i.assigner.assign(ctx, fields, x); err != nil {
			return nil, err
		}
	}
	line, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	// What the service could not read would end the list without its line.
	if _, err := schemas.DecodeCommands(i.typ, line); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return line, nil
}

// badLine tells of a line that cannot be read, and ends the import unless bad
// lines are passed over.
func (i *importer) badLine(line int, err error) error {
	if _, ok := errors.AsType[*answerError](err); ok {
		return err // the zone of the site could not be asked for
	}
	if _, ok := errors.AsType[*unreachableError](err); ok {
		return err
	}
	bad, ok := errors.AsType[*badLine](err)
	if !ok {
		bad = &badLine{Reason: err.Error()}
	}
	bad.Line = line
	i.bad.add(bad)
	i.report.Bad++
	if i.cmd.SkipBad || i.cmd.DryRun {
		return nil
	}
	return usage("%s: line %d cannot be read; the lists before it are committed, nothing of its own is; mend it, or give --skip-bad", i.cmd.File, line)
}
