package mark

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

func at(org domain.ID, n uint64) Mark {
	return Mark{Org: org, Ledger: 1767596400000000001, Epoch: 1, N: n, Seq: 3 * n, Hash: wire.HashOf([]byte(fmt.Sprint(org, n)))}
}

func open(t *testing.T, dir string) *File {
	t.Helper()
	f, err := Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func advance(t *testing.T, f *File, marks ...Mark) {
	t.Helper()
	for _, m := range marks {
		require.NoError(t, f.Advance(m))
	}
}

// crash leaves the file as it is when the process ends without a Close.
func crash(t *testing.T, f *File) { require.NoError(t, f.file.Close()) }

func TestMarksOutliveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f := open(t, dir)
	want := []Mark{}
	for i := range 3 * growth {
		org := domain.ID(fmt.Sprintf("org-%03d", i))
		advance(t, f, at(org, 1), at(org, 2), at(org, uint64(i+3)))
		want = append(want, at(org, uint64(i+3)))
	}
	crash(t, f)
	found, damaged, err := Read(dir)
	require.NoError(t, err)
	assert.Equal(t, want, found)
	assert.Zero(t, damaged)
	again := open(t, dir)
	assert.Equal(t, want, again.All())
	one, known := again.Of("org-007")
	assert.True(t, known)
	assert.Equal(t, at("org-007", 10), one)
	_, known = again.Of("nobody")
	assert.False(t, known)
}

func TestMarksNeverGoBack(t *testing.T) {
	f := open(t, t.TempDir())
	restored := at("acme", 9)
	restored.Epoch, restored.Ledger = 2, 7
	lacking := at("acme", 8)
	lacking.Epoch = 3
	advance(t, f, at("acme", 5), at("acme", 4), restored, at("acme", 10), lacking)
	assert.Equal(t, []Mark{restored}, f.All())
}

func TestBeyondComparesEpochAndNumber(t *testing.T) {
	m := at("acme", 5)
	m.Epoch = 2
	assert.False(t, Mark{Org: "acme"}.Beyond(wire.Position{}), "no commit at all")
	assert.False(t, m.Beyond(wire.Position{Epoch: 2, N: 5}))
	assert.False(t, m.Beyond(wire.Position{Epoch: 3, N: 6}))
	assert.True(t, m.Beyond(wire.Position{Epoch: 2, N: 4}))
	assert.True(t, m.Beyond(wire.Position{Epoch: 3, N: 4}), "a restore that lacks more than it says")
	assert.True(t, m.Beyond(wire.Position{Epoch: 1, N: 6}))
}

// A write that is torn at any byte leaves the mark before it or the new one.
func TestATornWriteLeavesTheMarkBefore(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	advance(t, f, at("beta", 1), at("acme", 1), at("acme", 2))
	crash(t, f)
	path := filepath.Join(dir, FileName)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	f = open(t, dir)
	advance(t, f, at("acme", 3))
	crash(t, f)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, after, len(before))
	for cut := range slotSize + 1 {
		torn := append([]byte{}, before...)
		begin := pairSize + slotSize // the third write of the second org
		copy(torn[begin:begin+cut], after[begin:begin+cut])
		pairs, _, damaged := scan(torn)
		assert.Zero(t, damaged)
		n := pairs["acme"].last.N
		assert.True(t, n == 2 || n == 3, "%d bytes: %d", cut, n)
		assert.Equal(t, uint64(1), pairs["beta"].last.N)
	}
}

func TestADamagedPairIsCountedAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	advance(t, f, at("acme", 1), at("beta", 1), at("beta", 2))
	crash(t, f)
	path := filepath.Join(dir, FileName)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content[slotSize+40] ^= 1          // the only slot of acme that has anything
	content[pairSize+40] ^= 1          // the newer of beta
	content = content[:2*pairSize+100] // and a length that is none
	require.NoError(t, os.WriteFile(path, content, 0o600))
	f = open(t, dir)
	assert.Equal(t, 1, f.Damaged())
	assert.Equal(t, []Mark{at("beta", 1)}, f.All())
	advance(t, f, at("acme", 1), at("gamma", 1))
	crash(t, f)
	found, damaged, err := Read(dir)
	require.NoError(t, err)
	assert.Equal(t, []Mark{at("acme", 1), at("beta", 1), at("gamma", 1)}, found)
	assert.Equal(t, 1, damaged)
}

func TestADirectoryOfMarksHasOneWriter(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := Open(dir)
	assert.ErrorIs(t, err, ErrInUse)
}

func TestWhatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	advance(t, f, at("acme", 1))
	whole := f.file
	var err error
	f.file, err = os.Open(filepath.Join(dir, FileName)) // takes no writes
	require.NoError(t, err)
	require.Error(t, f.Advance(at("acme", 2)))
	require.Error(t, f.Sync())
	m, _ := f.Of("acme")
	assert.Equal(t, uint64(2), m.N, "it is known all the same")
	require.NoError(t, f.file.Close())
	f.file = whole
	require.NoError(t, f.Sync())
	found, _, err := Read(dir)
	require.NoError(t, err)
	assert.Equal(t, []Mark{at("acme", 2)}, found)
}

func TestManyWritersOfMarks(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	var writing sync.WaitGroup
	for w := range 8 {
		writing.Go(func() {
			for n := range 50 {
				assert.NoError(t, f.Advance(at("acme", uint64(n+1))))
				assert.NoError(t, f.Advance(at(domain.ID(fmt.Sprint("org-", w)), uint64(n+1))))
				if n%10 == 0 {
					assert.NoError(t, f.Sync())
				}
			}
		})
	}
	writing.Wait()
	found, damaged, err := Read(dir)
	require.NoError(t, err)
	assert.Zero(t, damaged)
	require.Len(t, found, 9)
	for _, m := range found {
		assert.Equal(t, uint64(50), m.N)
	}
}
