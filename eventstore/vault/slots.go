package vault

import (
	"database/sql"
	"fmt"
)

// store puts wrapped secrets into slots, one each: first those that destroyed keys
// left, then new ones at the end.
func store(tx *sql.Tx, wrapped [][]byte) ([]int64, error) {
	slots, err := ints(tx, `SELECT slot FROM free LIMIT ?`, len(wrapped))
	if err != nil {
		return nil, err
	}
	reuse, err := tx.Prepare(`UPDATE secret SET wrapped = ?2 WHERE slot = ?1`)
	if err != nil {
		return nil, err
	}
	defer reuse.Close()
	for i, slot := range slots {
		if err := one(reuse.Exec(slot, wrapped[i])); err != nil {
			return nil, fmt.Errorf("slot %d: %w", slot, err)
		}
		if err := one(tx.Exec(`DELETE FROM free WHERE slot = ?`, slot)); err != nil {
			return nil, fmt.Errorf("slot %d: %w", slot, err)
		}
	}
	grow, err := tx.Prepare(`INSERT INTO secret (wrapped) VALUES (?)`)
	if err != nil {
		return nil, err
	}
	defer grow.Close()
	for _, w := range wrapped[len(slots):] {
		done, err := grow.Exec(w)
		if err != nil {
			return nil, err
		}
		slot, err := done.LastInsertId()
		if err != nil {
			return nil, err
		}
		slots = append(slots, slot)
	}
	return slots, nil
}

// overwrite destroys what lies in slots and frees them. A row of the same size is
// written where the old one lies. One statement for all of them could keep the old
// pages in a temporary file elsewhere, to undo half of itself.
func overwrite(tx *sql.Tx, slots []int64) error {
	zero, err := tx.Prepare(`UPDATE secret SET wrapped = zeroblob(60) WHERE slot = ?`)
	if err != nil {
		return err
	}
	defer zero.Close()
	free, err := tx.Prepare(`INSERT INTO free (slot) VALUES (?)`)
	if err != nil {
		return err
	}
	defer free.Close()
	for _, slot := range slots {
		if err := one(zero.Exec(slot)); err != nil {
			return fmt.Errorf("slot %d: %w", slot, err)
		}
		if err := one(free.Exec(slot)); err != nil {
			return fmt.Errorf("slot %d: %w", slot, err)
		}
	}
	return nil
}

// one fails unless a statement changed one row.
func one(done sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%d rows changed instead of one", n)
	}
	return nil
}

// ints gives the first column of a query's rows.
func ints(tx *sql.Tx, query string, args ...any) ([]int64, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, rows.Err()
}
