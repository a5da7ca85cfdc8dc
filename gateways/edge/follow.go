package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"gatehouse/schemas/wire"
)

const (
	// toldWithin is how long a change that was published may be on its way.
	toldWithin = 50 * time.Millisecond
	// told is how many changes may wait to be taken; beyond them they are asked for.
	told = 4096
	// maxPages bounds how many pages one catching up takes: a base of 4 GiB.
	maxPages = 10_000
)

// follower takes changes of the permissions as they are told, and asks for those that it
// lacks. It is one goroutine: nothing that it need not wait for stands between a change
// and its being in force.
type follower struct {
	g    *Gateway
	nc   *nats.Conn
	msgs chan *nats.Msg
	wait time.Duration // before the next attempt after a failure
}

func newFollower(g *Gateway, nc *nats.Conn) *follower {
	return &follower{g: g, nc: nc, msgs: make(chan *nats.Msg, told)}
}

// run follows the permissions until the context ends.
func (l *follower) run(ctx context.Context) error {
	sub, err := l.nc.ChanSubscribe(wire.TableSubject(l.g.cfg.Org, l.g.cfg.Site), l.msgs)
	if err != nil {
		return fmt.Errorf("edge: listen for permissions: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	late := time.NewTimer(time.Hour)
	defer late.Stop()
	var lacks *behind
	for {
		select {
		case <-ctx.Done():
			return nil
		case msg := <-l.msgs:
			if !l.hear(msg) {
				next := &behind{head: l.g.tables.head()}
				if lacks != nil {
					next.lost = lacks.lost
				}
				lacks = next
				late.Reset(0)
			}
			continue
		case b := <-l.g.behind:
			lacks = &b
			late.Reset(toldWithin) // what was published a moment ago is on its way
			continue
		case <-late.C:
		}
		if lacks == nil {
			continue
		}
		if l.g.tables.head() == lacks.head { // nothing came meanwhile
			if err := l.catchUp(ctx, lacks.lost); err != nil && ctx.Err() == nil {
				l.g.failed("follow the permissions", err)
				l.wait = min(max(2*l.wait, 250*time.Millisecond), askEvery)
				late.Reset(retryAfter(err, l.wait))
				continue
			}
		}
		lacks, l.wait = nil, 0
		signal(l.g.changed)
	}
}

// behind says that the table with a head is not the present one.
type behind struct {
	head wire.PermissionHead
	lost []wire.Lost
}

// retryAfter is when to try again after an error.
func retryAfter(err error, otherwise time.Duration) time.Duration {
	if refused, ok := errors.AsType[*wire.AskError](err); ok && refused.RetryMS > 0 {
		return max(otherwise, time.Duration(refused.RetryMS)*time.Millisecond)
	}
	return otherwise
}

// hear takes a change that was told, with all others that wait. It reports whether the
// table could take them.
func (l *follower) hear(msg *nats.Msg) (took bool) {
	c := l.g.tables.continued()
	for {
		if err := c.take(msg.Data); err != nil {
			l.drain()
			return false // something is missing, or it is old: the service knows
		}
		select {
		case msg = <-l.msgs:
			continue
		default:
		}
		if !c.good() {
			return false
		}
		if err := l.adopt(c, nil); err != nil {
			l.g.failed("take over permissions", err)
			return false
		}
		signal(l.g.changed)
		return true
	}
}

func (l *follower) drain() {
	for {
		select {
		case <-l.msgs:
		default:
			return
		}
	}
}

// catchUp asks for what the table lacks, page by page. Messages that do not lead on are
// given up for all of the table.
func (l *follower) catchUp(ctx context.Context, lost []wire.Lost) error {
	if err := l.g.pages.Wait(ctx); err != nil {
		return err
	}
	head := l.g.tables.head()
	err := l.pages(ctx, &wire.Ask{Type: wire.AskTable, Epoch: head.Epoch, N: head.N, Digest: head.Digest}, lost)
	if errors.Is(err, wire.ErrPermissions) && head.N > 0 {
		l.g.failed("follow the permissions; all of them are asked for", err)
		err = l.pages(ctx, &wire.Ask{Type: wire.AskTable}, lost)
	}
	return err
}

func (l *follower) pages(ctx context.Context, a *wire.Ask, lost []wire.Lost) error {
	var c *candidate
	for range maxPages {
		_, answer, messages, err := l.g.request(ctx, l.nc, a, nil)
		if err != nil {
			return err
		}
		if c == nil || answer.Base {
			c = l.g.tables.continued()
			if answer.Base {
				c = l.g.tables.begin()
			}
		}
		for _, m := range messages {
			if err := c.take(m); err != nil {
				return err
			}
		}
		// A base may lie before a table that was in force here and was lost: what follows it
		// comes first then.
		if c.good() && l.g.tables.late(c.table.Head().Position()) == nil {
			if err := l.adopt(c, lost); err != nil {
				return err
			}
		}
		if answer.Page == "" {
			return l.end(c)
		}
		a.Page = answer.Page
		if err := l.g.pages.Wait(ctx); err != nil {
			return err
		}
	}
	return errors.New("edge: the permissions have no end")
}

// end says whether a table that was caught up may be decided by.
func (l *follower) end(c *candidate) error {
	switch {
	case c.table == nil:
		return nil // nothing is published yet
	case !c.good():
		return fmt.Errorf("%w: %w", wire.ErrPermissions, wire.ErrUnsigned)
	}
	return nil
}

// adopt makes a table the one to decide by. The key of its tags comes first, so that no
// card is unknown in between; without an answer the table does not wait for it.
func (l *follower) adopt(c *candidate, lost []wire.Lost) error {
	ctx, cancel := context.WithTimeout(l.g.ctx, askTime)
	defer cancel()
	if err := l.g.getKey(ctx, l.nc, &view{table: c.table.Table()}); err != nil {
		l.g.failed("get the key of tags", err)
	}
	return l.g.adopt(c, lost)
}
