package eventstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"gatehouse/domain"
)

// ErrPanicked says that the work panicked: a fault of the program, which ends what
// was done and nothing else. The log has the stack.
var ErrPanicked = errors.New("the program failed at this")

// panicRest is the pause before a loop that panicked runs again.
const panicRest = time.Second

// maxPanics is how many kinds of panics are told apart.
const maxPanics = 100

// A Panic is work that panicked since the start. The value of the panic is in the log
// alone: it may hold anything.
type Panic struct {
	Part    string    // of the program
	Org     domain.ID // empty: of none
	Command string    // empty: not by one
}

// PanicCount is how often a kind of work panicked, and when it did last.
type PanicCount struct {
	Panic
	Count int
	Last  time.Time
}

// Panics are those since the start, of the store and of what stands beside it. Make
// one with [NewPanics].
type Panics struct {
	metrics *Metrics
	now     func() time.Time
	log     *slog.Logger

	mu    sync.Mutex // guards found
	found map[Panic]PanicCount
}

// NewPanics makes a record without any.
func NewPanics(metrics *Metrics, now func() time.Time, log *slog.Logger) *Panics {
	return &Panics{metrics: metrics, now: now, log: log, found: map[Panic]PanicCount{}}
}

// Guard runs f. A panic in it ends f alone: it is logged with its stack, counted, told
// by [Panics.All], and returned as an error that wraps [ErrPanicked].
func (p *Panics) Guard(part string, org domain.ID, command string, f func()) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = p.note(Panic{part, org, command}, cause)
		}
	}()
	f()
	return nil
}

// note counts a panic. The goroutine is unwinding still, so that the stack is that
// of the panic.
func (p *Panics) note(at Panic, cause any) error {
	p.log.Error("a panic was caught", "part", at.Part, "org", at.Org, "command", at.Command, "error", fmt.Sprint(cause), "stack", string(debug.Stack()))
	p.metrics.Panics.WithLabelValues(at.Part).Inc()
	p.mu.Lock()
	defer p.mu.Unlock()
	c, known := p.found[at]
	if known || len(p.found) < maxPanics {
		p.found[at] = PanicCount{at, c.Count + 1, p.now()}
	}
	return fmt.Errorf("eventstore: %s: %w", at.Part, ErrPanicked)
}

// All tells what panicked since the start, in order.
func (p *Panics) All() []PanicCount {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.found), func(a, b PanicCount) int {
		return cmp.Or(cmp.Compare(a.Part, b.Part), cmp.Compare(a.Org, b.Org), cmp.Compare(a.Command, b.Command))
	})
}

// Guard runs f as [Panics.Guard] does.
func (s *Store) Guard(part string, org domain.ID, command string, f func()) error {
	return s.panics.Guard(part, org, command, f)
}

// Panics tells what panicked since the start, in order.
func (s *Store) Panics() []PanicCount { return s.panics.All() }

// keepRunning runs a loop of the store, and runs it again after a panic.
func (s *Store) keepRunning(part string, loop func()) {
	s.running.Go(func() {
		for s.Guard(part, "", "", loop) != nil && pause(s.ctx, panicRest) == nil {
		}
	})
}

// commandPanicked answers a command that panicked. The state may be half changed, so
// the org is loaded again by its next use.
func (s *Store) commandPanicked(o *org, command string, cause any) error {
	err := s.panics.note(Panic{"command", o.id, command}, cause)
	s.stopIfBroken(o, err)
	return err
}

// guardedLoad is load, which a commit that cannot be folded may end by a panic: such an
// org serves nothing, and the others go on.
func (s *Store) guardedLoad(o *org, load func() error) (err error) {
	err = s.guardFold("load", o, load)
	if errors.Is(err, ErrPanicked) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.loaded.Store(false)
		o.reset()
	}
	return err
}

// guardFold is Guard for what folds commits: the one at which it panicked names its
// command.
func (s *Store) guardFold(part string, o *org, f func() error) (err error) {
	o.folding.Store(nil)
	defer func() {
		if cause := recover(); cause != nil {
			command := ""
			if at := o.folding.Load(); at != nil {
				command = *at
			}
			err = s.panics.note(Panic{part, o.id, command}, cause)
		}
	}()
	return f()
}
