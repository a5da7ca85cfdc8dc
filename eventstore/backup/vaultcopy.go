package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// copyVault puts a copy of the vault beside the segments.
func (w *Writer) copyVault(ctx context.Context, id string, r *Result) error {
	spool, err := spoolFile(w.opts.Spool)
	if err != nil {
		return fmt.Errorf("backup: a file for the copy of the vault: %w", err)
	}
	defer spool.Close()
	sum := sha256.New()
	at := w.opts.Now().UTC()
	size, err := w.spoolVault(ctx, io.MultiWriter(spool, sum))
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("backup: copy the vault: %w", err)
	}
	v := VaultObject{Vault: id, At: at, Size: size, SHA256: Hash(sum.Sum(nil))}
	v.Name = fmt.Sprintf("vault/%s-%s", at.Format("20060102T150405.000Z"), v.SHA256)
	ctx, cancel := context.WithTimeout(ctx, largeTimeout)
	defer cancel()
	if err := w.target.Put(ctx, v.Name, spool, size); err != nil {
		return fmt.Errorf("backup: %s: write object %s: %w", w.target, v.Name, err)
	}
	r.Written += size
	w.manifest.Vault = append(w.manifest.Vault, v)
	return nil
}

// spoolFile is a file without a name, so that no crash leaves a copy of the vault
// behind. The copy is sealed before it gets there.
func spoolFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "vault-copy-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// spoolVault writes the copy as it is to be stored, and gives its size.
func (w *Writer) spoolVault(ctx context.Context, to io.Writer) (int64, error) {
	counted := &counter{to: to}
	sealed, err := w.sealer.to(counted)
	if err == nil {
		err = w.source.Vault(ctx, sealed)
	}
	if err == nil {
		err = sealed.Close()
	}
	return counted.size, err
}

type counter struct {
	to   io.Writer
	size int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.size += int64(n)
	return n, err
}

// finish writes the manifest of a whole run, without what is too old, and then removes
// that. Copies of the vault that no manifest names, which killed writers left, are
// removed too: their keys may be destroyed by now.
func (w *Writer) finish(ctx context.Context) error {
	now := w.opts.Now()
	w.manifest.Vault = w.keptCopies(now)
	var replaced []Replaced
	var gone []string
	for _, old := range w.manifest.Replaced {
		if now.Sub(old.At) < replacedFor {
			replaced = append(replaced, old)
		} else {
			gone = append(gone, old.Name)
		}
	}
	w.manifest.Replaced, w.manifest.Complete = replaced, true
	if err := w.save(ctx); err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, v := range w.manifest.Vault {
		kept[v.Name] = true
	}
	copies, err := w.target.List(ctx, "vault/")
	for _, o := range copies {
		if !kept[o.Name] {
			gone = append(gone, o.Name)
		}
	}
	for _, name := range gone {
		if !strings.HasPrefix(name, "segments/") && !strings.HasPrefix(name, "vault/") {
			continue // a manifest that somebody else wrote
		}
		err = errors.Join(err, w.target.Remove(ctx, name))
	}
	if err != nil {
		return fmt.Errorf("backup: %s: remove what is too old: %w", w.target, err)
	}
	return nil
}

// keptCopies are the two newest copies, and of the others the newest of each day, until
// they are too old. The newest one stays in any case.
func (w *Writer) keptCopies(now time.Time) []VaultObject {
	all := w.manifest.Vault
	var kept []VaultObject
	for i, v := range all {
		newest, second := i == len(all)-1, i == len(all)-2
		lastOfDay := newest || all[i+1].At.Format(time.DateOnly) != v.At.Format(time.DateOnly)
		if newest || (second || lastOfDay) && now.Sub(v.At) < w.opts.VaultCopiesFor {
			kept = append(kept, v)
		}
	}
	return kept
}
