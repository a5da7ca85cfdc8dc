package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/gateways/tables"
)

// importCmd sends the lines of a file as commands.
type importCmd struct {
	Remote   remote            `embed:""`
	Table    tableFlags        `embed:""`
	What     string            `arg:"" enum:"${kinds}" placeholder:"KIND" help:"What the lines are, as people; listed above."`
	File     string            `arg:"" help:"File of values with a header, separated by commas, semicolons or tabs."`
	Map      map[string]string `placeholder:"FIELD=COLUMN" mapsep:"," help:"Column that a field is taken from; without it the column of its name. Of two, as number=facility+number, the values are joined: a number by a hyphen, others by a blank."`
	Set      map[string]string `placeholder:"FIELD=VALUE" mapsep:";" help:"Value of a field in every line, as kind=card."`
	LeaveOut []string          `placeholder:"COLUMN" help:"Columns that go to no field, though their names are near one."`
	DryRun   bool              `help:"Decide everything, change nothing, and report what would be refused."`
	SkipBad  bool              `help:"Pass over lines that cannot be read or are refused; without it the first list with such a line ends the import."`
	Rejects  string            `placeholder:"FILE" help:"Pass over such lines, and write them to a file, each with the reason, to be mended and imported."`
}

// Help tells what is sent.
func (importCmd) Help() string {
	return `Up to 1,000 lines become one list of commands, which is committed as a whole or not
at all. A list that was committed is not committed again, and a line of which the org
has the same already is passed over: an import that was stopped, or of which lines
were mended, is started again in the same words. The kinds of lines with the commands
that they become, in the order in which files of several are imported:

` + kindTable() + `
Their fields are those of gatehouse do NAME --describe. A column goes to the field of
its name, whatever its case, blanks, hyphens and underscores. Empty values are left
out. Texts are kept without blanks at their ends. A list of texts is written a,b,c, a
list of anything else as JSON, in quotes: "[{""right"":""entries""}]".

Values are separated by commas, semicolons or tabs, as in the header; lines end with
LF, CR LF or CR. The file is in UTF-8, or in UTF-16 with a byte order mark, or in what
--encoding says. A line that repeats the header is bad, and two columns of one name are
refused. Numbers of cards have one form, however they are typed. Dates are written 2026-03-29, times 2026-03-29T08:30; those without an offset are
of the clock of --site. A spreadsheet takes zeros from the beginning of a number and
shortens long ones to 4.9E+11: make such columns text before anything is typed in.

--dry-run decides all lists one after the other on a copy of the org, and ends with the
exit code with which the import would. Two can be on their way on one instance; each
holds a copy of the org, and what its file would add, in the memory of the service.

With --json the report is one line: lines, accepted, refused, bad, refusals by code.
Progress is told on a terminal alone.

Examples:

  gatehouse import people people.csv --map person=id,name="full name"
  gatehouse import credentials badges.csv --map number=prox-id,person=holder --set kind=card --set sites=hq
  gatehouse import bookings bookings.csv --dry-run
  gatehouse import people people.csv --rejects mend.csv && gatehouse import people mend.csv`
}

// importList bounds a list of commands in bytes. The list must fit a request and its
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
	// Refusals are the refused lines by code, FirstBad the first that cannot be read.
	Refusals []refusals       `json:"refusals,omitempty"`
	FirstBad []tables.BadLine `json:"first_bad,omitempty"`
	Position string           `json:"position,omitempty"`
	DryRun   bool             `json:"dry_run,omitempty"`
}

// refusals are the lines that were refused with one code.
type refusals struct {
	Code  string `json:"code"`
	Count int    `json:"count"`
	First []int  `json:"first"` // the first of the lines
}

// firstLines is how many lines are shown for each refusal code. It is also how many
// unreadable lines are shown.
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
	kind, err := kindNamed(c.What)
	if err != nil {
		return err
	}
	typ, _ := domain.CommandNamed(kind.Command)
	i := &importer{cmd: c, w: w, remote: remote, kind: kind, typ: typ, bad: badLines{w: w},
		assigner: assigner{kind.Command, kind.shape, remote.siteClock()}, report: imported{DryRun: c.DryRun}}
	err = i.run()
	if i.columns == nil {
		return err // no line was read, so that there is nothing to report
	}
	return errors.Join(err, w.print(i.report, c.Remote.JSON))
}

// importer is one import on its way.
type importer struct {
	cmd       *importCmd
	w         *world
	remote    *client
	kind      kind
	typ       domain.CommandType
	assigner  assigner
	columns   []importColumn
	fixed     []assignment
	bad       badLines
	digits    digits
	rejects   *rejects // nil: what is passed over is not written
	report    imported
	told      time.Time
	rehearsal string // of a dry run: the copy of the org that the service keeps for it

	list []importLine // that are sent next
	size int          // of their fields in bytes
}

// importLine is a line of the file that is to be sent.
type importLine struct {
	line   int
	fields json.RawMessage // of the command
	text   string          // as it stands in the file
}

// passes reports whether lines that cannot be read or are refused are skipped.
func (c *importCmd) passes() bool { return c.SkipBad || c.Rejects != "" }

func (i *importer) run() (err error) {
	t, err := i.cmd.Table.open(i.cmd.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	if err := i.fields(t); err != nil {
		return err
	}
	if i.cmd.Rejects != "" {
		if i.rejects, err = newRejects(i.cmd.Rejects, t); err != nil {
			return err
		}
		defer func() { err = i.rejects.close(err) }()
	}
	if i.cmd.DryRun {
		if err := i.rehearse(); err != nil {
			return err
		}
		defer i.endRehearsal()
	}
	if err := i.lines(t); err != nil {
		return err
	}
	i.digits.tell(i.w)
	return i.verdict()
}

// lines reads the lines of the file and sends them in lists.
func (i *importer) lines(t *tables.File) error {
	for {
		values, err := t.Next()
		if errors.Is(err, io.EOF) {
			return i.send()
		}
		i.report.Lines++
		var fields []byte
		if err == nil {
			fields, err = i.fieldsOf(i.w.ctx, t, values)
		}
		if err != nil {
			if err := i.badLine(t, err); err != nil {
				return err
			}
			continue
		}
		if len(i.list) > 0 && i.size+len(fields) > importList {
			if err := i.send(); err != nil {
				return err
			}
		}
		i.list, i.size = append(i.list, importLine{t.Line, fields, t.Row}), i.size+len(fields)
		if len(i.list) == domain.MaxList {
			if err := i.send(); err != nil {
				return err
			}
		}
	}
}

// verdict is how a dry run ends: as the import would.
func (i *importer) verdict() error {
	switch r := i.report; {
	case !i.cmd.DryRun || i.cmd.passes():
	case r.Bad > 0:
		return usage("%s: %d lines cannot be read and %d would be refused; nothing was changed", i.cmd.File, r.Bad, r.Refused)
	case r.Refused > 0:
		return &codedError{exitRefused, fmt.Errorf("%s: %d lines would be refused; nothing was changed", i.cmd.File, r.Refused)}
	}
	return nil
}

// badLine reports a line that cannot be read, and ends the import unless bad lines are
// skipped.
func (i *importer) badLine(t *tables.File, err error) error {
	if _, ok := errors.AsType[*answerError](err); ok {
		return err // the zone of the site could not be asked for
	}
	if _, ok := errors.AsType[*unreachableError](err); ok {
		return err
	}
	bad, ok := errors.AsType[*tables.BadLine](err)
	if !ok {
		bad = &tables.BadLine{Reason: err.Error()}
	}
	bad.Line = t.Line
	i.bad.add(bad)
	if i.report.Bad++; i.report.Bad <= firstLines {
		i.report.FirstBad = append(i.report.FirstBad, *bad)
	}
	switch {
	case i.cmd.passes():
		return i.reject(t.Row, bad.Reason)
	case i.cmd.DryRun:
		return nil
	}
	return usage("%s: line %d cannot be read; the lists before it are committed, nothing of its own is; mend it, or give --skip-bad", i.cmd.File, t.Line)
}

// reject writes a skipped line to the file of rejects.
func (i *importer) reject(row, reason string) error {
	if i.rejects == nil {
		return nil
	}
	return i.rejects.write(row, reason)
}
