package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/eventstore/backup"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/vault"
)

// backedUp is a service with something of everything, the backup of it, and a witness.
type backedUp struct {
	t       *testing.T
	s       *service
	olga    *client.Client
	target  string
	witness string
	id      *age.X25519Identity
}

func newBackedUp(t *testing.T) *backedUp {
	t.Helper()
	return newBackedUpBy(t, testConfig(t))
}

func newBackedUpBy(t *testing.T, cfg serviceConfig) *backedUp {
	t.Helper()
	b := &backedUp{t: t, s: serveIn(t, cfg), target: filepath.Join(t.TempDir(), "target"), witness: t.TempDir()}
	var err error
	b.id, err = age.GenerateX25519Identity()
	require.NoError(t, err)
	b.olga = ownerOf(t, b.s, "acme")
	for _, c := range [][2]string{
		{"CreateSite", `{"site":"north","name":"North","zone":"UTC"}`},
		{"CreateDoor", `{"door":"gate","site":"north","name":"Gate","kind":"gate"}`},
		{"RegisterPerson", `{"person":"anna","name":"Anna"}`}, {"RegisterPerson", `{"person":"ben","name":"Ben"}`},
		{"RegisterPerson", `{"person":"gone","name":"Gone"}`},
		{"DefineAccessRight", `{"right":"all","name":"All","doors":["gate"],"schedule":"always"}`},
		{"GrantRight", `{"grant":"g-anna","person":"anna","right":"all"}`},
		{"GrantRight", `{"grant":"g-ben","person":"ben","right":"all"}`},
		{"ErasePerson", `{"person":"gone"}`},
	} {
		require.NoError(t, sends(t, b.olga, c[0], c[1]), c[0])
	}
	return b
}

// run makes a backup.
func (b *backedUp) run() {
	b.t.Helper()
	require.NoError(b.t, b.s.Permissions.Flush(b.t.Context()))
	target, err := backup.OpenTarget(b.target, backup.S3{})
	require.NoError(b.t, err)
	js, err := jetstream.New(b.s.conn)
	require.NoError(b.t, err)
	source, err := backup.Store{JS: js, Vault: b.s.Keys.(*vault.Vault)}.Source()
	require.NoError(b.t, err)
	w, err := backup.NewWriter(target, source, backup.Options{Recipients: []string{b.id.Recipient().String()}, Spool: b.t.TempDir(), Now: time.Now,
		Log: slog.New(slog.DiscardHandler)})
	require.NoError(b.t, err)
	_, err = w.Run(b.t.Context())
	require.NoError(b.t, err)
}

// head is where an org stands, with the digest of its state.
func headOf(t *testing.T, s *service, org domain.ID) (eventstore.Head, [32]byte) {
	t.Helper()
	var at eventstore.Head
	var digest [32]byte
	require.NoError(t, s.Store.View(t.Context(), org, func(state *domain.State, h eventstore.Head) (err error) {
		at = h
		digest, err = state.Digest()
		return err
	}))
	return at, digest
}

// witnessed tells the witness where the ledgers end, and which keys are destroyed.
func (b *backedUp) witnessed() {
	b.t.Helper()
	file, err := mark.Open(b.witness)
	require.NoError(b.t, err)
	for _, org := range []domain.ID{"acme", domain.SystemOrg} {
		h, _ := headOf(b.t, b.s, org)
		require.NoError(b.t, file.Advance(mark.Mark{Org: org, Ledger: 1, Epoch: h.Epoch, N: h.N, Seq: h.N, Hash: h.Hash}))
	}
	require.NoError(b.t, file.Close())
	require.NoError(b.t, mark.CopyDestroyed(b.s.cfg.Data, b.witness))
}

// data is an empty directory with the master key.
func (b *backedUp) data() string {
	b.t.Helper()
	dir := filepath.Join(b.t.TempDir(), "data")
	require.NoError(b.t, os.MkdirAll(dir, 0o700))
	key, err := os.ReadFile(filepath.Join(b.s.cfg.Data, "vault.key"))
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, "vault.key"), key, 0o600))
	return dir
}

func (b *backedUp) identity(id *age.X25519Identity) string {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "identity")
	require.NoError(b.t, os.WriteFile(file, []byte(id.String()+"\n"), 0o600))
	return file
}

// restore runs the verb.
func (b *backedUp) restore(c restoreCmd) (string, error) {
	b.t.Helper()
	if c.Identities == nil {
		c.Identities = []string{b.identity(b.id)}
	}
	c.Replicas = 1
	var said strings.Builder
	err := c.Run(&world{ctx: b.t.Context(), stdout: &said, stderr: &said, now: time.Now})
	return said.String(), err
}

// serves starts a service on a directory that was restored.
func (b *backedUp) serves(data string) *service {
	cfg := testConfig(b.t)
	cfg.Data = data
	return serveIn(b.t, cfg)
}

func tableOf(t *testing.T, s *service, n uint64) unlock.Digest {
	t.Helper()
	require.NoError(t, s.Permissions.Wait(t.Context(), "acme", n))
	require.NoError(t, s.Permissions.Flush(t.Context()))
	return s.Permissions.Table("acme", "north").Digest()
}

// all accepts the loss of every org, by where each ends in the backup.
func (b *backedUp) all() (losses []string) {
	b.t.Helper()
	said, err := b.restore(restoreCmd{Target: b.target, Data: b.data(), NoErased: true})
	require.Equal(b.t, exitRefused, exitCode(err), said)
	for _, word := range strings.Fields(said[strings.LastIndex(said, "gatehouse restore"):]) {
		if strings.Contains(word, "=") {
			losses = append(losses, word)
		}
	}
	require.NotEmpty(b.t, losses, said)
	return losses
}

func flipped(b []byte) []byte {
	out := append([]byte(nil), b...)
	out[len(out)/2] ^= 1
	return out
}
