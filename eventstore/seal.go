package eventstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

// associated is the data that a box is bound to: the org and the subject. The
// place in the ledger is held by the chain of hashes, so a box may be copied into
// a snapshot and opened there.
func associated(org, subject domain.ID) []byte {
	return []byte("gatehouse/1|" + string(org) + "|" + string(subject))
}

// seal returns the events with every personal value in a box. The org is held.
func (x *execution) seal(events []domain.Event) ([]domain.Event, error) {
	if err := x.giveKeys(x.newSubjects(events)); err != nil {
		return nil, err
	}
	out := make([]domain.Event, len(events))
	var failed error
	for i, e := range events {
		out[i] = domain.MapPersonal(e, func(subject domain.ID, p domain.Personal) domain.Personal {
			if p.Box() != "" || failed != nil {
				return p
			}
			key, ok := x.keyOf(subject)
			if !ok {
				failed = fmt.Errorf("eventstore: no key for a personal value of %s: %w", subject, x.whyNoKey(subject))
				return p
			}
			box, err := key.Seal(associated(x.org.id, subject), []byte(p.Text()))
			if err != nil {
				failed = err
			}
			return p.Sealed(box)
		})
	}
	return out, failed
}

// keyOf returns the key of a subject: the one that the ledger names, or the fresh
// one of this command.
func (x *execution) keyOf(subject domain.ID) (vault.Key, bool) {
	if id := x.org.state.KeyOf(subject); id != "" {
		k, ok := x.org.keys[id]
		return k, ok
	}
	k, ok := x.fresh[subject]
	return k, ok
}

// whyNoKey tells why the key of a subject is not at hand.
func (x *execution) whyNoKey(subject domain.ID) error {
	if x.store.keyDamaged(x.org.id, x.org.state.KeyOf(subject)) {
		return vault.ErrDamaged
	}
	return vault.ErrUnavailable
}

// newSubjects lists the subjects in events that have no key yet, each once.
func (x *execution) newSubjects(events []domain.Event) (subjects []domain.ID) {
	seen := map[domain.ID]bool{}
	for _, e := range events {
		domain.MapPersonal(e, func(subject domain.ID, p domain.Personal) domain.Personal {
			if _, has := x.fresh[subject]; !has && p.Box() == "" && x.org.state.KeyOf(subject) == "" && !seen[subject] {
				seen[subject] = true
				subjects = append(subjects, subject)
			}
			return p
		})
	}
	return subjects
}

// giveKeys gives each subject a fresh key. Those of a dry run no vault keeps: it would
// reserve them for nothing, and for a long list while the org waits.
func (x *execution) giveKeys(subjects []domain.ID) error {
	if len(subjects) == 0 {
		return nil
	}
	if x.fresh == nil {
		x.fresh = map[domain.ID]vault.Key{}
	}
	if x.req.DryRun {
		for _, subject := range subjects {
			x.fresh[subject] = vault.Passing()
		}
		return nil
	}
	if lacks := len(subjects) - len(x.spare); lacks > 0 {
		x.spare = append(x.spare, x.store.pools.take(x.store, x.org.id, lacks)...)
	}
	if x.lacks = len(subjects) - len(x.spare); x.lacks > 0 {
		return errNeedsKeys
	}
	for i, subject := range subjects {
		x.fresh[subject] = x.spare[i]
		x.org.keys[x.spare[i].ID] = x.spare[i]
	}
	x.spare = x.spare[len(subjects):]
	return nil
}

// errNeedsKeys says that a command is to be decided again with keys that the vault has
// reserved: nobody waits for the vault while the org is held.
var errNeedsKeys = errors.New("eventstore: keys are to be reserved")

// reserve gets the keys that the command lacks. That happens at the first personal value
// of an org and in bulk work alone. The org is not held.
func (x *execution) reserve(ctx context.Context) error {
	keys, err := x.store.cfg.Keys.Reserve(ctx, string(x.org.id), x.lacks)
	x.spare = append(x.spare, keys...)
	return err
}

// requestHash is the SHA-256 over actor, command and fields. It tells a repeat of an id
// from another command. A personal field enters as its HMAC under its subject's key, so
// that nothing can be guessed back once the key is gone, and not at all when the commit
// sealed nothing of that subject. Candidates that the service made for the command are
// no field of it, and so a repeat is one whatever was made for it. The org is held.
func (x *execution) requestHash() (wire.Hash, error) {
	h := sha256.New()
	head, err := json.Marshal([]any{x.req.Actor, x.req.OnBehalfOf, x.req.Command, len(x.req.Fields)})
	if err != nil {
		return wire.Hash{}, fmt.Errorf("eventstore: hash a request: %w", err)
	}
	h.Write(head)
	made := map[domain.ID]domain.ID{}
	for i, id := range x.made {
		made[domain.LeftOutSubject(x.req.ID, i)] = id
	}
	for _, ptr := range x.req.Fields {
		cmd := domain.MapPersonal(x.typ.Command(ptr), func(subject domain.ID, p domain.Personal) domain.Personal {
			if id, ok := made[subject]; ok {
				subject = id
			}
			key, ok := x.keyOf(subject)
			if !ok {
				return p.Sealed("-")
			}
			mac := key.HMAC([]byte(p.Text()))
			return p.Sealed(hex.EncodeToString(mac[:]))
		})
		b, err := json.Marshal(cmd)
		if err != nil {
			return wire.Hash{}, fmt.Errorf("eventstore: hash a request: %w", err)
		}
		h.Write(b)
	}
	return wire.Hash(h.Sum(nil)), nil
}

// keys asks the vault for keys of an org, and tells the metrics how many are known
// to be damaged.
func (s *Store) keys(ctx context.Context, id domain.ID, ids []string) (map[string]vault.Key, error) {
	keys, err := s.cfg.Keys.Keys(ctx, string(id), ids)
	n := 0
	for _, damaged := range s.cfg.Keys.Damaged() {
		n += len(damaged)
	}
	s.metrics.DamagedKeys.Set(float64(n))
	return keys, err
}

// keyDamaged reports whether the vault has a key of an org that does not open.
func (s *Store) keyDamaged(id domain.ID, key string) bool {
	return slices.Contains(s.cfg.Keys.Damaged()[string(id)], key)
}

// DamagedKeys tells, by org, the ids of keys that the vault has and that do not open:
// what they seal cannot be read. [vault.OrgKey] stands for that of an org itself.
func (s *Store) DamagedKeys() map[domain.ID][]string {
	out := map[domain.ID][]string{}
	for id, keys := range s.cfg.Keys.Damaged() {
		out[domain.ID(id)] = keys
	}
	return out
}

// vaultPatience is how long following the ledger waits for the vault. After the vault
// did not answer, it is not asked again for as long.
const vaultPatience = time.Second

// vaultRest is the longest pause between two looks for keys that are missing.
const vaultRest = time.Minute

// openEvent returns an event with the personal values in clear whose keys are
// known. The org is held.
func (s *Store) openEvent(o *org, e domain.Event) domain.Event {
	return domain.MapPersonal(e, func(subject domain.ID, p domain.Personal) domain.Personal {
		opened, ok := o.open(subject, p)
		if !ok {
			o.sealed++
			return p
		}
		return opened
	})
}

// open opens a box with a key in memory.
func (o *org) open(subject domain.ID, p domain.Personal) (domain.Personal, bool) {
	id, err := vault.BoxKeyID(p.Box())
	if err != nil {
		return p, false
	}
	key, ok := o.keys[id]
	if !ok {
		return p, false
	}
	clear, err := key.Open(associated(o.id, subject), p.Box())
	if err != nil {
		return p, false
	}
	return p.Opened(string(clear)), true
}

// openState opens the sealed values of an org that is being loaded, where the vault has
// the keys. The caller holds o.mu, as nobody uses the org yet.
func (s *Store) openState(ctx context.Context, o *org) {
	ids := o.boxed()
	if keys, err := s.askFor(ctx, o, ids); err != nil {
		o.sealed = max(o.sealed, len(ids))
	} else {
		s.openWith(o, keys)
	}
}

// openSealed opens the sealed values of an org's state, as far as the vault has the
// keys. The org is not held while the vault is asked. It fails with [ErrBusy] while a
// copy of the state is being read, since the values are opened in place.
func (s *Store) openSealed(ctx context.Context, o *org) error {
	if err := s.rlock(ctx, o); err != nil {
		return err
	}
	if o.sealed == 0 { // the state is not walked for each command
		o.mu.RUnlock()
		return nil
	}
	ids := o.boxed()
	o.mu.RUnlock()
	if o.looks.Load() > 0 {
		return errLookedAt
	}
	keys, asked := s.askFor(ctx, o, ids)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case asked != nil:
		return nil // what is sealed stays so
	case !o.loaded.Load():
		return errNotLoaded
	case o.looks.Load() > 0:
		return errLookedAt
	}
	s.openWith(o, keys)
	return nil
}

var errLookedAt = fmt.Errorf("eventstore: personal values are opened when the dry runs that are looked at are over: %w", ErrBusy)

// boxed lists the keys of the sealed values of the state that are not in memory, each
// once. The caller holds o.mu, at least for reading.
func (o *org) boxed() (ids []string) {
	o.state.EachPersonal(func(_ domain.ID, p *domain.Personal) {
		if id, err := vault.BoxKeyID(p.Box()); err == nil {
			if _, have := o.keys[id]; !have {
				ids = append(ids, id)
			}
		}
	})
	slices.Sort(ids)
	return slices.Compact(ids)
}

// askFor asks the vault for the keys of sealed values.
func (s *Store) askFor(ctx context.Context, o *org, ids []string) (map[string]vault.Key, error) {
	keys, err := s.keys(ctx, o.id, ids)
	if err != nil {
		s.log.Warn("personal values stay sealed until the vault answers", "org", o.id, "error", err)
	}
	return keys, err
}

// openWith opens the sealed values of the state with further keys. It keeps those that
// the state still needs: a commit may have ended others meanwhile. Values under a
// damaged key do not count as sealed: they stay so until the vault is put back, and the
// others of the org must not wait for that. So a number that only such a value holds can
// be given again. The caller holds o.mu, and no copy of the state is being read.
func (s *Store) openWith(o *org, keys map[string]vault.Key) {
	missing, damaged := 0, map[string]bool{}
	for _, id := range s.cfg.Keys.Damaged()[string(o.id)] {
		damaged[id] = true
	}
	o.state.EachPersonal(func(subject domain.ID, p *domain.Personal) {
		id, malformed := vault.BoxKeyID(p.Box())
		if key, ok := keys[id]; ok && malformed == nil {
			o.keys[id] = key
		}
		if _, known := p.Value(); known { // it may be read in a fork of the state just now
			return
		}
		if opened, ok := o.open(subject, *p); ok {
			*p = opened
		} else if malformed != nil || !damaged[id] {
			missing++
		}
	})
	o.state.Reindex()
	o.sealed = missing
	if missing > 0 {
		s.log.Error("personal values have no key in the vault", "org", o.id, "values", missing)
	}
}

// openFor makes sure that a command with personal fields is decided on an opened state.
// All personal values of the state are then known in clear: otherwise a number could be
// given twice. It counts secrets that are to be made as personal fields. Keys are
// reserved ahead, but without the vault nobody could read what they seal, and a secret
// that was made could not be shown again: such commands wait for the vault.
func (s *Store) openFor(ctx context.Context, o *org, fields []any) error {
	personal := false
	for _, f := range fields {
		domain.EachPersonal(f, func(domain.ID, *domain.Personal) { personal = true })
		_, made := f.(domain.Candidates)
		personal = personal || made
	}
	if !personal {
		return nil
	}
	if err := s.cfg.Keys.Ready(ctx); err != nil {
		return fmt.Errorf("eventstore: seal personal values of %s: %w", o.id, err)
	}
	if err := s.openSealed(ctx, o); err != nil {
		return err
	}
	if err := s.rlock(ctx, o); err != nil {
		return err
	}
	defer o.mu.RUnlock()
	if o.sealed > 0 {
		return fmt.Errorf("eventstore: personal values of %s cannot be opened: %w", o.id, vault.ErrUnavailable)
	}
	return nil
}

// OpenEvents returns events of an org, as stored, with the personal values in
// clear whose keys are still there. The others stay sealed.
func (s *Store) OpenEvents(ctx context.Context, id domain.ID, events []domain.Event) ([]domain.Event, error) {
	var ids []string
	for _, e := range events {
		domain.MapPersonal(e, func(_ domain.ID, p domain.Personal) domain.Personal {
			if key, err := vault.BoxKeyID(p.Box()); err == nil {
				ids = append(ids, key)
			}
			return p
		})
	}
	if len(ids) == 0 {
		return events, nil
	}
	keys, err := s.keys(ctx, id, ids)
	if err != nil {
		return nil, fmt.Errorf("eventstore: open events of %s: %w", id, err)
	}
	o := &org{id: id, keys: keys}
	out := make([]domain.Event, len(events))
	for i, e := range events {
		out[i] = s.openEvent(o, e)
	}
	return out, nil
}
