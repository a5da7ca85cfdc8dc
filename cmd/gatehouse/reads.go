package main

import (
	"gatehouse/cmd/gatehouse/bulk"
)

// readsCmd puts the reads of a file through the decision.
type readsCmd struct {
	Remote           remote            `embed:""`
	Table            tableFlags        `embed:""`
	File             string            `arg:"" help:"File with a header, and values separated by commas, semicolons or tabs."`
	TimeColumn       []string          `required:"" placeholder:"COLUMN,…" help:"Column with the time of the read. The values of several, such as date,time, are joined by a blank."`
	TimeLayout       string            `default:"2006-01-02T15:04:05Z07:00" placeholder:"LAYOUT" help:"Format of the time: how the file would write 2006-01-02 15:04:05, or unix for seconds since 1970. Default: ${default}."`
	Zone             string            `placeholder:"ZONE" help:"Time zone of times without an offset, such as Europe/Berlin; default: that of the site."`
	CredentialColumn []string          `required:"" placeholder:"COLUMN,…" help:"Column with the number on the card. The values of several, such as facility,number, are joined by a hyphen."`
	DoorColumns      []string          `required:"" placeholder:"COLUMN,…" help:"Columns with the door. Their values are joined by a hyphen and become an id: floor 1, zone Server Room is 1-server-room."`
	DoorIDs          map[string]string `name:"door-ids" placeholder:"NAME=DOOR" mapsep:";" help:"Door for a name that cannot become an id, or would become the id of another door."`
	SideColumn       string            `placeholder:"COLUMN" help:"Column with in or out; default: every read is in."`
	Sides            []string          `placeholder:"SIDE=WORD,…" help:"Values of the side column for in and out, such as in=C/In,out=C/Out."`
	Format           string            `placeholder:"FORMAT" help:"Format of the numbers: raw, uid, wiegand26, wiegand34 or wiegand37; default: raw."`
	Gateway          string            `placeholder:"ID" help:"Id of the source; default: made from the file's name and first line, so that a copy of the file has the same id."`
	AsNew            bool              `help:"Record a file that differs from what was recorded as another source, with an id derived from the first."`
	SkipBad          bool              `help:"Skip lines that cannot be read. Default: if there is one, nothing is sent."`
}

// Help tells what happens to the reads.
func (readsCmd) Help() string {
	return `Each read is decided for its own time, on the current permissions, and recorded as the
activity of a gateway within the service. You can run the command again when it was
stopped or when the file has grown: every line is recorded once. If the beginning of the
file is not what was recorded, the command is refused and shows the first different line.
If the last line is incomplete, it is recorded once the file is complete.

Lines end with LF, CR LF or CR. A second header line, or a line with too few or too many
values, is an error, and so are two columns with one name. Use --door-ids for a door name
that has characters an id cannot have, and for names that would get the same id, so that
no read is decided for another door.

When clocks are set back, a time that occurs twice is taken as the first of the two.

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
