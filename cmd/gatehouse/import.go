package main

import (
	"errors"

	"gatehouse/cmd/gatehouse/bulk"
)

// importCmd sends the lines of a file as commands.
type importCmd struct {
	Remote   remote            `embed:""`
	Table    tableFlags        `embed:""`
	What     string            `arg:"" enum:"${kinds}" placeholder:"KIND" help:"Kind of the lines, such as people; see the list above."`
	File     string            `arg:"" help:"File with a header, and values separated by commas, semicolons or tabs."`
	Map      map[string]string `placeholder:"FIELD=COLUMN" mapsep:"," help:"Column for a field; default: the column with its name. The values of two columns, as in number=facility+number, are joined: numbers by a hyphen, other values by a blank."`
	Set      map[string]string `placeholder:"FIELD=VALUE" mapsep:";" help:"Value of a field for every line, as in kind=card."`
	LeaveOut []string          `placeholder:"COLUMN" help:"Columns to ignore although their names are similar to a field."`
	DryRun   bool              `help:"Change nothing, and report what would be refused."`
	SkipBad  bool              `help:"Skip lines that cannot be read or are refused. Default: the first list with such a line ends the import."`
	Rejects  string            `placeholder:"FILE" help:"Skip such lines, and write them to this file with the reason, so that they can be corrected and imported."`
}

// Help tells what is sent.
func (importCmd) Help() string {
	return `Up to 1,000 lines become one list of commands, which is committed as a whole or not
at all. To continue an import that was stopped, or after correcting lines, run the same
command again: a list that was committed is not committed again, and a line is skipped
if the org already has the same. The kinds of lines and their commands, in the order in
which to import files of several kinds:

` + bulk.KindTable() + `
gatehouse do NAME --describe lists the fields of a command. A column is read into the field
with the same name; case, blanks, hyphens and underscores make no difference. Empty values
are left out, and blanks around a text are removed. A list of texts is written a,b,c; any
other list is JSON in quotes: "[{""right"":""entries""}]".

Values are separated by commas, semicolons or tabs, as in the header; lines end with
LF, CR LF or CR. The file is UTF-8, UTF-16 with a byte order mark, or has the encoding
of --encoding. A second header line is an error, and so are two columns with one name.
All notations of a card number are stored in one form. Dates are written 2026-03-29,
times 2026-03-29T08:30; without an offset, a time is in the time zone of --site.
Spreadsheets remove leading zeros and shorten long numbers to 4.9E+11: format such
columns as text before you enter numbers.

--dry-run decides all lists on a copy of the org, and exits with the same code as the
import would. One instance runs 6 dry runs of imports at once, 2 of an org; each keeps a
copy of the org, with the changes of its file, in the memory of the service.

With --json the report is one line: lines, accepted, refused, bad, refusals by code.
Progress is shown on a terminal only.

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
