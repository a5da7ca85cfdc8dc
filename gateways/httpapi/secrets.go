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

// answer shows the events of a command to its sender, with the secrets that were
// made for it while they may be told. Who repeats the command is its sender: the
// id is bound to the actor and the fields.
func (a *API) answer(ctx context.Context, req eventstore.Request, result eventstore.Result) ([]Event, error) {
	sees := seesSubject
	if !req.DryRun && a.cfg.Now().Sub(result.At) <= toldFor {
		secrets, err := toldOnce(result.Events)
		if err != nil {
			return nil, err
		}
		sees = func(s *domain.State, viewer, subject domain.ID) bool {
			return slices.Contains(secrets, subject) || seesSubject(s, viewer, subject)
		}
	}
	return a.show(ctx, result.Events, sees)
}

// toldOnce lists the subjects of the secrets that were made in events.
func toldOnce(stored []schemas.Event) (secrets []domain.ID, err error) {
	for _, e := range stored {
		ev, err := e.Decode()
		if err != nil {
			return nil, fmt.Errorf("httpapi: show an event: %w", err)
		}
		if secret := domain.ToldOnce(ev); secret != "" {
			secrets = append(secrets, secret)
		}
	}
	return secrets, nil
}
