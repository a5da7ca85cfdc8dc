// Package receipts keeps which permissions each lock gateway enforces, since when, and
// until when an older table may still open one of its doors.
//
// # The request is the receipt
//
// A gateway asks for its lease with the head of the table that it decides on, every few
// seconds and at once after it has taken a change over. The service knows the head that
// it published. So the request says what the gateway enforces: with the present table,
// everything up to the end of the ledger as it was when the request came; with an older
// one, what that table has. A receipt is not stored. It goes neither to the ledger, where
// it would be a new commit that wants a receipt, nor to a stream.
//
// # Several instances
//
// Any instance answers a request. It tells all others by a message that nothing keeps and
// that no gateway may send or hear. An instance that started just now knows of no gateway:
// each one is unknown until it asks again.
//
// # Until when a lease may run
//
// The lease of a gateway runs from when it sent its request, or ends with the first change
// that it lacks. It never begins later than the request reached the service. Of a gateway
// that this instance has not heard of, the lease may have begun as late as the instance
// began to listen, for from then on it would have heard. The same holds for every gateway
// after a message to the instance may have been lost.
package receipts

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// Silence is after how long without a request a gateway counts as offline. It asks at
// least every 10 s.
const Silence = 30 * time.Second

// forgotten is after how long without a request a gateway is dropped: the longest lease
// and the time after it for which a door decides on its last table, and a day beyond. A
// retired gateway is answered no more, so it is dropped like any other that is silent.
const forgotten = (72 + 72 + 24) * time.Hour

// Receipt is what one request of a gateway tells of the permissions that it enforces.
type Receipt struct {
	Org     domain.ID     `json:"org"`
	Site    domain.ID     `json:"site"`
	Gateway domain.ID     `json:"gateway"`
	Table   wire.Position `json:"table,omitzero"` // of the last change in its table; N is 0 while it has none
	Digest  unlock.Digest `json:"digest"`         // of its table
	Upto    wire.Position `json:"upto,omitzero"`  // every commit up to it is enforced; N is 0 while none is known to be
	Since   time.Time     `json:"since"`          // since when Upto is enforced, by the first request that told so
	Current bool          `json:"current"`
	Asked   time.Time     `json:"asked"` // when the request came
	// Anchor is from when its lease runs, at the latest.
	Anchor time.Time `json:"anchor"`
	// Online is since when it asks without a longer pause than Silence.
	Online time.Time `json:"online"`
	// ClockErrorMS is how far its clock may be from that of the service, in milliseconds;
	// 0 means that it does not tell.
	ClockErrorMS uint32 `json:"clock_error_ms,omitempty"`
	// DeviceN is the last commit that the devices hold which decide by themselves, as read
	// back from them; 0 means that it has none such. They have no lease.
	DeviceN uint64 `json:"device_n,omitempty"`
	// Changed is the time of the commit of Table, if it is current. Lacks is that of the
	// first change that it lacks, if not.
	Changed time.Time `json:"changed,omitzero"`
	Lacks   time.Time `json:"lacks,omitzero"`
}

// Enforces reports whether the gateway enforces every commit up to a position.
func (r *Receipt) Enforces(at wire.Position) bool { return r.Upto.N > 0 && !r.Upto.Before(at) }

// Config configures a Tracker. Every field is required.
type Config struct {
	Conn    *nats.Conn // to the account of the streams, which no gateway reaches
	Metrics prometheus.Registerer
	Now     func() time.Time // the clock
	Log     *slog.Logger
}

// A Tracker keeps the last receipt of each gateway. It is safe for concurrent use.
type Tracker struct {
	cfg     Config
	metrics *metrics
	sub     *nats.Subscription

	mu     sync.Mutex // guards the fields below
	heard  map[name]*Receipt
	moved  map[domain.ID]chan struct{} // org -> closed at its next receipt; made by those who wait
	since  time.Time                   // from when on no message was lost
	losses uint64                      // of connections and messages, as counted then
}

// name is the name of a gateway.
type name struct{ org, gateway domain.ID }

// New makes a tracker that listens to the other instances. Close ends that.
func New(cfg Config) (*Tracker, error) {
	t := &Tracker{cfg: cfg, heard: map[name]*Receipt{}, moved: map[domain.ID]chan struct{}{}}
	t.metrics = newMetrics(cfg.Metrics, t)
	sub, err := cfg.Conn.Subscribe(wire.EveryReceipt, t.told)
	if err == nil {
		err = cfg.Conn.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("receipts: listen to the other instances: %w", err)
	}
	t.sub, t.since, t.losses = sub, cfg.Now(), lost(cfg.Conn, sub)
	return t, nil
}

// Close stops listening. The tracker still answers.
func (t *Tracker) Close() error {
	if err := t.sub.Unsubscribe(); err != nil && t.cfg.Conn.Status() != nats.CLOSED {
		return fmt.Errorf("receipts: stop listening: %w", err)
	}
	return nil
}

// Take takes the receipt of a request that this instance answers, and tells the others.
// Since and Online are set here. Call it before the answer goes out.
func (t *Tracker) Take(r Receipt) {
	r.Asked, r.Anchor = r.Asked.UTC().Round(0), r.Anchor.UTC().Round(0) // as the others read it
	r.Since, r.Online = r.Asked, r.Asked
	if !t.merge(&r) {
		return
	}
	body, err := json.Marshal(r)
	if err == nil {
		err = t.cfg.Conn.Publish(wire.ReceiptSubject(wire.ID(r.Org), wire.ID(r.Gateway)), body)
	}
	if err != nil {
		t.cfg.Log.Warn("other instances are not told what a gateway enforces; its next request tells them", "org", r.Org, "gateway", r.Gateway, "error", err)
	}
}

// told takes the receipt that another instance, or this one, has told.
func (t *Tracker) told(msg *nats.Msg) {
	var r Receipt
	if err := json.Unmarshal(msg.Data, &r); err != nil || r.Gateway == "" {
		t.cfg.Log.Warn("a message about what a gateway enforces cannot be read", "subject", msg.Subject, "error", err)
		return
	}
	t.merge(&r)
}

// merge notes a receipt unless it is older than the known one. It completes it by what
// was known before, and reports whether it is news.
func (t *Tracker) merge(r *Receipt) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.heard[name{r.Org, r.Gateway}]
	switch {
	case known == nil && t.cfg.Now().Sub(r.Asked) > forgotten:
		return false // it was on its way while its gateway was forgotten
	case known == nil:
		t.forget(r.Asked)
	case !r.Asked.After(known.Asked):
		return false
	default:
		r.follows(known)
	}
	if known != nil && r.Current && r.Table != known.Table {
		t.metrics.delay.Observe(r.Asked.Sub(r.Changed).Seconds())
	}
	kept := *r
	t.heard[name{r.Org, r.Gateway}] = &kept
	if moved := t.moved[r.Org]; moved != nil {
		delete(t.moved, r.Org)
		close(moved)
	}
	return true
}

// follows completes a receipt by the one before it.
func (r *Receipt) follows(known *Receipt) {
	if r.Upto == known.Upto && known.Since.Before(r.Since) {
		r.Since = known.Since
	}
	if r.Asked.Sub(known.Asked) <= Silence && known.Online.Before(r.Online) {
		r.Online = known.Online
	}
	if known.Anchor.After(r.Anchor) { // a box that went back to an older table may hold a later lease
		r.Anchor = known.Anchor
	}
}

// forget drops the gateways that are silent for long. None of their doors can open by an
// older table any more.
func (t *Tracker) forget(now time.Time) {
	for n, r := range t.heard {
		if now.Sub(r.Asked) > forgotten {
			delete(t.heard, n)
		}
	}
}

// lost counts what may have lost a message to this instance.
func lost(conn *nats.Conn, sub *nats.Subscription) uint64 {
	dropped, err := sub.Dropped()
	if err != nil { // it is closed
		dropped = 0
	}
	return conn.Stats().Reconnects + uint64(dropped)
}
