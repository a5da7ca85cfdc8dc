package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// # Stale grants
//
// A gateway that is cut off decides by what it has. When its records arrive, a grant that
// a change had taken away before is marked by a record of its own: access.stale, with the
// instant of the decision, that of the change, and the position of the change.
//
// The marks of a gateway stand on a subject beside its own, of an id that derives from
// its. Every instance finds the same marks in the same order, from what is stored alone.
// A mark is written behind the one before, and only if its record comes behind that of the
// one before. So it is written once, by whichever instance is first, and an instance that
// begins again goes on behind the last mark. It looks at records of one day at most, for a
// record is looked at as it is stored.

const (
	staleAge   = 24 * time.Hour // of records that are looked at after a start
	stalePage  = eventstore.MaxActivityBatch
	staleTime  = time.Minute // for a page
	stalePause = time.Second // after a failure
)

// outboxName is the name of a gateway with its site.
type outboxName struct{ org, site, gateway domain.ID }

// staleness finds stale grants among the records of gateways, of one gateway after the
// other.
type staleness struct {
	c *Control

	mu      sync.Mutex // guards the fields below
	next    map[outboxName]uint64
	waiting map[outboxName]bool
	line    []outboxName
	wake    chan struct{} // capacity 1
}

func newStaleness(c *Control) *staleness {
	return &staleness{c: c, next: map[outboxName]uint64{}, waiting: map[outboxName]bool{}, wake: make(chan struct{}, 1)}
}

// ask asks to look at the new records of a gateway. It returns at once.
func (s *staleness) ask(n outboxName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[n] {
		return
	}
	s.waiting[n] = true
	s.line = append(s.line, n)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take takes the first of the gateways that wait.
func (s *staleness) take() (n outboxName, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) == 0 {
		return n, false
	}
	n = s.line[0]
	s.line = s.line[1:]
	delete(s.waiting, n)
	return n, true
}

// run looks at records until the context ends.
func (s *staleness) run(ctx context.Context) {
	for ctx.Err() == nil {
		n, ok := s.take()
		if !ok {
			select {
			case <-s.wake:
			case <-ctx.Done():
			}
			continue
		}
		more, err := false, error(nil)
		if panicked := s.c.cfg.Store.Guard("stale", n.org, "", func() { more, err = s.look(ctx, n) }); panicked != nil {
			err = panicked
		}
		if err != nil && ctx.Err() == nil {
			s.c.cfg.Log.Warn("records of a gateway are not looked at for stale grants; trying again", "org", n.org, "gateway", n.gateway, "error", err)
			select {
			case <-time.After(stalePause):
			case <-ctx.Done():
			}
		}
		if more || err != nil {
			s.ask(n) // behind the others
		}
	}
}

// look looks at a page of the records of a gateway, and marks those that are stale.
func (s *staleness) look(ctx context.Context, n outboxName) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, staleTime)
	defer cancel()
	s.mu.Lock()
	from := s.next[n]
	s.mu.Unlock()
	if from == 0 {
		if from, err = s.resume(ctx, n); err != nil || from == 0 {
			return false, err
		}
	}
	var records []*wire.Activity
	next, more, err := s.c.cfg.Store.EachRecord(ctx, n.org, n.site, n.gateway, from, stalePage, func(a *wire.Activity) { records = append(records, a) })
	if err != nil {
		return false, err
	}
	marks, err := s.judge(ctx, n, records)
	if err != nil {
		return false, err
	}
	if err := s.mark(ctx, n, marks); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next[n] = next
	return more, nil
}

// resume finds the first record that may not have been looked at.
func (s *staleness) resume(ctx context.Context, n outboxName) (from uint64, err error) {
	_, last, err := s.marks(ctx, n)
	if err != nil {
		return 0, err
	}
	return s.c.cfg.Store.RecordsAfter(ctx, n.org, n.site, n.gateway, last, staleAge)
}

// staleSpace is the name space of the ids under which marks stand.
var staleSpace = domain.DeriveUUID(domain.UUID{}, "gatehouse/stale")

// MarksOf is the id under which the marks of a gateway's stale grants stand, beside its
// own records.
func MarksOf(gateway domain.ID) domain.ID {
	return domain.ID(domain.DeriveUUID(staleSpace, string(gateway)).String())
}

// marks opens the marks of a gateway. last is the counter of the last record that is
// marked; 0: none is.
func (s *staleness) marks(ctx context.Context, n outboxName) (w *eventstore.ActivityWriter, last uint64, err error) {
	if w, err = s.c.cfg.Store.ActivityWriter(ctx, n.org, n.site, MarksOf(n.gateway)); err != nil {
		return nil, 0, err
	}
	a, err := w.Last(ctx)
	if err != nil || a == nil {
		return w, 0, err
	}
	return w, a.Of, nil
}

// mark writes the marks that are not written yet. Another instance may write them at the
// same time: it finds the same.
func (s *staleness) mark(ctx context.Context, n outboxName, marks []wire.Activity) error {
	for len(marks) > 0 {
		w, last, err := s.marks(ctx, n)
		if err != nil {
			return err
		}
		for len(marks) > 0 && marks[0].Of <= last {
			marks = marks[1:]
		}
		if len(marks) == 0 {
			return nil
		}
		err = w.Append(ctx, marks)
		if errors.Is(err, eventstore.ErrNotSoleWriter) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("control: mark %d stale grants of gateway %s: %w", len(marks), n.gateway, err)
		}
		s.c.metrics.stale.Add(float64(len(marks)))
		s.c.cfg.Log.Warn("a gateway let somebody in by permissions that had been changed", "org", n.org, "site", n.site, "gateway", n.gateway, "grants", len(marks))
		return nil
	}
	return nil
}

// staleMark is the mark of a grant that a change had taken away.
func staleMark(n outboxName, a *wire.Activity, by version, answer unlock.Answer, now time.Time) wire.Activity {
	m := wire.Activity{Type: wire.AccessStale, At: a.At, RecordedAt: now.UTC(), Door: a.Door, Side: a.Side, Method: a.Method, Credential: a.Credential, Person: a.Person,
		Code: answer.Code.String(), Grant: a.Grant, Of: a.K, OfGateway: wire.ID(n.gateway), Position: by.head.Position().String(), Digest: by.head.Digest.String(),
		Changed: by.head.At.UTC(), Clock: a.Clock, ClockErrorMS: a.ClockErrorMS, LeaseEnd: a.LeaseEnd}
	for _, c := range answer.Failed.Codes() {
		m.Failed = append(m.Failed, c.String())
	}
	return m
}
