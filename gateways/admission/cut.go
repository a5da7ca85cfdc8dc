package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// again is the delay before a sweep is repeated. A connection that was admitted
	// while its gateway was retired is listed by then.
	again = 3 * time.Second
	// sweepEvery is the interval between sweeps when this instance knows of no change.
	sweepEvery = time.Minute
	// pageOfConnections is how many connections one request to a server lists.
	pageOfConnections = 500
	// settle is the time without a further reply after which all servers have answered.
	// answers is how long they may take altogether.
	settle  = 300 * time.Millisecond
	answers = 5 * time.Second
)

// look requests a sweep of the connections.
func (a *Admission) look() {
	select {
	case a.wake <- struct{}{}:
	default: // a sweep is already requested
	}
}

// cutOff sweeps the connections whenever a gateway was retired or got another key. It
// also does so every minute, until the context ends.
func (a *Admission) cutOff(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := sweepEvery
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.wake:
			next = again
		}
		var err error
		if panicked := a.cfg.Store.Guard("admission", "", "", func() { err = a.sweep(ctx) }); panicked != nil {
			err = panicked
		}
		if err != nil && ctx.Err() == nil {
			a.metrics.failed.Inc()
			a.cfg.Log.Error("the connections of gateways cannot be looked at; those that were let go may still be connected", "again_in", again.String(), "error", err)
			next = again
		}
		timer.Reset(next)
	}
}

// A connection is a gateway's connection to a server.
type connection struct {
	server string
	id     uint64
	who    passport
	start  time.Time
}

// sweep closes the connections that the ledger no longer admits, and those that exceed
// the limit of one gateway.
func (a *Admission) sweep(ctx context.Context) error {
	a.crowd.begin()
	connections, err := a.connections(ctx)
	if err != nil {
		return err
	}
	var admitted []connection
	for _, c := range connections {
		if a.known.admits(c.who) {
			admitted = append(admitted, c)
			continue
		}
		if err := a.kick(ctx, c); err != nil {
			return err
		}
		a.metrics.cut.Inc()
		a.cfg.Log.Warn("a gateway is cut off", "org", c.who.org, "gateway", c.who.gateway, "key", c.who.key)
	}
	tooMany, left := excess(admitted)
	for _, c := range tooMany {
		if err := a.kick(ctx, c); err != nil {
			return err
		}
		a.metrics.excess.Inc()
		if a.telling.Allow() {
			a.cfg.Log.Warn("a gateway has too many connections; the oldest are ended", "org", c.who.org, "gateway", c.who.gateway, "limit", maxConnections)
		}
	}
	a.crowd.counted(left)
	return nil
}

// kick closes a connection. It is no error if the connection has already ended.
func (a *Admission) kick(ctx context.Context, c connection) error {
	ctx, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	body, err := json.Marshal(server.KickClientReq{CID: c.id})
	if err != nil {
		return err
	}
	if _, err = a.cfg.System.RequestWithContext(ctx, fmt.Sprintf("$SYS.REQ.SERVER.%s.KICK", c.server), body); err != nil {
		return fmt.Errorf("end the connection of %s: %w", c.who.name(), err)
	}
	return nil
}

// connections lists the connections of gateways to all servers.
func (a *Admission) connections(ctx context.Context) (all []connection, err error) {
	ctx, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	inbox := a.cfg.System.NewInbox()
	sub, err := a.cfg.System.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	ask := func(whom string, offset int) error {
		body, err := json.Marshal(server.ConnzOptions{Username: true, Account: a.cfg.Gateways, Offset: offset, Limit: pageOfConnections})
		if err != nil {
			return err
		}
		return a.cfg.System.PublishRequest(fmt.Sprintf("$SYS.REQ.SERVER.%s.CONNZ", whom), inbox, body)
	}
	if err := ask("PING", 0); err != nil {
		return nil, err
	}
	answered := false
	for {
		waiting, stop := ctx, context.CancelFunc(func() {})
		if answered {
			waiting, stop = context.WithTimeout(ctx, settle)
		}
		msg, err := sub.NextMsgWithContext(waiting)
		stop()
		if err != nil {
			if answered && ctx.Err() == nil {
				return all, nil
			}
			return nil, fmt.Errorf("ask the servers for their connections: %w", err)
		}
		answered = true
		var page struct {
			Server server.ServerInfo `json:"server"`
			Data   server.Connz      `json:"data"`
			Error  *server.ApiError  `json:"error"`
		}
		if err := json.Unmarshal(msg.Data, &page); err != nil {
			return nil, fmt.Errorf("read the connections of a server: %w", err)
		}
		if page.Error != nil {
			return nil, fmt.Errorf("ask the server %s for its connections: %w", page.Server.Name, page.Error)
		}
		for _, c := range page.Data.Conns {
			if who, ok := parseName(c.AuthorizedUser); ok {
				all = append(all, connection{page.Server.ID, c.Cid, who, c.Start})
			}
		}
		if next := page.Data.Offset + len(page.Data.Conns); len(page.Data.Conns) == pageOfConnections && next < page.Data.Total {
			if err := ask(page.Server.ID, next); err != nil {
				return nil, err
			}
		}
	}
}
