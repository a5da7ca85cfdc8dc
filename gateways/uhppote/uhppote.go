// Package uhppote drives the doors of UT0311-L0x boards (UHPPOTE and others) over UDP and
// TCP. The README says how they are wired and set up, and what they cannot do.
//
// # The host decides
//
// A board has a table of cards of its own, which knows dates alone, grants where a time
// profile is missing, and outlives the gateway. So it is kept empty: the board is told to
// ask the host (0xa0), and denies by itself if the host is silent for 30 s.
//
// # The index is the truth
//
// A board numbers its events and keeps many of them. Its pushes may be lost, repeated
// or forged by anybody on its network, so a push only says that it is time to look. Events
// are read one by one by their index from the board itself.
//
// # Whose code it is
//
// Messages are encoded and decoded by github.com/uhppoted/uhppote-core v0.8.11. Its client
// is not used: it knows no context, waits a fixed time, gives an event that was overwritten
// as a text, and reads times in the zone of the machine.
package uhppote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// pace has the times of the driver.
type pace struct {
	poll     time.Duration // between two looks at a board
	keep     time.Duration // between two messages that keep the host deciding, and looks for drift
	answer   time.Duration // that a board has for an answer, before it is asked again
	confirm  time.Duration // that a board has to confirm a release
	retry    time.Duration // between two tries to reach a board
	discover time.Duration // that boards have to tell where they are
}

var usual = pace{poll: 500 * time.Millisecond, keep: 10 * time.Second, answer: time.Second, confirm: 5 * time.Second,
	retry: 2 * time.Second, discover: time.Second}

// pollListening is the time between two looks at a board that pushes its events.
const pollListening = 2 * time.Second

// tries is how often a board is asked what does no harm twice.
const tries = 3

// Driver drives the doors of boards. It is safe for concurrent use.
type Driver struct {
	set    *settings
	now    func() time.Time
	log    *slog.Logger
	dir    string
	pace   pace
	boards map[uint32]*board
	doors  map[wire.ID]*door

	running   atomic.Bool
	reporting sync.Mutex // events are taken one by one
	mu        sync.Mutex
	strangers map[uint32]bool // boards that no door names, as far as they were told of
	heard     atomic.Uint32   // port on which pushes are heard; 0: none are
}

// Open makes a driver from its settings. It implements driver.Open.
func Open(s driver.Settings) (driver.Driver, error) {
	set, err := readSettings(s.Driver)
	if err != nil {
		return nil, fmt.Errorf("uhppote: %w", err)
	}
	d := &Driver{set: set, now: s.Now, log: s.Log, dir: s.Dir, pace: usual, boards: map[uint32]*board{}, doors: map[wire.ID]*door{}, strangers: map[uint32]bool{}}
	if d.now == nil {
		d.now = time.Now
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	switch {
	case set.PollMS != 0:
		d.pace.poll = time.Duration(set.PollMS) * time.Millisecond
	case set.listen.IsValid():
		d.pace.poll = pollListening
	}
	for _, id := range slices.Sorted(maps.Keys(s.Doors)) {
		if err := d.add(id, s.Doors[id]); err != nil {
			return nil, fmt.Errorf("uhppote: door %s: %w", id, err)
		}
	}
	for _, serial := range slices.Sorted(maps.Keys(set.Boards)) {
		if d.boards[serial] == nil {
			return nil, fmt.Errorf("uhppote: boards.%d: no door names this board", serial)
		}
	}
	if set.FireBoard != 0 && d.boards[set.FireBoard] == nil {
		return nil, fmt.Errorf("uhppote: fire_board: no door names the board %d", set.FireBoard)
	}
	return d, nil
}

// add adds a door, and its board if that is new.
func (d *Driver) add(id wire.ID, raw []byte) error {
	var set doorSettings
	if err := decodeSettings(raw, &set); err != nil {
		return err
	}
	if err := set.check(); err != nil {
		return err
	}
	b := d.boards[set.Board]
	if b == nil {
		b = newBoard(d, set.Board)
		d.boards[set.Board] = b
	}
	for _, other := range b.doors {
		if other.number == set.Door {
			return fmt.Errorf("it is door %d of the board %d, and so is the door %s", set.Door, set.Board, other.id)
		}
	}
	at := &door{id: id, board: b, number: set.Door, contact: set.Contact == nil || *set.Contact, turn: make(chan struct{}, 1)}
	b.doors, d.doors[id] = append(b.doors, at), at
	return nil
}

// Run implements driver.Driver. It ends with the context alone: a board that is lost is
// tried again.
func (d *Driver) Run(ctx context.Context, report func(driver.Event)) error {
	if d.running.Swap(true) {
		return errors.New("uhppote: it runs already")
	}
	defer d.running.Store(false)
	var all sync.WaitGroup
	defer all.Wait()
	if d.set.listen.IsValid() {
		conn := d.listen(ctx)
		all.Go(func() { d.keepHearing(ctx, conn) })
	}
	for _, b := range d.boards {
		b.report = func(e driver.Event) {
			d.reporting.Lock()
			defer d.reporting.Unlock()
			if ctx.Err() == nil {
				report(e)
			}
		}
		all.Go(func() { b.serve(ctx) })
	}
	<-ctx.Done()
	return nil
}

// Do implements driver.Driver. A board answers each order, and no order to open is sent
// twice.
func (d *Driver) Do(ctx context.Context, id wire.ID, c driver.Command) error {
	at := d.doors[id]
	switch {
	case at == nil:
		var known []string
		for name := range d.doors {
			known = append(known, string(name))
		}
		slices.Sort(known)
		return fmt.Errorf("uhppote: there is no door %q; the doors are %s", id, strings.Join(known, ", "))
	case c.Action == driver.Refuse:
		return nil // the board shows by itself that it does not open
	case !d.running.Load() || !at.board.online.Load():
		return driver.ErrOffline
	}
	select {
	case at.turn <- struct{}{}:
		defer func() { <-at.turn }()
	case <-ctx.Done():
		return fmt.Errorf("uhppote: door %s is busy with another order: %w", id, ctx.Err())
	}
	var err error
	switch c.Action {
	case driver.Release:
		err = at.release(ctx, c.For)
	case driver.Unlock:
		err = at.control(ctx, normallyOpen, 0)
	case driver.Lock:
		err = at.control(ctx, controlled, 0)
	default:
		return driver.ErrUnsupported
	}
	if err != nil {
		return fmt.Errorf("uhppote: door %s: %w", id, err)
	}
	return nil
}
