package main

import (
	"gatehouse/cmd/gatehouse/bulk"
)

// readsCmd puts the reads of a file through the decision.
type readsCmd struct {
	Remote           remote            `embed:""`
	Table            tableFlags        `embed:""`
	File             string            `arg:"" help:"File of values with a header, separated by commas, semicolons or tabs."`
	TimeColumn       []string          `required:"" placeholder:"COLUMN,…" help:"Column with the time of the read; of several, as date,time, the values are joined by a blank."`
	TimeLayout       string            `default:"2006-01-02T15:04:05Z07:00" placeholder:"LAYOUT" help:"How it is written: the moment 2006-01-02 15:04:05 in that form, or unix for seconds since 1970. Default: ${default}."`
	Zone             string            `placeholder:"ZONE" help:"Zone of times without an offset, as Europe/Berlin; without it that of the site."`
	CredentialColumn []string          `required:"" placeholder:"COLUMN,…" help:"Column with the number on the card; of several, as facility,number, the values are joined by a hyphen."`
	DoorColumns      []string          `required:"" placeholder:"COLUMN,…" help:"Columns whose values, joined by a hyphen and made an id, are the door: floor 1, zone Server Room is 1-server-room."`
	DoorIDs          map[string]string `name:"door-ids" placeholder:"NAME=DOOR" mapsep:";" help:"Door of a name, for names of which no id can be made, or that would have the id of another."`
	SideColumn       string            `placeholder:"COLUMN" help:"Column with in or out; without it every read is in."`
	Sides            []string          `placeholder:"SIDE=WORD,…" help:"What the side column has for in and out, as in=C/In,out=C/Out."`
	Format           string            `placeholder:"FORMAT" help:"Format of the numbers: raw, uid, wiegand26, wiegand34 or wiegand37; without it raw. One card has one number, however it is written."`
	Gateway          string            `placeholder:"ID" help:"Id of the source; without it one is made of the file's name and first line, the same for the same file and its copies."`
	AsNew            bool              `help:"Take a file that does not continue what was recorded as a source of its own, with an id made of the other's."`
	SkipBad          bool              `help:"Pass over lines that cannot be read; without it nothing is sent when there is one."`
}

// Help tells what happens to the reads.
func (readsCmd) Help() string {
	return `Each read is decided at its own instant, on the permissions as they are now, and
recorded as the activity of an in-process gateway. It may be stopped and started
again, and the file may have grown: every line is recorded once, by what stands in it
and before it. A file that is another one than what was recorded is refused with the
first line that differs. A last line that cannot be read and has no line end waits
until the file was finished.

Lines end with LF, CR LF or CR. A line that repeats the header, or has not as many
values, is bad; two columns of one name are refused. A name of a door whose letters an
id has not, and two names that would have one id, need --door-ids: no read is judged at
another door.

A time that the clock of the zone reads twice is taken as the first of the two.

Examples:

  gatehouse reads prox.csv --site hq --time-column timestamp --time-layout "2006-01-02 15:04" \
    --credential-column prox-id --door-columns floor,zone
  gatehouse reads log.txt --site hq --encoding windows-1252 --time-column date,time \
    --time-layout "02.01.2006 15:04:05" --credential-column facility,number --format wiegand26 \
    --door-columns reader --door-ids "Tür 1=door-1;Tür 2=door-2" --side-column status --sides in=C/In,out=C/Out
  gatehouse reads export.csv --site hq --time-column at --credential-column card --door-columns door --json`
}

// Run sends the reads that are not recorded yet, and writes the summary.
func (c *readsCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.Authorized(); err != nil {
		return err
	}
	if remote.Site == "" {
		return usage("at which site? give --site, or set GATEHOUSE_SITE")
	}
	sum, err := bulk.Reads(w.ctx, w.teller(), remote, bulk.ReadsOptions{Table: c.Table.table(), File: c.File, TimeColumn: c.TimeColumn, TimeLayout: c.TimeLayout,
		Zone: c.Zone, CredentialColumn: c.CredentialColumn, DoorColumns: c.DoorColumns, DoorIDs: c.DoorIDs, SideColumn: c.SideColumn, Sides: c.Sides,
		Format: c.Format, Gateway: c.Gateway, AsNew: c.AsNew, SkipBad: c.SkipBad})
	if err != nil {
		return err
	}
	return w.print(sum, c.Remote.JSON)
}
