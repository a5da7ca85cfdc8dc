package eventstore

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore/budget"
)

// loadBudget bounds the orgs that are loaded at the same time for unchecked tokens.
// These are requests whose tokens could not be checked yet. That happens between a
// start and the first time that the org is evicted, so once for each org.
var loadBudget = budget.Config{Name: "first_loads", Places: budget.Shares{All: 4, Person: 2},
	Line: budget.Shares{All: 64, Person: 8}, Patience: 5 * time.Second}

// parted is what is known of an org that was let go.
type parted struct {
	seq    uint64 // of its last commit then
	tokens map[domain.ID]partedToken
}

// partedToken is a token that was good.
type partedToken struct {
	hash    string
	expires time.Time
}

// partOf notes what is to be known of an org. The caller holds o.mu.
func partOf(o *org) parted {
	p := parted{o.head.seq, map[domain.ID]partedToken{}}
	for id, t := range o.state.Tokens.All() {
		if _, _, good := o.state.TokenHolder(id, o.head.At); good {
			p.tokens[id] = partedToken{t.Hash, t.Expires}
		}
	}
	return p
}

// good reports whether a claim is that of a token that was good, and is at an instant.
func (p parted) good(claim Claim, now time.Time) bool {
	t := p.tokens[claim.Token]
	return subtle.ConstantTimeCompare([]byte(t.hash), []byte(claim.Hash)) == 1 && now.Before(t.expires)
}

// Claim is a token as a request presents it.
type Claim struct {
	Token  domain.ID
	Hash   string     // of its secret
	Who    budget.Who // who presents it
	Latest bool       // what other instances have committed counts
}

// Glance is [Store.View] for a request that has proven nothing yet. It is no use of
// the org, and brings it into memory only when the token was good when the org was let
// go, or may be good since. Where it can tell that the token is not, it returns
// false, and f is not called.
func (s *Store) Glance(ctx context.Context, id domain.ID, claim Claim, f func(*domain.State, Head) error) (bool, error) {
	if o := s.present(id); o != nil {
		defer s.release(o)
		return true, s.glanceAt(ctx, o, claim.Latest, f)
	}
	s.mu.Lock()
	was, known := s.parted[id]
	s.mu.Unlock()
	if !known {
		release, err := s.loads.Take(ctx, claim.Who, 1)
		if err != nil {
			return false, err
		}
		defer release()
		return true, s.View(ctx, id, f)
	}
	if was.good(claim, s.cfg.Now()) {
		return true, s.View(ctx, id, f)
	}
	if !claim.Latest {
		return false, nil
	}
	last, err := s.ledger.GetLastMsgForSubject(ctx, Subject(id))
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, fmt.Errorf("eventstore: read the tail of %s: %w", id, err)
	}
	if err == nil && last.Sequence == was.seq {
		return false, nil
	}
	return true, s.View(ctx, id, f) // another instance wrote to it, for which it is visited anyway
}

// glanceAt looks at an org in memory.
func (s *Store) glanceAt(ctx context.Context, o *org, latest bool, f func(*domain.State, Head) error) error {
	if latest {
		if err := s.catchUp(ctx, o); err != nil {
			return err
		}
	}
	if err := s.upToDate(ctx, o); err != nil {
		return err
	}
	if err := s.rlock(ctx, o); err != nil {
		return err
	}
	defer o.mu.RUnlock()
	return f(o.state, o.head)
}
