package journal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func open(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func frames(t *testing.T, j *Journal, from uint64) (out []string) {
	t.Helper()
	require.NoError(t, j.Read(from, func(n uint64, b []byte) bool {
		out = append(out, string(b))
		return true
	}))
	return out
}

func TestFramesComeBackInTheirOrderAcrossFiles(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	var want []string
	for i := range uint64(12) {
		body := fmt.Sprint(i, string(bytes.Repeat([]byte{'x'}, MaxFrame-20)))
		require.NoError(t, j.Append(i, []byte(body)))
		want = append(want, body)
	}
	require.NoError(t, j.Close())
	j = open(t, dir)
	assert.Equal(t, want, frames(t, j, 0))
	assert.Equal(t, want[9:], frames(t, j, 9))
	require.NoError(t, j.Drop(9))
	assert.Equal(t, want[5:], frames(t, j, 0))
	require.NoError(t, j.Append(12, []byte("on")))
	assert.Equal(t, append(want[5:], "on"), frames(t, j, 0))
	assert.Error(t, j.Append(13, nil))
	assert.Error(t, j.Append(13, make([]byte, MaxFrame+1)))
}

// The part of the last frame that a power cut leaves is cut off, and nothing before it.
func TestATornEndIsCutOff(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	j := open(t, whole)
	for i := range uint64(3) {
		require.NoError(t, j.Append(i, []byte(fmt.Sprint("frame ", i))))
	}
	require.NoError(t, j.Close())
	data, err := os.ReadFile(filepath.Join(whole, name(0)))
	require.NoError(t, err)
	one := len(data) / 3
	for cut := range len(data) + 1 {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, name(0)), data[:cut], 0o600))
		j := open(t, dir)
		assert.EqualValues(t, cut%one, j.Torn(), cut)
		assert.Len(t, frames(t, j, 0), cut/one, cut)
		require.NoError(t, j.Append(uint64(cut/one), []byte("next")))
		got := frames(t, j, 0)
		assert.Equal(t, "next", got[len(got)-1])
	}
}

func TestDamageIsNoTornEnd(t *testing.T) {
	for at := range 60 {
		dir := t.TempDir()
		j := open(t, dir)
		for i := range uint64(6) {
			require.NoError(t, j.Append(i, []byte(fmt.Sprint("frame ", i))))
		}
		require.NoError(t, j.Close())
		path := filepath.Join(dir, name(0))
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		data[at] ^= 0x10
		require.NoError(t, os.WriteFile(path, data, 0o600))
		j = open(t, dir)
		assert.Zero(t, j.Torn(), at)
		n := 0
		err = j.Read(0, func(uint64, []byte) bool { n++; return true })
		assert.ErrorIs(t, err, ErrDamaged, at)
		assert.Equal(t, at/15, n, "what stands before it is read")
		j, err = j.Replace(7, [][]byte{[]byte("one")}, dir+".aside")
		require.NoError(t, err)
		require.NoError(t, j.Append(8, []byte("next")))
		assert.Equal(t, []string{"one", "next"}, frames(t, j, 0))
		require.NoError(t, j.Close())
	}
}

// A disk that is full while another journal is written costs that one alone.
func TestAReplacementThatFailsLeavesTheJournalInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := open(t, dir)
	require.NoError(t, j.Append(1, []byte("one")))
	_, err := j.Replace(1, [][]byte{nil}, dir+".old")
	require.Error(t, err)
	assert.NoDirExists(t, dir+draft, "it takes room")
	require.NoError(t, j.Append(2, []byte("two")))
	require.NoError(t, j.Sync())
	next, err := j.Replace(1, [][]byte{[]byte("three")}, dir+".old")
	require.NoError(t, err)
	t.Cleanup(func() { _ = next.Close() })
	assert.Equal(t, []string{"three"}, frames(t, next, 0))
}

// Sync runs beside an append that begins another file.
func TestSyncRunsBesideAppend(t *testing.T) {
	j := open(t, t.TempDir())
	var running sync.WaitGroup
	end := make(chan struct{})
	running.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
				assert.NoError(t, j.Sync())
			}
		}
	})
	body := bytes.Repeat([]byte{'x'}, MaxFrame)
	for n := range uint64(20) {
		assert.NoError(t, j.Append(n, body))
	}
	close(end)
	running.Wait()
}
