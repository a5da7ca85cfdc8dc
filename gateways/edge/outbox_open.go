package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gatehouse/gateways/edge/journal"
	"gatehouse/schemas/wire"
)

// OpenOutbox opens the outbox in a directory, which it makes. A first record names what
// the last run left torn or damaged.
func OpenOutbox(dir string, gateway wire.ID, now func() time.Time) (*Outbox, error) {
	o := &Outbox{dir: dir, gateway: gateway, now: now, folded: math.MaxUint64, added: make(chan struct{}, 1)}
	if err := o.readState(); err != nil {
		return nil, err
	}
	o.boot, o.k, o.prev = o.state.Boot+1, o.state.K, o.state.Hash
	err := journal.Finish(o.journalDir())
	if err != nil {
		return nil, err
	}
	if o.journal, err = journal.Open(o.journalDir()); err != nil {
		return nil, err
	}
	lost, err := o.scan()
	if err == nil && lost != nil && lost.Cause == "damaged" {
		err = o.keepWhole()
	}
	if err != nil {
		return nil, errors.Join(err, o.journal.Close())
	}
	// Records end below what the service has confirmed: those after them are lost here
	// alone, and the count goes on behind them.
	if o.k < o.state.K {
		if err := o.replace(o.state.K+1, nil); err != nil {
			return nil, err
		}
		o.first, o.k, o.prev = 0, o.state.K, o.state.Hash
	}
	o.state.Boot, o.state.Lost = o.boot, o.state.Lost || lost != nil && lost.Cause == "damaged"
	err = o.writeState()
	if lost != nil && err == nil {
		err = o.Append(gapRecord(now(), *lost), true)
	}
	return o, err
}

// openOutboxAnyhow opens the outbox, or one that keeps nothing and says why: on a disk that
// is full or broken the doors still have their fire release and their way out.
func openOutboxAnyhow(dir string, gateway wire.ID, now func() time.Time) *Outbox {
	o, err := OpenOutbox(dir, gateway, now)
	if err != nil {
		return &Outbox{dir: dir, gateway: gateway, now: now, folded: math.MaxUint64, added: make(chan struct{}, 1), failed: errors.Join(ErrOutboxFull, err)}
	}
	return o
}

// Recover opens an outbox again that failed, by what is on the disk. One that works stays
// as it is.
func (o *Outbox) Recover() error {
	o.mu.Lock()
	failed := o.failed
	o.mu.Unlock()
	if failed == nil {
		return nil
	}
	next, err := OpenOutbox(o.dir, o.gateway, o.now)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.journal
	o.journal, o.boot, o.first, o.k, o.prev = next.journal, next.boot, next.first, next.k, next.prev
	o.state, o.synced, o.dirty, o.failed = next.state, next.synced, next.dirty, nil
	if old != nil {
		_ = old.Close() // it failed before, and what it wrote was read
	}
	return nil
}

func (o *Outbox) readState() error {
	body, err := os.ReadFile(o.stateFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	if err := json.Unmarshal(body, &o.state); err != nil {
		// The records here tell the rest, and the service where they are continued.
		o.state = outboxState{Lost: true}
	}
	return nil
}

// scan finds the end of the records here that follow one another, and what is lost behind
// them.
func (o *Outbox) scan() (*loss, error) {
	broken := false
	err := o.journal.Read(0, func(number uint64, body []byte) bool {
		a, err := wire.DecodeActivity(body)
		if err != nil || a.K != number || a.Gateway != o.gateway || o.first > 0 && (a.K != o.k+1 || a.Prev != o.prev) {
			broken = true
			return false
		}
		if o.first == 0 {
			o.first = a.K
		}
		// A table that is not accepted denies as well, and is not in force.
		if a.Position != "" && a.Type != wire.AccessDenied {
			o.decided = a.Position
		}
		o.k, o.prev, o.boot = a.K, wire.HashOf(body), max(o.boot, a.Boot+1)
		return true
	})
	switch {
	case broken || errors.Is(err, journal.ErrDamaged):
		return &loss{Cause: "damaged"}, nil
	case err != nil:
		return nil, err
	case o.journal.Torn() > 0:
		return &loss{Cause: "torn", Bytes: o.journal.Torn()}, nil
	}
	return nil, nil
}

// keepWhole drops what is behind the last record that follows the others.
func (o *Outbox) keepWhole() error {
	var kept [][]byte
	err := o.journal.Read(0, func(number uint64, body []byte) bool {
		if o.first == 0 || number > o.k {
			return false
		}
		kept = append(kept, body)
		return true
	})
	if err != nil && !errors.Is(err, journal.ErrDamaged) {
		return err
	}
	return o.replace(o.first, kept)
}

// keptAside is how many journals that were replaced stay for somebody to look at.
const keptAside = 3

// replace puts other records in the place of those here. The last few journals that were
// replaced stay beside it. They are numbered, as the clock of a box may stand or go back.
func (o *Outbox) replace(first uint64, bodies [][]byte) error {
	old, err := filepath.Glob(o.journalDir() + ".[0-9]*")
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	slices.Sort(old)
	number := 1
	if len(old) > 0 {
		if _, err := fmt.Sscanf(filepath.Ext(old[len(old)-1]), ".%d", &number); err != nil {
			return fmt.Errorf("edge: %s is no journal that was replaced: %w", old[len(old)-1], err)
		}
		number++
	}
	next, err := o.journal.Replace(first, bodies, fmt.Sprintf("%s.%06d", o.journalDir(), number))
	if err != nil {
		o.failed = errors.Join(ErrOutboxFull, err) // until a restart finds the one journal or the other
		return o.failed
	}
	o.journal = next
	for _, path := range old[:max(0, len(old)+1-keptAside)] {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("edge: %w", err)
		}
	}
	return nil
}

// Each calls f with the records here from a counter on, in their order, until it returns
// an error.
func (o *Outbox) Each(from uint64, f func(*wire.Activity) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.journal == nil {
		return nil
	}
	var failed error
	err := o.journal.Read(from, func(_ uint64, body []byte) bool {
		a, err := wire.DecodeActivity(body)
		if err == nil {
			err = f(a)
		}
		failed = err
		return err == nil
	})
	return errors.Join(failed, err)
}

func gapRecord(now time.Time, l loss) *wire.Activity {
	local, err := json.Marshal(l)
	if err != nil {
		panic(err) // numbers and a word
	}
	return &wire.Activity{Type: wire.RecordsGap, At: now, Local: local, Clock: wire.ClockRTC}
}
