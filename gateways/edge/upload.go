package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"gatehouse/failpoint"
	"gatehouse/schemas/wire"
)

// uploadEvery is the least time between two requests to store records: what happens in
// between goes together, and the service refuses a gateway that asks too often.
const uploadEvery = 150 * time.Millisecond

// errLineLost says that the connection was lost on which a request was sent.
var errLineLost = errors.New("the connection was lost before the answer came")

// line is a connection to the service. An answer to what was sent on it comes on no other
// one, so nobody waits for it once the connection is lost.
type line struct {
	ctx  context.Context
	lose context.CancelFunc
}

func newLine() *line {
	l := new(line)
	l.ctx, l.lose = context.WithCancel(context.Background())
	return l
}

// request asks the service. Any answer tells the time, and that the service is there.
func (g *Gateway) request(ctx context.Context, nc *nats.Conn, a *wire.Ask, lines [][]byte) (sent time.Duration, answer *wire.Answer, rest [][]byte, err error) {
	body, err := wire.EncodeAsk(a, lines)
	if err != nil {
		return 0, nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	line := g.line.Load()
	defer context.AfterFunc(line.ctx, cancel)()
	sent = g.clock.boot()
	msg, err := nc.RequestWithContext(ctx, wire.AskSubject(g.cfg.Org, g.cfg.ID), body)
	if err != nil && line.ctx.Err() != nil {
		err = errLineLost
	}
	if err != nil {
		return sent, nil, nil, fmt.Errorf("edge: ask for %s: %w", a.Type, err)
	}
	answer, rest, err = wire.DecodeAnswer(msg.Data)
	if answer != nil && !answer.Time.IsZero() {
		g.heard(sent, answer.Time)
	}
	return sent, answer, rest, err
}

// heard takes the time of the service.
func (g *Gateway) heard(sent time.Duration, at time.Time) {
	off := g.clock.hear(sent, at)
	g.status.heard(g, off)
}

// upload sends the records to the service until the context ends.
func (g *Gateway) upload(ctx context.Context, nc *nats.Conn) error {
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	ready := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.resumed:
			ready = true
		case <-g.outbox.Added():
		case <-again.C:
		}
		if !ready {
			continue
		}
		wait, err := g.uploadAll(ctx, nc)
		if err != nil && ctx.Err() == nil {
			g.failed("store records at the service", err)
		}
		if err != nil {
			again.Reset(wait)
		}
	}
}

// uploadAll sends what waits. After an error it says how long to wait.
func (g *Gateway) uploadAll(ctx context.Context, nc *nats.Conn) (time.Duration, error) {
	for {
		bodies, err := g.outbox.Next()
		if err != nil || len(bodies) == 0 {
			return askEvery, err
		}
		_, answer, _, err := g.request(ctx, nc, &wire.Ask{Type: wire.AskRecords}, bodies)
		failpoint.Reached(failpoint.UploadAnswered)
		if answer != nil && answer.Records != nil {
			// With a refusal too: what it says of the end decides what to send.
			if e := g.resumeAt(ctx, *answer.Records); e != nil {
				return askEvery, e
			}
		}
		if err != nil {
			return retryAfter(err, time.Second), err
		}
		g.metrics.uploaded.Add(float64(len(bodies)))
		if pause(ctx, uploadEvery); ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

// resume takes where the records end at the service, on a new connection. A box that does
// not have the whole local state gets it from its records there.
func (g *Gateway) resume(ctx context.Context, nc *nats.Conn, end wire.RecordsEnd) error {
	if err := g.resumeAt(ctx, end); err != nil {
		return err
	}
	whole := true
	if err := g.engine.exec(ctx, func() { whole = g.engine.local.Whole }); err != nil {
		return err
	}
	if !whole {
		if err := g.inherit(ctx, nc, end); err != nil {
			return err
		}
	}
	signal(g.resumed)
	return nil
}

// resumeAt takes where the records end at the service. Where those here do not follow, the
// engine waits until they have their place.
func (g *Gateway) resumeAt(ctx context.Context, end wire.RecordsEnd) error {
	follows, err := g.outbox.Confirm(end)
	if err == nil && !follows {
		stopped := g.engine.exec(ctx, func() {
			if err = g.outbox.Resume(end); err == nil {
				g.engine.local.Folded = g.outbox.Last() // what is here is folded, whatever its counter
			}
		})
		err = errors.Join(stopped, err)
	}
	if is := errors.Is(err, ErrCloned); is || err == nil {
		g.status.cloned(is)
		if g.clone.Store(is); is {
			g.clock.drop() // of two boxes with one identity, one serves
		}
	}
	return err
}

// inherit makes the local state from records: those of the service up to an end, and
// those behind them here.
func (g *Gateway) inherit(ctx context.Context, nc *nats.Conn, end wire.RecordsEnd) error {
	past := newLocal()
	a := &wire.Ask{Type: wire.AskHistory}
	for range maxPages {
		if end.K == 0 {
			return g.engine.takeOver(ctx, past, end)
		}
		_, answer, lines, err := g.request(ctx, nc, a, nil)
		if err != nil {
			return err
		}
		for _, line := range lines {
			r, err := wire.DecodeActivity(line)
			if err == nil && r.K <= end.K {
				err = past.fold(r)
			}
			if err != nil {
				g.cfg.Log.Error("a record of the past is not folded into the local state", "error", err)
			}
		}
		if answer.Page == "" {
			return g.engine.takeOver(ctx, past, end)
		}
		a.Page = answer.Page
		if err := g.pages.Wait(ctx); err != nil {
			return err
		}
	}
	return errors.New("edge: the records of the past have no end")
}

// adopt makes a table the one to decide by. One of a later epoch is taken only if nothing
// that was seen here lies beyond what the restore lost: else only what both tables allow
// is allowed.
func (g *Gateway) adopt(c *candidate, lost []wire.Lost) error {
	before, next := g.tables.seen, c.table.Head()
	if before.N > 0 && next.Epoch > before.Epoch && !covered(before, next, lost, g.cfg.Org, g.cfg.LogKey) {
		g.offered.Store(&view{table: c.table.Table(), head: next, digest: next.Digest.String()})
		g.status.unapplied(fmt.Errorf("the ledger was restored to before %s, which this gateway has seen, and does not say that it was lost", before))
		g.swap()
		return nil
	}
	if err := g.tables.adopt(c); err != nil {
		return err
	}
	if next.Epoch != before.Epoch {
		g.clock.drop()
	}
	g.offered.Store(nil)
	g.status.unapplied(nil)
	g.metrics.applied.Inc()
	g.swap()
	if g.cfg.Applied != nil {
		g.cfg.Applied(next)
	}
	return nil
}

// swap tells of another table.
func (g *Gateway) swap() {
	signal(g.swapped)
	g.codes.wake()
}

// covered reports whether restores lost all that the second head lacks of the first.
// Each of them is signed, and tells the range of positions that it lost.
func covered(before wire.Position, next wire.PermissionHead, lost []wire.Lost, org wire.ID, key []byte) bool {
	for epoch := before.Epoch + 1; epoch <= next.Epoch; epoch++ {
		found := false
		for _, l := range lost {
			found = found || l.Epoch == epoch && l.SignedBy(org, key) && before.N <= l.To
		}
		if !found {
			return false
		}
	}
	return true
}
