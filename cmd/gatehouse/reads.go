package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/gateways/httpapi"
	"gatehouse/gateways/local"
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

// readsSummary is the last line of reads.
type readsSummary struct {
	Reads       uint64            `json:"reads"`
	Allowed     uint64            `json:"allowed"`
	Denied      map[string]uint64 `json:"denied"`
	Doors       int               `json:"doors"`
	Credentials int               `json:"credentials"`
	Skipped     int               `json:"skipped,omitempty"` // bad lines passed over
	Damaged     uint64            `json:"damaged,omitempty"` // messages among the records that are none
	Waiting     int               `json:"waiting,omitempty"` // the last line, which is unfinished
}

// Run checks the file, sends what is not recorded yet, and writes the summary.
func (c *readsCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.authorized(); err != nil {
		return err
	}
	if remote.site == "" {
		return usage("at which site? give --site, or set GATEHOUSE_SITE")
	}
	zone, err := c.zone(w, remote)
	if err != nil {
		return err
	}
	source, err := c.source(zone)
	if err != nil {
		return err
	}
	// A first pass, so that a bad line, or two doors of one id, leave nothing half done.
	bad := &badLines{w: w}
	if err := source.each(bad, func(httpapi.CardRead) error { return nil }); err != nil {
		return err
	}
	if bad.count > 0 && !c.SkipBad {
		return usage("%s: %d lines cannot be read; nothing was sent; mend them or give --skip-bad", c.File, bad.count)
	}
	sending := &readsSender{cmd: c, w: w, remote: remote, source: source}
	if err := sending.run(); err != nil {
		return err
	}
	if source.waiting > 0 {
		w.say("line %d is unfinished: it cannot be read and has no line end; it waits, start again when the file is whole", source.waiting)
	}
	t := sending.tally
	return w.print(readsSummary{t.Reads, t.Allowed, t.Denied, t.Doors, t.Credentials, bad.count, t.Damaged, source.waiting}, c.Remote.JSON)
}

// zone is the one of times without an offset.
func (c *readsCmd) zone(w *world, remote *client) (*schedule.Zone, error) {
	if c.Zone == "" {
		return remote.zoneOf(w.ctx, remote.site)
	}
	rules, err := schedule.LoadRules(c.Zone)
	if err != nil {
		return nil, usage("--zone: %v", err)
	}
	return rules.Compile(), nil
}

// readsSender sends the reads of a file that are not recorded yet.
type readsSender struct {
	cmd    *readsCmd
	w      *world
	remote *client
	source *readSource
	path   string   // of the gateway
	rest   []string // other ids of the file
	tally  local.Tally
	told   time.Time
}

// run sends the reads of the file. The last one that is recorded is sent again, so that the service sees whether the file is the one of which it was.
func (s *readsSender) run() error {
	if err := s.open(); err != nil {
		return err
	}
	err := s.sendAll()
	differs, ok := errors.AsType[*differError](err)
	switch {
	case !ok:
		return err
	case len(s.rest) == 0:
		return s.tellFirst(differs)
	}
	// It is named like a copy, and is none.
	s.path, s.tally = s.remote.orgPath("sites", s.remote.site, "reads", s.rest[0]), local.Tally{}
	if err := s.remote.get(s.w.ctx, s.path, nil, &s.tally); err != nil {
		return err
	}
	return s.sendAll()
}

// sendAll sends the reads behind the last one that is recorded.
func (s *readsSender) sendAll() error {
	last := s.tally.Last
	if last > 0 {
		s.w.say("going on behind line %d", last)
	}
	var batch []httpapi.CardRead
	var before *httpapi.CardRead // the last read of the file that should be recorded
	s.told = s.w.now()
	err := s.source.each(s.quiet(), func(r httpapi.CardRead) error {
		if r.Number <= last {
			before = &r
			return nil
		}
		if before != nil {
			batch, before = append(batch, *before), nil
		}
		batch = append(batch, r)
		if len(batch) == local.MaxReads {
			return s.send(&batch)
		}
		return nil
	})
	if before != nil {
		batch = append(batch, *before)
	}
	if err == nil && len(batch) > 0 {
		err = s.send(&batch)
	}
	return err
}

// quiet tells nothing: bad lines were told by the first pass.
func (s *readsSender) quiet() *badLines { return &badLines{w: s.w, silent: true} }

// open finds the gateway of the file, and what it has recorded: the first of its ids that
// has anything, else the last.
func (s *readsSender) open() error {
	ids, apart, err := s.source.gatewaysOf()
	if err != nil {
		return err
	}
	if s.cmd.Gateway != "" {
		ids = []string{s.cmd.Gateway}
	}
	for i, id := range ids {
		if s.cmd.AsNew {
			id += apart
		}
		if err := domain.CheckID(domain.ID(id)); err != nil {
			return usage("--gateway: %v", err)
		}
		s.path = s.remote.orgPath("sites", s.remote.site, "reads", id)
		if err := s.remote.get(s.w.ctx, s.path, nil, &s.tally); err != nil {
			return err
		}
		if s.tally.Last > 0 {
			s.rest = ids[i+1:]
			break
		}
	}
	return nil
}

// differError says that a line of the file is another than the one that was recorded.
type differError struct {
	line   uint64
	detail string
}

// Error tells what the service said of it.
func (e *differError) Error() string { return e.detail }

// send sends reads and empties the list of them.
func (s *readsSender) send(batch *[]httpapi.CardRead) error {
	body, err := json.Marshal(map[string]any{"reads": *batch})
	if err != nil {
		return err
	}
	err = s.remote.ask(s.w.ctx, request{method: http.MethodPost, path: s.path, body: body}, &s.tally)
	if problem, ok := errors.AsType[*answerError](err); ok && problem.Code == "reads_differ" && len(problem.Entries) == 1 {
		err = &differError{(*batch)[problem.Entries[0].Index].Number, problem.Detail}
	}
	*batch = (*batch)[:0]
	if now := s.w.now(); now.Sub(s.told) >= time.Second {
		s.told = now
		s.w.progress("%d reads, %d allowed", s.tally.Reads, s.tally.Allowed)
	}
	return err
}

// tellFirst finds the first line that is another one than was recorded, and refuses the
// file. Reads that are recorded are compared, and nothing else: of those between one
// that agrees and one that differs so many are sent at a time as may be.
func (s *readsSender) tellFirst(differs *differError) error {
	for agrees, step := uint64(0), uint64(2); step > 1; {
		step = (differs.line - agrees + local.MaxReads - 1) / local.MaxReads
		var probes []httpapi.CardRead
		next := agrees + 1
		err := s.source.each(s.quiet(), func(r httpapi.CardRead) error {
			if r.Number >= next && r.Number < differs.line {
				probes, next = append(probes, r), agrees+(r.Number-agrees-1)/step*step+step+1
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(probes) == 0 {
			break
		}
		sent := slices.Clone(probes)
		err = s.send(&probes)
		found, ok := errors.AsType[*differError](err)
		switch {
		case ok:
			differs = found
		case err != nil:
			return err
		}
		for _, r := range sent {
			if r.Number < differs.line {
				agrees = r.Number
			}
		}
	}
	return &codedError{exitRefused, fmt.Errorf("%s does not continue what is recorded of it: line %d: %s; nothing was sent; if it is another file, give it a --gateway of its own, or --as-new", s.cmd.File, differs.line, differs.detail)}
}
