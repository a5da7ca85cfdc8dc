// Package reads decides reads that come from elsewhere, such as a file, as a lock gateway
// does: on the tables of the service, by the code of gateways/edge. It records each as
// the activity of a gateway of its own, the source.
//
// # Why a read is taken once
//
// A source numbers its reads, as a file does by its lines. The number is in the record,
// and a read is taken only when its number is above that of the last record. So a
// sender may repeat reads after any loss.
//
// # Why a read has a line
//
// Another file has other lines under the same numbers. A read of a file comes with a
// hash over its line and all lines before it. The record keeps a tag of that hash,
// under the key of the site's cards: the hash itself would reveal the number of a card
// to anybody who tries all numbers. A read that is already recorded is compared by that
// tag. If the key was changed in between, or the record is older than lines, nothing is
// compared.
package reads

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/cardnumber"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/gateways/edge"
	"gatehouse/schemas/wire"
)

// MaxReads is the greatest number of reads of one Take.
const MaxReads = eventstore.MaxActivityBatch

// Doors provides the tables and tags by which the gateway decides.
type Doors interface {
	// Table is the site's present table, nil while there is none.
	Table(org, site domain.ID) *unlock.Table
	// Tag makes the tag of a number as it is in the rows of the site; false means that
	// the site's key is not available.
	Tag(org, site domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool)
}

// Read is one use of a credential at a door.
type Read struct {
	Number uint64      // of the read in its source, from 1, growing
	At     time.Time   // the instant at which it is decided
	Door   domain.ID   // may be unknown; then it is denied and recorded
	Side   unlock.Side // In or Out
	Format string      // of the card number, a name of cardnumber.Formats; empty means raw
	Card   string      // the number on the card, in any notation of its reader
	Phone  domain.ID   // the mobile key shown in place of a card
	Line   string      // of a read from a file: a hash over its line and all lines before it; may be empty
}

// Tally counts reads by their outcome.
type Tally struct {
	Reads       uint64            `json:"reads"`
	Allowed     uint64            `json:"allowed"`
	Denied      map[string]uint64 `json:"denied"`      // by code
	Doors       int               `json:"doors"`       // distinct ones
	Credentials int               `json:"credentials"` // distinct ones, unknown ones included
	Last        uint64            `json:"last"`        // number of the last recorded read
	// Damaged counts messages among the records that are invalid or do not follow the
	// one before. They count in nothing else.
	Damaged uint64 `json:"damaged,omitzero"`
}

// ErrNoTable says that the site has no permissions table yet.
var ErrNoTable = errors.New("the permissions of the site are not there yet")

// ErrNoTags says that cards cannot be identified now.
var ErrNoTags = errors.New("the site's key for cards is not there: the vault does not answer, or the site is just getting another key")

// NumberError says that the number of a read is invalid in its format. None of the
// reads of the same call is recorded.
type NumberError struct {
	Read uint64 // its number in the source
	Err  error  // the fault of the card number, with the value
}

// Error names the read and its fault.
func (e *NumberError) Error() string { return fmt.Sprintf("reads: read %d: %v", e.Read, e.Err) }

// Unwrap returns the fault of the card number.
func (e *NumberError) Unwrap() error { return e.Err }

// Source decides and records the reads of one source. It is safe for concurrent use.
type Source struct {
	store         *eventstore.Store
	doors         Doors
	now           func() time.Time
	org, site, id domain.ID

	mu     sync.Mutex                 // guards the fields below
	writer *eventstore.ActivityWriter // nil after an append whose outcome is not known
	tally  Tally
	recent map[uint64]recorded // the last recorded reads, by number
	seen   map[string]struct{} // doors as "d…", credentials as "c…"
}

// Open opens the gateway of a source and counts its earlier records. The gateway's id
// is written into each record; it must contain nothing about a person.
func Open(ctx context.Context, store *eventstore.Store, doors Doors, now func() time.Time, org, site, gateway domain.ID) (*Source, error) {
	g := &Source{store: store, doors: doors, now: now, org: org, site: site, id: gateway}
	return g, g.open(ctx)
}

// open finds the end of the gateway's activity. The caller holds mu, or is alone.
func (g *Source) open(ctx context.Context) error {
	w, err := g.store.ActivityWriter(ctx, g.org, g.site, g.id)
	if err != nil {
		return fmt.Errorf("reads: open gateway %s: %w", g.id, err)
	}
	g.tally, g.seen, g.recent = Tally{Denied: map[string]uint64{}}, map[string]struct{}{}, nil
	damaged, err := g.store.Activity(ctx, g.org, g.site, g.id, func(a *wire.Activity) error {
		g.count(a)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reads: count what gateway %s recorded: %w", g.id, err)
	}
	g.tally.Damaged = damaged
	g.writer = w
	return nil
}

// Tally returns the counts of all reads that were ever recorded.
func (g *Source) Tally() Tally {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tallied()
}

func (g *Source) tallied() Tally {
	t := g.tally
	t.Denied = make(map[string]uint64, len(g.tally.Denied))
	for code, n := range g.tally.Denied {
		t.Denied[code] = n
	}
	for k := range g.seen {
		if k[0] == 'd' {
			t.Doors++
		} else {
			t.Credentials++
		}
	}
	return t
}

// Take decides 1 to MaxReads reads in the order of their numbers. It records them
// durably and returns the tally of all reads. It skips reads that are already recorded;
// those that have a line it compares, and returns a [DifferError] if one differs. After
// an error the same reads may be sent again; a [NumberError] says that one of them is
// invalid.
func (g *Source) Take(ctx context.Context, reads []Read) (Tally, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(reads) > MaxReads {
		return Tally{}, fmt.Errorf("reads: %d reads at once, at most %d are taken", len(reads), MaxReads)
	}
	if g.writer == nil {
		if err := g.open(ctx); err != nil {
			return Tally{}, err
		}
	}
	release, err := g.store.Hold(ctx, g.org) // and with it its tables
	if err != nil {
		return Tally{}, fmt.Errorf("reads: gateway %s: %w", g.id, err)
	}
	defer release()
	table := g.doors.Table(g.org, g.site)
	if table == nil {
		return Tally{}, ErrNoTable
	}
	if err := g.compare(ctx, table, reads); err != nil {
		return Tally{}, err
	}
	records := make([]wire.Activity, 0, len(reads))
	last := g.tally.Last
	for _, r := range reads {
		if r.Number <= last {
			continue
		}
		last = r.Number
		a, err := g.decide(table, r)
		if err != nil {
			return Tally{}, err
		}
		records = append(records, a)
	}
	// A tag matches only the table of its own key. Under another key the card would be
	// unknown.
	if now := g.doors.Table(g.org, g.site); now == nil || now.TagKey() != table.TagKey() {
		return Tally{}, ErrNoTags
	}
	if len(records) == 0 {
		return g.tallied(), nil
	}
	if err := g.writer.Append(ctx, records); err != nil {
		g.writer = nil
		return Tally{}, fmt.Errorf("reads: record %d reads: %w", len(records), err)
	}
	g.recent = make(map[uint64]recorded, len(records))
	for i := range records {
		g.count(&records[i])
		g.recent[g.tally.Last] = recordedOf(&records[i])
	}
	return g.tallied(), nil
}

// request is the question of a read: by its mobile key, or by the tag of its card.
func (g *Source) request(r Read) (unlock.Request, error) {
	request := unlock.Request{Side: r.Side}
	if r.Phone != "" {
		request.Credential = unlock.IDOf(string(r.Phone))
		return request, nil
	}
	card, err := cardnumber.Canonical(r.Format, r.Card)
	if err != nil {
		return request, &NumberError{r.Number, err}
	}
	tag, ok := g.doors.Tag(g.org, g.site, domain.KindCard, r.Format, card)
	if !ok {
		return request, ErrNoTags
	}
	request.Tag = tag
	return request, nil
}

// decide decides one read and makes its record.
func (g *Source) decide(table *unlock.Table, r Read) (wire.Activity, error) {
	request, err := g.request(r)
	if err != nil {
		return wire.Activity{}, err
	}
	line, ok := g.lineTag(table, r.Line)
	if !ok {
		return wire.Activity{}, ErrNoTags
	}
	method := wire.MethodCard
	if r.Phone != "" {
		method = wire.MethodMobileKey
	}
	a := edge.Judge(table, wire.ID(r.Door), request, method, r.At)
	if a.Credential == "" {
		a.Credential = wire.ID(r.Phone)
	}
	a.RecordedAt, a.Source, a.Line = g.now().UTC(), string(g.id)+":"+strconv.FormatUint(r.Number, 10), line
	return *a, nil
}

// count adds a record to the tally. The caller holds mu, or is alone.
func (g *Source) count(a *wire.Activity) {
	g.tally.Reads++
	if a.Type == wire.AccessGranted {
		g.tally.Allowed++
	} else {
		g.tally.Denied[a.Code]++
	}
	g.seen["d"+string(a.Door)] = struct{}{}
	g.seen["c"+string(a.Credential)+a.Tag] = struct{}{}
	g.tally.Last = max(g.tally.Last, numberOf(a))
}

// numberOf is the number of a recorded read in its source.
func numberOf(a *wire.Activity) uint64 {
	_, number, _ := strings.Cut(a.Source, ":")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
