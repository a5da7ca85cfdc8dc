package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/durable"
	"gatehouse/failpoint"
	"gatehouse/gateways/edge/journal"
	"gatehouse/schemas/wire"
)

// # The outbox
//
// All that a gateway observes goes into its outbox first, and from there to the service:
// exactly once and in order, after any time offline. The gateway counts its records by
// itself, and each has the hash of the one before, so the service finds a repetition, a
// gap and a second box with the same identity by looking at the end of what it has.
//
// A record is durable within syncWithin, or before [Outbox.Append] returns where the door
// asks for that. A record that a power cut tore, or that the disk lost, is named by one of
// the type records.gap.

const (
	// syncWithin is how long a record may be in memory alone.
	syncWithin = 50 * time.Millisecond
	// MaxOutbox is the greatest size of an outbox in bytes: about a million records.
	MaxOutbox = 512 << 20
)

var (
	// ErrOutboxFull says that a record cannot be kept: there is no room for it.
	ErrOutboxFull = errors.New("the outbox is full")
	// ErrCloned says that another box has written records under the identity of this one.
	ErrCloned = errors.New("another box has the identity of this gateway")
)

// Outbox is safe for concurrent use.
type Outbox struct {
	dir     string
	gateway wire.ID
	now     func() time.Time

	writing sync.Mutex // of the state, without mu

	mu      sync.Mutex // guards the fields below
	journal *journal.Journal
	boot    uint64
	decided string // position of the last decision among the records that Open found
	first   uint64 // counter of the oldest record here; 0: there is none
	k       uint64 // of the last record
	prev    wire.Hash
	state   outboxState
	synced  uint64 // counter of the last record that is durable
	folded  uint64 // counter up to which records are needed here no more, once confirmed
	dirty   bool
	failed  error // of a sync: what was appended may be lost
	// added has a value when there is something new to send.
	added chan struct{}
}

// outboxState is kept beside the records.
type outboxState struct {
	Boot uint64    `json:"boot"` // of the last run
	K    uint64    `json:"k"`    // of the last record that the service has confirmed
	Hash wire.Hash `json:"hash"` // of that record
	// Lost says that records were damaged here, so that the service may have some that the
	// box no longer has.
	Lost bool `json:"lost,omitempty"`
}

// loss is what a record of the type records.gap tells beside its place.
type loss struct {
	Cause string `json:"cause"` // torn, damaged or renumbered
	Bytes int64  `json:"bytes,omitempty"`
	From  uint64 `json:"from,omitempty"` // counters that the records behind had before
	To    uint64 `json:"to,omitempty"`
}

func (o *Outbox) journalDir() string { return filepath.Join(o.dir, "records") }
func (o *Outbox) stateFile() string  { return filepath.Join(o.dir, "outbox.json") }

// Append puts a record behind the last one, and sets its gateway, boot, counter, prev and
// recorded_at. With strict it returns once the record is durable, else the record is
// within syncWithin. Without room it fails with ErrOutboxFull, and nothing is kept.
func (o *Outbox) Append(a *wire.Activity, strict bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return o.failed
	}
	if size := o.journal.Size(); size >= MaxOutbox {
		return fmt.Errorf("%w: it has %d bytes", ErrOutboxFull, size)
	}
	a.RecordedAt = o.now().UTC().Truncate(time.Millisecond)
	body, err := o.place(a)
	if err != nil {
		return err
	}
	if err := o.journal.Append(a.K, body); err != nil {
		return errors.Join(ErrOutboxFull, err)
	}
	o.took(a, body)
	failpoint.Reached(failpoint.RecordAppended)
	select {
	case o.added <- struct{}{}:
	default:
	}
	if !strict {
		o.syncSoon()
		return nil
	}
	err = o.sync()
	failpoint.Reached(failpoint.RecordDurable)
	return err
}

// Added receives a value when there is something new to send.
func (o *Outbox) Added() <-chan struct{} { return o.added }

// Last is the counter of the last record.
func (o *Outbox) Last() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.k
}

// Folded says up to which counter the records are needed here no more, once the service
// has them. Without it they are needed for nothing else.
func (o *Outbox) Folded(k uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.folded = k
}

// place gives a record its place behind the last one, and returns its body.
func (o *Outbox) place(a *wire.Activity) ([]byte, error) {
	a.Gateway, a.Boot, a.K, a.Prev = o.gateway, o.boot, o.k+1, o.prev
	body, err := a.Encode()
	if err == nil && len(body) > wire.MaxRecord {
		err = fmt.Errorf("edge: a record of %d bytes, at most %d are taken", len(body), wire.MaxRecord)
	}
	return body, err
}

// took notes a record that is the last one now.
func (o *Outbox) took(a *wire.Activity, body []byte) {
	if o.first == 0 {
		o.first = a.K
	}
	o.k, o.prev = a.K, wire.HashOf(body)
}

// syncSoon makes durable what is not, in a moment, for all that was appended by then.
func (o *Outbox) syncSoon() {
	if o.dirty {
		return
	}
	o.dirty = true
	time.AfterFunc(syncWithin, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.dirty {
			_ = o.sync() // the next append tells
		}
	})
}

// sync makes durable what was appended before. It lets go of mu meanwhile: a slow disk must
// hold up no decision whose record need not be durable at once. A disk that once failed to
// is not believed again until a restart has read what it holds.
func (o *Outbox) sync() error {
	o.dirty = false
	k, j := o.k, o.journal
	o.mu.Unlock()
	err := j.Sync()
	o.mu.Lock()
	switch {
	case err != nil && o.failed == nil:
		o.failed = errors.Join(ErrOutboxFull, err)
	case err == nil && o.journal == j:
		o.synced = max(o.synced, k)
	}
	return o.failed
}

// Resume takes where the service has stored the records up to, and gives the records here
// their place behind that. Records of a box that begins, or whose disk was lost, get new
// counters. It fails with ErrCloned when another box has written behind the last record
// that the service confirmed to this one.
func (o *Outbox) Resume(end wire.RecordsEnd) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return o.failed
	}
	switch follows, err := o.follows(end); {
	case err != nil:
		return err
	case follows:
		return o.ack(end)
	case o.state.K > 0 && end.K > o.state.K && !o.state.Lost:
		return fmt.Errorf("%w: the service has %d records, of which %d are from here", ErrCloned, end.K, o.state.K)
	}
	return o.renumber(end)
}

// Confirm notes that the service has stored the records up to an end, if those here go on
// there. It reports whether they do.
func (o *Outbox) Confirm(end wire.RecordsEnd) (follows bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return false, o.failed
	}
	if follows, err = o.follows(end); err != nil || !follows {
		return false, err
	}
	return true, o.ack(end)
}

// follows reports whether the records here go on where those of the service end.
func (o *Outbox) follows(end wire.RecordsEnd) (is bool, err error) {
	if end.K == o.k {
		return end.Prev == o.prev, nil
	}
	if o.first == 0 || end.K > o.k || end.K+1 < o.first {
		return false, nil
	}
	err = o.journal.Read(end.K, func(number uint64, body []byte) bool {
		a, err := wire.DecodeActivity(body)
		switch {
		case err != nil:
			return false
		case number == end.K:
			is = wire.HashOf(body) == end.Prev
		default:
			is = is || a.Prev == end.Prev
			return false
		}
		return true
	})
	return is, err
}

// renumber gives unconfirmed records new counters behind the end of the service. A record
// before them tells so.
func (o *Outbox) renumber(end wire.RecordsEnd) error {
	var waiting []*wire.Activity
	err := o.journal.Read(o.state.K+1, func(_ uint64, body []byte) bool {
		a, err := wire.DecodeActivity(body)
		if err == nil {
			waiting = append(waiting, a)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	if len(waiting) > 0 {
		gap := gapRecord(o.now(), loss{Cause: "renumbered", From: waiting[0].K, To: waiting[len(waiting)-1].K})
		gap.RecordedAt = o.now().UTC()
		waiting = append([]*wire.Activity{gap}, waiting...)
	}
	o.first, o.k, o.prev, o.boot, o.synced = 0, end.K, end.Prev, max(o.boot, end.Boot+1), end.K
	o.state.Boot = o.boot
	var bodies [][]byte
	counters := map[uint64]uint64{}
	for _, a := range waiting {
		if k, is := counters[a.Of]; is {
			a.Of = k
		}
		if a.K > 0 {
			counters[a.K] = o.k + 1
		}
		body, err := o.place(a)
		if err != nil {
			return err
		}
		bodies = append(bodies, body)
		o.took(a, body)
	}
	if err := o.replace(end.K+1, bodies); err != nil {
		return err
	}
	o.synced = o.k
	o.state.K, o.state.Hash, o.state.Lost = end.K, end.Prev, false
	return o.writeState()
}

// ack notes what the service has stored, and drops files that hold nothing else.
func (o *Outbox) ack(end wire.RecordsEnd) error {
	if end.K == o.state.K {
		return nil
	}
	o.state.K, o.state.Hash = end.K, end.Prev
	// No decision waits for this write. A disk that is too full for it gets room by what is
	// dropped.
	o.mu.Unlock()
	err := o.writeLatest()
	failpoint.Reached(failpoint.UploadNoted)
	o.mu.Lock()
	return errors.Join(err, o.journal.Drop(min(end.K, o.folded)+1))
}

// writeLatest writes the state as it is when its turn comes.
func (o *Outbox) writeLatest() error {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	state := o.state
	o.mu.Unlock()
	return o.writeFile(state)
}

func (o *Outbox) writeState() error { return o.writeFile(o.state) }

func (o *Outbox) writeFile(state outboxState) error {
	body, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := durable.Replace(o.stateFile(), body); err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}

// Next gives the records to send: those behind what the service has confirmed, as many as
// one request takes.
func (o *Outbox) Next() (bodies [][]byte, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil || o.state.K == o.k {
		return nil, o.failed
	}
	// The service must never have what a power cut could still take away here.
	if o.synced < o.k {
		if err := o.sync(); err != nil {
			return nil, err
		}
	}
	size := 0
	err = o.journal.Read(o.state.K+1, func(number uint64, body []byte) bool {
		if number > o.synced {
			return false
		}
		if size += len(body) + 1; len(bodies) == wire.MaxRecords || size > wire.MaxRecordsSize {
			return false
		}
		bodies = append(bodies, body)
		return true
	})
	return bodies, err
}

// Confirmed is the counter of the last record that the service is known to have.
func (o *Outbox) Confirmed() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state.K
}

// Waiting is how many records the service has not confirmed.
func (o *Outbox) Waiting() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.k - o.state.K
}

// Close makes everything durable and closes the outbox.
func (o *Outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dirty = false
	if o.journal == nil {
		return nil // it never opened, which was said
	}
	return errors.Join(o.failed, o.journal.Close())
}
