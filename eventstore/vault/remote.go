package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

// requestTimeout is how long a request waits for the holder when the caller's context
// waits longer: many times what the slowest takes, a batch of reserved keys.
const requestTimeout = 5 * time.Second

// A Remote is the vault as the instances that do not hold it see it. It remembers no
// key. Every method fails with ErrUnavailable when no holder answers in time or the
// holder cannot answer, and with ErrWrongMaster when the holder has another master key.
//
// # Why a Remote has the master key
//
// Keys travel sealed, so that neither NATS nor who listens there sees one. The one
// secret that the instances of a ledger share anyway, and no gateway has, is the master
// key; a second one would be one more to hand out and lose.
type Remote struct {
	nc        *nats.Conn
	transport secret

	damage
}

// NewRemote asks the vault that another instance serves on the same NATS. The master
// key must be that instance's.
func NewRemote(nc *nats.Conn, master Master) (*Remote, error) {
	if master.secret.none() {
		return nil, fmt.Errorf("vault: %w: ask with the zero Master", ErrNoMaster)
	}
	return &Remote{nc: nc, transport: master.secret.derive(nil, "gatehouse vault transport")}, nil
}

// Ready implements [Keeper].
func (r *Remote) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	if _, err := r.nc.RequestWithContext(ctx, subjectHello, nil); err != nil {
		return fmt.Errorf("vault: %w: %w", ErrUnavailable, err)
	}
	return nil
}

// Reserve implements [Keeper]. More keys than one reply carries are reserved in several
// steps, each durable by itself.
func (r *Remote) Reserve(ctx context.Context, org string, n int) ([]Key, error) {
	if err := checkReserve(org, n); err != nil {
		return nil, err
	}
	keys := make([]Key, 0, n)
	for len(keys) < n {
		step := min(n-len(keys), wireChunk)
		reply, err := r.ask(ctx, subjectReserve, wireRequest{Org: org, N: step})
		if err != nil {
			return nil, err
		}
		if len(reply.Keys) != step {
			return nil, fmt.Errorf("vault: reserve: asked for %d keys, got %d", step, len(reply.Keys))
		}
		for _, w := range reply.Keys {
			k, err := w.key()
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// Keys implements [Keeper].
func (r *Remote) Keys(ctx context.Context, org string, ids []string) (map[string]Key, error) {
	if err := checkName("org", org); err != nil {
		return nil, err
	}
	keys := make(map[string]Key, len(ids))
	for chunk := range slices.Chunk(keyIDs(ids), wireChunk) {
		reply, err := r.ask(ctx, subjectKeys, wireRequest{Org: org, IDs: chunk})
		if err != nil {
			return nil, err
		}
		for _, w := range reply.Keys {
			k, err := w.key()
			if err != nil {
				return nil, err
			}
			keys[k.ID] = k
		}
		r.note(org, chunk, reply.Damaged)
	}
	return keys, nil
}

// TagKey implements [Keeper].
func (r *Remote) TagKey(ctx context.Context, org, site string, version int) (TagKey, error) {
	if err := checkTagKey(org, site, version); err != nil {
		return TagKey{}, err
	}
	reply, err := r.ask(ctx, subjectTagKey, wireRequest{Org: org, Site: site, Version: version})
	if err != nil {
		return TagKey{}, err
	}
	if reply.Version != version {
		return TagKey{}, fmt.Errorf("vault: asked for tag key version %d, given %d", version, reply.Version)
	}
	s, err := secretOf(reply.TagKey)
	if err != nil {
		return TagKey{}, fmt.Errorf("vault: tag key: %w", err)
	}
	return TagKey{version, s}, nil
}

// ask sends one request and opens its reply.
func (r *Remote) ask(ctx context.Context, subject string, request wireRequest) (wireReply, error) {
	x, err := newExchange(r.transport, subject)
	if err != nil {
		return wireReply{}, fmt.Errorf("vault: ask %s: %w", subject, err)
	}
	frame, err := x.sealRequest(request)
	if err != nil {
		return wireReply{}, fmt.Errorf("vault: ask %s: %w", subject, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := r.nc.RequestWithContext(ctx, subject, frame)
	if err != nil {
		return wireReply{}, fmt.Errorf("vault: ask %s: %w: %w", subject, ErrUnavailable, err)
	}
	reply, err := x.openReply(m.Data)
	switch {
	case errors.Is(err, ErrWrongMaster):
		return wireReply{}, fmt.Errorf("vault: ask %s: %w", subject, err)
	case err != nil:
		return wireReply{}, fmt.Errorf("vault: ask %s: %w: the reply does not open: %w", subject, ErrUnavailable, err)
	}
	switch reply.Code {
	case "":
		return reply, nil
	case "destroyed":
		return wireReply{}, fmt.Errorf("vault: ask %s: %w", subject, ErrDestroyed)
	case "no_tag_key":
		return wireReply{}, fmt.Errorf("vault: ask %s: %w", subject, noTagKey(request.Org, request.Version))
	default:
		return wireReply{}, fmt.Errorf("vault: ask %s: %w: its holder says: %s", subject, ErrUnavailable, reply.Message)
	}
}

func (w wireKey) key() (Key, error) {
	s, err := secretOf(w.Bytes)
	if err != nil || !isKeyID(w.ID) {
		return Key{}, errors.New("vault: the holder sent a malformed key")
	}
	return Key{w.ID, s}, nil
}
