// Package control tells lock gateways what to do now, and puts on record what became
// of it. Today that is one thing: a door opens once for a remote unlock.
//
// # Once, or not at all
//
// Who asks for a door to open stands before it, and is gone a minute later. So an
// order is a request of core NATS, which nothing stores: the instance whose append
// made the commit sends it, right after that and once. A command that is repeated, a
// replay and a restart send nothing. What an instance left undone when it ended is
// never done: time puts it on record as unknown. The order says until when it is
// good, so that one which was held up on its way opens nothing either.
//
// # What is known of it
//
// The order reached nobody: unreachable, and nothing opens. The gateway answered:
// executed or refused. Anything else, an answer that cannot be read included, is
// unknown. The outcome is a command of its own, whose id follows from the request,
// so that it is on record once however often it is sent.
//
// # Who answers
//
// The subject of a gateway's orders is one that it alone may hear, and it may answer
// to the subject that an order names, which no other gateway knows or may publish to
// (gateways/admission).
package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// atOnce bounds how many orders of all orgs are under way. What comes above that is
// not sent. The orders of one org are bounded by the domain.
const atOnce = 1000

// Actor is who puts on record what became of an order.
var Actor = domain.ServiceActor("control")

// Config is what it needs; all of it is required.
type Config struct {
	Conn    *nats.Conn // to the account of the streams, which imports the subjects of the gateways' orders
	Store   *eventstore.Store
	Metrics prometheus.Registerer
	Now     func() time.Time // the clock
	Log     *slog.Logger
}

// A Control sends the orders that commits of this instance ask for.
type Control struct {
	cfg     Config
	metrics *metrics
	places  chan struct{}   // one for each order under way
	ctx     context.Context // ended when a stop cannot wait any longer
	cancel  context.CancelFunc

	mu      sync.Mutex     // guards what follows
	stopped bool           // nothing is sent any more
	running sync.WaitGroup // orders under way
}

// New makes a control. Nothing runs until there is an order.
func New(cfg Config) *Control {
	c := &Control{cfg: cfg, metrics: newMetrics(cfg.Metrics), places: make(chan struct{}, atOnce)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Accepted takes a command that this instance accepted, and sends what its commit
// asks for. It returns at once.
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

// task is an order on its way.
type task struct {
	order   wire.Order
	gateway domain.ID
	cause   domain.UUID // the command that asked for it
}

// start carries an order out beside everything else. While the service stops it is
// left to time.
func (c *Control) start(t task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	c.running.Go(func() { _ = c.cfg.Store.Guard("control", domain.ID(t.order.Org), "", func() { c.carryOut(t) }) }) // time records what is left
}

// carryOut sends an order and puts on record what became of it.
func (c *Control) carryOut(t task) {
	began := c.cfg.Now()
	outcome, code := c.send(&t)
	took := c.cfg.Now().Sub(began)
	c.metrics.sent(outcome, took)
	c.cfg.Log.Info("a remote unlock was carried out", "org", t.order.Org, "gateway", t.gateway, "door", t.order.Door,
		"request", t.order.ID, "outcome", outcome, "code", code, "took_ms", took.Milliseconds())
	c.settle(&t, outcome, code)
}

// Stop waits until the orders under way have their outcome on record, or the context
// ends. It comes after the last command, and before the store is closed.
func (c *Control) Stop(ctx context.Context) error {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	defer context.AfterFunc(ctx, c.cancel)()
	c.running.Wait()
	c.cancel()
	return nil
}

// Subject is where a gateway hears its orders.
func Subject(org, gateway domain.ID) string {
	return "control." + string(org) + "." + string(gateway) + ".do"
}

// send sends the order and waits for the answer, for as long as the order is good.
func (c *Control) send(t *task) (domain.UnlockOutcome, domain.RefusalCode) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	default:
		c.cfg.Log.Warn("an order is not sent, too many are under way", "org", t.order.Org, "gateway", t.gateway, "under_way", atOnce)
		return domain.UnlockUnreachable, ""
	}
	left := min(t.order.ValidUntil.Sub(c.cfg.Now()), domain.RemoteUnlockValid)
	// A connection that is being made anew would hold the order back.
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
	msg, err := c.cfg.Conn.RequestWithContext(ctx, Subject(domain.ID(t.order.Org), t.gateway), body)
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

// pauses lie between the attempts to put an outcome on record; time does it when all
// of them fail.
var pauses = []time.Duration{0, 100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}

// settleSpace is the name space of the ids of the commands that put outcomes on
// record.
var settleSpace = domain.DeriveUUID(domain.UUID{}, "gatehouse/control")

// settle puts the outcome of an order on record.
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
