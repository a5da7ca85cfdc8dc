// Package control speaks with lock gateways: it answers their requests, sends them orders
// and records the outcome. Today there is one order: a door opens once for a remote unlock.
//
// # Requests
//
// A gateway asks on its own subject, and whatever instance is free answers: where its
// records end, whether its table is current, what it lacks of it, the key of its site's
// tags, and to store its records. A gateway reaches no stream and needs no consumer: the
// changes of its site are told as they are published, and what it misses it asks for.
// So it can neither read nor hold up anything of another, and nothing is kept for one
// that is offline.
//
// # At most once
//
// A person who requests a remote unlock stands before the door, and is gone a minute
// later. So an order is a request of core NATS, which nothing stores. The instance
// whose append made the commit sends it, right after the commit and once. A repeated
// command, a replay and a restart send nothing. The orders that an instance left unsent
// when it ended are never sent: the timer records them as unknown. An order carries its
// expiry, so that one which was delayed on its way opens nothing either.
//
// # The outcome
//
// If the order reached nobody, the outcome is unreachable, and nothing opens. If the
// gateway answered, it is executed or refused. Anything else, including an answer that
// cannot be read, is unknown. The outcome is a command of its own, whose id derives
// from the request, so that it is recorded once however often it is sent.
//
// # Who may answer
//
// Only the gateway itself may subscribe to the subject of its orders. It may reply to
// the subject that an order names, which no other gateway knows or may publish to
// (gateways/admission).
package control

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/vault"
	"gatehouse/gateways/receipts"
	"gatehouse/schemas/wire"
)

// atOnce bounds how many orders of all orgs are in flight. Further ones are not sent.
// The domain bounds the orders of one org.
const atOnce = 1000

// Actor is the actor of the commands that record outcomes.
var Actor = domain.ServiceActor("control")

// Config configures a Control. Every field is required.
type Config struct {
	Conn   *nats.Conn // to the account of the streams, which imports the subjects of the gateways' orders
	Store  *eventstore.Store
	Tables Tables // what is published
	// Receipts is told what each gateway enforces.
	Receipts *receipts.Tracker
	Keys     vault.Keeper       // of tags
	LogKey   ed25519.PrivateKey // signs what a restore lost
	Metrics  prometheus.Registerer
	Now      func() time.Time // the clock
	Log      *slog.Logger
}

// A Control sends the orders that commits of this instance ask for.
type Control struct {
	cfg     Config
	metrics *metrics
	places  chan struct{} // one for each order in flight
	asking  asking        // budgets of the gateways' requests
	stale   *staleness
	ctx     context.Context // canceled when a stop cannot wait any longer
	cancel  context.CancelFunc

	mu      sync.Mutex     // guards the fields below
	stopped bool           // nothing is sent any longer
	running sync.WaitGroup // orders in flight
}

// New makes a control. No goroutine runs until there is an order.
func New(cfg Config) *Control {
	c := &Control{cfg: cfg, metrics: newMetrics(cfg.Metrics), places: make(chan struct{}, atOnce), asking: asking{gateways: map[string]*asker{}}}
	c.stale = newStaleness(c)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Accepted sends the orders of a command that this instance accepted. It returns at
// once.
func (c *Control) Accepted(org domain.ID, req eventstore.Request, result eventstore.Result) {
	if req.DryRun || result.Repeated {
		return
	}
	for _, e := range result.Opened {
		if asked, ok := e.(domain.RemoteUnlockRequested); ok && asked.Gateway != "" {
			c.start(task{cause: req.ID, gateway: asked.Gateway, order: wire.Order{
				Type: wire.OrderRemoteUnlock, ID: wire.ID(asked.Request), Org: wire.ID(org), Door: wire.ID(asked.Door), Person: wire.ID(asked.Person), Grant: asked.Grant,
				At: result.At, ValidUntil: result.At.Add(domain.RemoteUnlockValid),
			}})
		}
	}
}

// task is an order in flight.
type task struct {
	order   wire.Order
	gateway domain.ID
	cause   domain.UUID // the command that asked for it
}

// start carries out an order in a goroutine. While the service stops, it leaves the
// order to the timer.
func (c *Control) start(t task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	c.running.Go(func() { _ = c.cfg.Store.Guard("control", domain.ID(t.order.Org), "", func() { c.carryOut(t) }) }) // after a panic the timer records the outcome
}

// carryOut sends an order and records the outcome.
func (c *Control) carryOut(t task) {
	began := c.cfg.Now()
	outcome, code := c.send(&t)
	took := c.cfg.Now().Sub(began)
	c.metrics.sent(outcome, took)
	c.cfg.Log.Info("a remote unlock was carried out", "org", t.order.Org, "gateway", t.gateway, "door", t.order.Door,
		"request", t.order.ID, "outcome", outcome, "code", code, "took_ms", took.Milliseconds())
	c.settle(&t, outcome, code)
}

// Stop waits until the outcomes of all orders in flight are recorded, or the context
// ends. Call it after the last command, and before the store is closed.
func (c *Control) Stop(ctx context.Context) error {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	defer context.AfterFunc(ctx, c.cancel)()
	c.running.Wait()
	c.cancel()
	return nil
}

// send sends the order and waits for the answer until the order expires.
func (c *Control) send(t *task) (domain.UnlockOutcome, domain.RefusalCode) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	default:
		c.cfg.Log.Warn("an order is not sent, too many are under way", "org", t.order.Org, "gateway", t.gateway, "under_way", atOnce)
		return domain.UnlockUnreachable, ""
	}
	left := min(t.order.ValidUntil.Sub(c.cfg.Now()), domain.RemoteUnlockValid)
	// A connection that is being re-established would delay the order.
	if left <= 0 || !c.cfg.Conn.IsConnected() {
		return domain.UnlockUnreachable, ""
	}
	body, err := json.Marshal(&t.order)
	if err != nil {
		c.cfg.Log.Error("an order cannot be written", "org", t.order.Org, "request", t.order.ID, "error", err)
		return domain.UnlockUnreachable, ""
	}
	ctx, cancel := context.WithTimeout(c.ctx, left)
	defer cancel()
	msg, err := c.cfg.Conn.RequestWithContext(ctx, wire.OrderSubject(t.order.Org, wire.ID(t.gateway)), body)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return domain.UnlockUnreachable, ""
	case err != nil:
		return domain.UnlockUnknown, ""
	}
	answer, err := wire.DecodeOrderAnswer(&t.order, msg.Data)
	if err != nil {
		c.cfg.Log.Warn("a gateway's answer cannot be read", "org", t.order.Org, "gateway", t.gateway, "request", t.order.ID, "error", err)
		return domain.UnlockUnknown, ""
	}
	return domain.UnlockOutcome(answer.Outcome), domain.RefusalCode(answer.Code)
}

// pauses are the delays before each attempt to record an outcome. When all fail, the
// timer records it.
var pauses = []time.Duration{0, 100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}

// settleSpace is the name space of the ids of the commands that record outcomes.
var settleSpace = domain.DeriveUUID(domain.UUID{}, "gatehouse/control")

// settle records the outcome of an order.
func (c *Control) settle(t *task, outcome domain.UnlockOutcome, code domain.RefusalCode) {
	req := eventstore.Request{ID: domain.DeriveUUID(settleSpace, string(t.order.ID)), Command: "SettleRemoteUnlock", Actor: Actor, Causation: &t.cause,
		Fields: []any{&domain.SettleRemoteUnlock{Request: domain.ID(t.order.ID), Outcome: outcome, Code: code}}}
	var err error
	for _, pause := range pauses {
		select {
		case <-time.After(pause):
		case <-c.ctx.Done():
		}
		var result eventstore.Result
		if result, err = c.cfg.Store.Execute(c.ctx, domain.ID(t.order.Org), req); err == nil {
			if len(result.Events) == 0 {
				err = errors.New("another outcome was there already")
			}
			break
		}
		if _, refused := errors.AsType[*domain.Refusal](err); refused || c.ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		c.metrics.lost.Inc()
		c.cfg.Log.Error("what became of a remote unlock is not on record", "org", t.order.Org, "gateway", t.gateway, "door", t.order.Door,
			"request", t.order.ID, "outcome", outcome, "error", err)
	}
}
