package main

import (
	"errors"

	"gatehouse/cmd/gatehouse/bulk"
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

` + bulk.KindTable() + `
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

// Run sends the lines and reports.
func (c *importCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.Authorized(); err != nil {
		return err
	}
	report, err := bulk.Import(w.ctx, w.teller(), remote, bulk.ImportOptions{Table: c.Table.table(), Kind: c.What, File: c.File, Mapped: c.Map, Set: c.Set,
		LeaveOut: c.LeaveOut, DryRun: c.DryRun, SkipBad: c.SkipBad, Rejects: c.Rejects})
	if report == nil {
		return err
	}
	return errors.Join(err, w.print(report, c.Remote.JSON))
}
