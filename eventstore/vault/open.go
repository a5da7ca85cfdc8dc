package vault

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"gatehouse/durable"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

const (
	dbFile = "vault.db"
	// applicationID marks the file as a vault ("GHvt"), formatVersion is the version of
	// schema.
	applicationID = 0x47487674
	formatVersion = 1
	// checkText is sealed under the master key when the file is made. The master key
	// that opens it is the right one.
	checkText = "gatehouse vault, format 1"
)

// settings apply to the one connection. The driver applies them in another order.
var settings = url.Values{
	"mode":    {"rw"}, // the file is made before, with its mode
	"_txlock": {"immediate"},
	"_pragma": {
		"busy_timeout(0)",
		"journal_mode(TRUNCATE)",
		"locking_mode(EXCLUSIVE)",
		"secure_delete(1)",
		"synchronous(FULL)",
		"temp_store(MEMORY)",
	},
}

// Every secret lies in secret, in a slot that is written in place and never deleted;
// the other tables hold ids.
const schema = `
CREATE TABLE secret (slot INTEGER PRIMARY KEY, wrapped BLOB NOT NULL CHECK (length(wrapped) = 60)) STRICT;
CREATE TABLE free   (slot INTEGER PRIMARY KEY) STRICT;                                    -- slots that are overwritten
CREATE TABLE org    (org INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, slot INTEGER) STRICT; -- no slot: destroyed
CREATE TABLE key    (id TEXT PRIMARY KEY, org INTEGER NOT NULL, slot INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE ledger (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL, sequence INTEGER NOT NULL) STRICT;
CREATE TABLE master (one INTEGER PRIMARY KEY CHECK (one = 1), sealed BLOB NOT NULL) STRICT;
`

// A Vault is the one holder of a ledger's keys. Its methods may be called from many
// goroutines.
type Vault struct {
	db        *sql.DB // one connection: the file is locked, nobody else can open it
	orgs      secret  // wraps the orgs' keys
	transport secret  // what instances that ask share with this one
	copies    secret  // seals the copies for backups

	// gate is held for reading by calls that read keys, and exclusively by Destroy. So
	// when Destroy returns, no call in progress has read a destroyed key and can still
	// return it.
	gate sync.RWMutex

	damage
}

// Open opens the vault of a data directory: vault.db, mode 0600. It makes the file when
// there is none. It fails with ErrWrongMaster when vault.db was made with another
// master key, and with ErrInUse while another Vault has it open. The caller must
// prevent two services on one data directory, and must not open vault.db in this
// process by other means, which would give up the file's lock.
func Open(ctx context.Context, dataDir string, master Master) (*Vault, error) {
	if master.secret.none() {
		return nil, fmt.Errorf("vault: %w: open with the zero Master", ErrNoMaster)
	}
	path, err := filepath.Abs(filepath.Join(dataDir, dbFile))
	if err != nil {
		return nil, fmt.Errorf("vault: open %s: %w", dataDir, err)
	}
	if err := makeFile(path); err != nil {
		return nil, fmt.Errorf("vault: open %s: %w", path, err)
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("vault: open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	v := &Vault{
		db:        db,
		orgs:      master.secret.derive(nil, "gatehouse vault orgs"),
		transport: master.secret.derive(nil, "gatehouse vault transport"),
		copies:    master.secret.derive(nil, copyPurpose),
	}
	if err := v.inTx(ctx, "open "+path, v.prepare); err != nil {
		if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == sqlitelib.SQLITE_BUSY {
			err = fmt.Errorf("vault: %w: another process has %s open", ErrInUse, path)
		}
		return nil, errors.Join(err, db.Close())
	}
	return v, nil
}

// ID identifies this vault; a vault made again in its place has another. It is not
// secret.
func (v *Vault) ID(ctx context.Context) (string, error) {
	var sealed []byte
	if err := v.db.QueryRowContext(ctx, `SELECT sealed FROM master`).Scan(&sealed); err != nil {
		return "", fmt.Errorf("vault: read its id: %w", err)
	}
	sum := sha256.Sum256(sealed) // with a nonce that was drawn when the file was made
	return hex.EncodeToString(sum[:8]), nil
}

// Close closes the file. Calls in progress fail or finish.
func (v *Vault) Close() error {
	if err := v.db.Close(); err != nil {
		return fmt.Errorf("vault: close: %w", err)
	}
	return nil
}

// makeFile makes an empty file for SQLite, durable and for its owner alone. SQLite
// gives its journal the same mode.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return errors.Join(f.Close(), durable.SyncDir(filepath.Dir(path)))
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file restored from a backup may have another mode.
	for _, p := range []string{path, path + "-journal"} {
		info, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			if err := os.Chmod(p, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare makes the tables in an empty file. Otherwise it requires a vault of this
// format and this master key.
func (v *Vault) prepare(tx *sql.Tx) error {
	var tables, application, format int
	err := tx.QueryRow(`SELECT (SELECT count(*) FROM sqlite_schema), application_id, user_version
		FROM pragma_application_id, pragma_user_version`).Scan(&tables, &application, &format)
	if err != nil {
		return err
	}
	if tables == 0 && application == 0 {
		pragmas := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, formatVersion)
		if _, err := tx.Exec(schema + pragmas); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO master VALUES (1, ?)`, v.orgs.aead().Seal(nil, nil, []byte(checkText), nil))
		return err
	}
	if application != applicationID {
		return errors.New("it is an SQLite file, but not a vault")
	}
	if format != formatVersion {
		return fmt.Errorf("it has format %d, this program reads format %d", format, formatVersion)
	}
	var sealed []byte
	if err := tx.QueryRow(`SELECT sealed FROM master`).Scan(&sealed); err != nil {
		return err
	}
	if text, err := v.orgs.aead().Open(nil, nil, sealed, nil); err != nil || string(text) != checkText {
		return fmt.Errorf("%w: start with the %s, or the %s, that the file was made with; nothing was changed",
			ErrWrongMaster, masterEnv, masterFile)
	}
	return nil
}

// inTx runs do in one transaction. It is durable when inTx returns nil, and has no
// effect otherwise.
func (v *Vault) inTx(ctx context.Context, doing string, do func(tx *sql.Tx) error) error {
	tx, err := v.db.BeginTx(ctx, nil)
	if err == nil {
		defer func() {
			if cause := recover(); cause != nil { // the one connection must come back
				panic(errors.Join(fmt.Errorf("%v", cause), tx.Rollback()))
			}
		}()
		if err = do(tx); err == nil {
			err = tx.Commit()
		} else if undo := tx.Rollback(); !errors.Is(undo, sql.ErrTxDone) {
			err = errors.Join(err, undo)
		}
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == sqlitelib.SQLITE_FULL {
		err = fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrFull, err)
	} else if ok && e.Code()&0xff == sqlitelib.SQLITE_IOERR {
		err = fmt.Errorf("%w: its disk takes nothing: %w", ErrUnavailable, err)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err) // most likely what failed it
	}
	if err != nil {
		return fmt.Errorf("vault: %s: %w", doing, err)
	}
	return nil
}
