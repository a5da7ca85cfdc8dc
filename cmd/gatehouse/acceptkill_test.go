package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore"
	"gatehouse/eventstore/restore"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas"
)

// ledgerSize is how long the first block of the ledger in a data directory is.
func ledgerSize(t *testing.T, data string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(data, "jetstream", "jetstream", "$G", "streams", streams.Ledger, "msgs", "1.blk"))
	require.NoError(t, err)
	return info.Size()
}

// acceptKilled accepts a loss in a process that is killed when the ledger has grown by
// some bytes. With none, it is killed at once.
func acceptKilled(t *testing.T, data, loss string, grown int64) {
	t.Helper()
	before := ledgerSize(t, data)
	cmd := exec.Command("gatehouse", "restore", "--data", data, "--accept-loss", loss)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for ledgerSize(t, data) < before+grown {
		select {
		case err := <-ended:
			require.NoError(t, err, said.String())
			return // it was quicker
		default:
			time.Sleep(100 * time.Microsecond)
		}
	}
	_ = cmd.Process.Kill() // unless it was quicker
	<-ended
}

// An accepted loss that was killed midway is done, or is asked for again; whichever it
// is, the org goes on once and no position is used twice.
func TestAKilledAcceptIsDoneOnceOrAskedForAgain(t *testing.T) {
	alongside(t)
	behind, ends, lost := rolledBack(t)
	restored := newBackedUp(t)
	restored.run()
	kept, _ := headOf(t, restored.s, "acme")
	require.NoError(t, sends(t, restored.olga, "RevokeRight", `{"grant":"g-anna"}`))
	gone, _ := headOf(t, restored.s, "acme")
	restored.witnessed()
	halt(t, restored.s)
	data := restored.data()
	_, err := restored.restore(restoreCmd{Target: restored.target, Data: data, Witness: []string{restored.witness}})
	require.Equal(t, exitRefused, exitCode(err), "it waits for a word")
	for name, c := range map[string]struct {
		b          *backedUp
		data       string
		ends, lost eventstore.Head
	}{
		"a ledger that lost its end": {behind, behind.s.cfg.Data, ends, lost},
		"a backup that lacks it":     {restored, data, kept, gone},
	} {
		for when, grown := range map[string]int64{"before it is written": 0, "as it is written": 1, "behind it": 1200} {
			t.Run(name+"/"+when, func(t *testing.T) {
				data := filepath.Join(t.TempDir(), "data")
				require.NoError(t, os.CopyFS(data, os.DirFS(c.data)))
				for _, private := range []string{"vault.key", "vault.db"} {
					require.NoError(t, os.Chmod(filepath.Join(data, private), 0o600))
				}
				loss := "acme=" + c.ends.Position().String()
				acceptKilled(t, data, loss, grown)
				s := c.b.serves(data)
				if err := served(t, s, "acme"); err != nil {
					require.ErrorIs(t, err, eventstore.ErrBehind, "it is asked for again")
					halt(t, s)
					said, err := c.b.restore(restoreCmd{Data: data, AcceptLoss: []string{loss}})
					require.NoError(t, err, said)
					s = c.b.serves(data)
				}
				assert.Empty(t, s.waiting(t.Context()), "nothing is asked for that is done")
				halt(t, s)
				said, err := c.b.restore(restoreCmd{Data: data, AcceptLoss: []string{loss}})
				if c.b == restored {
					require.NoError(t, err, "what is done is written down: %s", said)
				} else {
					require.ErrorIs(t, err, restore.ErrAccept, said)
				}
				s = c.b.serves(data)
				require.NoError(t, served(t, s, "acme"))
				var n, epoch uint64
				restorations := 0
				require.NoError(t, s.Store.Commits(t.Context(), "acme", 0, 0, func(commit *schemas.Commit, _ []byte) error {
					require.Greater(t, commit.N, n, "no position is used twice")
					n, epoch = commit.N, commit.Epoch
					if commit.Events != nil && commit.Events[0].Type == "ledger.restored" {
						restorations++
						assert.Greater(t, n, c.lost.N)
					}
					return nil
				}))
				assert.Equal(t, 1, restorations)
				assert.Equal(t, uint64(2), epoch)
				halt(t, s)
			})
		}
	}
}
