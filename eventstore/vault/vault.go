// Package vault keeps the keys of personal data outside the ledger, and destroys them
// without a trace.
//
// The ledger says which key seals each value: a box names its key. The vault knows a
// key's id, its org and its bytes, nothing else: neither whose key it is nor what it
// seals.
//
// # Why keys are reserved
//
// A key must be durable before the first commit that uses it, and a commit must not
// wait for a second fsync. So an instance reserves keys in batches, each batch one
// durable transaction, and uses them from memory. A key is handed out once: the unused
// keys of an instance that stopped are never handed out again. Such orphans seal
// nothing and cost about 100 bytes each.
//
// # Why a slot is never deleted
//
// SQLite's secure_delete zeroes the bytes that a DELETE frees, but not the copies that
// the b-tree leaves behind when it moves rows between pages: with secure_delete on and
// random deletions, whole wrapped keys were found in the file. So every wrapped key
// lies in a slot of fixed size in a table that only grows at its end, where rows are
// never moved. Destroying overwrites the slot in place and gives it to the next key.
// secure_delete is needed all the same: when the table outgrows its first page, SQLite
// copies that page and zeroes the old one only with secure_delete on.
//
// # Why a rollback journal and not a WAL
//
// A WAL keeps old pages until a checkpoint after the commit empties it, and a crash can
// come before that step. The journal in mode TRUNCATE is emptied by the commit itself:
// emptying it is what commits. Blocks that a file system or a disk has freed and still
// holds are beyond this package. They contain only wrapped keys, which open with the
// org's key and the master key alone.
//
// # Why one holder
//
// A key destroyed in one copy of the vault would live on in every other. So there is
// one file per ledger and one process that has it open; others ask that process over
// NATS (see [Serve] and [Remote]). The file is locked while it is open, and the
// caller's lock on the data directory keeps a second service away before that.
package vault

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"
)

// A Keeper provides keys. The instance that holds the [Vault] uses it directly, every
// other a [Remote]. Its methods are safe for concurrent use. The caller keeps the keys
// in memory, and forgets each when the ledger fences it.
type Keeper interface {
	// Ready fails with ErrUnavailable while no holder of the vault answers. Keys that
	// were reserved ahead can still seal then. So a caller that must be able to open
	// what it seals calls Ready first.
	Ready(ctx context.Context) error
	// Reserve makes n fresh keys for an org, durable before it returns and handed out
	// to no one else. n is from 1 to MaxReserve. The first key of an org makes the
	// org's own key. It fails with ErrDestroyed for an org whose keys were destroyed.
	Reserve(ctx context.Context, org string, n int) ([]Key, error)
	// Keys returns the keys of an org by their ids. An id that is destroyed, unknown,
	// another org's or malformed is absent from the answer, which is never nil without
	// an error.
	Keys(ctx context.Context, org string, ids []string) (map[string]Key, error)
	// TagKey returns the key of a version, from 1, for tags of a site's cards and PINs.
	// The ledger says which version a site has. It fails with ErrNoTagKey for a version
	// after the first of an org that the vault does not know, and with ErrDestroyed for
	// a destroyed org.
	TagKey(ctx context.Context, org, site string, version int) (TagKey, error)
	// Damaged returns, by org, the ids of the keys that were found damaged when they
	// were last requested: the vault has them, and they do not open. Keys leaves them
	// out. An id does not reveal whose key it is.
	Damaged() map[string][]string
}

const (
	// MaxReserve is the greatest number of keys of one Reserve: one transaction of
	// about 2 MB.
	MaxReserve = 10_000
	// maxName is how long the id of an org or a site may be, in bytes.
	maxName = 256
	// OrgKey stands for the key of an org itself where keys are named by their ids.
	OrgKey = "org"
)

var (
	// ErrUnavailable says that no holder of the vault answered: personal fields cannot
	// be sealed or opened now.
	ErrUnavailable = errors.New("the vault is not available")
	// ErrFull says that the disk of the vault has no room.
	ErrFull = errors.New("its disk is full")
	// ErrDestroyed says that the org's keys were destroyed, for good.
	ErrDestroyed = errors.New("the keys of this org are destroyed")
	// ErrNoTagKey says that the vault cannot have the requested tag key, because the
	// vault is older than the org.
	ErrNoTagKey = errors.New("the vault does not have this tag key")
	// ErrWrongMaster says that the vault was made with another master key.
	ErrWrongMaster = errors.New("wrong master key")
	// ErrNoMaster says that there are keys but no master key to open them.
	ErrNoMaster = errors.New("no master key")
	// ErrDamaged says that the vault has a key that does not open, as after a flipped
	// bit on its disk.
	ErrDamaged = errors.New("a key in the vault is damaged")
	// ErrInUse says that another process, or another Vault of this one, has the file open.
	ErrInUse = errors.New("the vault is in use")
	// ErrHeld says that another instance already answers for this ledger's vault.
	ErrHeld = errors.New("another instance holds the vault")
	// ErrBox says that a box is malformed, was sealed with another key or other
	// associated data, or was altered.
	ErrBox = errors.New("the box does not open")
)

func checkName(what, name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return fmt.Errorf("vault: %s must be 1 to %d bytes of UTF-8, got %d bytes", what, maxName, len(name))
	}
	return nil
}

func checkReserve(org string, n int) error {
	if n < 1 || n > MaxReserve {
		return fmt.Errorf("vault: reserve 1 to %d keys, not %d", MaxReserve, n)
	}
	return checkName("org", org)
}

func checkTagKey(org, site string, version int) error {
	if version < 1 || version >= maxTagVersion {
		return fmt.Errorf("vault: no tag key can have version %d", version)
	}
	return errors.Join(checkName("org", org), checkName("site", site))
}
