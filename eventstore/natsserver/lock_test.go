package natsserver

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A second holder of a data directory fails and says who holds it, in this process
// and in another.
func TestTheDataDirectoryHasOneHolder(t *testing.T) {
	if dir := os.Getenv("GATEHOUSE_TEST_LOCK"); dir != "" { // the other process
		if _, err := LockData(dir); err != nil {
			os.Stdout.WriteString(err.Error())
			os.Exit(3)
		}
		os.Exit(0)
	}
	dir := t.TempDir()
	lock, err := LockData(dir)
	require.NoError(t, err)
	_, err = LockData(dir)
	require.ErrorIs(t, err, ErrLocked)
	assert.Contains(t, err.Error(), "process "+strconv.Itoa(os.Getpid()))

	other := exec.Command(os.Args[0], "-test.run=^TestTheDataDirectoryHasOneHolder$")
	other.Env = append(os.Environ(), "GATEHOUSE_TEST_LOCK="+dir)
	out, err := other.CombinedOutput()
	assert.Error(t, err, "%s", out)
	assert.Contains(t, string(out), ErrLocked.Error())

	require.NoError(t, lock.Release())
	lock, err = LockData(dir)
	require.NoError(t, err)
	require.NoError(t, lock.Release())
}
