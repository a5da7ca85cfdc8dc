package admission

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"math"
	"strings"
	"sync"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas"
)

// judge decides about a connection; why says what it lacks, as metrics and the log
// tell it. What costs least comes first, and a signature is looked at only for a
// key that is registered.
func (a *Admission) judge(ctx context.Context, q *jwt.AuthorizationRequestClaims) (who passport, why string) {
	o := q.ConnectOptions
	org, gateway, named := strings.Cut(o.Name, "/")
	if !named || o.Nkey == "" {
		return who, "no_gateway"
	}
	g, ok := a.find(ctx, domain.ID(org), domain.ID(gateway))
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
	return passport{org: domain.ID(org), gateway: g.ID, site: g.Site, key: g.PublicKey}, ""
}

// signed reports whether the nonce was signed by the holder of a key.
func signed(key, nonce, signature string) bool {
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || nonce == "" {
		return false
	}
	public, err := nkeys.FromPublicKey(key)
	return err == nil && public.Verify([]byte(nonce), sig) == nil
}

// find returns a gateway as this instance knows it. An org that another instance
// made is loaded first.
func (a *Admission) find(ctx context.Context, org, gateway domain.ID) (domain.Gateway, bool) {
	if g, ok, loaded := a.known.get(org, gateway); loaded {
		return g, ok
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	there := false
	err := a.cfg.Store.View(ctx, domain.SystemOrg, func(s *domain.State, _ eventstore.Head) error {
		there = s.Orgs.Has(org)
		return nil
	})
	if err == nil && there {
		_, err = a.cfg.Store.Head(ctx, org) // loads it, which the registry sees
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		a.cfg.Log.Error("the gateways of an org cannot be looked up", "org", org, "error", err)
	}
	g, ok, _ := a.known.get(org, gateway)
	return g, ok
}

// registry knows the gateways of the orgs that the store holds.
type registry struct {
	changed func() // somebody may have to be cut off

	mu   sync.Mutex                                 // guards what follows
	orgs map[domain.ID]map[domain.ID]domain.Gateway // org -> gateway
}

func newRegistry(changed func()) *registry {
	return &registry{changed: changed, orgs: map[domain.ID]map[domain.ID]domain.Gateway{}}
}

// get returns a gateway, and whether the org is known at all.
func (r *registry) get(org, gateway domain.ID) (g domain.Gateway, ok, loaded bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gateways, loaded := r.orgs[org]
	g, ok = gateways[gateway]
	return g, ok, loaded
}

// From implements [eventstore.Observer]: no commit of the past is needed.
func (r *registry) From(context.Context, domain.ID) (uint64, error) { return math.MaxUint64, nil }

// Settled implements [eventstore.Observer].
func (r *registry) Settled(domain.ID) uint64 { return math.MaxUint64 }

// End implements [eventstore.Observer]. The gateways of an org that left memory
// stay known: a commit of another instance brings the org in again.
func (r *registry) End(domain.ID) bool { return true }

// Begin implements [eventstore.Observer].
func (r *registry) Begin(id domain.ID, s *domain.State, _ eventstore.Head) { r.take(id, s) }

// Applied implements [eventstore.Observer].
func (r *registry) Applied(id domain.ID, s *domain.State, c *schemas.Commit, _ eventstore.Head) {
	for _, e := range c.Events {
		switch e.Type {
		case "gateway.registered", "gateway.key_rotated", "gateway.retired":
			r.take(id, s)
			return
		}
	}
}

// take takes over the gateways of an org as they are now.
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

// admits reports whether a connection that was admitted would be admitted now; an
// org that is not loaded lets everybody stay.
func (r *registry) admits(p passport) bool {
	g, ok, loaded := r.get(p.org, p.gateway)
	return !loaded || ok && g.Retired == "" && g.PublicKey == p.key
}
