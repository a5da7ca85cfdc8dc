package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/backup"
	"gatehouse/eventstore/budget"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/restore"
	"gatehouse/schemas"
)

func TestARestoreGivesTheLedgerBack(t *testing.T) {
	b := newBackedUp(t)
	head, digest := headOf(t, b.s, "acme")
	b.run()
	b.witnessed()
	halt(t, b.s)
	data := b.data()
	said, err := b.restore(restoreCmd{Target: b.target, Data: data, Witness: []string{b.witness}})
	require.NoError(t, err, said)
	assert.Contains(t, said, "acme ends at "+head.Position().String()+": nothing is known to be lost")

	again := b.serves(data)
	assert.Empty(t, again.BootstrapPath)
	then, there, err := again.Store.StateAt(t.Context(), budget.Who{Org: "acme"}, head.Position())
	require.NoError(t, err)
	got, err := then.Digest()
	require.NoError(t, err)
	assert.Equal(t, digest, got, "the state at the same position")
	assert.Equal(t, head.Hash, there.Hash)
	now, live := headOf(t, again, "acme")
	assert.Equal(t, uint64(2), now.Epoch)
	assert.Greater(t, now.N, head.N+1)
	replayed, _, err := again.Store.StateAt(t.Context(), budget.Who{Org: "acme"}, now.Position())
	require.NoError(t, err)
	got, err = replayed.Digest()
	require.NoError(t, err)
	assert.Equal(t, live, got, "a replay gives the same state")

	// Doors decide on what a start from nothing but the ledger would publish.
	rows, untagged := replayed.Rows("north", func(site domain.ID, kind domain.CredentialKind, format, number string) (unlock.Tag, bool) {
		return again.Permissions.Tag("acme", site, kind, format, number)
	})
	require.Empty(t, untagged)
	fresh, err := unlock.NewTable(rows...)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return tableOf(t, again, now.N) == fresh.Digest() }, patience, 20*time.Millisecond)

	b.olga.Base = again.URL
	require.NoError(t, sends(t, b.olga, "RegisterPerson", `{"person":"carl","name":"Carl"}`), "tokens are good")
	halt(t, again)
	_, err = b.restore(restoreCmd{Target: b.target, Data: data, Witness: []string{b.witness}})
	assert.ErrorIs(t, err, restore.ErrNotEmpty)
}

func TestWhatARestoreLostIsServedWhenItIsAccepted(t *testing.T) {
	b := newBackedUp(t)
	b.run()
	backedUp, _ := headOf(t, b.s, "acme")
	var key string
	require.NoError(t, b.s.Store.View(t.Context(), "acme", func(state *domain.State, _ eventstore.Head) error {
		key = state.KeyOf("ben")
		return nil
	}))
	require.NoError(t, sends(t, b.olga, "RevokeRight", `{"grant":"g-anna"}`))
	require.NoError(t, sends(t, b.olga, "ErasePerson", `{"person":"ben"}`))
	lost, _ := headOf(t, b.s, "acme")
	b.witnessed()
	halt(t, b.s)

	data := b.data()
	said, err := b.restore(restoreCmd{Target: b.target, Data: data})
	assert.ErrorContains(t, err, "--no-erased", said)
	said, err = b.restore(restoreCmd{Target: b.target, Data: data, Witness: []string{b.witness}, AcceptLoss: []string{"acme=1-2"}})
	require.ErrorIs(t, err, restore.ErrAccept, said)
	assert.Equal(t, exitUsage, exitCode(err))
	said, err = b.restore(restoreCmd{Target: b.target, Data: data, Witness: []string{b.witness}})
	require.Equal(t, exitRefused, exitCode(err), "%v %s", err, said)
	assert.Contains(t, said, fmt.Sprintf("acme ends at %s: %d to %d are lost", backedUp.Position(), backedUp.N+1, lost.N))
	assert.Contains(t, said, "NOT SERVED until --accept-loss acme="+backedUp.Position().String())
	marks, _, err := mark.Read(data)
	require.NoError(t, err)
	held := slices.IndexFunc(marks, func(m mark.Mark) bool { return m.Org == "acme" })
	require.GreaterOrEqual(t, held, 0)
	assert.Equal(t, lost.N, marks[held].N, "it is held by a mark beyond its ledger")

	said, err = b.restore(restoreCmd{Data: data, AcceptLoss: []string{"acme=" + backedUp.Position().String()}})
	require.NoError(t, err, said)
	again := b.serves(data)
	now, _ := headOf(t, again, "acme")
	assert.Equal(t, uint64(2), now.Epoch)
	assert.Greater(t, now.N, lost.N, "no position is used twice")
	var restored domain.LedgerRestored
	require.NoError(t, again.Store.Commits(t.Context(), "acme", backedUp.N, 0, func(c *schemas.Commit, _ []byte) error {
		if e, err := c.Events[0].Decode(); err == nil {
			restored, _ = e.(domain.LedgerRestored)
		}
		return nil
	}))
	assert.Equal(t, lost.N, restored.KnownTo)
	assert.Equal(t, backedUp.Position().String(), restored.Accepted)
	assert.Equal(t, backedUp.Hash.String(), restored.HashAtLostFrom)
	keys, err := again.Keys.Keys(t.Context(), "acme", []string{key})
	require.NoError(t, err)
	assert.Empty(t, keys, "who was erased since stays erased")
	require.NoError(t, again.Store.View(t.Context(), "acme", func(state *domain.State, _ eventstore.Head) error {
		ben, _ := state.People.Get("ben")
		assert.Equal(t, domain.PersonStateErased, ben.State)
		return nil
	}))
	b.olga.Base = again.URL
	require.NoError(t, sends(t, b.olga, "RegisterPerson", `{"person":"carl","name":"Carl"}`), "no value is left that nobody can read")
	overrides := 0
	require.NoError(t, again.Store.Commits(t.Context(), domain.SystemOrg, 0, 0, func(c *schemas.Commit, _ []byte) error {
		if c.Command == "RecordOverride" && strings.Contains(string(c.Events[0].Data), "acme="+backedUp.Position().String()) {
			overrides++
		}
		return nil
	}))
	assert.Equal(t, 1, overrides, "who accepted is on record")
}

func TestARestoreRefusesWhatIsNotWhole(t *testing.T) {
	b := newBackedUp(t)
	b.run()
	b.witnessed()
	halt(t, b.s)
	other, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	var segments []string
	require.NoError(t, filepath.WalkDir(filepath.Join(b.target, "segments"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, "LEDGER") {
			segments = append(segments, path)
		}
		return err
	}))
	require.NotEmpty(t, segments)
	whole, err := os.ReadFile(segments[0])
	require.NoError(t, err)
	for name, c := range map[string]struct {
		damage func()
		id     *age.X25519Identity
		want   error
	}{
		"another key":    {func() {}, other, backup.ErrWrongKey},
		"a flipped bit":  {func() { require.NoError(t, os.WriteFile(segments[0], flipped(whole), 0o600)) }, b.id, backup.ErrDamaged},
		"a lost segment": {func() { require.NoError(t, os.Remove(segments[0])) }, b.id, backup.ErrMissing},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(segments[0], whole, 0o600))
			c.damage()
			data := b.data()
			_, err := b.restore(restoreCmd{Target: b.target, Data: data, Witness: []string{b.witness}, identityFlags: identityFlags{Identities: []string{b.identity(c.id)}}})
			require.ErrorIs(t, err, c.want)
			if !errors.Is(err, backup.ErrWrongKey) {
				assert.ErrorContains(t, err, filepath.Base(segments[0]), "it is named")
			}
			left, err := os.ReadDir(data)
			require.NoError(t, err)
			for _, e := range left {
				assert.Contains(t, []string{"lock", "vault.key"}, e.Name(), "nothing was written")
			}
		})
	}
}

// A restore that was killed leaves a directory that is not served, and is run again.
func TestAKilledRestoreIsNotServed(t *testing.T) {
	b := newBackedUp(t)
	b.run()
	b.witnessed()
	halt(t, b.s)
	data := b.data()
	args := []string{"restore", b.target, "--data", data, "--witness", b.witness, "--identity", b.identity(b.id)}
	unfinished := 0
	for delay := 20 * time.Millisecond; unfinished < 2; delay += delay / 3 {
		cmd := exec.Command("gatehouse", args...)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		require.NoError(t, cmd.Start())
		time.Sleep(delay)
		_ = cmd.Process.Kill() // unless it was quicker
		if err := cmd.Wait(); err == nil {
			break
		} else if cmd.ProcessState.Exited() {
			require.NoError(t, err, said.String())
		}
		r, err := restore.Check(data)
		if r == nil && err == nil {
			continue // it had not begun
		}
		if !errors.Is(err, restore.ErrUnfinished) {
			break // it was killed behind its last step
		}
		cfg := testConfig(t)
		cfg.Data = data
		_, err = startService(t.Context(), cfg)
		require.ErrorIs(t, err, restore.ErrUnfinished)
		unfinished++
	}
	if r, _ := restore.Check(data); r == nil || !r.Whole {
		out, err := exec.Command("gatehouse", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	again := b.serves(data)
	now, _ := headOf(t, again, "acme")
	assert.Equal(t, uint64(2), now.Epoch)
}

// An unfinished restore is named and not served: each step may be the last one.
func TestAnUnfinishedRestoreIsNamed(t *testing.T) {
	b := newBackedUp(t)
	b.run()
	b.witnessed()
	halt(t, b.s)
	data := b.data()
	c := restoreCmd{Target: b.target, Data: data, Witness: []string{b.witness}, identityFlags: identityFlags{Identities: []string{b.identity(b.id)}}, natsFlags: natsFlags{Replicas: 1}}
	w := &world{ctx: t.Context(), stdout: t.Output(), stderr: t.Output(), now: time.Now}
	s := &service{cfg: c.config(w, data)}
	s.cfg.NATS.URL, s.cfg.NATS.Creds = "nats://127.0.0.1:1", "/nowhere" // the servers cannot be reached
	_, err := c.restore(w, s)
	require.Error(t, err)
	cfg := testConfig(t)
	cfg.Data = data
	_, err = startService(t.Context(), cfg)
	require.ErrorIs(t, err, restore.ErrUnfinished)
	assert.ErrorContains(t, err, b.target)
	said, err := b.restore(c)
	require.NoError(t, err, said)
	now, _ := headOf(t, b.serves(data), "acme")
	assert.Equal(t, uint64(2), now.Epoch)
}

// Without a witness nothing is known: an operator lists who was erased, or says that
// nobody was, and every org waits until its loss is accepted.
func TestWithoutAWitnessAnOperatorSaysWhoIsErased(t *testing.T) {
	b := newBackedUp(t)
	var key string
	require.NoError(t, b.s.Store.View(t.Context(), "acme", func(state *domain.State, _ eventstore.Head) error {
		key = state.KeyOf("ben")
		return nil
	}))
	b.run()
	require.NoError(t, sends(t, b.olga, "ErasePerson", `{"person":"ben"}`))
	lost, _ := headOf(t, b.s, "acme")
	halt(t, b.s)
	list := filepath.Join(t.TempDir(), "erased")
	require.NoError(t, os.WriteFile(list, []byte("# since the backup\nacme ben\n"), 0o600))
	data := b.data()
	said, err := b.restore(restoreCmd{Target: b.target, Data: data})
	assert.ErrorIs(t, err, restore.ErrErased, said)
	assert.Equal(t, exitUsage, exitCode(err))
	said, err = b.restore(restoreCmd{Target: b.target, Data: data, Erased: []string{list}})
	require.Equal(t, exitRefused, exitCode(err), "%v %s", err, said)
	assert.Contains(t, said, "nobody knows what came after; NOT SERVED until --accept-loss acme=")
	cfg := testConfig(t)
	cfg.Data = data
	_, err = startService(t.Context(), cfg)
	require.ErrorIs(t, err, eventstore.ErrBehind, "the org of orgs waits too")

	said, err = b.restore(restoreCmd{Data: data, AcceptLoss: b.all()})
	require.NoError(t, err, said)
	s := b.serves(data)
	now, _ := headOf(t, s, "acme")
	assert.Greater(t, now.N, lost.N+1_000_000, "far above what may have been used")
	keys, err := s.Keys.Keys(t.Context(), "acme", []string{key})
	require.NoError(t, err)
	assert.Empty(t, keys)
	require.NoError(t, s.Store.View(t.Context(), "acme", func(state *domain.State, _ eventstore.Head) error {
		ben, _ := state.People.Get("ben")
		assert.Equal(t, domain.PersonStateErased, ben.State)
		anna, _ := state.People.Get("anna")
		assert.Equal(t, "Anna", anna.Name.Text())
		return nil
	}))
}

// A gateway that was stolen had the keys of tags of its site. Whether its theft is in
// the backup, in what was lost, or comes later: a key that was given out is never good
// again, also when the ledger is restored twice.
func TestAKeyOfTagsIsNeverGoodAgain(t *testing.T) {
	b := newBackedUp(t)
	seen := map[unlock.Tag]string{}
	fresh := func(s *service, when string) {
		t.Helper()
		var tag unlock.Tag
		require.Eventually(t, func() (ok bool) {
			tag, ok = s.Permissions.Tag("acme", "north", domain.KindCard, "", "4711")
			return ok && seen[tag] == ""
		}, patience, 20*time.Millisecond, when)
		seen[tag] = when
	}
	stolen := func(s *service, gateway string) {
		t.Helper()
		pair, err := nkeys.CreateUser()
		require.NoError(t, err)
		public, err := pair.PublicKey()
		require.NoError(t, err)
		b.olga.Base = s.URL
		require.NoError(t, sends(t, b.olga, "RegisterGateway", `{"gateway":"`+gateway+`","site":"north","public_key":"`+public+`"}`))
		require.NoError(t, sends(t, b.olga, "RetireGateway", `{"gateway":"`+gateway+`","reason":"stolen"}`))
	}
	fresh(b.s, "at first")
	stolen(b.s, "g1")
	fresh(b.s, "after a theft")
	b.run()
	for _, gateway := range []string{"g2", "g3"} {
		stolen(b.s, gateway)
		fresh(b.s, "after a theft that is lost")
	}
	backedUp, _ := headOf(t, b.s, "acme")
	halt(t, b.s)
	for i, when := range []string{"restored", "restored again"} {
		data := b.data()
		said, err := b.restore(restoreCmd{Target: b.target, Data: data, NoErased: true, AcceptLoss: b.all()})
		require.NoError(t, err, said)
		s := b.serves(data)
		now, _ := headOf(t, s, "acme")
		assert.Greater(t, now.N, backedUp.N)
		fresh(s, when)
		stolen(s, fmt.Sprint("later-", i))
		fresh(s, when+", after a theft")
		b.s, b.target = s, b.target+"-"+when
		b.run()
		halt(t, s)
	}
}
