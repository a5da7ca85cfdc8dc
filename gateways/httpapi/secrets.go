package httpapi

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas"
)

// toldFor is how long after its commit a command is answered with the secret that
// was made for it: long enough for a sender who lost the answer to ask again with
// the same Idempotency-Key. Nothing else ever shows it.
const toldFor = 10 * time.Minute

// makeCandidates gives commands the secrets that they choose from.
func makeCandidates(fields []any) error {
	for _, f := range fields {
		c, ok := f.(domain.Candidates)
		if !ok {
			continue
		}
		n, digits := c.Candidates()
		made := make([]string, n)
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
		for i := range made {
			number, err := rand.Int(rand.Reader, limit)
			if err != nil {
				return fmt.Errorf("httpapi: make a secret: %w", err)
			}
			made[i] = fmt.Sprintf("%0*d", digits, number)
		}
		c.SetCandidates(made)
	}
	return nil
}

// answer shows the events of a command to its sender. It adds the secrets that were
// made for the command while they may be told. It leaves out the consequences for users
// of a unit with privacy that are hidden from the sender. A repeat of the command comes
// from its sender too: the id is bound to the actor and the fields.
func (a *API) answer(ctx context.Context, req eventstore.Request, result eventstore.Result) ([]Event, error) {
	opened := result.Opened
	if opened == nil {
		var err error
		if opened, err = a.open(ctx, result.Events); err != nil {
			return nil, err
		}
	}
	sees := seesSubject
	if !req.DryRun && a.cfg.Now().Sub(result.At) <= toldFor {
		secrets := toldOnce(opened)
		sees = func(s domain.View, viewer, subject domain.ID) bool {
			return slices.Contains(secrets, subject) || seesSubject(s, viewer, subject)
		}
	}
	if req.DryRun {
		// The state knows nobody yet whom the command would register; their values
		// came with it.
		made := registered(opened)
		sees = func(s domain.View, viewer, subject domain.ID) bool {
			return slices.Contains(made, subject) && !s.People.Has(subject) || seesSubject(s, viewer, subject)
		}
	}
	stored := result.Events
	if _, err := a.viewAfter(ctx, func(s domain.View, _ eventstore.Head) error {
		stored, opened = told(s, callerOf(ctx).person, req.Fields, result, opened)
		return nil
	}); err != nil {
		return nil, err
	}
	return a.show(ctx, stored, opened, sees)
}

// told leaves out the events of which the answer does not tell.
func told(s domain.View, sender domain.ID, fields []any, result eventstore.Result, opened []domain.Event) (stored []schemas.Event, seen []domain.Event) {
	for i, e := range opened {
		if domain.AnswerTells(s.State, sender, fields, e, result.At) {
			stored, seen = append(stored, result.Events[i]), append(seen, e)
		}
	}
	return stored, seen
}

// registered lists the people who are new in events.
func registered(events []domain.Event) (people []domain.ID) {
	for _, e := range events {
		if p, ok := e.(domain.PersonRegistered); ok {
			people = append(people, p.Person)
		}
	}
	return people
}

// toldOnce lists the subjects of the secrets that were made in events.
func toldOnce(events []domain.Event) (secrets []domain.ID) {
	for _, e := range events {
		if secret := domain.ToldOnce(e); secret != "" {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}
