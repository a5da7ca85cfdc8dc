package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"golang.org/x/time/rate"

	"gatehouse/schemas/wire"
)

const (
	// askEvery is how often a gateway asks whether its table is current, at least. It is a
	// third of the shortest lease that is usual (critical doors, 30 s).
	askEvery = 10 * time.Second
	// askTime is how long an answer is waited for.
	askTime = 6 * time.Second
	// silentFor is after which time without an answer the gateway counts as offline.
	silentFor = 30 * time.Second
	// told is how many changes may wait to be taken; beyond them they are asked for.
	told = 4096
	// maxPages bounds how many pages one catching up takes: a base of 4 GiB.
	maxPages = 10_000
)

// link speaks with the service about the table, the lease and the key. It is one
// goroutine, and asks one thing at a time.
type link struct {
	g    *Gateway
	nc   *nats.Conn
	msgs chan *nats.Msg
	pace *rate.Limiter // of requests; the service refuses a gateway that asks too much
	wait time.Duration // before the next attempt after a failure
	next time.Time     // when to ask again, by the clock of timers
	// greeted says that the service has told where the records end, on this connection.
	greeted bool
	lost    []wire.Lost // what restores lost, as the service told last
}

func newLink(g *Gateway, nc *nats.Conn) *link {
	return &link{g: g, nc: nc, msgs: make(chan *nats.Msg, told), pace: rate.NewLimiter(8, 40)}
}

// run follows the permissions and renews the lease until the context ends.
func (l *link) run(ctx context.Context) error {
	sub, err := l.nc.ChanSubscribe(wire.TableSubject(l.g.cfg.Org, l.g.cfg.Site), l.msgs)
	if err != nil {
		return fmt.Errorf("edge: listen for permissions: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(max(0, time.Until(l.next)))
		select {
		case <-ctx.Done():
			return nil
		case <-l.g.connected:
			l.greeted, l.wait = false, 0
		case msg := <-l.msgs:
			if !l.greeted || l.hear(msg) {
				continue
			}
		case <-timer.C:
		}
		l.next = time.Now().Add(askEvery)
		if err := l.ask(ctx); err != nil && ctx.Err() == nil {
			l.wait = min(max(2*l.wait, 250*time.Millisecond), askEvery)
			l.next = time.Now().Add(retryAfter(err, l.wait))
			l.g.failed("ask the service", err)
			continue
		}
		l.wait = 0
	}
}

// retryAfter is when to try again after an error.
func retryAfter(err error, otherwise time.Duration) time.Duration {
	if refused, ok := errors.AsType[*wire.AskError](err); ok && refused.RetryMS > 0 {
		return max(otherwise, time.Duration(refused.RetryMS)*time.Millisecond)
	}
	return otherwise
}

// hear takes a change that was told, with all others that wait. It reports whether there
// is nothing to ask: a change that was taken is told by asking for the lease.
func (l *link) hear(msg *nats.Msg) (done bool) {
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
		if err := l.adopt(c); err != nil {
			l.g.failed("take over permissions", err)
		}
		return false
	}
}

func (l *link) drain() {
	for {
		select {
		case <-l.msgs:
		default:
			return
		}
	}
}

// ask greets the service if that is due, and asks until the table is current.
func (l *link) ask(ctx context.Context) error {
	if !l.greeted {
		if err := l.hello(ctx); err != nil {
			return err
		}
	}
	for range 20 {
		current, err := l.lease(ctx)
		if err != nil || current {
			return err
		}
		if err := l.catchUp(ctx); err != nil {
			return err
		}
		if l.g.offered.Load() != nil {
			return nil // somebody has to look at it
		}
	}
	return errors.New("the table changes faster than it is followed")
}

// request asks the service. The answer tells the time too.
func (l *link) request(ctx context.Context, a *wire.Ask, lines ...[]byte) (sent time.Duration, answer *wire.Answer, rest [][]byte, err error) {
	if err := l.pace.Wait(ctx); err != nil {
		return 0, nil, nil, err
	}
	return l.g.request(ctx, l.nc, a, lines)
}

func (l *link) hello(ctx context.Context) error {
	_, answer, _, err := l.request(ctx, &wire.Ask{Type: wire.AskHello, Software: l.g.cfg.Software})
	if err != nil {
		return err
	}
	if answer.Site != l.g.cfg.Site {
		return fmt.Errorf("edge: gateway %s is of the site %s by the ledger, and enrolled for %s; enrol it again", l.g.cfg.ID, answer.Site, l.g.cfg.Site)
	}
	if answer.Records == nil {
		return errors.New("edge: the service does not tell where the records end")
	}
	if err := l.g.resume(ctx, l.nc, *answer.Records); err != nil {
		return err
	}
	l.greeted = true
	return nil
}

// lease asks whether the table is current, and renews the lease by the answer.
func (l *link) lease(ctx context.Context) (current bool, err error) {
	head := l.g.tables.head()
	sent, answer, _, err := l.request(ctx, &wire.Ask{Type: wire.AskLease, Epoch: head.Epoch, N: head.N, Digest: head.Digest, ClockErrorMS: l.g.clockErrorMS()})
	if err != nil {
		return false, err
	}
	if l.lost = answer.Lost; answer.Epoch == head.Epoch && !l.g.clone.Load() {
		l.g.clock.renew(sent, answer.Time, answer.Current, answer.Since)
	}
	return answer.Current, nil
}

// catchUp asks for what the table lacks, page by page. Messages that do not lead on are
// given up for all of the table.
func (l *link) catchUp(ctx context.Context) error {
	head := l.g.tables.head()
	err := l.pages(ctx, &wire.Ask{Type: wire.AskTable, Epoch: head.Epoch, N: head.N, Digest: head.Digest})
	if errors.Is(err, wire.ErrPermissions) && head.N > 0 {
		l.g.failed("follow the permissions; all of them are asked for", err)
		err = l.pages(ctx, &wire.Ask{Type: wire.AskTable})
	}
	return err
}

func (l *link) pages(ctx context.Context, a *wire.Ask) error {
	var c *candidate
	for range maxPages {
		_, answer, messages, err := l.request(ctx, a)
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
		if c.good() {
			if err := l.adopt(c); err != nil {
				return err
			}
		}
		if answer.Page == "" {
			return l.end(c)
		}
		a.Page = answer.Page
	}
	return errors.New("edge: the permissions have no end")
}

// end says whether a table that was caught up may be decided by.
func (l *link) end(c *candidate) error {
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
func (l *link) adopt(c *candidate) error {
	version := c.table.Table().TagKey()
	if version > 0 && !l.g.tags.has(version) {
		ctx, cancel := context.WithTimeout(l.g.ctx, askTime)
		err := l.fetchKey(ctx, version)
		cancel()
		if err != nil {
			l.g.failed("get the key of tags", err)
		}
	}
	return l.g.adopt(c, l.lost)
}

// fetchKey asks for the key of tags.
func (l *link) fetchKey(ctx context.Context, version uint32) error {
	box, err := nkeys.CreateCurveKeys()
	if err != nil {
		return err
	}
	defer box.Wipe()
	public, err := box.PublicKey()
	if err != nil {
		return err
	}
	proof, err := l.g.cfg.Key.Sign(wire.KeyStatement(l.g.cfg.Org, l.g.cfg.ID, version, public))
	if err != nil {
		return err
	}
	_, answer, _, err := l.request(ctx, &wire.Ask{Type: wire.AskKey, Version: version, Box: public, Proof: proof})
	if err != nil {
		return err
	}
	key, err := unsealKey(box, answer)
	if err != nil {
		return err
	}
	return l.g.tags.set(version, key)
}
