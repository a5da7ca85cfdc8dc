package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A Cursor is the position in a ledger up to which the vault has destroyed fenced keys.
type Cursor struct {
	// Ledger distinguishes one ledger from every other, such as the stream's time of
	// creation.
	Ledger string
	// Sequence is the last processed message, by its sequence in the ledger's stream; 0
	// means none.
	Sequence uint64
}

// Cursor returns the last sequence of a ledger that the vault has processed. The last
// message of the ledger has sequence last. The caller then reads the ledger from the
// next one on, and destroys the keys that it fences, before any key is given out. So a
// vault restored from a backup, whose cursor is older, destroys the later keys again.
//
// The cursor returns to 0, and keeps that, for a ledger other than the last one, and
// for one that ends before the cursor: that one was itself restored, and will have
// other messages under the same sequences.
func (v *Vault) Cursor(ctx context.Context, ledger string, last uint64) (uint64, error) {
	if err := checkName("ledger", ledger); err != nil {
		return 0, err
	}
	var sequence uint64
	err := v.inTx(ctx, "read the cursor", func(tx *sql.Tx) error {
		at, err := readCursor(tx)
		if err != nil {
			return err
		}
		if at.Ledger == ledger && at.Sequence <= last {
			sequence = at.Sequence
			return nil
		}
		return writeCursor(tx, Cursor{Ledger: ledger})
	})
	return sequence, err
}

// Followed returns the stored cursor, of any ledger; zero when none was ever followed.
func (v *Vault) Followed(ctx context.Context) (at Cursor, err error) {
	err = v.inTx(ctx, "look at the cursor", func(tx *sql.Tx) error {
		at, err = readCursor(tx)
		return err
	})
	return at, err
}

// SetCursor records that every message up to at is processed. It never goes back, and
// fails for a ledger other than the last one given to Cursor.
func (v *Vault) SetCursor(ctx context.Context, at Cursor) error {
	return v.inTx(ctx, "set the cursor", func(tx *sql.Tx) error {
		followed, err := readCursor(tx)
		if err != nil {
			return err
		}
		if followed.Ledger != at.Ledger {
			return fmt.Errorf("ledger %q is not followed, %q is", at.Ledger, followed.Ledger)
		}
		if at.Sequence <= followed.Sequence {
			return nil
		}
		return writeCursor(tx, at)
	})
}

// Destroy destroys keys of an org for good and moves the cursor to at. Both happen in
// one transaction, so it must be called in the order of the ledger. For a ledger other
// than the last one given to Cursor it destroys and records nothing.
//
// When it returns, the file holds no byte of the keys, wrapped or not, and no call
// returns them, not even one that was in progress; a Remote may still hold an answer
// from before. When it fails, the keys are all there, or all gone after a failure of
// the commit itself, and it must be called again. Ids that are unknown, destroyed,
// another org's or malformed are skipped, so that it is idempotent.
func (v *Vault) Destroy(ctx context.Context, orgName string, ids []string, at Cursor) error {
	if err := checkName("org", orgName); err != nil {
		return err
	}
	err := v.destroyIn(ctx, at, func(tx *sql.Tx) error { return destroyKeys(tx, orgName, ids) })
	if err == nil {
		v.note(orgName, ids, nil)
	}
	return err
}

// DestroyOrg destroys all keys of an org as Destroy does. That includes the org's own
// key and with it its tag keys, and the reserved keys. It also holds for an org without
// keys: none is ever made for it again. It takes about 30 µs a key, in which every
// other call waits.
func (v *Vault) DestroyOrg(ctx context.Context, orgName string, at Cursor) error {
	if err := checkName("org", orgName); err != nil {
		return err
	}
	err := v.destroyIn(ctx, at, func(tx *sql.Tx) error { return destroyOrg(tx, orgName) })
	if err == nil {
		v.note(orgName, v.Damaged()[orgName], nil)
	}
	return err
}

// destroyIn runs do alone, and moves the cursor in the same transaction.
func (v *Vault) destroyIn(ctx context.Context, at Cursor, do func(tx *sql.Tx) error) error {
	v.gate.Lock()
	defer v.gate.Unlock()
	return v.inTx(ctx, "destroy keys", func(tx *sql.Tx) error {
		followed, err := readCursor(tx)
		if err != nil {
			return err
		}
		// Of a ledger that is not followed nothing is known to be seen to, so the
		// cursor stays where it is; the keys go all the same.
		if followed.Ledger == at.Ledger && at.Sequence > followed.Sequence {
			if err := writeCursor(tx, at); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

func destroyKeys(tx *sql.Tx, orgName string, ids []string) error {
	row, err := orgRow(tx, orgName)
	if err != nil {
		return err
	}
	take, err := tx.Prepare(`DELETE FROM key WHERE id = ? AND org = ? RETURNING slot`)
	if err != nil {
		return err
	}
	defer take.Close()
	var slots []int64
	for _, id := range keyIDs(ids) {
		var slot int64
		err := take.QueryRow(id, row).Scan(&slot)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		slots = append(slots, slot)
	}
	return overwrite(tx, slots)
}

func destroyOrg(tx *sql.Tx, name string) error {
	if _, err := tx.Exec(`INSERT OR IGNORE INTO org (name) VALUES (?)`, name); err != nil {
		return err
	}
	row, err := orgRow(tx, name)
	if err != nil {
		return err
	}
	slots, err := ints(tx, `SELECT slot FROM key WHERE org = ?1 UNION ALL
		SELECT slot FROM org WHERE org = ?1 AND slot IS NOT NULL`, row)
	if err != nil {
		return err
	}
	if err := overwrite(tx, slots); err != nil {
		return err
	}
	for _, forget := range []string{
		`DELETE FROM key WHERE org = ?`,
		`UPDATE org SET slot = NULL WHERE org = ?`,
	} {
		if _, err := tx.Exec(forget, row); err != nil {
			return err
		}
	}
	return nil
}

// orgRow gives the number of an org, 0 when it has none.
func orgRow(tx *sql.Tx, name string) (int64, error) {
	var row int64
	err := tx.QueryRow(`SELECT org FROM org WHERE name = ?`, name).Scan(&row)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	return row, nil
}

func readCursor(tx *sql.Tx) (Cursor, error) {
	var at Cursor
	err := tx.QueryRow(`SELECT name, sequence FROM ledger`).Scan(&at.Ledger, &at.Sequence)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Cursor{}, err
	}
	return at, nil
}

func writeCursor(tx *sql.Tx, at Cursor) error {
	return one(tx.Exec(`INSERT OR REPLACE INTO ledger VALUES (1, ?, ?)`, at.Ledger, int64(at.Sequence)))
}
