// Package admission decides which gateway may connect to NATS, and what it may publish
// and subscribe to there.
//
// NATS asks for every connection that does not belong to the service itself (auth
// callout), and this package answers from the ledger. The connection must prove by
// signing the nonce that it holds the key with which its gateway is registered, and the
// gateway must not be retired. The same code answers for the server within the process
// and for a cluster; the responders of several instances form a queue group. Without a
// responder no new connection is accepted, and the existing ones stay.
//
// # How a connection names its gateway
//
// The name of the connection is <org>/<gateway>. The key alone would not do: public
// keys are no secret, so another org could register the key of a gateway for one of its
// own, and nobody could tell whose it is.
//
// # Why gateways have an account of their own
//
// JetStream sends the acknowledgement of a message to any reply subject that the
// message names, and nothing checks that the sender may publish there. In the account
// of the streams a gateway that may publish to any one stream can thereby append to the
// ledger of any org: the chain of commits breaks. So no stream listens in the account
// of the gateways, and none of their messages reaches one. A gateway sends its
// observations over its control subject, and the service appends them.
//
// The service must answer a gateway only with data that this gateway may see: the
// answer goes to a subject that the gateway names, where another may listen.
//
// The subjects of control contain the org, because gateways of two orgs may have one
// id.
//
// # Servers of a cluster
//
// The accounts are part of the configuration of the servers, here APP, which holds the
// streams, and GATEWAYS:
//
//	accounts {
//	  APP {
//	    jetstream: enabled
//	    users: [ { nkey: U… } ]
//	    exports: [ { service: "control.*.*.ask", accounts: [GATEWAYS] }, { stream: "tables.*.*", accounts: [GATEWAYS] } ]
//	    imports: [ { service: { account: GATEWAYS, subject: "control.*.*.do" } } ]
//	  }
//	  GATEWAYS {
//	    exports: [ { service: "control.*.*.do", accounts: [APP] } ]
//	    imports: [ { service: { account: APP, subject: "control.*.*.ask" } }, { stream: { account: APP, subject: "tables.*.*" } } ]
//	  }
//	  SYS { users: [ { nkey: U… } ] }
//	}
//	system_account: SYS
//	authorization { auth_callout { issuer: A…, account: APP, auth_users: [ U…, U… ] } }
//
// The issuer is the public half of the seed with which the service signs its answers;
// the auth_users are the nkeys of APP and SYS with which it logs in. The first of them
// makes the servers send the nonce that gateways sign.
package admission

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"gatehouse/eventstore"
)

const (
	// requestSubject is where servers ask; queue is the group that answers.
	requestSubject = "$SYS.REQ.USER.AUTH"
	queue          = "gatehouse-admission"
	// requestAudience marks the request of a server.
	requestAudience = "nats-authorization-request"
	// answersAtOnce bounds how many requests are processed concurrently. Further ones
	// wait, and the server gives up on each after two seconds.
	answersAtOnce = 8
	// waiting bounds how many requests wait. Further ones are dropped.
	waiting = 4096
	// lookTime bounds the look-up of one org, which may have to be loaded.
	lookTime = 10 * time.Second
	// stale is how late a request may be after its server has stopped waiting. It
	// allows for the difference between the clocks of two machines.
	stale = 30 * time.Second
)

// Config configures an Admission. Every field is required.
type Config struct {
	Conn     *nats.Conn        // to the account of the streams, of a user that servers do not ask about
	System   *nats.Conn        // to the system account, to close connections
	Issuer   nkeys.KeyPair     // of an account: signs the answers
	Gateways string            // name of the account of gateways
	Store    *eventstore.Store // holds the orgs whose gateways are admitted
	Metrics  prometheus.Registerer
	Now      func() time.Time // the clock
	Log      *slog.Logger
}

// Admission answers the servers, and disconnects gateways that the ledger no longer
// admits.
type Admission struct {
	cfg     Config
	metrics *metrics
	known   *registry
	crowd   crowd
	wake    chan struct{} // capacity 1: a connection may have to be closed
	places  chan struct{} // one for each request in progress
	telling *rate.Limiter // limits lines about refusals in the log
}

// New makes an admission that observes the store. Call it before the first use of an
// org.
func New(cfg Config) (*Admission, error) {
	issuer, err := cfg.Issuer.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("admission: the key that signs answers: %w", err)
	}
	if !nkeys.IsValidPublicAccountKey(issuer) {
		return nil, errors.New("admission: the key that signs answers is not the seed of an account, which begins with SA")
	}
	a := &Admission{cfg: cfg, metrics: newMetrics(cfg.Metrics), wake: make(chan struct{}, 1),
		places: make(chan struct{}, answersAtOnce), telling: rate.NewLimiter(1, 20)}
	a.known = newRegistry(a.look)
	cfg.Store.Observe(a.known)
	return a, nil
}

// Run answers until the context ends. Call it after the orgs are loaded, so that an
// instance that starts refuses no gateway that others admit.
func (a *Admission) Run(ctx context.Context) error {
	asked := make(chan *nats.Msg, waiting)
	sub, err := a.cfg.Conn.ChanQueueSubscribe(requestSubject, queue, asked)
	if err != nil {
		return fmt.Errorf("admission: listen for questions of servers: %w", err)
	}
	over := make(chan struct{})
	end := sync.OnceFunc(func() { close(over) })
	sub.SetClosedHandler(func(string) { end() })
	if err := a.cfg.Conn.Flush(); err != nil {
		return fmt.Errorf("admission: listen for questions of servers: %w", err)
	}
	answering := a.answerAll(context.WithoutCancel(ctx), asked, over)
	a.cutOff(ctx)
	// First the servers stop asking this instance, then their pending requests are
	// answered.
	if err = sub.Drain(); err != nil {
		end()
	}
	<-answering
	if errors.Is(err, nats.ErrConnectionClosed) {
		return nil
	}
	return err
}

// answerAll answers requests until no more come, and then closes the channel that it
// returns.
func (a *Admission) answerAll(ctx context.Context, asked <-chan *nats.Msg, over <-chan struct{}) <-chan struct{} {
	done := make(chan struct{})
	next := func(msg *nats.Msg) {
		a.places <- struct{}{}
		go func() {
			defer func() { <-a.places }()
			_ = a.cfg.Store.Guard("admission", "", "", func() { a.answer(ctx, msg) }) // without an answer no connection is accepted
		}()
	}
	go func() {
		defer close(done)
		for {
			select {
			case msg := <-asked:
				next(msg)
			case <-over:
				for len(asked) > 0 {
					next(<-asked)
				}
				for range answersAtOnce {
					a.places <- struct{}{} // the last answers are given
				}
				return
			}
		}
	}()
	return done
}

// answer answers one request of a server. A malformed request gets no answer, because
// no server sent it.
func (a *Admission) answer(ctx context.Context, msg *nats.Msg) {
	q, err := jwt.DecodeAuthorizationRequestClaims(string(msg.Data))
	if err == nil && (q.Audience != requestAudience || q.Issuer != q.Server.ID) {
		err = errors.New("it is not signed by the server that it names")
	}
	if err != nil {
		a.metrics.asked("malformed")
		a.cfg.Log.Warn("a question about a connection cannot be read", "error", err)
		return
	}
	if a.cfg.Now().After(time.Unix(q.Expires, 0).Add(stale)) {
		a.metrics.asked("late")
		return // its server has given up
	}
	who, why := a.judge(ctx, q)
	if why != "" {
		a.metrics.asked(why)
		if a.telling.Allow() {
			a.cfg.Log.Warn("a connection to NATS is refused", "why", why, "name", q.ConnectOptions.Name, "key", q.ConnectOptions.Nkey,
				"host", q.ClientInformation.Host, "server", q.Server.Name)
		}
	}
	text, err := a.ticket(q, who, why)
	if err == nil {
		err = msg.Respond([]byte(text))
	}
	if err != nil {
		a.cfg.Log.Error("a question about a connection could not be answered", "error", err)
		return
	}
	if why == "" {
		a.metrics.asked("admitted")
		a.cfg.Log.Info("a gateway is admitted", "org", who.org, "gateway", who.gateway, "host", q.ClientInformation.Host, "server", q.Server.Name)
	}
}
