package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// Bootstrap is the token gh.bootstrap.<secret> by which the first org of a ledger
// is made. It is good for one org, until it expires or until a token of that org
// was used for the first time, whichever is earlier.
//
// # Several instances
//
// Every instance that starts on an empty ledger writes a token of its own, which is
// good at that instance alone. One org ends them all: they make the first org of the
// ledger or none, and of two that are used at once the guard of the ledger lets one
// through.
//
// # Why it is not spent with the first answer
//
// The answer holds the only copy of the owner's token. If it is lost on its way,
// the same request gives another one, and the lost one is revoked; a token that
// was spent with the lost answer would leave an org that nobody can enter.
type Bootstrap struct {
	Hash [sha256.Size]byte // SHA-256 of the secret's 32 bytes
	// Since is when the token was written. Orgs are made by bootstrap tokens alone, so
	// one that was registered later was made by this one; the tokens of those before
	// do not spend it.
	Since   time.Time
	Expires time.Time
	// Further is set when the operator asked for a token for one more org. Without it
	// the token makes the first org of the ledger or none.
	Further bool
	// Used is called once, when the token is spent: the file with it can go. An
	// error is logged; the token stays spent in this process, and the ledger takes
	// no second org from it in any other.
	Used func() error

	spent atomic.Bool
	// one lets one request at a time make the org, or each would revoke what it finds
	// and several tokens of the owner were good.
	one sync.Mutex
}

// BootstrapText writes a bootstrap token as its holder presents it.
func BootstrapText(secret [secretSize]byte) string {
	return "gh.bootstrap." + base64.RawURLEncoding.EncodeToString(secret[:])
}

// bootstrapCaller returns the caller when the hash is that of a good bootstrap
// token, or nil.
func (a *API) bootstrapCaller(hash string) *caller {
	b := a.cfg.Bootstrap
	if b == nil || b.spent.Load() || !a.cfg.Now().Before(b.Expires) {
		return nil
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(b.Hash[:])), []byte(hash)) != 1 {
		return nil
	}
	return &caller{bootstrap: true}
}

// BootstrapRegisters is the id of the command by which a bootstrap token reserves the
// id of its org in _system: where the ledger has it, the token has made an org.
func BootstrapRegisters(hash [sha256.Size]byte) domain.UUID {
	return domain.DeriveUUID(bootstrapSpace(hash), "register")
}

// BootstrapCreates is the id of the command by which a bootstrap token makes its org.
// It is also the cause of the owner's first tokens.
func BootstrapCreates(hash [sha256.Size]byte) domain.UUID {
	return domain.DeriveUUID(bootstrapSpace(hash), "create")
}

// bootstrapSpace is what the ids of all commands of a bootstrap token follow from.
func bootstrapSpace(hash [sha256.Size]byte) domain.UUID {
	return domain.DeriveUUID(domain.UUID{}, "gatehouse/bootstrap/"+hex.EncodeToString(hash[:]))
}

// spendBootstrap ends the bootstrap token when a token was used of the org that it
// has made: one that was registered since.
func (a *API) spendBootstrap(registered time.Time) {
	if b := a.cfg.Bootstrap; b != nil && !registered.Before(b.Since) {
		a.endBootstrap()
	}
}

func (a *API) endBootstrap() {
	b := a.cfg.Bootstrap
	if b.spent.Swap(true) {
		return
	}
	if err := b.Used(); err != nil {
		a.cfg.Log.Error("the file of the bootstrap token could not be removed; remove it", "error", err)
	}
}

type newOrgInput struct {
	Body struct {
		Org        domain.ID `json:"org" doc:"id of the org, for ever"`
		Name       string    `json:"name" minLength:"1" maxLength:"200"`
		Owner      domain.ID `json:"owner" doc:"id of the person who becomes the owner"`
		OwnerName  string    `json:"owner_name,omitempty" maxLength:"1000"`
		OwnerEmail string    `json:"owner_email,omitempty" maxLength:"1000"`
	}
}

// NewOrg is the answer to an org that was made.
type NewOrg struct {
	Org      domain.ID     `json:"org"`
	Owner    domain.ID     `json:"owner"`
	Token    string        `json:"token" doc:"the owner's token; it is shown here and nowhere else"`
	TokenID  domain.ID     `json:"token_id"`
	Expires  time.Time     `json:"expires" doc:"of the token"`
	Position wire.Position `json:"position"`
}

type newOrgOutput struct {
	Position string `header:"Gatehouse-Position"`
	Body     NewOrg
}

func (a *API) registerBootstrap() {
	serve(a, route{effect: commits, usedBy: "the holder of the bootstrap token"}, huma.Operation{
		OperationID: "CreateFirstOrg", Method: http.MethodPost, Path: "/v1/orgs", DefaultStatus: http.StatusCreated,
		Summary: "Makes an org with its owner, by the bootstrap token",
		Description: "The bootstrap token is good for one org. Until a token of the org was used, the same request may be sent again: " +
			"it gives a new token for the owner and revokes those before.",
		Tags: []string{"org"}, Errors: []int{400, 401, 403, 409, 413, 415, 422, 429, 503, 504},
	}, a.newOrg)
}

// newOrg makes an org in three steps, each with an id derived from the bootstrap token.
// After a crash between them, the same request continues.
func (a *API) newOrg(ctx context.Context, in *newOrgInput) (*newOrgOutput, error) {
	if !callerOf(ctx).bootstrap {
		return nil, problem(http.StatusForbidden, "scope_not_permitted", "creating an org requires the bootstrap token")
	}
	a.cfg.Bootstrap.one.Lock()
	defer a.cfg.Bootstrap.one.Unlock()
	if a.cfg.Bootstrap.spent.Load() { // while this one waited
		return nil, unauthenticated()
	}
	return a.makeOrg(ctx, in)
}

// makeOrg is newOrg for the one request at a time.
func (a *API) makeOrg(ctx context.Context, in *newOrgInput) (*newOrgOutput, error) {
	b := in.Body
	actor := callerOf(ctx).actor()
	create := eventstore.Request{ID: BootstrapCreates(a.cfg.Bootstrap.Hash), Command: "CreateOrg", Actor: actor, Fields: []any{
		&domain.CreateOrg{Org: b.Org, Name: b.Name, Owner: b.Owner, OwnerName: domain.Clear(b.OwnerName), OwnerEmail: domain.Clear(b.OwnerEmail)}}}
	if err := domain.CheckID(b.Org); err != nil {
		return nil, malformed("body.org", "%v", err)
	}
	// A dry run finds a refusal before the id of the org is reserved.
	try := create
	try.DryRun = true
	register := eventstore.Request{ID: BootstrapRegisters(a.cfg.Bootstrap.Hash), Command: "RegisterOrg", Actor: actor,
		Fields: []any{&domain.RegisterOrg{Org: b.Org, Name: b.Name}}}
	if err := a.onlyTheFirst(ctx, &register); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		org domain.ID
		req eventstore.Request
	}{
		{b.Org, try},
		{domain.SystemOrg, register},
		{b.Org, create},
	} {
		_, err := a.cfg.Store.Execute(ctx, step.org, step.req)
		if errors.Is(err, eventstore.ErrPosition) { // another org is registered just now
			return a.makeOrg(ctx, in)
		}
		if errors.Is(err, eventstore.ErrReused) {
			return nil, problem(http.StatusConflict, "bootstrap_used", "this bootstrap token was already used for another org, or for this one with other fields")
		}
		if err != nil {
			return nil, a.asProblem(ctx, err)
		}
	}
	return a.firstToken(ctx, b.Org, b.Owner, create.ID)
}

// onlyTheFirst binds the registration of an org to a ledger that has none. It lets
// through an org that this token has made, and any further org when the token is for
// one. On a ledger that has another org the token ends.
func (a *API) onlyTheFirst(ctx context.Context, register *eventstore.Request) error {
	if a.cfg.Bootstrap.Further {
		return nil
	}
	if made, err := a.cfg.Store.Accepted(ctx, domain.SystemOrg, register.ID); err != nil || made {
		return a.problemOf(ctx, err)
	}
	orgs := 0
	err := a.cfg.Store.View(ctx, domain.SystemOrg, func(s *domain.State, head eventstore.Head) error {
		orgs = s.Orgs.Len()
		at := head.Position()
		register.IfPosition = &at
		return nil
	})
	if err == nil && orgs > 0 {
		a.endBootstrap()
		return problem(http.StatusConflict, "bootstrap_used", "the ledger has an org already, so this bootstrap token is good for nothing; "+
			"for a further org start an instance with --bootstrap and use the token that it writes")
	}
	return a.problemOf(ctx, err)
}

// problemOf is asProblem for an error that may be none.
func (a *API) problemOf(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return a.asProblem(ctx, err)
}

// firstTokenLife is how long the owner's first token is good for.
const firstTokenLife = 90 * 24 * time.Hour

// firstToken gives the owner of a new org a token, in the owner's name. It revokes the
// tokens of earlier answers that were lost.
func (a *API) firstToken(ctx context.Context, org, owner domain.ID, cause domain.UUID) (*newOrgOutput, error) {
	var lost []any
	err := a.cfg.Store.View(ctx, org, func(s *domain.State, _ eventstore.Head) error {
		for id, t := range s.Tokens.Each(domain.TokenByPerson, owner) {
			if !t.Revoked {
				lost = append(lost, &domain.RevokeToken{Token: id})
			}
		}
		return nil
	})
	send := func(command string, fields ...any) (eventstore.Result, error) {
		return a.cfg.Store.Execute(ctx, org, eventstore.Request{ID: newID(), Command: command, Actor: domain.PersonActor(owner),
			Causation: &cause, Fields: fields})
	}
	if err == nil && len(lost) > 0 {
		_, err = send("RevokeToken", lost...)
	}
	if err != nil {
		return nil, a.asProblem(ctx, err)
	}
	secret, hash := newSecret()
	id := domain.ID(newID().String())
	expires := a.cfg.Now().UTC().Add(firstTokenLife).Truncate(time.Second)
	result, err := send("IssueToken", &domain.IssueToken{Token: id, Person: owner, Hash: hash, Scope: domain.ScopeFull, Expires: expires})
	if err != nil {
		return nil, a.asProblem(ctx, err)
	}
	return &newOrgOutput{Position: result.Position.String(), Body: NewOrg{Org: org, Owner: owner, Token: TokenText(org, id, secret),
		TokenID: id, Expires: expires, Position: result.Position}}, nil
}
