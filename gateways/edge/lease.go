package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
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
	// asksASecond bounds the requests for leases while changes come without end. Some more
	// may come at once.
	asksASecond, asksAtOnce = 5, 20
)

// leaser greets the service and renews the lease. A request with the head of the table is
// the receipt of that too, so one is sent at once when the table changes, but not more
// often than the service takes them. It is one goroutine.
type leaser struct {
	g    *Gateway
	nc   *nats.Conn
	pace *rate.Limiter
	wait time.Duration // before the next attempt after a failure
	// greeted says that the service has told where the records end, on this connection.
	greeted bool
}

func newLeaser(g *Gateway, nc *nats.Conn) *leaser {
	return &leaser{g: g, nc: nc, pace: rate.NewLimiter(asksASecond, asksAtOnce)}
}

// run renews the lease until the context ends.
func (l *leaser) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.g.connected:
			l.greeted, l.wait = false, 0
		case <-l.g.changed:
		case <-timer.C:
		}
		if err := l.pace.Wait(ctx); err != nil {
			return nil
		}
		next := askEvery
		if err := l.ask(ctx); err != nil && ctx.Err() == nil {
			l.wait = min(max(2*l.wait, 250*time.Millisecond), askEvery)
			next = retryAfter(err, l.wait)
			l.g.failed("ask the service", err)
		} else {
			l.wait = 0
		}
		timer.Reset(next)
	}
}

// ask greets the service if that is due, and asks for the lease.
func (l *leaser) ask(ctx context.Context) error {
	if !l.greeted {
		err := l.hello(ctx)
		if errors.Is(err, ErrOutboxFull) { // the doors need the lease all the same
			l.g.failed("store records at the service", err)
		} else if err != nil {
			return err
		}
	}
	return l.lease(ctx)
}

func (l *leaser) hello(ctx context.Context) error {
	_, answer, _, err := l.g.request(ctx, l.nc, &wire.Ask{Type: wire.AskHello, Software: l.g.cfg.Software}, nil)
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
func (l *leaser) lease(ctx context.Context) error {
	head := l.g.tables.view.Load().headOf()
	sent, answer, _, err := l.g.request(ctx, l.nc, &wire.Ask{Type: wire.AskLease, Epoch: head.Epoch, N: head.N, Digest: head.Digest, ClockErrorMS: l.g.clockErrorMS(), DeviceN: l.g.codes.upto(head.Epoch)}, nil)
	if err != nil {
		return err
	}
	if answer.Epoch == head.Epoch && !l.g.clone.Load() {
		l.g.clock.renew(sent, answer.Time, answer.Current, answer.Since)
		if l.g.clone.Load() { // it was found out meanwhile
			l.g.clock.drop()
		}
	}
	if answer.Current {
		return l.g.getKey(ctx, l.nc, l.g.tables.view.Load())
	}
	// A table that is offered is asked for again once restores lost all that this one has more.
	if l.g.offered.Load() == nil || covered(l.g.latest(), wire.PermissionHead{Epoch: answer.Epoch}, answer.Lost, l.g.cfg.Org, l.g.cfg.LogKey) {
		select {
		case l.g.behind <- behind{head, answer.Lost}:
		default: // it knows
		}
	}
	return nil
}
