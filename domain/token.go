package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Token lets its holder speak for a person within a scope. The ledger knows its
// hash alone.
type Token struct {
	ID      ID         `json:"id"`
	Person  ID         `json:"person"`
	Hash    string     `json:"hash"` // hex of the SHA-256 of the secret's 32 bytes
	Scope   TokenScope `json:"scope"`
	Expires time.Time  `json:"expires"` // UTC, exclusive
	Revoked bool       `json:"revoked,omitzero"`
	Issuer  ID         `json:"issuer,omitempty"` // the token with which it was issued; empty: none, or not on record
}

// TokenScope bounds what a token is good for.
type TokenScope string

// The scopes of tokens.
const (
	ScopeFull    TokenScope = "full"    // commands and queries, as the person's roles allow
	ScopeRead    TokenScope = "read"    // queries alone
	ScopeMetrics TokenScope = "metrics" // GET /metrics and the whole of GET /readyz alone
)

// MaxTokenLife is the longest that a token may be good for.
const MaxTokenLife = 366 * 24 * time.Hour

func (s TokenScope) check() error { return oneOf(s, ScopeFull, ScopeRead, ScopeMetrics) }

func (t *Token) keys() []key[Token] {
	k := []key[Token]{{TokenByPerson, t.Person}, {tokenByHash, ID(t.Hash)}}
	if t.Issuer != "" {
		k = append(k, key[Token]{tokenByIssuer, t.Issuer})
	}
	return k
}

// Good reports whether the token speaks for its person at an instant.
func (t *Token) Good(at time.Time) bool { return !t.Revoked && at.Before(t.Expires) }

// TokenHolder returns for whom a token speaks at an instant, and within which scope;
// not ok when it is unknown or over, or its person may send nothing.
func (s *State) TokenHolder(token ID, at time.Time) (person ID, scope TokenScope, ok bool) {
	t, ok := s.Tokens.Get(token)
	if !ok || !t.Good(at) {
		return "", "", false
	}
	p, ok := s.People.Get(t.Person)
	return t.Person, t.Scope, ok && p.State == PersonStateActive
}

// The most tokens that a person may have at the same time: those who work for the
// operator have one for each program.
const (
	maxTokens      = 10
	maxStaffTokens = 100
)

var tokenMessages = messages{
	commands: []CommandType{
		command[IssueToken]("Issues a token with which its holder acts for a person; the ledger stores only its hash.", TokenIssued{}),
		command[RevokeToken]("Revokes a token and those that were issued with it.", TokenRevoked{}),
	},
	events: []EventType{event[TokenIssued](1), event[TokenRevoked](1)},
}

// IssueToken lets the holder of a secret speak for a person: oneself, or one of a
// lower role (rule L1). Those who do not work for the operator issue none that lasts
// longer than the one with which they send it.
type IssueToken struct {
	Token   ID         `json:"token,omitempty"` // empty: an id is made
	Person  ID         `json:"person"`
	Hash    string     `json:"hash"` // hex of the SHA-256 of the secret's 32 bytes, in lower case
	Scope   TokenScope `json:"scope"`
	Expires time.Time  `json:"expires"` // at most 366 days ahead
}

func (IssueToken) permit() Permit       { return Permit{Role: RoleSystemManager, Self: true} }
func (c IssueToken) scope(*State) Scope { return Scope{Person: c.Person} }
func (c IssueToken) decide(tx *Tx) *Refusal {
	p, r := tx.person(c.Person)
	if r != nil {
		return r
	}
	if p.State != PersonStateActive {
		return refuse("person_not_active", "person %s is %s", c.Person, p.State).about(c.Person)
	}
	if tx.Actor != PersonActor(c.Person) {
		if r := tx.above(tx.RoleAt(tx.Actor.ID, ""), c.Person, tx.heldRole(c.Person)); r != nil {
			return r
		}
	}
	if c.Scope == ScopeMetrics && !tx.RoleAt(tx.Actor.ID, "").AtLeast(RoleSystemManager) {
		return forbid("role_not_permitted", "a token of the scope metrics requires role %s at the org", RoleSystemManager)
	}
	if by, ok := tx.Tokens.Get(tx.Token); ok && c.Expires.After(by.Expires) && !tx.HighestRole(tx.Actor.ID).AtLeast(RoleStaff) {
		return refuse("token_outlives_issuer", "expires: must be at most %s, when the token that issues it expires; an operator can issue a longer one",
			by.Expires.Format(time.RFC3339))
	}
	if r := tx.checkFewTokens(c.Person); r != nil {
		return r
	}
	return tx.issue(TokenIssued{Token: tx.idFor(c.Token, "token"), Person: c.Person, Hash: c.Hash, Scope: c.Scope, Expires: c.Expires, Issuer: tx.Token})
}

// checkFewTokens refuses one more token of a person who has as many as they may: each
// has a rate of its own.
func (tx *Tx) checkFewTokens(person ID) *Refusal {
	most, have := maxTokens, 0
	if tx.heldRole(person).AtLeast(RoleStaff) {
		most = maxStaffTokens
	}
	for _, t := range tx.Tokens.Each(TokenByPerson, person) {
		if t.Good(tx.At) {
			have++
		}
	}
	if have >= most {
		return refuse("too_many_tokens", "person %s has %d valid tokens, the maximum; revoke one first", person, have).about(person)
	}
	return nil
}

// issue emits a token that nothing is wrong with.
func (tx *Tx) issue(e TokenIssued) *Refusal {
	if tx.Tokens.Has(e.Token) {
		return refuse("token_exists", "token %s already exists", e.Token).about(e.Token)
	}
	if raw, err := hex.DecodeString(e.Hash); err != nil || len(raw) != sha256.Size || strings.ToLower(e.Hash) != e.Hash {
		return invalid("invalid_field", "hash: must be the SHA-256 of the secret, 64 hex digits in lower case")
	}
	if tx.Tokens.HasBy(tokenByHash, ID(e.Hash)) {
		return refuse("token_exists", "a token with this secret already exists")
	}
	if r := required("scope", string(e.Scope)); r != nil {
		return r
	}
	if !e.Expires.After(tx.At) || e.Expires.After(tx.At.Add(MaxTokenLife)) {
		return invalid("invalid_field", "expires: must be in the future, at most 366 days ahead")
	}
	e.Expires = e.Expires.UTC()
	tx.emit(e)
	return nil
}

// TokenIssued lets the holder of a secret speak for a person.
type TokenIssued struct {
	Token   ID         `json:"token"`
	Person  ID         `json:"person"`
	Hash    string     `json:"hash"`
	Scope   TokenScope `json:"scope"`
	Expires time.Time  `json:"expires"`
	Issuer  ID         `json:"issuer,omitempty"` // the token with which it was issued
}

func (e TokenIssued) fold(s *State, _ Moment) {
	s.Tokens.Put(e.Token, Token{ID: e.Token, Person: e.Person, Hash: e.Hash, Scope: e.Scope, Expires: e.Expires, Issuer: e.Issuer})
}
func (TokenIssued) affectedSites(*State) []ID { return nil }

// RevokeToken ends a token: one's own, or that of a lower role. All that were issued
// with it, and with those, end too: somebody who stole it may have made them. Only who
// replaces a token keeps them.
type RevokeToken struct {
	Token      ID   `json:"token"`
	KeepIssued bool `json:"keep_issued,omitzero"` // what was issued with it stays valid
}

func (RevokeToken) urgent() bool   { return true }
func (RevokeToken) permit() Permit { return Permit{Role: RoleSystemManager, Self: true} }
func (c RevokeToken) scope(s *State) Scope {
	t, unknown := s.Tokens.find(c.Token, "token")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	return Scope{Person: t.Person}
}

func (c RevokeToken) decide(tx *Tx) *Refusal {
	t, r := tx.Tokens.find(c.Token, "token")
	if r != nil {
		return r
	}
	if r := tx.checkMayEnd(t); r != nil {
		return r
	}
	ends := !t.Revoked
	if !c.KeepIssued {
		for _, id := range tx.issuedWith(c.Token) {
			issued, _ := tx.Tokens.Get(id)
			if issued.Revoked {
				continue
			}
			if r := tx.checkMayEnd(issued); r != nil {
				r.Message += "; it was issued with the token " + string(c.Token) + ": keep_issued ends that one alone"
				return r
			}
			ends = true
		}
	}
	if ends {
		tx.emit(TokenRevoked(c))
	}
	return nil
}

// checkMayEnd refuses to end the token of somebody whom the sender does not outrank.
func (tx *Tx) checkMayEnd(t *Token) *Refusal {
	if tx.Actor == PersonActor(t.Person) {
		return nil
	}
	return tx.above(tx.RoleAt(tx.Actor.ID, ""), t.Person, tx.heldRole(t.Person))
}

// issuedWith lists the tokens that were issued with a token, and with those.
func (s *State) issuedWith(token ID) []ID {
	ids := s.Tokens.IDs(tokenByIssuer, token)
	for i := 0; i < len(ids); i++ { // an issuer was there before what it issued, so there is no circle
		ids = append(ids, s.Tokens.IDs(tokenByIssuer, ids[i])...)
	}
	return ids
}

// TokenRevoked ends a token, and unless it keeps them those that were issued with it.
type TokenRevoked struct {
	Token      ID   `json:"token"`
	KeepIssued bool `json:"keep_issued,omitzero"`
}

func (e TokenRevoked) fold(s *State, _ Moment) {
	s.endToken(e.Token)
	if e.KeepIssued {
		return
	}
	for _, id := range s.issuedWith(e.Token) {
		s.endToken(id)
	}
}

// endToken ends one token alone.
func (s *State) endToken(id ID) {
	s.Tokens.Update(id, func(t *Token) { t.Revoked = true })
}

func (TokenRevoked) affectedSites(*State) []ID { return nil }
