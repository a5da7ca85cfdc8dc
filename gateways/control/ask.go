package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"golang.org/x/time/rate"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/failpoint"
	"gatehouse/gateways/receipts"
	"gatehouse/projections/permissions"
	"gatehouse/schemas/wire"
)

// The budgets of requests. A gateway that asks for more is answered too_fast, and loses
// nothing: it keeps its records and its table.
const (
	askers       = 32     // requests that are answered at once
	asksWaiting  = 256    // requests that wait, of at most wire.MaxAsk bytes each
	perGateway   = 4      // requests of one gateway that wait or are answered
	asksPerSec   = 20     // of one gateway
	asksAtOnce   = 100    // of one gateway after a pause
	recordsPerS  = 10_000 // of one gateway: a busy week of 200,000 takes 20 s
	recordsBurst = 20_000 // of one gateway after a pause
	askTime      = 5 * time.Second
	currentTime  = 300 * time.Millisecond // for the projector to reach the ledger's head: an org that lags holds up no other for longer
)

// askQueue is the group of instances that answer.
const askQueue = "gatehouse-control"

// Tables tells what is published for gateways. [permissions.Projector] is one.
type Tables interface {
	Wait(ctx context.Context, org domain.ID, n uint64) error
	Head(org, site domain.ID) (wire.PermissionHead, bool)
	Since(ctx context.Context, org, site domain.ID, head wire.PermissionHead) (time.Time, error)
	Table(org, site domain.ID) *unlock.Table
	Tables(ctx context.Context, org, site domain.ID, before func(wire.PermissionHead) bool, f func(*unlock.Table, wire.PermissionHead) error) error
	Missing(ctx context.Context, org, site domain.ID, head wire.PermissionHead, page string, size int) (permissions.Page, error)
}

// asking is the state of the answers to requests.
type asking struct {
	mu       sync.Mutex
	gateways map[string]*asker // by org and gateway; those that were quiet for long are dropped
}

// asker is the budget of one gateway.
type asker struct {
	asks, records *rate.Limiter
	under         int // requests that wait or are answered
	last          time.Time
}

// enter takes a place for a request of a gateway.
func (a *asking) enter(name string, now time.Time) (g *asker, why *wire.AskError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g = a.gateways[name]; g == nil {
		a.forget(now)
		g = &asker{asks: rate.NewLimiter(asksPerSec, asksAtOnce), records: rate.NewLimiter(recordsPerS, recordsBurst)}
		a.gateways[name] = g
	}
	g.last = now
	if g.under >= perGateway || !g.asks.AllowN(now, 1) {
		return nil, &wire.AskError{Code: wire.AskTooFast, Message: "too many requests of this gateway; wait and ask again", RetryMS: 1000}
	}
	g.under++
	return g, nil
}

func (a *asking) leave(g *asker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g.under--
}

// forget drops the budgets that are full again.
func (a *asking) forget(now time.Time) {
	for name, g := range a.gateways {
		if g.under == 0 && now.Sub(g.last) > time.Minute {
			delete(a.gateways, name)
		}
	}
}

// Answer answers the requests of gateways until the context ends. Call it after the orgs
// are loaded.
func (c *Control) Answer(ctx context.Context) error {
	waiting := make(chan *question, asksWaiting)
	sub, err := c.cfg.Conn.QueueSubscribe(wire.EveryAsk, askQueue, func(msg *nats.Msg) { c.take(msg, waiting) })
	if err != nil {
		return fmt.Errorf("control: listen for the requests of gateways: %w", err)
	}
	var running sync.WaitGroup
	for range askers {
		running.Go(func() {
			for {
				select {
				case q := <-waiting:
					// After a panic there is no answer, and it is asked again.
					_ = c.cfg.Store.Guard("control", q.org, "", func() { c.answer(ctx, q) })
				case <-ctx.Done():
					return
				}
			}
		})
	}
	running.Go(func() { c.stale.run(ctx) })
	<-ctx.Done()
	err = sub.Unsubscribe()
	running.Wait()
	if errors.Is(err, nats.ErrConnectionClosed) {
		return nil
	}
	return err
}

// take lets a request wait for its turn if its gateway has a place for it. One that asks
// too much is told so at once, and takes no place of another. The subject tells who asks:
// no gateway may publish on that of another (gateways/admission).
func (c *Control) take(msg *nats.Msg, waiting chan<- *question) {
	parts := strings.Split(msg.Subject, ".")
	q := &question{org: domain.ID(parts[1]), gateway: domain.ID(parts[2]), msg: msg}
	var why *wire.AskError
	if q.budget, why = c.asking.enter(string(q.org)+"/"+string(q.gateway), c.cfg.Now()); why == nil {
		select {
		case waiting <- q:
			return
		default:
			c.asking.leave(q.budget)
			why = &wire.AskError{Code: wire.AskUnavailable, Message: "too many gateways ask at once; wait and ask again", RetryMS: 1000}
		}
	}
	c.respond(q, &wire.Answer{Error: why}, nil)
}

// answer answers one request.
func (c *Control) answer(ctx context.Context, q *question) {
	defer c.asking.leave(q.budget)
	began := time.Now()
	answer, lines, err := c.answerTo(ctx, q)
	if err != nil {
		answer, lines = c.refuse(q, answer, err), nil
	}
	c.respond(q, answer, lines)
	failpoint.Reached(failpoint.AskAnswered)
	c.metrics.answered(q.ask.Type, answer.Error, time.Since(began))
}

// respond sends an answer. Without a subject for it nobody waits.
func (c *Control) respond(q *question, answer *wire.Answer, lines [][]byte) {
	if q.msg.Reply == "" {
		return
	}
	answer.Time = c.cfg.Now().UTC()
	body, err := wire.EncodeAnswer(answer, lines)
	if err == nil {
		err = q.msg.Respond(body)
	}
	if err != nil {
		c.cfg.Log.Warn("a request of a gateway could not be answered", "org", q.org, "gateway", q.gateway, "request", q.ask.Type, "error", err)
	}
}

// question is a request that is being answered.
type question struct {
	msg                *nats.Msg
	budget             *asker // that it has a place of
	org, gateway, site domain.ID
	came               time.Time     // before the ledger's end was read
	ledger             wire.Position // of the last commit of the org when its turn came
	key                domain.GatewayKey
	tagKey             int // version of the site's key of tags
	ask                wire.Ask
	lines              [][]byte
}

// refuse makes the answer of a refusal. A fault of the service is logged, and told without
// its details.
func (c *Control) refuse(q *question, answer *wire.Answer, err error) *wire.Answer {
	refused, ok := errors.AsType[*wire.AskError](err)
	if !ok {
		c.cfg.Log.Warn("a request of a gateway failed", "org", q.org, "gateway", q.gateway, "request", q.ask.Type, "error", err)
		refused = &wire.AskError{Code: wire.AskUnavailable, Message: "the service cannot answer now; ask again", RetryMS: 1000}
	} else if refused.Code == wire.AskForked {
		c.cfg.Log.Error("records of a gateway do not follow those stored: two boxes may have its identity", "org", q.org, "gateway", q.gateway, "error", err)
	}
	if answer == nil {
		answer = &wire.Answer{}
	}
	answer.Error = refused
	return answer
}

// answerTo answers a request, or refuses it.
func (c *Control) answerTo(ctx context.Context, q *question) (*wire.Answer, [][]byte, error) {
	ask, lines, err := wire.DecodeAsk(q.msg.Data)
	if err != nil {
		return nil, nil, err
	}
	q.ask, q.lines = *ask, lines
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := c.identify(ctx, q); err != nil {
		return nil, nil, err
	}
	switch q.ask.Type {
	case wire.AskHello:
		c.stale.ask(outboxName{q.org, q.site, q.gateway}) // what was stored before this instance began
		end, err := c.cfg.Store.RecordsEnd(ctx, q.org, q.site, q.gateway)
		return &wire.Answer{Site: wire.ID(q.site), Records: &end}, nil, err
	case wire.AskLease:
		answer, err := c.lease(ctx, q)
		return answer, nil, err
	case wire.AskTable:
		return c.table(ctx, q)
	case wire.AskKey:
		answer, err := c.tagKey(ctx, q)
		return answer, nil, err
	case wire.AskPins:
		return c.pins(ctx, q)
	case wire.AskHistory:
		return c.history(ctx, q)
	case wire.AskRecords:
		answer, err := c.takeRecords(ctx, q)
		return answer, nil, err
	}
	return nil, nil, &wire.AskError{Code: wire.AskUnknown, Message: fmt.Sprintf("%.40q is no request that this version of the service knows; update it", q.ask.Type)}
}

// identify finds the site of the gateway in the ledger as it is now: another instance may
// have retired the gateway an instant ago, and with it changed the key of tags. A
// connection that is being cut off may still ask.
func (c *Control) identify(ctx context.Context, q *question) error {
	q.came = c.cfg.Now()
	head, err := c.cfg.Store.Head(ctx, q.org)
	if err != nil {
		return err
	}
	q.ledger = head.Position()
	return c.cfg.Store.View(ctx, q.org, func(s *domain.State, _ eventstore.Head) error {
		g, ok := s.Gateways.Get(q.gateway)
		if !ok || g.Retired != "" {
			return &wire.AskError{Code: wire.AskNotYours, Message: fmt.Sprintf("gateway %s serves no more", q.gateway)}
		}
		site, ok := s.Sites.Get(g.Site)
		if !ok {
			return fmt.Errorf("control: gateway %s is of the unknown site %s", q.gateway, g.Site)
		}
		q.site, q.key, q.tagKey = g.Site, g.PublicKey, int(site.TagKey())
		return nil
	})
}

func (q *question) head() wire.PermissionHead {
	return wire.PermissionHead{Epoch: q.ask.Epoch, N: q.ask.N, Digest: q.ask.Digest}
}

// lease tells whether the gateway's table is current. It waits until everything up to the
// ledger's head, as read now, is published: else a projector that stands still would
// renew leases on yesterday's permissions. Without a trusted clock there is no answer, for
// gateways decide by the time in it.
func (c *Control) lease(ctx context.Context, q *question) (*wire.Answer, error) {
	if err := c.cfg.Store.ClockTrusted(); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, currentTime)
	defer cancel()
	if err := c.cfg.Tables.Wait(waiting, q.org, q.ledger.N); err != nil {
		return nil, err
	}
	head, ok := c.cfg.Tables.Head(q.org, q.site)
	if !ok {
		return nil, &wire.AskError{Code: wire.AskUnavailable, Message: fmt.Sprintf("the permissions of the site %s are not published yet; ask again", q.site), RetryMS: 1000}
	}
	answer := &wire.Answer{Site: wire.ID(q.site), Epoch: head.Epoch, N: head.N}
	var err error
	if answer.Lost, err = c.lost(ctx, q, head.Epoch); err != nil {
		return nil, err
	}
	asks := q.head()
	if asks.Epoch == head.Epoch && asks.N == head.N && asks.Digest == head.Digest {
		answer.Current = true
		c.receive(q, answer, head)
		return answer, nil
	}
	if answer.Since, err = c.cfg.Tables.Since(ctx, q.org, q.site, asks); err != nil {
		return answer, err
	}
	c.receive(q, answer, head)
	return answer, nil
}

// receive takes the request for a lease as the receipt that it is. With the present table
// the gateway enforces everything up to the ledger's end as read when the request came;
// with an older one that was published, what that has. Devices that decide by themselves
// enforce what was read back from them. The gateway counts its lease from a moment before
// the request came, or from the first change that it lacks.
func (c *Control) receive(q *question, answer *wire.Answer, head wire.PermissionHead) {
	r := receipts.Receipt{Org: q.org, Site: q.site, Gateway: q.gateway, Table: q.head().Position(), Digest: q.ask.Digest, Current: answer.Current,
		Asked: q.came, Anchor: q.came, Lacks: answer.Since, ClockErrorMS: q.ask.ClockErrorMS, DeviceN: q.ask.DeviceN}
	switch {
	case answer.Current:
		r.Upto, r.Changed = q.ledger, head.At
	case !answer.Since.Equal(permissions.NotOfTheSite):
		r.Upto = r.Table
	}
	if !answer.Current && !answer.Since.IsZero() && answer.Since.Before(q.came) {
		r.Anchor = answer.Since
	}
	if q.ask.DeviceN > 0 && q.ask.DeviceN < q.ask.N {
		r.Upto = wire.Position{Epoch: r.Table.Epoch, N: min(r.Upto.N, q.ask.DeviceN)}
	}
	c.cfg.Receipts.Take(r)
}

// table gives a page of what the gateway's table lacks.
func (c *Control) table(ctx context.Context, q *question) (*wire.Answer, [][]byte, error) {
	page, err := c.cfg.Tables.Missing(ctx, q.org, q.site, q.head(), q.ask.Page, wire.MaxRecordsSize)
	if errors.Is(err, permissions.ErrNoSuchPage) {
		return nil, nil, &wire.AskError{Code: wire.AskMalformed, Message: "there is no such page any more; ask for the first one"}
	}
	if err != nil {
		return nil, nil, err
	}
	return &wire.Answer{Site: wire.ID(q.site), Base: page.Base, Page: page.Next}, page.Messages, nil
}

// tagKey gives the key of the site's tags, sealed to the gateway: to a key of the moment
// that the gateway's identity vouches for. It is the present one, or the one before, whose
// tags may still be published. One to come is told to nobody: a gateway that is stolen
// then would have the key that its theft makes.
func (c *Control) tagKey(ctx context.Context, q *question) (*wire.Answer, error) {
	identity, err := nkeys.FromPublicKey(string(q.key))
	if err != nil {
		return nil, err
	}
	if err := identity.Verify(wire.KeyStatement(wire.ID(q.org), wire.ID(q.gateway), q.ask.Version, q.ask.Box), q.ask.Proof); err != nil {
		return nil, &wire.AskError{Code: wire.AskMalformed, Message: "the proof is not the signature of the gateway's key over the request"}
	}
	if v := int(q.ask.Version); v < 1 || v > q.tagKey || v < q.tagKey-1 {
		return nil, &wire.AskError{Code: wire.AskNoKey, Message: fmt.Sprintf("version %d of the key of tags is not in use at site %s, which has %d", q.ask.Version, q.site, q.tagKey)}
	}
	key, err := c.cfg.Keys.TagKey(ctx, string(q.org), string(q.site), int(q.ask.Version))
	if err != nil {
		return nil, err
	}
	from, sealed, err := key.Seal(q.ask.Box)
	if err != nil {
		return nil, &wire.AskError{Code: wire.AskMalformed, Message: fmt.Sprintf("box %.60q is no public key of X25519, which begins with X", q.ask.Box)}
	}
	return &wire.Answer{Site: wire.ID(q.site), Version: uint32(key.Version), Key: sealed, From: from}, nil
}

// takeRecords stores the records of a gateway.
func (c *Control) takeRecords(ctx context.Context, q *question) (*wire.Answer, error) {
	if !q.budget.records.AllowN(c.cfg.Now(), len(q.lines)) {
		return nil, &wire.AskError{Code: wire.AskTooFast, Message: fmt.Sprintf("more than %d records a second; wait and send them again", recordsPerS), RetryMS: 200}
	}
	end, err := c.cfg.Store.TakeRecords(ctx, q.org, q.site, q.gateway, q.lines)
	answer := &wire.Answer{Site: wire.ID(q.site)}
	if _, refused := errors.AsType[*wire.AskError](err); err == nil || refused {
		answer.Records = &end
	}
	if err == nil {
		c.stale.ask(outboxName{q.org, q.site, q.gateway})
	}
	return answer, err
}
