package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/gateways/httpapi"
	"gatehouse/schemas"
)

const (
	// bootstrapFile lies in the data directory. Anybody who can read it may make an
	// org, so it is readable by its owner alone.
	bootstrapFile = "bootstrap.token"
	// bootstrapLife is how long the token is good from when the file was written.
	bootstrapLife = 24 * time.Hour
	// bootstrapPrefix begins the token, before the secret in base64url.
	bootstrapPrefix = "gh.bootstrap."
)

// bootstrap returns the token by which an org can be made: the one that an earlier
// start left and nobody used, or a new one on a ledger without orgs. Nil: none. One
// that was left is good for nothing where the ledger got its first org by another, or
// where its own org is in use.
func (s *service) bootstrap(ctx context.Context) (*httpapi.Bootstrap, error) {
	empty := false
	err := s.Store.View(ctx, domain.SystemOrg, func(state *domain.State, _ eventstore.Head) error {
		empty = state.Orgs.Len() == 0 && s.restored == nil // a restored ledger has lost its orgs, perhaps
		return nil
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.cfg.Data, bootstrapFile)
	secret, written, err := readBootstrap(path)
	var made domain.ID
	var used bool
	if err == nil && !empty {
		made, used, err = s.madeBy(ctx, sha256.Sum256(secret[:]))
		if err != nil {
			return nil, fmt.Errorf("the bootstrap token: %w", err)
		}
	}
	spent := made != "" && (used || s.cfg.Bootstrap) // what has made an org makes no further one
	if spent {
		s.cfg.Log.Warn("the bootstrap token is spent; for a further org start with --bootstrap, and use the token that it writes", "file", path, "org", made)
	}
	switch {
	case err == nil && !empty && made == "" && !s.cfg.Bootstrap:
		s.cfg.Log.Info("the bootstrap token is removed: the ledger has an org that another one has made", "file", path)
		return nil, os.Remove(path)
	case err == nil && s.cfg.Now().Before(written.Add(bootstrapLife)) && !spent:
		s.BootstrapMade = made
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the bootstrap token: %w; remove the file, and a new one is written", err)
	case empty || s.cfg.Bootstrap:
		rand.Read(secret[:]) // it never fails: the program ends instead
		err := writeWhole(path, []byte(httpapi.BootstrapText(secret)+"\n"), 0o600)
		if isFull(err) && !empty { // the orgs that there are must not stay shut for it
			s.cfg.Log.Error("a bootstrap token could not be written, for the disk is full; start again when there is room", "file", path)
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the bootstrap token: %w", err)
		}
		written = s.cfg.Now()
	case err == nil:
		if !spent {
			s.cfg.Log.Info("the bootstrap token has expired", "file", path)
		}
		return nil, os.Remove(path)
	default:
		return nil, nil
	}
	s.BootstrapPath = path
	return &httpapi.Bootstrap{Hash: sha256.Sum256(secret[:]), Since: written, Expires: written.Add(bootstrapLife), Further: s.cfg.Bootstrap,
		Used: func() error { return os.Remove(path) }}, nil
}

// madeBy is the org that a bootstrap token has made; empty means that it has made none.
// It also reports whether somebody has sent anything to the org since, as a token of
// its owner allows.
func (s *service) madeBy(ctx context.Context, hash [sha256.Size]byte) (org domain.ID, used bool, err error) {
	id := httpapi.BootstrapRegisters(hash)
	if made, err := s.Store.Accepted(ctx, domain.SystemOrg, id); err != nil || !made {
		return "", false, err
	}
	err = s.Store.Commits(ctx, domain.SystemOrg, 0, 0, func(c *schemas.Commit, _ []byte) error {
		if c.ID != id {
			return nil
		}
		a, err := c.Applied()
		if err == nil && len(a.Events) > 0 {
			if e, ok := a.Events[0].(domain.OrgRegistered); ok {
				org = e.Org
			}
		}
		return err
	})
	if err != nil || org == "" {
		return "", false, err
	}
	creates := httpapi.BootstrapCreates(hash)
	err = s.Store.Commits(ctx, org, 0, 0, func(c *schemas.Commit, _ []byte) error {
		if used = c.Actor.Kind == domain.ActorPerson && (c.Causation == nil || *c.Causation != creates); used {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		s.cfg.Log.Warn("the org that the bootstrap token has made cannot be read", "org", org, "error", err)
	}
	return org, used, nil
}

// errEnough ends a reading.
var errEnough = errors.New("enough is read")

// readBootstrap reads the secret of a token and when it was written.
func readBootstrap(path string) (secret [32]byte, written time.Time, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return secret, written, err
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(b)), bootstrapPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(raw) != len(secret) {
		return secret, written, fmt.Errorf("%s holds none", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return secret, written, err
	}
	return [32]byte(raw), info.ModTime(), nil
}
