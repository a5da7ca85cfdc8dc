package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/domain"
	"gatehouse/gateways/tables"
)

// importList bounds a list of commands in bytes. The list must fit a request and its
// events, with their boxes, a commit.
const importList = 200 << 10

// Imported is what import writes in the end.
type Imported struct {
	Lines    int `json:"lines"`    // with values
	Accepted int `json:"accepted"` // with a dry run: would be
	Refused  int `json:"refused"`  // by a rule
	Bad      int `json:"bad"`      // cannot be read
	Commits  int `json:"commits"`
	Repeated int `json:"repeated"` // lists that were there from an earlier run
	There    int `json:"there"`    // lines of which the org has the same already
	// Refusals are the refused lines by code, FirstBad the first that cannot be read.
	Refusals []Refusals       `json:"refusals,omitempty"`
	FirstBad []tables.BadLine `json:"first_bad,omitempty"`
	Position string           `json:"position,omitempty"`
	DryRun   bool             `json:"dry_run,omitempty"`
}

// Refusals are the lines that were refused with one code.
type Refusals struct {
	Code  string `json:"code"`
	Count int    `json:"count"`
	First []int  `json:"first"` // the first of the lines
}

// firstLines is how many lines are shown for each refusal code. It is also how many
// unreadable lines are shown.
const firstLines = 5

// refuse counts a refused line.
func (r *Imported) refuse(code string, line int) {
	r.Refused++
	at := slices.IndexFunc(r.Refusals, func(c Refusals) bool { return c.Code == code })
	if at < 0 {
		at = len(r.Refusals)
		r.Refusals = append(r.Refusals, Refusals{Code: code})
	}
	c := &r.Refusals[at]
	if c.Count++; len(c.First) < firstLines {
		c.First = append(c.First, line)
	}
}

// ImportOptions say what is imported, and how.
type ImportOptions struct {
	Table    Table
	Kind     string // of the lines
	File     string
	Mapped   map[string]string // the column of a field: its name, or several as facility+number
	Set      map[string]string // the value of a field in every line
	LeaveOut []string          // columns that go to no field
	DryRun   bool              // decide everything and change nothing
	SkipBad  bool              // pass over lines that cannot be read or are refused
	Rejects  string            // optional: the file to which such lines are written; they are passed over
}

// Import sends the lines of a file as commands. The report is nil when no line was
// read.
func Import(ctx context.Context, told Teller, remote *client.Client, o ImportOptions) (*Imported, error) {
	kind, err := kindNamed(o.Kind)
	if err != nil {
		return nil, err
	}
	typ, _ := domain.CommandNamed(kind.Command)
	i := &importer{ctx: ctx, opt: o, teller: told, remote: remote, kind: kind, typ: typ, bad: badLines{teller: told},
		assigner: input.Assigner{Command: kind.Command, Shape: kind.shape, Clock: input.SiteClock(remote)}, report: Imported{DryRun: o.DryRun}}
	err = i.run()
	if i.columns == nil {
		return nil, err
	}
	return &i.report, err
}

// importer is one import on its way.
type importer struct {
	ctx       context.Context
	opt       ImportOptions
	teller    Teller
	remote    *client.Client
	kind      kind
	typ       domain.CommandType
	assigner  input.Assigner
	columns   []importColumn
	fixed     []input.Assignment
	bad       badLines
	digits    digits
	rejects   *rejects // nil: what is passed over is not written
	report    Imported
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
func (o ImportOptions) passes() bool { return o.SkipBad || o.Rejects != "" }

func (i *importer) run() (err error) {
	t, err := i.opt.Table.open(i.opt.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	if err := i.fields(t); err != nil {
		return err
	}
	if i.opt.Rejects != "" {
		if i.rejects, err = newRejects(i.opt.Rejects, t); err != nil {
			return err
		}
		defer func() { err = i.rejects.close(err) }()
	}
	if i.opt.DryRun {
		if err := i.rehearse(); err != nil {
			return err
		}
		defer i.endRehearsal()
	}
	if err := i.lines(t); err != nil {
		return err
	}
	i.digits.tell(i.teller)
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
			fields, err = i.fieldsOf(i.ctx, t, values)
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
	case !i.opt.DryRun || i.opt.passes():
	case r.Bad > 0:
		return client.Usagef("%s: %d lines cannot be read and %d would be refused; nothing was changed", i.opt.File, r.Bad, r.Refused)
	case r.Refused > 0:
		return refusedf("%s: %d lines would be refused; nothing was changed", i.opt.File, r.Refused)
	}
	return nil
}

// badLine reports a line that cannot be read, and ends the import unless bad lines are
// skipped.
func (i *importer) badLine(t *tables.File, err error) error {
	if _, ok := errors.AsType[*client.AnswerError](err); ok {
		return err // the zone of the site could not be asked for
	}
	if _, ok := errors.AsType[*client.UnreachableError](err); ok {
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
	case i.opt.passes():
		return i.reject(t.Row, bad.Reason)
	case i.opt.DryRun:
		return nil
	}
	return client.Usagef("%s: line %d cannot be read; the lists before it are committed, nothing of its own is; mend it, or give --skip-bad", i.opt.File, t.Line)
}

// reject writes a skipped line to the file of rejects.
func (i *importer) reject(row, reason string) error {
	if i.rejects == nil {
		return nil
	}
	return i.rejects.write(row, reason)
}
