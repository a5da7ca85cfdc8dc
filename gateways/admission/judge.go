package admission

import (
	"context"
	"encoding/base64"
	"maps"
	"math"
	"strings"
	"sync"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// judge decides whether to admit a connection. why is the reason of a refusal, as
// metrics and the log name it. The cheapest checks come first, and a signature is
// verified only for a registered key.
func (a *Admission) judge(ctx context.Context, q *jwt.AuthorizationRequestClaims) (who passport, why string) {
	o := q.ConnectOptions
	org, gateway, named := strings.Cut(o.Name, "/")
	if !named || o.Nkey == "" {
		return who, "no_gateway"
	}
	g, ok := a.find(ctx, domain.ID(org), domain.ID(gateway), o.Nkey)
	switch {
	case !ok:
		return who, "unknown_gateway"
	case g.Retired != "":
		return who, "retired"
	case string(g.PublicKey) != o.Nkey:
		return who, "other_key"
	case !signed(o.Nkey, q.ClientInformation.Nonce, o.SignedNonce):
		return who, "wrong_signature"
	}
	who = passport{org: domain.ID(org), gateway: g.ID, site: g.Site, key: g.PublicKey}
	ok, look := a.crowd.enter(who.gatewayName())
	if look {
		a.look()
	}
	if !ok {
		return passport{}, "too_many_connections"
	}
	return who, ""
}

// signed reports whether the holder of a key signed the nonce.
func signed(key, nonce, signature string) bool {
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || nonce == "" {
		return false
	}
	public, err := nkeys.FromPublicKey(key)
	return err == nil && public.Verify([]byte(nonce), sig) == nil
}

// find returns a gateway. An instance refuses nobody only because it does not know
// them: another may have made the org, registered the gateway or accepted its new key
// an instant ago. So it reads the ledger first.
func (a *Admission) find(ctx context.Context, org, gateway domain.ID, key string) (domain.Gateway, bool) {
	g, ok, _ := a.known.get(org, gateway)
	if ok && string(g.PublicKey) == key {
		return g, ok
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if err := a.catchUp(ctx, org); err != nil {
		a.cfg.Log.Error("the gateways of an org cannot be looked up", "org", org, "error", err)
	}
	g, ok, _ = a.known.get(org, gateway)
	return g, ok
}

// catchUp makes the store read what other instances committed to an org; the registry
// observes it. A client may send any name, so only an org that exists is loaded.
func (a *Admission) catchUp(ctx context.Context, org domain.ID) error {
	there := a.known.has(org)
	if !there {
		if _, err := a.cfg.Store.Head(ctx, domain.SystemOrg); err != nil {
			return err
		}
		if err := a.cfg.Store.View(ctx, domain.SystemOrg, func(s *domain.State, _ eventstore.Head) error {
			there = s.Orgs.Has(org)
			return nil
		}); err != nil {
			return err
		}
	}
	if !there {
		return nil
	}
	_, err := a.cfg.Store.Head(ctx, org)
	return err
}

// registry caches the gateways of the orgs that the store has loaded.
type registry struct {
	changed func() // called when a connection may have to be closed

	mu   sync.Mutex                                 // guards the fields below
	orgs map[domain.ID]map[domain.ID]domain.Gateway // org -> gateway
}

func newRegistry(changed func()) *registry {
	return &registry{changed: changed, orgs: map[domain.ID]map[domain.ID]domain.Gateway{}}
}

// get returns a gateway, and whether the org is loaded at all.
func (r *registry) get(org, gateway domain.ID) (g domain.Gateway, ok, loaded bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gateways, loaded := r.orgs[org]
	g, ok = gateways[gateway]
	return g, ok, loaded
}

// has reports whether an org is loaded.
func (r *registry) has(org domain.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.orgs[org] != nil
}

// From implements [eventstore.Observer]: no commit of the past is needed.
func (r *registry) From(context.Context, domain.ID) (uint64, error) { return math.MaxUint64, nil }

// Seen implements [eventstore.Observer].
func (r *registry) Seen(domain.ID) wire.Position { return wire.Position{} }

// Settled implements [eventstore.Observer].
func (r *registry) Settled(domain.ID) uint64 { return math.MaxUint64 }

// End implements [eventstore.Observer]. The gateways of an evicted org stay in the
// registry: a commit of another instance loads the org again.
func (r *registry) End(domain.ID) bool { return true }

// Begin implements [eventstore.Observer].
func (r *registry) Begin(id domain.ID, s *domain.State, _ eventstore.Head) { r.take(id, s) }

// Applied implements [eventstore.Observer].
func (r *registry) Applied(id domain.ID, s *domain.State, c *schemas.Commit, _ eventstore.Head) {
	for _, e := range c.Events {
		switch e.Type {
		case "gateway.registered", "gateway.key_rotated", "gateway.enrolled", "gateway.retired":
			r.take(id, s)
			return
		}
	}
}

// take replaces the cached gateways of an org by the present ones.
func (r *registry) take(id domain.ID, s *domain.State) {
	gateways := map[domain.ID]domain.Gateway{}
	for g, row := range s.Gateways.All() {
		gateways[g] = *row
	}
	r.mu.Lock()
	before := r.orgs[id]
	r.orgs[id] = gateways
	r.mu.Unlock()
	if !maps.EqualFunc(before, gateways, func(a, b domain.Gateway) bool { return a.PublicKey == b.PublicKey && a.Retired == b.Retired }) {
		r.changed()
	}
}

// admits reports whether an admitted connection would still be admitted. If its org is
// not loaded, the connection may stay.
func (r *registry) admits(p passport) bool {
	g, ok, loaded := r.get(p.org, p.gateway)
	return !loaded || ok && g.Retired == "" && g.PublicKey == p.key
}
