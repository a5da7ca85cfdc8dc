package vault

import (
	"context"
	"crypto/cipher"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// loadChunk is how many keys one transaction reads. So other calls get in between when
// a whole org is loaded.
const loadChunk = 2048

// errNoOrg says that no key of the org was ever made.
var errNoOrg = errors.New("unknown org")

// org is an org's row with its key unwrapped, for the length of one call.
type org struct {
	row  int64
	key  secret
	keys cipher.AEAD // wraps the org's keys
}

// Ready implements [Keeper].
func (v *Vault) Ready(context.Context) error { return nil }

// Reserve implements [Keeper].
func (v *Vault) Reserve(ctx context.Context, orgName string, n int) ([]Key, error) {
	if err := checkReserve(orgName, n); err != nil {
		return nil, err
	}
	v.gate.RLock()
	defer v.gate.RUnlock()
	keys := make([]Key, n)
	err := v.inTx(ctx, "reserve keys", func(tx *sql.Tx) error {
		o, err := v.makeOrg(tx, orgName)
		if err != nil {
			return err
		}
		wrapped := make([][]byte, n)
		for i := range keys {
			keys[i] = Key{newKeyID(), newSecret()}
			wrapped[i] = wrap(o.keys, keys[i].secret, keyAD(orgName, keys[i].ID))
		}
		slots, err := store(tx, wrapped)
		if err != nil {
			return err
		}
		insert, err := tx.Prepare(`INSERT INTO key (id, org, slot) VALUES (?, ?, ?)`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for i, k := range keys {
			if err := one(insert.Exec(k.ID, o.row, slots[i])); err != nil {
				return err // an id drawn twice: once in 10^12 keys when there are 10^7
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// Keys implements [Keeper]. Of 50,000 keys it takes 4 µs each, in a vault of 600,000 up
// to 16 µs.
func (v *Vault) Keys(ctx context.Context, orgName string, ids []string) (map[string]Key, error) {
	if err := checkName("org", orgName); err != nil {
		return nil, err
	}
	v.gate.RLock()
	defer v.gate.RUnlock()
	keys := make(map[string]Key, len(ids))
	for chunk := range slices.Chunk(keyIDs(ids), loadChunk) {
		var damaged []string
		err := v.inTx(ctx, "load keys", func(tx *sql.Tx) error {
			o, err := v.findOrg(tx, orgName)
			if errors.Is(err, errNoOrg) || errors.Is(err, ErrDestroyed) {
				return nil
			}
			if err != nil {
				return err
			}
			damaged, err = loadFrom(tx, o, orgName, chunk, keys)
			return err
		})
		if errors.Is(err, ErrDamaged) {
			v.note(orgName, nil, []string{OrgKey})
		}
		if err != nil {
			return nil, err
		}
		v.note(orgName, append(slices.Clone(chunk), OrgKey), damaged)
	}
	return keys, nil
}

// loadFrom adds to keys those of ids that o has. It returns the ids of those whose slot
// does not open: one bad bit must not affect the other keys.
func loadFrom(tx *sql.Tx, o org, orgName string, ids []string, keys map[string]Key) (damaged []string, err error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(`SELECT key.id, secret.wrapped FROM json_each(?1) AS asked
		JOIN key ON key.id = asked.value JOIN secret ON secret.slot = key.slot WHERE key.org = ?2`, string(list), o.row)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var wrapped sql.RawBytes
		if err := rows.Scan(&id, &wrapped); err != nil {
			return nil, err
		}
		s, err := unwrap(o.keys, wrapped, keyAD(orgName, id))
		if err != nil {
			damaged = append(damaged, id)
			continue
		}
		keys[id] = Key{id, s}
	}
	return damaged, rows.Err()
}

// keyIDs returns the well-formed ids, each once, in the order of the table.
func keyIDs(ids []string) []string {
	sorted := make([]string, 0, len(ids))
	for _, id := range ids {
		if isKeyID(id) {
			sorted = append(sorted, id)
		}
	}
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// TagKey implements [Keeper].
func (v *Vault) TagKey(ctx context.Context, orgName, site string, version int) (TagKey, error) {
	if err := checkTagKey(orgName, site, version); err != nil {
		return TagKey{}, err
	}
	v.gate.RLock()
	defer v.gate.RUnlock()
	var key TagKey
	err := v.inTx(ctx, "tag key", func(tx *sql.Tx) error {
		o, err := v.findOrg(tx, orgName)
		switch {
		case errors.Is(err, errNoOrg) && version > 1:
			// A fresh key would make tags that no gateway knows.
			return noTagKey(orgName, version)
		case errors.Is(err, errNoOrg):
			o, err = v.makeOrg(tx, orgName)
		}
		if err != nil {
			return err
		}
		key = deriveTagKey(o.key, site, version)
		return nil
	})
	if err != nil {
		return TagKey{}, err
	}
	return key, nil
}

func noTagKey(orgName string, version int) error {
	return fmt.Errorf("%w: version %d of %s, of which this vault has nothing; was it put back from before the org was made?", ErrNoTagKey, version, orgName)
}

// findOrg returns an org and its key. It fails with errNoOrg if the org never had a
// key, and with ErrDestroyed if it has no longer one.
func (v *Vault) findOrg(tx *sql.Tx, name string) (org, error) {
	var o org
	var destroyed bool
	var wrapped []byte
	err := tx.QueryRow(`SELECT org, org.slot IS NULL, wrapped FROM org LEFT JOIN secret ON secret.slot = org.slot
		WHERE name = ?`, name).Scan(&o.row, &destroyed, &wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		return org{}, errNoOrg
	}
	if err != nil {
		return org{}, err
	}
	if destroyed {
		return org{row: o.row}, ErrDestroyed
	}
	if o.key, err = unwrap(v.orgs.aead(), wrapped, orgAD(name)); err != nil {
		return org{}, fmt.Errorf("%w: that of org %q, which wraps all others of it: %w", ErrDamaged, name, err)
	}
	o.keys = o.key.derive(nil, "gatehouse vault keys").aead()
	return o, nil
}

// makeOrg returns an org as findOrg does, and makes the org's key at its first use.
func (v *Vault) makeOrg(tx *sql.Tx, name string) (org, error) {
	o, err := v.findOrg(tx, name)
	if !errors.Is(err, errNoOrg) {
		return o, err
	}
	slots, err := store(tx, [][]byte{wrap(v.orgs.aead(), newSecret(), orgAD(name))})
	if err != nil {
		return org{}, err
	}
	if _, err := tx.Exec(`INSERT INTO org (name, slot) VALUES (?, ?)`, name, slots[0]); err != nil {
		return org{}, err
	}
	return v.findOrg(tx, name)
}

// orgAD and keyAD are the associated data of a wrapped secret. An id has a fixed
// length, so no two pairs give one text.
func orgAD(name string) string     { return "org " + name }
func keyAD(name, id string) string { return "key " + id + " " + name }
