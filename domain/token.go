package domain

import "time"

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

func (t *Token) keys() []string { return []string{"person:" + string(t.Person)} }

var tokenWords = words{
	events: []EventType{event[TokenIssued](1)},
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
