package httpapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/budget"
	"gatehouse/schemas/wire"
)

// positionHeader says where the org stood when it was asked.
const positionHeader = "Gatehouse-Position"

// caller is who a good token speaks for.
type caller struct {
	org, token, person domain.ID
	scope              domain.TokenScope
	bootstrap          bool // the holder of the bootstrap token; nothing else is set
}

func (c *caller) actor() domain.Actor {
	if c.bootstrap {
		return domain.Actor{Kind: domain.ActorBootstrap, ID: "token"}
	}
	return domain.PersonActor(c.person)
}

// callerOf is the caller of a request that was authenticated.
func callerOf(ctx context.Context) *caller {
	c := infoOf(ctx).caller
	if c == nil {
		panic(errNoCaller)
	}
	return c
}

// secretSize is the size of a token's secret in bytes.
const secretSize = 32

// newSecret makes the secret of a token and its hash as the ledger knows it.
func newSecret() (secret [secretSize]byte, hash string) {
	rand.Read(secret[:]) // it never fails: the program ends instead
	return secret, hashOf(secret)
}

func hashOf(secret [secretSize]byte) string {
	sum := sha256.Sum256(secret[:])
	return hex.EncodeToString(sum[:])
}

// TokenText writes a token as its holder presents it: gh.<org>.<token>.<secret>,
// the secret in base64url. Ids have no dots, so it can be read in one way only.
func TokenText(org, token domain.ID, secret [secretSize]byte) string {
	return "gh." + string(org) + "." + string(token) + "." + base64.RawURLEncoding.EncodeToString(secret[:])
}

// presented is a token as it was presented.
type presented struct {
	org, token domain.ID // both empty: the bootstrap token
	hash       string
	from       string // the network that it comes from
}

// parseToken reads a bearer token.
func parseToken(header string) (presented, bool) {
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return presented{}, false
	}
	parts := strings.Split(strings.TrimSpace(text), ".")
	last := parts[len(parts)-1]
	raw, err := base64.RawURLEncoding.Strict().DecodeString(last)
	if err != nil || len(raw) != secretSize || parts[0] != "gh" {
		return presented{}, false
	}
	p := presented{hash: hashOf([secretSize]byte(raw))}
	switch {
	case len(parts) == 3 && parts[1] == "bootstrap":
		return p, true
	case len(parts) == 4 && domain.CheckID(domain.ID(parts[1])) == nil && domain.CheckID(domain.ID(parts[2])) == nil:
		p.org, p.token = domain.ID(parts[1]), domain.ID(parts[2])
		return p, true
	}
	return presented{}, false
}

// authenticated finds out who asks before anything else is looked at.
func (a *API) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pattern, declared := a.routeOf(r)
		if declared.open {
			if p := a.checkStranger(pattern, r); p != nil {
				a.fail(w, r, p)
				return
			}
			if r.URL.Path == "/readyz" {
				infoOf(r.Context()).operator = a.mayOperate(r)
			}
			next.ServeHTTP(w, r)
			return
		}
		if !a.needsNoMemory(r) {
			if err := a.current(); err != nil {
				a.fail(w, r, err)
				return
			}
		}
		c, head, err := a.authenticate(r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		infoOf(r.Context()).caller = c
		defer proven(r.Context())()
		if !c.bootstrap {
			w.Header().Set(positionHeader, head.Position().String())
		}
		if p := a.permitted(c, r); p != nil {
			a.fail(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkStranger bounds what a request without a token may cost: how many there are of
// an address, and the body of one with a code.
func (a *API) checkStranger(pattern string, r *http.Request) *Problem {
	if (pattern == documentPattern || pattern == enrolPattern) && !a.rates.remote.allow(remote(r)) {
		return a.rateLimited(shareAddress)
	}
	if pattern == enrolPattern && (r.ContentLength < 0 || r.ContentLength > wire.MaxEnrolment) {
		return bodyAbove(wire.MaxEnrolment)
	}
	return nil
}

// needsNoMemory reports whether a request is served though this instance may not know
// the latest of the ledger. Of the metrics one tells that.
func (a *API) needsNoMemory(r *http.Request) bool {
	pattern, declared := a.routeOf(r)
	dry, _ := strconv.ParseBool(r.URL.Query().Get("dry_run"))
	return pattern == metricsPattern || !dry && declared.effect == commits
}

// authenticate finds the caller of a request. Every cause for which a token is
// not good is answered with the same words.
func (a *API) authenticate(r *http.Request) (*caller, eventstore.Head, error) {
	p, ok := parseToken(r.Header.Get("Authorization"))
	var c *caller
	var head eventstore.Head
	var err error
	switch {
	case !ok:
	case p.org == "":
		c = a.bootstrapCaller(p.hash)
	default:
		p.from = remote(r)
		c, head, err = a.tokenCaller(r.Context(), p, false)
	}
	if err != nil {
		return nil, head, err
	}
	if c == nil && !a.rates.remote.allow(remote(r)) {
		return nil, head, a.rateLimited(shareAddress)
	}
	if c == nil && p.org != "" { // another instance may have issued it an instant ago
		if c, head, err = a.tokenCallerAtTail(r.Context(), p); err != nil {
			return nil, head, err
		}
	}
	if c == nil {
		return nil, head, unauthenticated()
	}
	if share := a.rates.exceeded(c, urgent(r)); share != "" {
		return nil, head, a.rateLimited(share)
	}
	return c, head, nil
}

func unauthenticated() *Problem {
	return problem(http.StatusUnauthorized, "unauthenticated",
		"send Authorization: Bearer with a token that is good: known, not expired, not revoked, of a person who is active")
}

// tokenCaller finds the person for whom a token speaks, or nil. With latest it asks for
// what other instances have committed; else it answers by what is known here. Orgs that
// the ledger does not list are not loaded, whatever a token says, and others only where
// the token may be good.
func (a *API) tokenCaller(ctx context.Context, p presented, latest bool) (*caller, eventstore.Head, error) {
	var head eventstore.Head
	var registered time.Time
	listed := false
	err := a.cfg.Store.View(ctx, domain.SystemOrg, func(s *domain.State, _ eventstore.Head) error {
		o, ok := s.Orgs.Get(p.org)
		if ok {
			listed, registered = true, o.CreatedAt
		}
		return nil
	})
	if err == nil && !listed && latest {
		// As long as a look at the tail of an org takes, or the time tells which orgs are.
		_, err = a.cfg.Store.Head(ctx, domain.SystemOrg)
	}
	if err != nil || !listed {
		return nil, head, err
	}
	var c *caller
	claim := eventstore.Claim{Token: p.token, Hash: p.hash, Who: budget.Who{Person: p.from}, Latest: latest}
	_, err = a.cfg.Store.Glance(ctx, p.org, claim, func(s *domain.State, h eventstore.Head) error {
		head = h
		stored := strings.Repeat("0", 2*secretSize) // compared with when there is no token
		t, ok := s.Tokens.Get(p.token)
		if ok {
			stored = t.Hash
		}
		same := subtle.ConstantTimeCompare([]byte(stored), []byte(p.hash)) == 1
		if person, scope, good := s.TokenHolder(p.token, h.Now(a.cfg.Now())); good && same {
			c = &caller{org: p.org, token: p.token, person: person, scope: scope}
		}
		return nil
	})
	if err == nil && c != nil {
		a.spendBootstrap(registered)
	}
	return c, head, err
}

// tokenCallerAtTail is tokenCaller after a look at what others committed.
func (a *API) tokenCallerAtTail(ctx context.Context, p presented) (*caller, eventstore.Head, error) {
	if _, err := a.cfg.Store.Head(ctx, domain.SystemOrg); err != nil {
		return nil, eventstore.Head{}, err
	}
	return a.tokenCaller(ctx, p, true)
}

// permitted holds a caller to the org and the scope of the token.
func (a *API) permitted(c *caller, r *http.Request) *Problem {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if c.bootstrap {
		if r.Method == http.MethodPost && r.URL.Path == "/v1/orgs" {
			return nil
		}
		return problem(http.StatusForbidden, "scope_not_permitted", "the bootstrap token only allows POST /v1/orgs")
	}
	if len(parts) > 2 && parts[0] == "v1" && parts[1] == "orgs" && parts[2] != string(c.org) {
		return unknown("org", domain.ID(parts[2]))
	}
	switch pattern, declared := a.routeOf(r); {
	case pattern == metricsPattern:
		if c.scope != domain.ScopeMetrics {
			return problem(http.StatusForbidden, "scope_not_permitted", "GET /metrics requires a token of scope metrics")
		}
		return nil
	case c.scope == domain.ScopeFull, c.scope == domain.ScopeRead && declared.effect == asks:
		return nil
	}
	return problem(http.StatusForbidden, "scope_not_permitted", "a token of scope %s does not allow this; use one of a wider scope", c.scope)
}

// view gives the state of the caller's org, and notes where it stands. It looks at the
// token again: it may have ended while the body was on its way, or a question waited.
func (a *API) view(ctx context.Context, f func(s domain.View, head eventstore.Head) error) (wire.Position, error) {
	if err := a.current(); err != nil { // it may have become so while the question waited
		return wire.Position{}, err
	}
	return a.viewAfter(ctx, func(s domain.View, head eventstore.Head) error {
		if _, _, good := s.TokenHolder(callerOf(ctx).token, head.Now(a.cfg.Now())); !good {
			return eventstore.ErrTokenEnded
		}
		return f(s, head)
	})
}

// viewAfter is view for the answer to a command that was accepted, by which the token
// may have ended.
func (a *API) viewAfter(ctx context.Context, f func(s domain.View, head eventstore.Head) error) (wire.Position, error) {
	var at wire.Position
	err := a.cfg.Store.View(ctx, callerOf(ctx).org, func(s *domain.State, head eventstore.Head) error {
		at = head.Position()
		return f(s.AsOf(a.cfg.Now()), head)
	})
	return at, err
}
