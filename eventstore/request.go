package eventstore

import (
	"crypto/rand"
	"errors"
	"time"

	"gatehouse/domain"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// Request is one command, or a list of commands of one type that is all or nothing. It
// carries everything that the domain does not make itself.
type Request struct {
	// ID is the command's. Ids of the service and of everybody else live in name spaces
	// that cannot meet: what the service sends is stored under [domain.UUID.ForService],
	// and from others such an id is refused.
	ID         domain.UUID
	Command    string // the type: AssignFob
	Fields     []any  // pointers as domain.CommandType.New makes them, one per entry
	Actor      domain.Actor
	OnBehalfOf domain.ID
	// Token is that with which a person sends it; empty: it came without one. It is
	// looked at again where the command is decided.
	Token      domain.ID
	Causation  *domain.UUID
	IfPosition *wire.Position // refuse with ErrPosition unless the org stands there
	DryRun     bool           // decide, but append nothing
}

// Result is what an accepted command led to.
type Result struct {
	Position wire.Position    `json:"position"` // of the commit; with a dry run, where it was decided
	Hash     wire.Hash        `json:"hash"`
	At       time.Time        `json:"at"`
	Events   []schemas.Event  `json:"events"`
	Warnings []domain.Warning `json:"warnings,omitempty"`
	Repeated bool             `json:"repeated,omitempty"` // the id was known: this is what it led to then
	// Opened are the events with their personal values in clear; nil when the command
	// is repeated.
	Opened []domain.Event `json:"-"`
	Impact *domain.Impact `json:"impact,omitempty"` // of a dry run: who would lose and gain what
}

// Errors of Execute beside a *domain.Refusal, [ErrBusy], [ErrClock], [ErrClosed], [ErrTooNew]
// and [vault.ErrUnavailable].
var (
	// ErrUnsettled: it is not known whether the command is committed. The same id
	// sent again tells.
	ErrUnsettled = errors.New("the outcome is not known; send the same command with the same id again")
	// ErrReused: the id belongs to another command.
	ErrReused = errors.New("this id was used for another command")
	// ErrReservedID: the id is of the name space that only the service writes.
	ErrReservedID = errors.New("ids of version 8 are those of the service; use one of version 4 or 7")
	// ErrTokenEnded: the token was good when the request came and is not any more.
	ErrTokenEnded = errors.New("the token is not good any more")
	// ErrPosition: the org moved on from the position that the command names.
	ErrPosition = errors.New("the org is not at the position that the command names")
	// ErrTooLarge: the commit would be greater than schemas.MaxCommit.
	ErrTooLarge = errors.New("the command leads to more than one commit can hold; send smaller lists")
	// ErrRejected: the server does not store it, for want of room or by its settings.
	ErrRejected = errors.New("the ledger does not take the commit")
)

// tokenGood reports whether the token with which a command came is still that of its
// sender. It may have been revoked while the body of the request was on its way. The
// caller holds the org, and the guard of the append keeps the answer true until the
// commit.
func tokenGood(s *domain.State, req Request, at time.Time) bool {
	if req.Token == "" {
		return true
	}
	person, scope, ok := s.TokenHolder(req.Token, at)
	return ok && scope == domain.ScopeFull && req.Actor == domain.PersonActor(person)
}

// context is what the request is decided in.
func (req Request) context(at time.Time, salt [16]byte) domain.Context {
	return domain.Context{ID: req.ID, At: at, Actor: req.Actor, OnBehalfOf: req.OnBehalfOf, Token: req.Token, Salt: salt}
}

// newSalt makes the salt of a command. The hash of the head would not do, although it
// differs as well: the sender of the command before knows it.
func newSalt() (salt [16]byte) {
	_, _ = rand.Read(salt[:]) // it never fails
	return salt
}
