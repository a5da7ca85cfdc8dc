package domain

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// goldenFold is what testdata/golden/fold.json holds: the digests of the states
// to which the stored ledgers testdata/golden/*.jsonl fold, and the fold version
// that gave them.
type goldenFold struct {
	FoldVersion int               `json:"fold_version"`
	Digests     map[string]string `json:"digests"` // by ledger, in hex
}

// goldenCommit is a line of a stored ledger.
type goldenCommit struct {
	N       uint64        `json:"n"`
	At      time.Time     `json:"at"`
	Command UUID          `json:"command"`
	Actor   Actor         `json:"actor"`
	Events  []goldenEvent `json:"events"`
}

type goldenEvent struct {
	Type    string          `json:"type"`
	Version int             `json:"version"`
	Data    json.RawMessage `json:"data"`
}

// TestFoldVersion folds stored ledgers and compares the digests of the states. A
// fold that gives another state for the same ledger makes every snapshot wrong,
// so that FoldVersion must grow: then -update takes over the new digests. It also
// stores ledgers of specifications with the events that no stored one has yet;
// those that are stored already stay as they are.
func TestFoldVersion(t *testing.T) {
	path := filepath.Join("testdata", "golden", "fold.json")
	var golden goldenFold
	if text, err := os.ReadFile(path); err == nil {
		require.NoError(t, json.Unmarshal(text, &golden))
	}
	seen := map[string]bool{}
	now := goldenFold{FoldVersion, foldStored(t, seen)}
	if *update {
		storeMissing(t, seen)
		now.Digests = foldStored(t, seen)
	}
	for name, digest := range golden.Digests {
		if now.Digests[name] != digest && golden.FoldVersion == FoldVersion {
			t.Errorf("the ledger %s folds to another state than before: raise FoldVersion, then run the test with -update", name)
		}
	}
	if *update && !t.Failed() {
		text, err := json.MarshalIndent(now, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(text, '\n'), 0o644))
		return
	}
	assert.Equal(t, now, golden, "run the test with -update")
}

// foldStored folds the stored ledgers and notes the events that they have.
func foldStored(t *testing.T, seen map[string]bool) map[string]string {
	files, err := filepath.Glob("testdata/golden/*.jsonl")
	require.NoError(t, err)
	digests := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		w := newWorld(t)
		for line := range bytes.Lines(text) {
			var g goldenCommit
			w.unmarshal(line, &g)
			c := specCommit{Moment: Moment{N: g.N, At: g.At, CommandID: g.Command, Actor: g.Actor}}
			for _, e := range g.Events {
				typ, ok := EventNamed(e.Type)
				require.True(t, ok && typ.Version == e.Version,
					"%s has version %d of %s: a stored form is upcast first, here by hand", file, e.Version, e.Type)
				seen[e.Type] = true
				c.Names, c.Bodies = append(c.Names, e.Type), append(c.Bodies, e.Data)
			}
			w.apply(w.state, c)
		}
		digest := w.digest(w.state)
		digests[filepath.Base(file)] = hex.EncodeToString(digest[:])
	}
	return digests
}

// storeMissing stores ledgers of specifications until every event is in a stored
// one: each time that with the most events that are missing.
func storeMissing(t *testing.T, seen map[string]bool) {
	specs, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	worlds := map[string]*world{}
	for _, file := range specs {
		worlds[file] = playSpec(t, file)
	}
	for {
		best, most := "", 0
		for _, file := range specs {
			if n := len(newEvents(worlds[file], seen)); n > most {
				best, most = file, n
			}
		}
		if most == 0 {
			return
		}
		storeLedger(t, filepath.Join("testdata", "golden", specName(best)+".jsonl"), worlds[best])
		for name := range newEvents(worlds[best], seen) {
			seen[name] = true
		}
	}
}

func newEvents(w *world, seen map[string]bool) map[string]bool {
	out := map[string]bool{}
	for _, c := range w.commits {
		for _, name := range c.Names {
			if !seen[name] {
				out[name] = true
			}
		}
	}
	return out
}

func storeLedger(t *testing.T, path string, w *world) {
	var out bytes.Buffer
	for _, c := range w.commits {
		g := goldenCommit{N: c.N, At: c.At, Command: c.CommandID, Actor: c.Actor}
		for i, name := range c.Names {
			typ, ok := EventNamed(name)
			require.True(t, ok, name)
			g.Events = append(g.Events, goldenEvent{name, typ.Version, c.Bodies[i]})
		}
		fmt.Fprintf(&out, "%s\n", w.marshal(g))
	}
	require.NoFileExists(t, path, "it lacks an event that the specification has; store that one under another name")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, out.Bytes(), 0o644))
}
