package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errDead = errors.New("dead")

// mortal is a target whose writer dies at one step: before the step is done, or after
// it but before the reply.
type mortal struct {
	Target
	steps int // left; at 0 it is dead
	after bool
}

func (m *mortal) step(do func() error) error {
	m.steps--
	if m.steps < 0 || m.steps == 0 && !m.after {
		return errDead
	}
	err := do()
	if m.steps == 0 {
		return errDead
	}
	return err
}

func (m *mortal) Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error {
	return m.step(func() error { return m.Target.Put(ctx, name, body, size) })
}

func (m *mortal) Replace(ctx context.Context, name string, body []byte, was Version) (v Version, err error) {
	err = m.step(func() (err error) { v, err = m.Target.Replace(ctx, name, body, was); return err })
	return v, err
}

func (m *mortal) Remove(ctx context.Context, name string) error {
	return m.step(func() error { return m.Target.Remove(ctx, name) })
}

// A writer may die at any step of any run. The objects that the manifest names are
// whole, and the next process brings the backup up to date with the source.
func TestAWriterMayDieAtAnyStep(t *testing.T) {
	for _, after := range []bool{false, true} {
		b := newBed(t, newFolder(t))
		b.size = 1000
		whole := 0
		for steps := 1; whole < 2; steps++ {
			b.source.commit(t, "acme", 2+steps%7)
			b.source.record(t, "cabinet", 1)
			b.now = b.now.Add(replacedFor / 2)
			w, err := NewWriter(&mortal{b.target, steps % 12, after}, b.source, b.opts)
			require.NoError(t, err)
			w.segmentSize = b.size
			if _, err = w.Run(t.Context()); err == nil {
				whole++
				b.verify()
				continue
			}
			require.ErrorIs(t, err, errDead)
			if back, err := Open(t.Context(), b.target, b.id); err == nil {
				r, err := back.Verify(t.Context())
				if err != nil {
					require.ErrorIs(t, err, ErrMissing)
					require.Empty(t, back.Manifest().Vault, "no run has come to the vault yet, and that alone is wrong: %v", err)
				}
				assert.False(t, r.Complete && r.Heads["acme"].Position.N == b.source.heads["acme"].N && !after)
			} else {
				require.ErrorIs(t, err, ErrNoBackup)
			}
			if steps%5 == 0 {
				b.run()
				b.verify()
			}
			require.Less(t, steps, 200)
		}
		b.run()
		r := b.verify()
		objects, err := b.target.List(t.Context(), "vault/")
		require.NoError(t, err)
		assert.Len(t, objects, len(b.open().Manifest().Vault), "no copy of the vault outlives its place in the manifest")
		t.Logf("%d objects are no part of the backup", len(r.Unlisted))
	}
}

// A copy of the vault is deleted after its time, because its keys may be destroyed by
// now. The newest copy always stays.
func TestCopiesOfTheVaultEnd(t *testing.T) {
	b := newBed(t, newFolder(t))
	b.opts.VaultCopiesFor = DefaultVaultCopiesFor
	for i := range 40 {
		b.source.vault = fmt.Appendf(nil, "vault %d", i)
		b.now = made.Add(time.Duration(i) * 6 * time.Hour)
		b.run()
		objects, err := b.target.List(t.Context(), "vault/")
		require.NoError(t, err)
		require.LessOrEqual(t, len(objects), 9)
		for _, v := range b.open().Manifest().Vault {
			require.Less(t, b.now.Sub(v.At), DefaultVaultCopiesFor)
		}
	}
	b.verify()
	b.now = b.now.Add(10 * DefaultVaultCopiesFor)
	b.run()
	require.Len(t, b.open().Manifest().Vault, 1)
	b.verify()
}

// Saved heads spare the next run a walk through the ledger. A file of heads from
// another state of the target is not used.
func TestHeadsAreRemembered(t *testing.T) {
	b := newBed(t, newFolder(t))
	b.source.everything(t)
	b.run()
	b.source.commit(t, "acme", 1)
	b.source.reads = map[string]int{}
	b.run()
	assert.Less(t, b.source.reads["LEDGER"], 20)
	b.verify()

	other := newBed(t, newFolder(t))
	other.source = b.source
	other.run()
	from, to := b.writer().headsFile(), other.writer().headsFile()
	require.NotEqual(t, from, to)
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o600))
	b.source.commit(t, "acme", 1)
	b.source.reads = map[string]int{}
	other.run()
	assert.Greater(t, b.source.reads["LEDGER"], 40, "the ledger is walked through")
	other.verify()
}

// The target of one ledger refuses any other, and an older state of its own.
func TestAnotherLedgerIsRefused(t *testing.T) {
	b := newBed(t, newFolder(t))
	b.source.everything(t)
	b.run()
	for name, change := range map[string]func(*memory){
		"shorter": func(s *memory) { s.commit(t, "acme", 3) },
		"another": func(s *memory) { s.commit(t, "other", 60) },
	} {
		b.source = newMemory()
		change(b.source)
		for i := range 20 {
			b.source.add("ACTIVITY", "activity.a.b.c", fmt.Appendf(nil, "%d", i))
			b.source.add("PERMISSIONS", "permissions.a.b", nil)
			b.source.add("REFUSALS", "refusals.a", nil)
		}
		b.opts.Spool = t.TempDir()
		_, err := b.writer().Run(t.Context())
		require.ErrorIs(t, err, ErrOther, name)
		require.ErrorContains(t, err, "LEDGER", name)
	}
}
