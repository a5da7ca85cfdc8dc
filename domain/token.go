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
}

// TokenScope bounds what a token is good for.
type TokenScope string

// The scopes of tokens.
const (
	ScopeFull    TokenScope = "full"    // commands and queries, as the person's roles allow
	ScopeRead    TokenScope = "read"    // queries alone
	ScopeMetrics TokenScope = "metrics" // GET /metrics alone
)

// MaxTokenLife is the longest that a token may be good for.
const MaxTokenLife = 366 * 24 * time.Hour

func (s TokenScope) check() error { return oneOf(s, ScopeFull, ScopeRead, ScopeMetrics) }

func (t *Token) keys() []string {
	return []string{"person:" + string(t.Person), "hash:" + t.Hash}
}

// Good reports whether the token speaks for its person at an instant.
func (t *Token) Good(at time.Time) bool { return !t.Revoked && at.Before(t.Expires) }

var tokenWords = words{
	commands: []CommandType{
		command[IssueToken]("Lets the holder of a secret speak for a person; the ledger gets the secret's hash alone.", TokenIssued{}),
		takesAway(command[RevokeToken]("Ends a token.", TokenRevoked{})),
	},
	events: []EventType{event[TokenIssued](1), event[TokenRevoked](1)},
}

// IssueToken lets the holder of a secret speak for a person: oneself, or one of a
// lower role (rule L1).
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
		return refuse("person_not_active", "the person %s is %s", c.Person, p.State).about(c.Person)
	}
	if tx.Actor != PersonActor(c.Person) {
		if r := tx.above(tx.RoleAt(tx.Actor.ID, ""), c.Person, tx.heldRole(c.Person)); r != nil {
			return r
		}
	}
	if c.Scope == ScopeMetrics && !tx.RoleAt(tx.Actor.ID, "").AtLeast(RoleSystemManager) {
		return refuse("role_not_permitted", "a token of the scope metrics needs the role %s at the org", RoleSystemManager)
	}
	return tx.issue(TokenIssued{Token: tx.idFor(c.Token, "token"), Person: c.Person, Hash: c.Hash, Scope: c.Scope, Expires: c.Expires})
}

// issue emits a token that nothing is wrong with.
func (tx *Tx) issue(e TokenIssued) *Refusal {
	if tx.Tokens.Has(e.Token) {
		return refuse("token_exists", "the token %s is there already", e.Token).about(e.Token)
	}
	if raw, err := hex.DecodeString(e.Hash); err != nil || len(raw) != sha256.Size || strings.ToLower(e.Hash) != e.Hash {
		return refuse("invalid_field", "hash: it is the SHA-256 of the secret, 64 digits of hex in lower case")
	}
	if tx.Tokens.HasBy("hash:" + e.Hash) {
		return refuse("token_exists", "there is a token of this secret already")
	}
	if r := required("scope", string(e.Scope)); r != nil {
		return r
	}
	if !e.Expires.After(tx.At) || e.Expires.After(tx.At.Add(MaxTokenLife)) {
		return refuse("invalid_field", "expires: it is after now and at most 366 days ahead")
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
}

func (e TokenIssued) fold(s *State, _ Moment) {
	s.Tokens.Put(e.Token, Token{ID: e.Token, Person: e.Person, Hash: e.Hash, Scope: e.Scope, Expires: e.Expires})
}
func (TokenIssued) concerns(*State) []ID { return nil }

// RevokeToken ends a token: one's own, or that of a lower role.
type RevokeToken struct {
	Token ID `json:"token"`
}

func (RevokeToken) permit() Permit { return Permit{Role: RoleSystemManager, Self: true} }
func (c RevokeToken) scope(s *State) Scope {
	if t, ok := s.Tokens.Get(c.Token); ok {
		return Scope{Person: t.Person}
	}
	return Scope{}
}

func (c RevokeToken) decide(tx *Tx) *Refusal {
	t, r := tx.Tokens.find(c.Token, "token")
	if r != nil {
		return r
	}
	if tx.Actor != PersonActor(t.Person) {
		if r := tx.above(tx.RoleAt(tx.Actor.ID, ""), t.Person, tx.heldRole(t.Person)); r != nil {
			return r
		}
	}
	if !t.Revoked {
		tx.emit(TokenRevoked(c))
	}
	return nil
}

// TokenRevoked ends a token.
type TokenRevoked struct {
	Token ID `json:"token"`
}

func (e TokenRevoked) fold(s *State, _ Moment) {
	s.Tokens.Update(e.Token, func(t *Token) { t.Revoked = true })
}
func (TokenRevoked) concerns(*State) []ID { return nil }
