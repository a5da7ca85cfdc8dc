package mark

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/domain"
	"gatehouse/durable"
)

// DestroyedName is the file of destroyed keys in its directory: a line "ORG KEY SUM" for
// each, appended before the key is destroyed. It holds ids and nothing of a key. A vault
// that is put back from a copy has such keys again; this file says which must go.
const DestroyedName = "destroyed"

// DestroyedKey names a key of personal data that is destroyed, or was about to be.
type DestroyedKey struct {
	Org domain.ID
	Key string
}

func (k DestroyedKey) line() string {
	sum := sha256.Sum256([]byte(string(k.Org) + " " + k.Key))
	return fmt.Sprintf("%s %s %s\n", k.Org, k.Key, hex.EncodeToString(sum[:4]))
}

// ReadDestroyed returns the destroyed keys that a directory names, each once. A line
// that is torn or damaged is passed over. A file that is absent names none.
func ReadDestroyed(dir string) ([]DestroyedKey, error) {
	content, err := os.ReadFile(filepath.Join(dir, DestroyedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("mark: read destroyed keys: %w", err)
	}
	var keys []DestroyedKey
	seen := map[DestroyedKey]bool{}
	for line := range strings.Lines(string(content)) {
		words := strings.Fields(line)
		if len(words) != 3 {
			continue
		}
		k := DestroyedKey{domain.ID(words[0]), words[1]}
		if k.line() == line && !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// NoteDestroyed appends keys to the file of a directory. They are durable when it
// returns.
func NoteDestroyed(dir string, keys []DestroyedKey) error {
	if len(keys) == 0 {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(dir, DestroyedName), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("mark: note destroyed keys: %w", err)
	}
	var lines bytes.Buffer
	if at, err := f.Stat(); err == nil && at.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, at.Size()-1); err == nil && last[0] != '\n' {
			lines.WriteByte('\n') // behind a line that was torn
		}
	}
	for _, k := range keys {
		lines.WriteString(k.line())
	}
	_, err = f.Write(lines.Bytes())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("mark: note destroyed keys: %w", err)
	}
	return durable.SyncDir(dir)
}

// CopyDestroyed appends to the file of one directory what that of another has and it
// lacks.
func CopyDestroyed(from, to string) error {
	all, err := ReadDestroyed(from)
	if err != nil {
		return err
	}
	there, err := ReadDestroyed(to)
	if err != nil {
		return err
	}
	have := map[DestroyedKey]bool{}
	for _, k := range there {
		have[k] = true
	}
	var missing []DestroyedKey
	for _, k := range all {
		if !have[k] {
			missing = append(missing, k)
		}
	}
	return NoteDestroyed(to, missing)
}
