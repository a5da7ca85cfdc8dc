package permissions

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

// TagKind is the kind under which the tag of a credential's number is made: "pin", or
// "card" for everything that a card reader reads.
func TagKind(kind domain.CredentialKind) string {
	if kind == domain.KindPin {
		return wire.TagPin
	}
	return wire.TagCard
}

// Tag makes the tag of a number as it is in the rows of a site; false means that the
// key of the site is not available.
func (p *Projector) Tag(orgID, siteID domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
	o := p.org(orgID)
	if o == nil {
		return unlock.Tag{}, false
	}
	s := o.site(siteID)
	if s == nil {
		return unlock.Tag{}, false
	}
	o.mu.Lock()
	key := s.readKey()
	o.mu.Unlock()
	if key == nil {
		return unlock.Tag{}, false
	}
	return key.Tag(TagKind(kind), wire.TagFormat(format), number), true
}

// readKey is the key of the tags in the table; nil while it is not available.
func (s *site) readKey() *vault.TagKey {
	for _, k := range []*vault.TagKey{s.key, s.before} {
		if k != nil && uint32(k.Version) == s.tagVersion() {
			return k
		}
	}
	return nil
}

// keyFits reports whether a tag may be made: the key is available, it is the one of the
// tags in the table, and the ledger still wants it.
func (s *site) keyFits() bool {
	return s.key != nil && uint32(s.key.Version) == s.tagVersion() && s.tagVersion() >= s.wanted
}

// needed is the version of the key for new tags. The published table may belong to a
// later commit than the present one.
func (s *site) needed() uint32 { return max(s.wanted, s.tagVersion()) }

// tag is the [domain.Tagger] of the site, for one goroutine.
func (s *site) tag(_ domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
	if !s.keyFits() {
		return unlock.Tag{}, false
	}
	return s.tagger.Tag(TagKind(kind), wire.TagFormat(format), number), true
}

// tagKeys are the keys of tags of an org's sites.
type tagKeys map[domain.ID]vault.TagKey

// tagKeys are the keys that the org has.
func (o *org) tagKeys() tagKeys {
	o.mu.Lock()
	defer o.mu.Unlock()
	keys := tagKeys{}
	for id, s := range *o.sites.Load() {
		if s.key != nil {
			keys[id] = *s.key
		}
	}
	return keys
}

func (s *site) setKey(k vault.TagKey) {
	s.key, s.before, s.tagger, s.keyed = &k, s.key, k.Tagger(), s.org.p.cfg.Now()
}

// tagging lists the orgs that lack keys of tags, or tags.
type tagging struct {
	mu      sync.Mutex // guards the fields below
	orgs    map[*org]struct{}
	resting map[*org]time.Duration // the backoff after a failure, until the next try
	some    chan struct{}          // capacity 1: full while an org is listed
}

func (t *tagging) init() {
	t.orgs, t.resting, t.some = map[*org]struct{}{}, map[*org]time.Duration{}, make(chan struct{}, 1)
}

// ask lists an org, unless it waits for its next try.
func (t *tagging) ask(o *org) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, rests := t.resting[o]; !rests {
		t.list(o)
	}
}

func (t *tagging) list(o *org) {
	t.orgs[o] = struct{}{}
	select {
	case t.some <- struct{}{}:
	default:
	}
}

func (t *tagging) take() []*org {
	t.mu.Lock()
	defer t.mu.Unlock()
	orgs := slices.Collect(maps.Keys(t.orgs))
	clear(t.orgs)
	return orgs
}

// tried notes the result of a try. After a failure the org waits.
func (t *tagging) tried(o *org, done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if done {
		delete(t.resting, o)
		return
	}
	pause := min(max(2*t.resting[o], firstTagsPause), lastTagsPause)
	t.resting[o] = pause
	delete(t.orgs, o)
	time.AfterFunc(pause, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.list(o)
	})
}

// failed reports whether the last try of an org failed.
func (t *tagging) failed(o *org) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.resting[o] > 0
}

const (
	vaultPatience  = 2 * time.Second // for one answer of the vault
	firstTagsPause = 50 * time.Millisecond
	lastTagsPause  = 10 * time.Second
)

// tagLoop fetches tag keys and makes missing tags in the background. The code that
// applies a commit may not wait for the vault.
func (p *Projector) tagLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.tagging.some:
		}
		for _, o := range p.tagging.take() {
			done := false // stays false after a panic
			_ = p.cfg.Store.Guard("tags", o.id, "", func() { done = p.makeTags(ctx, o) })
			p.tagging.tried(o, done)
		}
	}
}

// makeTags fetches the keys that the sites of an org lack, then makes the missing tags.
// It reports whether none is missing any longer.
func (p *Projector) makeTags(ctx context.Context, o *org) bool {
	if !p.fetchTagKeys(ctx, o) {
		return false
	}
	o.mu.Lock()
	missing := o.lacksTags()
	o.mu.Unlock()
	if !missing {
		return true
	}
	err := p.cfg.Store.View(ctx, o.id, func(state *domain.State, _ eventstore.Head) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, s := range *o.sites.Load() {
			s.retag(state)
		}
		missing = o.lacksTags()
		return nil
	})
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, eventstore.ErrClosed) {
			p.cfg.Log.Warn("tags of credentials cannot be made; trying again", "org", o.id, "error", err)
		}
		return false
	}
	o.wake()
	return !missing
}

// fetchTagKeys fetches the keys that sites need and lack.
func (p *Projector) fetchTagKeys(ctx context.Context, o *org) bool {
	lack := map[*site]uint32{}
	o.mu.Lock()
	for _, s := range *o.sites.Load() {
		if !o.ended && (s.key == nil || uint32(s.key.Version) < s.needed()) {
			lack[s] = s.needed()
		}
	}
	o.mu.Unlock()
	for s, version := range lack {
		asking, cancel := context.WithTimeout(ctx, vaultPatience)
		key, err := p.cfg.Keys.TagKey(asking, string(o.id), string(s.id), int(version))
		cancel()
		if err != nil {
			if ctx.Err() == nil && !p.tagging.failed(o) {
				p.cfg.Log.Warn("new credentials open nothing at a reader until the vault gives the key of tags", "org", o.id, "site", s.id, "version", version, "error", err)
			}
			return false
		}
		o.mu.Lock()
		s.setKey(key)
		o.mu.Unlock()
	}
	return true
}

// lacksTags reports whether a site lacks a tag, or has one of an older key than wanted.
// The ledger says which key is wanted. The caller holds the org's lock.
func (o *org) lacksTags() bool {
	if o.ended {
		return false
	}
	for _, s := range *o.sites.Load() {
		if s.lacksTags() {
			return true
		}
	}
	return false
}

func (s *site) lacksTags() bool { return len(s.untagged) > 0 || s.wanted > s.tagVersion() }

// retag makes the missing tags of a site, or all of them with another key. The caller
// holds the state and the org's lock.
func (s *site) retag(state *domain.State) {
	switch {
	case s.key == nil || s.org.ended || s.table.Load().TagKey() == 0:
	case uint32(s.key.Version) > s.tagVersion():
		s.rekey(state)
	case uint32(s.key.Version) == s.tagVersion():
		s.queueTags(s.tagged(state, slices.Sorted(maps.Keys(s.untagged))))
	}
}

// sealedPatience is how long a site waits for numbers that cannot be read before it
// changes the key. The vault answers meanwhile, and the time is enough to ask it
// several times.
const sealedPatience = 30 * time.Second

// rekey makes all tags with another key, in one delta, because a reader has one key
// alone. A number that cannot be read for long is lost with its key. It must not keep
// the other cards from a key that nobody stole.
func (s *site) rekey(state *domain.State) {
	now := s.table.Load()
	row, _ := siteRow(now, s.id)
	put := []unlock.Row{withTagOf(row, nil, uint32(s.key.Version))}
	var all []string
	for r := range now.Rows(unlock.KindCredential) {
		all = append(all, r.Key().ID)
		put = append(put, withTagOf(r, nil, 0))
	}
	tagged := s.tagged(state, all)
	if len(s.untagged) > 0 {
		if s.org.p.cfg.Now().Sub(s.keyed) < sealedPatience {
			return
		}
		s.org.p.cfg.Log.Warn("numbers of credentials cannot be read, and open nothing at a reader", "org", s.org.id, "site", s.id, "credentials", len(s.untagged))
	}
	byKey := make(map[unlock.Key]unlock.Row, len(tagged))
	for _, r := range tagged {
		byKey[r.Key()] = r
	}
	for i, r := range put {
		if r, ok := byKey[r.Key()]; ok {
			put[i] = r
		}
	}
	s.queueTags(put)
	s.before = nil
}

// tagged makes the rows of credentials with their tags, and notes those whose number
// cannot be read.
func (s *site) tagged(state *domain.State, ids []string) []unlock.Row {
	var put []unlock.Row
	tagger := s.key.Tagger()
	for _, id := range ids {
		r, ok := s.table.Load().Row(unlock.Key{Kind: unlock.KindCredential, ID: id})
		c, known := state.Credentials.Get(domain.ID(id))
		if !ok || !known || c.Number.Empty() {
			delete(s.untagged, id)
			continue
		}
		number, open := c.Number.Value()
		if !open {
			s.untagged[id] = struct{}{}
			continue
		}
		delete(s.untagged, id)
		copied := *r.(*unlock.Credential)
		copied.Tag = tagger.Tag(TagKind(c.Kind), wire.TagFormat(c.Format), number)
		put = append(put, &copied)
	}
	return put
}
