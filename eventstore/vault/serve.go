package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// helloTimeout is how long Serve waits for another holder to answer. When there is
// none, the server says so at once.
const helloTimeout = time.Second

// Serve answers the requests of [Remote] on vault.* until stop is called. stop waits
// for requests in progress; the caller closes the vault after that. Serve fails with
// ErrHeld when another holder already answers on the same NATS: two vaults of one
// ledger would each have keys that the other lacks. That check finds a mistake in the
// set-up; it is no lock.
//
// NATS must permit only instances of the service to publish and subscribe to vault.>,
// and no stream may keep it. An intruder there without the master key learns no id and
// no key: only how much is asked, and when. It can block requests, and repeat one that
// it recorded, which at worst reserves keys for nobody.
//
// guard runs the answer to a request of an org, and turns a panic, which would end the
// process, into an error. The org is empty while it is not known.
func Serve(nc *nats.Conn, v *Vault, guard func(org string, f func()) error, log *slog.Logger) (stop func(), err error) {
	if _, err := nc.Request(subjectHello, nil, helloTimeout); err == nil {
		return nil, fmt.Errorf("vault: %w", ErrHeld)
	} else if !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, nats.ErrTimeout) {
		return nil, fmt.Errorf("vault: look for another holder: %w", err)
	}
	h := &holder{nc: nc, vault: v, guard: guard, log: log}
	stop = sync.OnceFunc(h.stop)
	for subject, handle := range map[string]nats.MsgHandler{
		subjectHello:   h.hello,
		subjectReserve: h.handle(h.reserve),
		subjectKeys:    h.handle(h.keys),
		subjectTagKey:  h.handle(h.tagKey),
	} {
		sub, err := nc.Subscribe(subject, handle)
		if err != nil {
			stop()
			return nil, fmt.Errorf("vault: serve %s: %w", subject, err)
		}
		h.subs = append(h.subs, sub)
	}
	if err := nc.FlushTimeout(requestTimeout); err != nil {
		stop()
		return nil, fmt.Errorf("vault: serve: %w", err)
	}
	return stop, nil
}

type holder struct {
	nc    *nats.Conn
	vault *Vault
	guard func(org string, f func()) error
	log   *slog.Logger
	subs  []*nats.Subscription

	// busy is held for reading by each request in progress, and exclusively by stop.
	busy    sync.RWMutex
	stopped bool // guarded by busy
}

func (h *holder) stop() {
	for _, sub := range h.subs {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			h.log.Warn("vault: unsubscribe", "subject", sub.Subject, "error", err)
		}
	}
	// After the flush the server answers new requests: there is no holder.
	if err := h.nc.FlushTimeout(requestTimeout); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		h.log.Warn("vault: unsubscribe", "error", err)
	}
	h.busy.Lock()
	defer h.busy.Unlock()
	h.stopped = true
}

func (h *holder) hello(m *nats.Msg) { h.respond(m, nil) }

func (h *holder) respond(m *nats.Msg, frame []byte) {
	if err := m.Respond(frame); err != nil {
		h.log.Warn("vault: reply", "subject", m.Subject, "error", err)
	}
}

// handle opens requests, and seals the replies of answer.
func (h *holder) handle(answer func(context.Context, wireRequest) (wireReply, error)) nats.MsgHandler {
	return func(m *nats.Msg) {
		h.busy.RLock()
		defer h.busy.RUnlock()
		if h.stopped {
			return
		}
		_ = h.guard("", func() { h.reply(m, answer) }) // the asker gets no reply, and retries
	}
}

// reply answers one request.
func (h *holder) reply(m *nats.Msg, answer func(context.Context, wireRequest) (wireReply, error)) {
	x, err := newExchange(h.vault.transport, m.Subject)
	if err != nil {
		h.log.Error("vault: answer", "subject", m.Subject, "error", err)
		return
	}
	if len(m.Data) > 0 && m.Data[0] != wireVersion {
		h.log.Warn("vault: request of another version", "subject", m.Subject, "version", m.Data[0])
		h.respond(m, []byte{wireVersion, whyVersion})
		return
	}
	request, err := x.openRequest(m.Data)
	if err != nil {
		h.log.Warn("vault: request does not open", "subject", m.Subject, "error", err)
		h.respond(m, []byte{wireVersion, whyMaster})
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout) // the asker waits no longer
	defer cancel()
	reply, err := h.guarded(answer)(ctx, request)
	if errors.Is(err, ErrDestroyed) {
		reply = wireReply{Code: "destroyed"}
	} else if errors.Is(err, ErrNoTagKey) {
		reply = wireReply{Code: "no_tag_key"}
	} else if err != nil {
		h.log.Error("vault: answer", "subject", m.Subject, "org", request.Org, "error", err)
		reply = wireReply{Code: "failed", Message: err.Error()}
	}
	frame, err := x.sealReply(reply)
	if err != nil {
		h.log.Error("vault: answer", "subject", m.Subject, "org", request.Org, "error", err)
		return
	}
	h.respond(m, frame)
}

// guarded turns a panic, which would end the holder's process, into an error.
func (h *holder) guarded(answer func(context.Context, wireRequest) (wireReply, error)) func(context.Context, wireRequest) (wireReply, error) {
	return func(ctx context.Context, r wireRequest) (reply wireReply, err error) {
		if panicked := h.guard(r.Org, func() { reply, err = answer(ctx, r) }); panicked != nil {
			return wireReply{}, errors.New("vault: its holder failed at this; its log has the stack")
		}
		return reply, err
	}
}

func (h *holder) reserve(ctx context.Context, r wireRequest) (wireReply, error) {
	if r.N > wireChunk {
		return wireReply{}, fmt.Errorf("vault: %d keys in one request, at most %d", r.N, wireChunk)
	}
	keys, err := h.vault.Reserve(ctx, r.Org, r.N)
	if err != nil {
		return wireReply{}, err
	}
	var reply wireReply
	for _, k := range keys {
		reply.Keys = append(reply.Keys, wireKey{k.ID, k.secret.bytes()})
	}
	return reply, nil
}

func (h *holder) keys(ctx context.Context, r wireRequest) (wireReply, error) {
	if len(r.IDs) > wireChunk {
		return wireReply{}, fmt.Errorf("vault: %d keys in one request, at most %d", len(r.IDs), wireChunk)
	}
	keys, err := h.vault.Keys(ctx, r.Org, r.IDs)
	if err != nil {
		return wireReply{}, err
	}
	reply := wireReply{Damaged: h.vault.among(r.Org, r.IDs)}
	for _, k := range keys {
		reply.Keys = append(reply.Keys, wireKey{k.ID, k.secret.bytes()})
	}
	return reply, nil
}

func (h *holder) tagKey(ctx context.Context, r wireRequest) (wireReply, error) {
	key, err := h.vault.TagKey(ctx, r.Org, r.Site, r.Version)
	if err != nil {
		return wireReply{}, err
	}
	return wireReply{Version: key.Version, TagKey: key.secret.bytes()}, nil
}
