package vault

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/durable"
)

const (
	masterFile = "vault.key"
	// masterEnv is the variable that the errors name; reading it is the caller's.
	masterEnv = "GATEHOUSE_VAULT_KEY"
)

// A Master is the key that wraps the orgs' keys: 256 bits, the same on every instance
// of a ledger. It prints as [master key].
type Master struct{ secret secret }

// String tells that it is a master key, not which.
func (m Master) String() string { return "[master key]" }

// Format writes String, whatever the verb.
func (m Master) Format(f fmt.State, _ rune) { fmt.Fprint(f, m.String()) }

// LogValue logs String.
func (m Master) LogValue() slog.Value { return slog.StringValue(m.String()) }

// ErrMalformedMaster says that a text is no master key.
var ErrMalformedMaster = errors.New("vault: a master key is 32 bytes in base64 or hexadecimal")

// ParseMaster reads a master key: 32 bytes as 64 hexadecimal digits or as base64,
// standard or URL-safe, padded or not. Blanks around it are ignored. The error does not
// show the text.
func ParseMaster(text string) (Master, error) {
	text = strings.TrimSpace(text)
	b, err := hex.DecodeString(text)
	if len(text) != 2*secretSize || err != nil {
		text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		b, err = base64.RawStdEncoding.Strict().DecodeString(text)
	}
	if err != nil || len(b) != secretSize {
		return Master{}, ErrMalformedMaster
	}
	s, err := secretOf(b)
	return Master{s}, err
}

// LoadOrCreateMaster returns the master key. It is env (the value of
// GATEHOUSE_VAULT_KEY) when that is not empty, else the content of vault.key in
// dataDir, else a new one that it writes there with mode 0600, durable before it
// returns. made reports the last case: the caller then warns to keep a copy of
// vault.key apart from the backups of dataDir. Anybody with both can read everything,
// and without the key nothing can be read.
//
// It never makes a key beside a vault.db that was made with another one (ErrNoMaster),
// and refuses a vault.key that others than its owner may read or write.
func LoadOrCreateMaster(dataDir, env string) (m Master, made bool, err error) {
	if env != "" {
		if m, err = ParseMaster(env); err != nil {
			return Master{}, false, fmt.Errorf("%s: %w", masterEnv, err)
		}
		return m, false, nil
	}
	path := filepath.Join(dataDir, masterFile)
	m, err = readMaster(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return m, false, err
	}
	if info, err := os.Stat(filepath.Join(dataDir, dbFile)); err == nil && info.Size() > 0 {
		return Master{}, false, fmt.Errorf("vault: %w: %s was made with one, a new one could not open it: set %s, or put %s back",
			ErrNoMaster, filepath.Join(dataDir, dbFile), masterEnv, path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Master{}, false, fmt.Errorf("vault: look for %s: %w", dbFile, err)
	}
	m = Master{newSecret()}
	if err := writeMaster(path, m); err != nil {
		return Master{}, false, fmt.Errorf("vault: write %s: %w", path, err)
	}
	return m, true, nil
}

func readMaster(path string) (Master, error) {
	f, err := os.Open(path)
	if err != nil {
		return Master{}, fmt.Errorf("vault: read the master key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Master{}, fmt.Errorf("vault: read the master key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Master{}, fmt.Errorf("vault: others may read or write %s (mode %04o): if nobody has, chmod 600 it",
			path, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return Master{}, fmt.Errorf("vault: read the master key: %w", err)
	}
	m, err := ParseMaster(string(b))
	if err != nil {
		return Master{}, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// writeMaster writes beside path and renames, so that a crash leaves a whole key or none.
func writeMaster(path string, m Master) error {
	draft := path + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(m.secret.bytes()) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
