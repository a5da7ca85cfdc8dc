package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"filippo.io/age"

	"gatehouse/eventstore/streams"
)

// checkText is the text that the manifest holds encrypted to the recipients.
const checkText = "gatehouse backup"

// A Backup is the content of a target at the time it was opened. A run that writes
// there meanwhile does not change it, but for segments that were replaced a day ago.
type Backup struct {
	target   Target
	manifest *Manifest
	opener   *opener
}

// Open opens the backup in a target. It fails with ErrNoBackup, ErrDamaged, or
// ErrWrongKey when none of the identities opens it. A plain backup needs none.
func Open(ctx context.Context, t Target, identities ...age.Identity) (*Backup, error) {
	m, _, err := readManifest(ctx, t)
	if err != nil {
		return nil, err
	}
	o, err := newOpener(m.Plain, identities)
	if err != nil {
		return nil, err
	}
	if !m.Plain {
		r, err := o.decrypt(strings.NewReader(string(m.Check)))
		if err != nil {
			return nil, fmt.Errorf("backup: %s: %w; it was encrypted to %s", t, err, strings.Join(m.Recipients, ", "))
		}
		if text, err := io.ReadAll(io.LimitReader(r, 64)); err != nil || string(text) != checkText {
			return nil, fmt.Errorf("backup: %s: %w: object %s: its check does not open", t, ErrDamaged, manifestName)
		}
	}
	return &Backup{t, m, o}, nil
}

// Manifest returns the manifest. It must not be changed.
func (b *Backup) Manifest() *Manifest { return b.manifest }

// Messages calls f with the messages of a stream in their order. Each segment is
// checked as a whole and each message against those before it. An error names the
// object, or the org and the position; the messages passed before it were valid.
func (b *Backup) Messages(ctx context.Context, stream string, f func(*Message) error) error {
	_, err := b.messages(ctx, stream, f)
	return err
}

func (b *Backup) messages(ctx context.Context, stream string, f func(*Message) error) (*checker, error) {
	c := newChecker(stream, 1)
	s := b.manifest.Stream(stream)
	if s == nil {
		return c, nil
	}
	for _, seg := range s.Segments {
		stored, err := b.read(ctx, seg.Name, seg.Size)
		if err != nil {
			return nil, err
		}
		messages, err := b.opener.segment(stored, seg, b.manifest.Ledger, stream)
		if err != nil {
			return nil, fmt.Errorf("backup: %s: object %s: %w", b.target, seg.Name, err)
		}
		for _, m := range messages {
			if err := c.take(m); err != nil {
				return nil, fmt.Errorf("backup: %s: object %s: %w", b.target, seg.Name, err)
			}
			if err := f(m); err != nil {
				return nil, err
			}
		}
	}
	if stream == streams.Ledger && c.next != s.Last+1 {
		return nil, fmt.Errorf("backup: %s: %w: the ledger goes to message %d, and its segments end before message %d", b.target, ErrMissing, s.Last, c.next)
	}
	return c, nil
}

// read returns the bytes of a segment, and at most as many as it may have.
func (b *Backup) read(ctx context.Context, name string, size int64) ([]byte, error) {
	if size > maxStored {
		return nil, fmt.Errorf("backup: %w: object %s: %d bytes are more than a segment has", ErrDamaged, manifestName, size)
	}
	ctx, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	r, _, err := b.target.Get(ctx, name)
	if err != nil {
		return nil, b.absent(name, err)
	}
	defer r.Close()
	stored, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return nil, b.absent(name, err)
	}
	return stored, nil
}

func (b *Backup) absent(name string, err error) error {
	if errors.Is(err, errAbsent) {
		return fmt.Errorf("backup: %s: %w: object %s", b.target, ErrMissing, name)
	}
	return fmt.Errorf("backup: %s: read object %s: %w", b.target, name, err)
}

// Vault writes the newest copy of the vault to w, in the form that
// [gatehouse/eventstore/vault.PutBack] takes: sealed with a key derived from the master
// key. After an error the written bytes must not be used.
func (b *Backup) Vault(ctx context.Context, w io.Writer) error {
	if len(b.manifest.Vault) == 0 {
		return fmt.Errorf("backup: %s: %w: no run has come to the vault yet", b.target, ErrMissing)
	}
	return b.vault(ctx, b.manifest.Vault[len(b.manifest.Vault)-1], w)
}

func (b *Backup) vault(ctx context.Context, v VaultObject, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, largeTimeout)
	defer cancel()
	r, _, err := b.target.Get(ctx, v.Name)
	if err != nil {
		return b.absent(v.Name, err)
	}
	defer r.Close()
	stored := &summed{r: io.LimitReader(r, v.Size+1), sum: sha256.New()}
	clear, err := b.opener.decrypt(stored)
	if err == nil {
		_, err = io.Copy(w, clear)
	}
	if err == nil || errors.Is(err, ErrDamaged) || stored.err == nil { // what lies behind
		_, rest := io.Copy(io.Discard, stored)
		err = errors.Join(err, rest)
	}
	if stored.err == nil && (stored.size != v.Size || Hash(stored.sum.Sum(nil)) != v.SHA256) {
		err = fmt.Errorf("%w: its bytes are others than those that were written", ErrDamaged)
	}
	if err != nil {
		return fmt.Errorf("backup: %s: object %s: %w", b.target, v.Name, err)
	}
	return nil
}

// summed hashes the bytes that are read through it.
type summed struct {
	r    io.Reader
	sum  hash.Hash
	size int64
	err  error // of r, but for its end
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	s.size += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
