package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/durable"

	"filippo.io/age"
)

// copyStanza names the one recipient of a copy: the holder of the master key.
const copyStanza = "gatehouse-vault-copy"

// maxCopy bounds what PutBack writes, in bytes: a vault of 100 million keys.
const maxCopy = 16 << 30

// Copy writes the present vault, sealed with a key of its own. That key is derived from
// the master key, so that the copy reveals nothing without it. The form is a file of
// age with a recipient of our own.
//
// The pages of the file are read over the connection that holds it, within one
// transaction. A second handle would give up the file's lock, and VACUUM INTO would
// leave wrapped keys in a file of its own, parts of which survive a crash. Destroyed
// keys are not in the copy. Other calls wait meanwhile, some 0.3 s for 600,000 keys, so
// w must be quick: a file or memory, not a network.
func (v *Vault) Copy(ctx context.Context, w io.Writer) error {
	v.gate.RLock()
	defer v.gate.RUnlock()
	sealed, err := age.Encrypt(w, copyKey{v.copies})
	if err != nil {
		return fmt.Errorf("vault: copy: %w", err)
	}
	err = v.inTx(ctx, "copy", func(tx *sql.Tx) error { return copyPages(ctx, tx, sealed) })
	if err != nil {
		return err
	}
	if err := sealed.Close(); err != nil {
		return fmt.Errorf("vault: copy: %w", err)
	}
	return nil
}

func copyPages(ctx context.Context, tx *sql.Tx, w io.Writer) error {
	rows, err := tx.QueryContext(ctx, `SELECT pgno, data FROM sqlite_dbpage('main') ORDER BY pgno`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for n := int64(1); rows.Next(); n++ {
		var page int64
		var data sql.RawBytes
		if err := rows.Scan(&page, &data); err != nil {
			return err
		}
		if page != n {
			return fmt.Errorf("page %d comes where page %d belongs", page, n)
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return rows.Err()
}

// PutBack makes the vault of a data directory from a copy. It fails with ErrWrongMaster
// when the copy was sealed with another master key, and when a vault already exists. It
// makes the whole vault or none.
//
// Keys that were destroyed since the copy was made are in it: they must be destroyed
// again before the vault is used, see [Vault.Cursor].
func PutBack(ctx context.Context, dataDir string, master Master, copied io.Reader) error {
	if master.secret.none() {
		return fmt.Errorf("vault: %w: put back with the zero Master", ErrNoMaster)
	}
	path := filepath.Join(dataDir, dbFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("vault: %s already exists: a vault is put back where there is none", path), err)
	}
	clear, err := age.Decrypt(copied, copyKey{master.secret.derive(nil, copyPurpose)})
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return fmt.Errorf("vault: put back: %w: the copy was made of a vault with another %s or %s", ErrWrongMaster, masterEnv, masterFile)
	}
	if err != nil {
		return fmt.Errorf("vault: put back: %w", err)
	}
	draft := path + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("vault: put back: %w", err)
	}
	if err := putBack(ctx, draft, path, clear); err != nil {
		return errors.Join(fmt.Errorf("vault: put back: %w", err), os.Remove(draft))
	}
	return nil
}

func putBack(ctx context.Context, draft, path string, clear io.Reader) error {
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(clear, maxCopy+1))
	if err == nil && n > maxCopy {
		err = fmt.Errorf("it has more than %d bytes", int64(maxCopy))
	}
	if err := errors.Join(err, f.Sync(), f.Close(), ctx.Err()); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

const copyPurpose = "gatehouse vault copies"

// copyKey seals a copy, in the form that age asks for. Each copy has a key of its own,
// which lies in its header wrapped by this one.
type copyKey struct{ secret secret }

// Wrap implements [age.Recipient].
func (k copyKey) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: copyStanza, Args: []string{"1"}, Body: k.secret.aead().Seal(nil, nil, fileKey, []byte(copyStanza))}}, nil
}

// Unwrap implements [age.Identity].
func (k copyKey) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != copyStanza || len(s.Args) != 1 || s.Args[0] != "1" {
			continue
		}
		if key, err := k.secret.aead().Open(nil, nil, s.Body, []byte(copyStanza)); err == nil {
			return key, nil
		}
	}
	return nil, age.ErrIncorrectIdentity
}
