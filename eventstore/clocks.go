package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/clock"
	"gatehouse/eventstore/natsserver"
)

// ErrClock says that the wall clock is not trusted. Only commands that take access away
// are committed then. The error that wraps it is a [*clock.Untrusted].
var ErrClock = errors.New("the clock is not trusted")

const (
	// clockEvery is the pause between two looks at the clock. No commit waits for one:
	// each reads the clock itself. While it is not trusted, each look asks the servers.
	clockEvery = time.Second
	// clockKept is after how many looks the last good time is written down.
	clockKept = 60
)

// clockWatch is what the looks at the clock remember.
type clockWatch struct {
	looks int
	held  bool
}

// beginClock gives the clock the time of the newest commit. A commit bears the time of
// the one before it where that is later, as in an org whose clock once was wrong; the
// message that holds it was stored at the time of its server.
func (s *Store) beginClock(ctx context.Context, last uint64) error {
	if s.cfg.Clock == nil {
		return nil
	}
	var newest time.Time
	if last > 0 {
		msg, err := s.ledger.GetMsg(ctx, last)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("eventstore: read the newest commit: %w", err)
		}
		if err == nil {
			newest = msg.Time
			if c, err := decodeBody(msg.Data); err == nil && c.At.Before(newest) {
				newest = c.At
			}
		}
	}
	s.cfg.Clock.Begin(newest, last)
	return nil
}

// ClockTrusted returns why only commands that take access away are committed. It
// returns nil when the clock is trusted.
func (s *Store) ClockTrusted() error {
	if s.cfg.Clock == nil {
		return nil
	}
	if err := s.cfg.Clock.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrClock, err)
	}
	return nil
}

// clockTrusted is ClockTrusted for a command. The record of an override is allowed at
// any time: a start must not fail by its clock.
func (x *execution) clockTrusted() error {
	if x.urgent || x.req.DryRun || x.typ.Name == "RecordOverride" {
		return nil
	}
	return x.store.ClockTrusted()
}

// ConfirmClock trusts the wall clock from now on, on the word of an operator. The
// operator gives the time and may give a reason. The word is recorded in _system before
// it takes effect. ConfirmClock fails with a [*clock.Disagreement] when the wall clock
// is not at that time.
func (s *Store) ConfirmClock(ctx context.Context, given time.Time, reason string) error {
	c := s.cfg.Clock
	if c == nil {
		return nil
	}
	if err := c.CheckGiven(given); err != nil {
		return err
	}
	told := "what has elapsed since the clock was right"
	if u, ok := errors.AsType[*clock.Untrusted](c.Check()); ok {
		told = u.Time.UTC().Format(time.RFC3339)
	}
	_, err := s.Execute(ctx, domain.SystemOrg, Request{ID: domain.UUID(uuid.New()), Command: "RecordOverride",
		Fields: []any{&domain.RecordOverride{Setting: "clock", Value: given.UTC().Format(time.RFC3339), Needed: told, Reason: domain.Clear(reason)}},
		Actor:  domain.ServiceActor("operator"),
	})
	if err != nil {
		return fmt.Errorf("eventstore: record that the clock is right: %w", err)
	}
	if err := c.Confirm(given); err != nil {
		return err
	}
	s.log.Warn("an operator confirmed the clock", "time", given, "was_taken_for", told)
	return s.keepClock(ctx)
}

// keepClock writes the last good time down.
func (s *Store) keepClock(ctx context.Context) error {
	if s.cfg.Clock == nil {
		return nil
	}
	info, err := s.ledger.Info(ctx)
	if err != nil {
		return fmt.Errorf("eventstore: look at the ledger: %w", err)
	}
	return s.cfg.Clock.Keep(info.State.LastSeq)
}

// watchClock looks at the clock again and again.
func (s *Store) watchClock() {
	for pause(s.ctx, clockEvery) == nil {
		s.lookAtClock(s.ctx)
	}
}

// lookAtClock logs when the clock stops being trusted and when it is trusted again.
// Meanwhile it asks the servers of a cluster for their time. It keeps the last good
// time.
func (s *Store) lookAtClock(ctx context.Context) {
	w := &s.clockWatch
	err := s.cfg.Clock.Check()
	if err != nil && s.cfg.System != nil && s.cfg.Embedded == nil {
		offsets, size, asked := natsserver.Clocks(ctx, s.cfg.System, s.cfg.Replicas, s.cfg.Clock.Wall)
		if asked != nil && ctx.Err() == nil {
			s.log.Warn("the servers were not asked for their time", "error", asked)
		}
		if s.cfg.Clock.Agree(offsets, size) {
			err = nil
		}
	}
	switch held := err != nil; {
	case held && !w.held:
		s.log.Error("the clock is not trusted, so that nothing is committed but what takes access away", "error", err)
	case !held && w.held:
		s.log.Info("the clock is trusted again", "by", s.cfg.Clock.Source())
	}
	w.held = err != nil
	s.metrics.clock(s.cfg.Clock)
	if w.looks++; w.looks%clockKept == 1 && err == nil {
		if err := s.keepClock(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the last good time is not written down; a start goes by the newest commit", "error", err)
		}
	}
}
