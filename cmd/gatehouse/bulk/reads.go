package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/gateways/httpapi"
	"gatehouse/gateways/reads"
)

// ReadsSummary is the last line of reads.
type ReadsSummary struct {
	Reads       uint64            `json:"reads"`
	Allowed     uint64            `json:"allowed"`
	Denied      map[string]uint64 `json:"denied"`
	Doors       int               `json:"doors"`
	Credentials int               `json:"credentials"`
	Skipped     int               `json:"skipped,omitempty"` // bad lines passed over
	Damaged     uint64            `json:"damaged,omitempty"` // messages among the records that are none
	Waiting     int               `json:"waiting,omitempty"` // the last line, which is unfinished
}

// ReadsOptions say what is read, and how.
type ReadsOptions struct {
	Table            Table
	File             string
	TimeColumn       []string
	TimeLayout       string
	Zone             string // of times without an offset; empty means that of the site
	CredentialColumn []string
	DoorColumns      []string
	DoorIDs          map[string]string // doors by names of which no id can be made
	SideColumn       string            // empty means that every read is in
	Sides            []string          // as in=C/In
	Format           string            // of the numbers; empty means raw
	Gateway          string            // empty means that one is made of the file
	AsNew            bool              // take a file that differs as a source of its own
	SkipBad          bool              // pass over lines that cannot be read
}

// Reads checks a file, sends the reads that are not recorded yet, and adds up what is
// recorded.
func Reads(ctx context.Context, told Teller, remote *client.Client, o ReadsOptions) (sum ReadsSummary, err error) {
	source, err := o.source(ctx, remote)
	if err != nil {
		return sum, err
	}
	// A first pass, so that a bad line, or two doors of one id, leave nothing half done.
	bad := &badLines{teller: told}
	if err := source.each(bad, func(httpapi.CardRead) error { return nil }); err != nil {
		return sum, err
	}
	if bad.count > 0 && !o.SkipBad {
		return sum, client.Usagef("%s: %d lines cannot be read; nothing was sent; mend them or give --skip-bad", o.File, bad.count)
	}
	sending := &readsSender{ctx: ctx, opt: o, teller: told, remote: remote, source: source}
	if err := sending.run(); err != nil {
		return sum, err
	}
	if source.waiting > 0 {
		told.say("line %d is unfinished: it cannot be read and has no line end; it waits, start again when the file is whole", source.waiting)
	}
	t := sending.tally
	return ReadsSummary{t.Reads, t.Allowed, t.Denied, t.Doors, t.Credentials, bad.count, t.Damaged, source.waiting}, nil
}

// zoneFor is the zone of times without an offset.
func (o ReadsOptions) zoneFor(ctx context.Context, remote *client.Client) (*schedule.Zone, error) {
	if o.Zone == "" {
		return input.ZoneOf(ctx, remote, remote.Site)
	}
	rules, err := schedule.LoadRules(o.Zone)
	if err != nil {
		return nil, client.Usagef("--zone: %v", err)
	}
	return rules.Compile(), nil
}

// readsSender sends the reads of a file that are not recorded yet.
type readsSender struct {
	ctx    context.Context
	opt    ReadsOptions
	teller Teller
	remote *client.Client
	source *readSource
	path   string   // of the gateway
	rest   []string // other ids of the file
	tally  reads.Tally
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
	s.path, s.tally = s.remote.OrgPath("sites", s.remote.Site, "reads", s.rest[0]), reads.Tally{}
	if err := s.remote.Get(s.ctx, s.path, nil, &s.tally); err != nil {
		return err
	}
	return s.sendAll()
}

// sendAll sends the reads behind the last one that is recorded.
func (s *readsSender) sendAll() error {
	last := s.tally.Last
	if last > 0 {
		s.teller.say("going on behind line %d", last)
	}
	var batch []httpapi.CardRead
	var before *httpapi.CardRead // the last read of the file that should be recorded
	s.told = s.teller.Now()
	err := s.source.each(s.quiet(), func(r httpapi.CardRead) error {
		if r.Number <= last {
			before = &r
			return nil
		}
		if before != nil {
			batch, before = append(batch, *before), nil
		}
		batch = append(batch, r)
		if len(batch) == reads.MaxReads {
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
func (s *readsSender) quiet() *badLines { return &badLines{silent: true} }

// open finds the gateway of the file, and what it has recorded: the first of its ids that
// has anything, else the last.
func (s *readsSender) open() error {
	ids, apart, err := s.source.gatewaysOf()
	if err != nil {
		return err
	}
	if s.opt.Gateway != "" {
		ids = []string{s.opt.Gateway}
	}
	for i, id := range ids {
		if s.opt.AsNew {
			id += apart
		}
		if err := domain.CheckID(domain.ID(id)); err != nil {
			return client.Usagef("--gateway: %v", err)
		}
		s.path = s.remote.OrgPath("sites", s.remote.Site, "reads", id)
		if err := s.remote.Get(s.ctx, s.path, nil, &s.tally); err != nil {
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
	err = s.remote.Ask(s.ctx, client.Request{Method: http.MethodPost, Path: s.path, Body: body}, &s.tally)
	if problem, ok := errors.AsType[*client.AnswerError](err); ok && problem.Code == "reads_differ" && len(problem.Entries) == 1 {
		err = &differError{(*batch)[problem.Entries[0].Index].Number, problem.Detail}
	}
	*batch = (*batch)[:0]
	if now := s.teller.Now(); now.Sub(s.told) >= time.Second {
		s.told = now
		s.teller.progress("%d reads, %d allowed", s.tally.Reads, s.tally.Allowed)
	}
	return err
}

// tellFirst finds the first line that is another one than was recorded, and refuses the
// file. Reads that are recorded are compared, and nothing else: of those between one
// that agrees and one that differs so many are sent at a time as may be.
func (s *readsSender) tellFirst(differs *differError) error {
	for agrees, step := uint64(0), uint64(2); step > 1; {
		step = (differs.line - agrees + reads.MaxReads - 1) / reads.MaxReads
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
	return refusedf("%s does not continue what is recorded of it: line %d: %s; nothing was sent; if it is another file, give it a --gateway of its own, or --as-new", s.opt.File, differs.line, differs.detail)
}
