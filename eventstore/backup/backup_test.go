package backup

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore/streams"
)

func TestABackupHoldsEveryMessageAsItIs(t *testing.T) {
	b := newBed(t, newFolder(t))
	b.source.everything(t)
	r := b.run()
	assert.Equal(t, map[string]int{"LEDGER": 42, "ACTIVITY": 9, "PERMISSIONS": 5, "REFUSALS": 5}, r.Messages)
	b.verify()
}

func TestARunWritesOnlyWhatIsNew(t *testing.T) {
	b := newBed(t, newFolder(t))
	b.source.everything(t)
	w := b.writer()
	_, err := w.Run(t.Context())
	require.NoError(t, err)
	before := b.open().Manifest()
	for range 10 {
		b.source.commit(t, "acme", 3)
		b.source.record(t, "cabinet", 1)
		b.source.reads = map[string]int{}
		r, err := w.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, map[string]int{"LEDGER": 3, "ACTIVITY": 1}, r.Messages)
		assert.Less(t, b.source.reads[streams.Ledger], 20, "closed segments are not read again")
		assert.Zero(t, b.source.reads[streams.Refusals])
		b.verify()
	}
	after := b.open().Manifest()
	closed := before.Stream("LEDGER").Segments
	closed = closed[:len(closed)-1]
	require.NotEmpty(t, closed)
	assert.Equal(t, closed, after.Stream("LEDGER").Segments[:len(closed)])
	b.source.commit(t, "acme", 1)
	b.run() // one that knows nothing of the earlier runs
	b.verify()
}

func TestWhatRetentionTakesStaysInTheBackup(t *testing.T) {
	b := newBed(t, newFolder(t))
	b.source.everything(t)
	b.run()
	whole := slices.Clone(b.source.streams[streams.Activity])
	b.source.purge(streams.Activity, 7)
	b.source.record(t, "cabinet", 4)
	b.run()
	b.source.streams[streams.Activity] = append(whole[:7:7], b.source.streams[streams.Activity]...)
	assert.Empty(t, b.verify().Flaws)
}

func TestAPlainBackupMustBeAskedFor(t *testing.T) {
	b := newBed(t, newFolder(t))
	b.source.everything(t)
	b.opts.Recipients = nil
	_, err := NewWriter(b.target, b.source, b.opts)
	require.ErrorIs(t, err, ErrRecipients)
	b.opts.Plain = true
	b.run()
	b.verify()
	back, err := Open(t.Context(), b.target)
	require.NoError(t, err)
	_, err = back.Verify(t.Context())
	require.NoError(t, err, "no identity is needed")
	b.opts.Plain, b.opts.Recipients = false, []string{b.id.Recipient().String()}
	_, err = b.writer().Run(t.Context())
	require.ErrorIs(t, err, ErrOther)
}

func TestAWrongKeyIsRefusedByName(t *testing.T) {
	b := newBed(t, newFolder(t))
	b.source.everything(t)
	b.run()
	_, err := Open(t.Context(), b.target, identity(t))
	require.ErrorIs(t, err, ErrWrongKey)
	require.ErrorContains(t, err, b.id.Recipient().String())
	_, err = Open(t.Context(), b.target)
	require.ErrorIs(t, err, ErrWrongKey)
}

// Verify names any damaged object of the backup, and so does each reading of the
// object.
func TestDamageOfAnyObjectIsNamed(t *testing.T) {
	b := newBed(t, newFolder(t))
	b.source.everything(t)
	b.run()
	dir := b.target.(folder)
	objects, err := b.target.List(t.Context(), "")
	require.NoError(t, err)
	require.Greater(t, len(objects), 8)
	for _, o := range objects {
		if o.Name == "lock" {
			continue
		}
		whole, err := os.ReadFile(dir.path(o.Name))
		require.NoError(t, err)
		for what, bytes := range map[string][]byte{
			"one bit in the middle": flipped(whole, len(whole)/2), "one bit at the begin": flipped(whole, 0),
			"one bit at the end": flipped(whole, len(whole)-1), "cut": whole[:len(whole)-1], "longer": append(whole[:len(whole):len(whole)], 0),
			"empty": {}, "gone": nil,
		} {
			require.NoError(t, os.Remove(dir.path(o.Name)))
			if bytes != nil {
				require.NoError(t, os.WriteFile(dir.path(o.Name), bytes, 0o600))
			}
			back, err := Open(t.Context(), b.target, b.id)
			if err == nil {
				_, err = back.Verify(t.Context())
			}
			require.Error(t, err, "%s: %s", o.Name, what)
			require.ErrorContains(t, err, o.Name, what)
			switch {
			case bytes != nil:
				require.ErrorIs(t, err, ErrDamaged, "%s: %s", o.Name, what)
			case o.Name == manifestName:
				require.ErrorIs(t, err, ErrNoBackup)
			default:
				require.ErrorIs(t, err, ErrMissing)
			}
			require.NoError(t, os.WriteFile(dir.path(o.Name), whole, 0o600))
		}
	}
	b.verify()
}

func flipped(b []byte, i int) []byte {
	b = append([]byte{}, b...)
	b[i] ^= 1
	return b
}

// A broken ledger is not copied over a whole backup, and the error names org and
// position.
func TestABrokenChainIsNotBackedUp(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(*memory)
		says   string
	}{
		"a commit is gone": {func(s *memory) {
			all := s.streams[streams.Ledger]
			s.streams[streams.Ledger] = append(all[:45:45], all[46:]...)
		}, "message 46 of LEDGER is not there"},
		"the last commit is gone": {func(s *memory) {
			s.streams[streams.Ledger] = s.streams[streams.Ledger][:51]
		}, "message 52 of LEDGER cannot be read"},
		"a commit was changed": {func(s *memory) {
			m := s.streams[streams.Ledger][45]
			m.Body = append(m.Body[:len(m.Body)-1:len(m.Body)-1], ' ', '}')
		}, "org acme: commit 1-35 (message 47) does not follow 1-34"},
		"a commit is none": {func(s *memory) { s.streams[streams.Ledger][45].Body = []byte("{}") }, "commit 0-0 of org \"\" (message 46)"},
		"two commits have changed places": {func(s *memory) {
			all := s.streams[streams.Ledger]
			all[45].Body, all[46].Body = all[46].Body, all[45].Body
		}, "org acme: commit 1-35 (message 46) does not follow 1-33"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, newFolder(t))
			b.source.everything(t)
			b.run()
			before := b.open().Manifest().Streams
			b.source.commit(t, "acme", 10)
			c.damage(b.source)
			_, err := b.writer().Run(t.Context())
			require.ErrorIs(t, err, ErrBroken)
			require.ErrorContains(t, err, c.says)
			back := b.open()
			assert.Equal(t, before[0].Segments[:len(before[0].Segments)-1], back.Manifest().Streams[0].Segments[:len(before[0].Segments)-1])
			_, err = back.Verify(t.Context())
			require.NoError(t, err, "what was whole is whole")
		})
	}
}
