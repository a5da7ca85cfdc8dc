package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/cardnumber"
	"gatehouse/domain/schedule"
	"gatehouse/gateways/httpapi"
	"gatehouse/gateways/local"
)

// readsCmd puts the reads of a file through the decision.
type readsCmd struct {
	Remote           remote   `embed:""`
	File             string   `arg:"" help:"File of comma-separated values with a header."`
	TimeColumn       string   `required:"" placeholder:"COLUMN" help:"Column with the time of the read."`
	TimeLayout       string   `default:"2006-01-02T15:04:05Z07:00" placeholder:"LAYOUT" help:"How it is written: the moment 2006-01-02 15:04:05 in that form, or unix for seconds since 1970. Default: ${default}."`
	Zone             string   `placeholder:"ZONE" help:"Zone of times without an offset, as Europe/Berlin; without it that of the site."`
	CredentialColumn string   `required:"" placeholder:"COLUMN" help:"Column with the number on the card."`
	DoorColumns      []string `required:"" placeholder:"COLUMN,…" help:"Columns whose values, joined by a hyphen and made an id, are the door: floor 1, zone Server Room is 1-server-room."`
	SideColumn       string   `placeholder:"COLUMN" help:"Column with in or out; without it every read is in."`
	Format           string   `placeholder:"FORMAT" help:"Format of the numbers: raw, uid, wiegand26, wiegand34 or wiegand37; without it raw. One card has one number, however it is written."`
	Gateway          string   `placeholder:"ID" help:"Id of the source; without it one is made of the file's name and first line, the same for the same file."`
	SkipBad          bool     `help:"Pass over lines that cannot be read; without it nothing is sent when there is one."`
}

// Help tells what happens to the reads.
func (readsCmd) Help() string {
	return `Each read is decided at its own instant, on the permissions as they are now, and
recorded as the activity of an in-process gateway. It may be stopped and started
again, and the file may have grown: every line is recorded once.

A time that the clock of the zone reads twice is taken as the first of the two.

Examples:

  gatehouse reads prox.csv --site hq --time-column timestamp --time-layout "2006-01-02 15:04" \
    --credential-column prox-id --door-columns floor,zone
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
	if strings.Contains(c.TimeLayout, "MST") {
		return usage("--time-layout: letters as CET do not say which offset they mean; write them into the layout as they stand, and give --zone")
	}
	if err := cardnumber.CheckFormat(c.Format); err != nil {
		return usage("--format: %v", err)
	}
	source, err := c.source(w, remote)
	if err != nil {
		return err
	}
	bad := &badLines{w: w}
	if !c.SkipBad { // a first pass, so that a bad line leaves nothing half done
		if err := source.each(bad, func(httpapi.CardRead) error { return nil }); err != nil {
			return err
		}
		if bad.count > 0 {
			return usage("%s: %d lines cannot be read; nothing was sent; mend them or give --skip-bad", c.File, bad.count)
		}
	}
	tally, err := c.sendAll(w, remote, source, bad)
	if err != nil {
		return err
	}
	return w.print(readsSummary{tally.Reads, tally.Allowed, tally.Denied, tally.Doors, tally.Credentials, bad.count, tally.Damaged}, c.Remote.JSON)
}

// sendAll sends the reads behind the last one that is recorded.
func (c *readsCmd) sendAll(w *world, remote *client, source *readSource, bad *badLines) (local.Tally, error) {
	path := remote.orgPath("sites", remote.site, "reads", source.gateway)
	var tally local.Tally
	if err := remote.get(w.ctx, path, nil, &tally); err != nil {
		return tally, err
	}
	if tally.Last > 0 {
		w.say("going on behind line %d", tally.Last)
	}
	var batch struct {
		Reads []httpapi.CardRead `json:"reads"`
	}
	told := w.now()
	send := func() error {
		if len(batch.Reads) == 0 {
			return nil
		}
		body, err := json.Marshal(batch)
		if err != nil {
			return err
		}
		err = remote.ask(w.ctx, request{method: http.MethodPost, path: path, body: body}, &tally)
		batch.Reads = batch.Reads[:0]
		if now := w.now(); now.Sub(told) >= time.Second {
			told = now
			w.progress("%d reads, %d allowed", tally.Reads, tally.Allowed)
		}
		return err
	}
	last := tally.Last
	err := source.each(bad, func(r httpapi.CardRead) error {
		if r.Number <= last {
			return nil
		}
		batch.Reads = append(batch.Reads, r)
		if len(batch.Reads) == local.MaxReads {
			return send()
		}
		return nil
	})
	if err == nil {
		err = send()
	}
	return tally, err
}

// The years of reads: zones have rules from the first on, and instants end in the
// year after the last.
const firstYear, lastYear = 1970, 2261

// readSource reads the reads of a file as often as wanted.
type readSource struct {
	cmd     *readsCmd
	gateway string
	zone    *schedule.Zone
}

func (c *readsCmd) source(w *world, remote *client) (*readSource, error) {
	s := &readSource{cmd: c, gateway: c.Gateway}
	if s.gateway == "" {
		id, err := gatewayOf(c.File)
		if err != nil {
			return nil, err
		}
		s.gateway = id
	}
	if err := domain.CheckID(domain.ID(s.gateway)); err != nil {
		return nil, usage("--gateway: %v", err)
	}
	if c.Zone == "" {
		zone, err := remote.zoneOf(w.ctx, remote.site)
		s.zone = zone
		return s, err
	}
	rules, err := schedule.LoadRules(c.Zone)
	if err != nil {
		return nil, usage("--zone: %v", err)
	}
	s.zone = rules.Compile()
	return s, nil
}

// gatewayOf makes the id of a file's gateway: its name, and eight digits of the
// hash of its first two lines, which stay when a file grows.
func gatewayOf(file string) (string, error) {
	t, err := openTable(file)
	if err != nil {
		return "", err
	}
	first, err := t.next()
	if _, bad := errors.AsType[*badLine](err); err != nil && !bad && !errors.Is(err, io.EOF) {
		return "", errors.Join(err, t.close())
	}
	sum := sha256.Sum256([]byte(strings.Join(append(t.columns, first...), "\x00")))
	name := slug(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
	return "reads-" + name[:min(len(name), 40)] + "-" + hex.EncodeToString(sum[:4]), t.close()
}

// each calls f for every read, numbered by its line, and bad for every line that
// cannot be read.
func (s *readSource) each(bad *badLines, f func(httpapi.CardRead) error) (err error) {
	t, err := openTable(s.cmd.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	bad.count = 0
	columns, err := s.columns(t)
	if err != nil {
		return err
	}
	for {
		values, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var read httpapi.CardRead
		if err == nil {
			read, err = columns.read(values)
		}
		if err == nil {
			read.Number, read.Format = uint64(t.line), s.cmd.Format
			if err := f(read); err != nil {
				return err
			}
			continue
		}
		broken, ok := errors.AsType[*badLine](err)
		if !ok {
			return err
		}
		broken.Line = t.line
		bad.add(broken)
	}
}

// readColumns says where in a line what stands.
type readColumns struct {
	at, card, side int // side: -1 for none
	doors          []int
	layout, format string
	zone           *schedule.Zone
}

func (s *readSource) columns(t *tableFile) (c readColumns, err error) {
	c.side, c.layout, c.format, c.zone = -1, s.cmd.TimeLayout, s.cmd.Format, s.zone
	if c.at, err = t.column(s.cmd.TimeColumn); err != nil {
		return c, err
	}
	if c.card, err = t.column(s.cmd.CredentialColumn); err != nil {
		return c, err
	}
	for _, name := range s.cmd.DoorColumns {
		i, err := t.column(name)
		if err != nil {
			return c, err
		}
		c.doors = append(c.doors, i)
	}
	if s.cmd.SideColumn != "" {
		c.side, err = t.column(s.cmd.SideColumn)
	}
	return c, err
}

// read reads a line.
func (c readColumns) read(values []string) (httpapi.CardRead, error) {
	var r httpapi.CardRead
	at, err := c.time(values[c.at])
	if err != nil {
		return r, &badLine{Reason: err.Error()}
	}
	if at.Year() < firstYear || at.Year() > lastYear {
		return r, &badLine{Reason: fmt.Sprintf("the time %q is not within the years %d to %d", values[c.at], firstYear, lastYear)}
	}
	parts := make([]string, len(c.doors))
	for i, d := range c.doors {
		parts[i] = values[d]
	}
	door := domain.ID(slug(parts...))
	if err := domain.CheckID(door); err != nil {
		return r, &badLine{Reason: fmt.Sprintf("the door %q: %v", strings.Join(parts, " "), err)}
	}
	r = httpapi.CardRead{At: at, Door: door, Card: values[c.card], Side: "in"}
	if r.Card, err = cardnumber.Canonical(c.format, r.Card); err != nil {
		return r, &badLine{Reason: err.Error()}
	}
	if c.side >= 0 {
		r.Side = strings.ToLower(values[c.side])
		if r.Side != "in" && r.Side != "out" {
			return r, &badLine{Reason: fmt.Sprintf("the side is %q; it is in or out", values[c.side])}
		}
	}
	return r, nil
}

// time reads the time of a read.
func (c readColumns) time(text string) (time.Time, error) {
	if c.layout == "unix" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("the time %q is no number of seconds", text)
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	at, err := time.Parse(c.layout, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time %q is not written as %q", text, c.layout)
	}
	if strings.Contains(c.layout, "07") {
		return at.UTC(), nil
	}
	reading, err := schedule.ParseDateTime(at.Format("2006-01-02T15:04"))
	if err != nil {
		return time.Time{}, err
	}
	instant := c.zone.Instant(reading)
	if l := c.zone.Local(instant); l.Date != reading.Date || l.Time != reading.Time {
		return time.Time{}, fmt.Errorf("the time %s does not exist in %s: the clock is set forward over it", text, c.zone.Name())
	}
	return time.Unix(0, instant).Add(time.Duration(at.Second())*time.Second + time.Duration(at.Nanosecond())).UTC(), nil
}
