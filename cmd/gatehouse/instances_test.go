package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
	"gatehouse/eventstore"
)

// cluster is an external NATS of one server, with an account for the service and
// one for the system.
type cluster struct {
	url             string
	creds, sysCreds string // files
}

// newCluster starts the server, which trusts an operator made for it. Its writes
// are fsynced always, or lazily.
func newCluster(t *testing.T, syncAlways string) *cluster {
	t.Helper()
	dir := t.TempDir()
	operator, err := nkeys.CreateOperator()
	require.NoError(t, err)
	resolver := &server.MemAccResolver{}
	sysID, sysCreds := account(t, operator, resolver, dir, "sys", false)
	_, creds := account(t, operator, resolver, dir, "app", true)
	name, err := operator.PublicKey()
	require.NoError(t, err)
	claims := jwt.NewOperatorClaims(name)
	claims.SystemAccount = sysID
	srv, err := server.NewServer(&server.Options{ServerName: "outside", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Join(dir, "js"), SyncAlways: syncAlways == "always",
		TrustedOperators: []*jwt.OperatorClaims{claims}, AccountResolver: resolver, SystemAccount: sysID})
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(patience))
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return &cluster{url: srv.ClientURL(), creds: creds, sysCreds: sysCreds}
}

// account makes an account with a user, and writes the user's credentials.
func account(t *testing.T, operator nkeys.KeyPair, resolver server.AccountResolver, dir, name string, streams bool) (id, creds string) {
	t.Helper()
	pair, err := nkeys.CreateAccount()
	require.NoError(t, err)
	id, err = pair.PublicKey()
	require.NoError(t, err)
	claims := jwt.NewAccountClaims(id)
	claims.Name = name
	if streams {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	}
	text, err := claims.Encode(operator)
	require.NoError(t, err)
	require.NoError(t, resolver.Store(id, text))
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	userID, err := user.PublicKey()
	require.NoError(t, err)
	token, err := jwt.NewUserClaims(userID).Encode(pair)
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	file, err := jwt.FormatUserConfig(token, seed)
	require.NoError(t, err)
	creds = filepath.Join(dir, name+".creds")
	require.NoError(t, os.WriteFile(creds, file, 0o600))
	return id, creds
}

func (c *cluster) config(t *testing.T) serviceConfig {
	cfg := testConfig(t)
	cfg.NATS.URL, cfg.NATS.Creds, cfg.NATS.SystemCreds = c.url, c.creds, c.sysCreds
	cfg.VaultKey = strings.Repeat("07", 32)
	return cfg
}

// Two instances serve one ledger on an external NATS: what one was told the other
// knows, and it seals and opens through the vault of the first while that is there.
func TestTwoInstancesOnOneLedger(t *testing.T) {
	alongside(t)
	nats := newCluster(t, "always")
	first := serveIn(t, nats.config(t))
	cfg := nats.config(t)
	cfg.RemoteVault = true
	second := serveIn(t, cfg)
	here := ownerOf(t, first, "acme")
	there := newClient(second.URL, here.Token, "acme", "")

	answer, err := here.Command(t.Context(), "RegisterPerson", []byte(`{"person":"anna","name":"Anna"}`), "", nil)
	require.NoError(t, err)
	var at commandAnswer
	require.NoError(t, json.Unmarshal(answer, &at))
	var anna struct{ Name string }
	require.NoError(t, there.Get(t.Context(), there.OrgPath("people", "anna"), map[string][]string{"at_least": {at.Position}}, &anna))
	assert.Equal(t, "Anna", anna.Name, "the other instance opens what this one sealed")
	require.NoError(t, sends(t, there, "RegisterPerson", `{"person":"bo","name":"Bo"}`))
	require.NoError(t, sends(t, there, "CreateSite", `{"site":"north","name":"North","zone":"Europe/Berlin"}`))
	require.NoError(t, sends(t, here, "CreateDoor", `{"door":"gate","site":"north","name":"Gate","kind":"gate"}`))

	halt(t, first)
	there.Sleep = func(context.Context, time.Duration) error { return nil }
	err = sends(t, there, "RegisterPerson", `{"person":"cy","name":"Cy"}`)
	require.ErrorContains(t, err, "vault_unavailable")
	require.NoError(t, second.Store.View(t.Context(), "acme", func(s *domain.State, _ eventstore.Head) error {
		assert.False(t, s.People.Has("cy"), "keys were reserved ahead, and yet nothing is committed that is answered so")
		return nil
	}))
	assert.Equal(t, exitUnavailable, exitCode(err))
	require.NoError(t, sends(t, there, "SuspendPerson", `{"person":"bo"}`), "what takes access away goes on without the vault")
}

// Two instances start on an empty ledger, and each writes a bootstrap token: it is
// good there alone, and the first org ends both, at once and after a restart.
func TestTheFirstOrgEndsTheBootstrapTokensOfAllInstances(t *testing.T) {
	nats := newCluster(t, "always")
	first := serveIn(t, nats.config(t))
	cfg := nats.config(t)
	cfg.RemoteVault = true
	second := serveIn(t, cfg)
	here, there := bootstrapOf(t, first), bootstrapOf(t, second)
	require.NotEqual(t, here, there)
	make := func(s *service, token, org string) error {
		c := newClient(s.URL, token, org, "")
		return c.Ask(t.Context(), client.Request{Method: "POST", Path: "/v1/orgs", Body: []byte(`{"org":"` + org + `","name":"Test","owner":"olga"}`)}, new(json.RawMessage))
	}
	require.ErrorContains(t, make(second, here, "acme"), "unauthenticated", "it is of the first instance alone")

	results := []error{nil, nil} // both at once: the ledger gets one org
	var both sync.WaitGroup
	both.Go(func() { results[0] = make(first, here, "acme") })
	both.Go(func() { results[1] = make(second, there, "globex") })
	both.Wait()
	if results[0] != nil {
		results[0], results[1], first, second, here, there = results[1], results[0], second, first, there, here
	}
	require.NoError(t, results[0])
	require.ErrorContains(t, results[1], "bootstrap_used")
	require.ErrorContains(t, make(second, there, "initech"), "unauthenticated", "it has ended")
	require.NoFileExists(t, second.BootstrapPath)
	require.NoError(t, second.Store.View(t.Context(), domain.SystemOrg, func(s *domain.State, _ eventstore.Head) error {
		assert.Equal(t, 1, s.Orgs.Len())
		return nil
	}))
}

func TestABootstrapTokenThatCameTooLateIsRemoved(t *testing.T) {
	nats := newCluster(t, "always")
	first := serveIn(t, nats.config(t))
	cfg := nats.config(t)
	cfg.RemoteVault = true
	second := serveIn(t, cfg)
	path := second.BootstrapPath
	halt(t, second)
	ownerOf(t, first, "acme")
	require.FileExists(t, first.BootstrapPath, "nobody has used the owner's token yet")
	again := serveIn(t, cfg)
	assert.Empty(t, again.BootstrapPath)
	assert.NoFileExists(t, path)
	kept := first.cfg
	halt(t, first)
	assert.NotEmpty(t, serveIn(t, kept).BootstrapPath, "the answer may have been lost")
}

func TestASecondHolderOfTheVaultDoesNotStart(t *testing.T) {
	alongside(t)
	nats := newCluster(t, "always")
	serveIn(t, nats.config(t))
	_, err := startService(t.Context(), nats.config(t))
	require.ErrorContains(t, err, "another instance holds the vault")
	assert.Equal(t, exitUnavailable, exitCode(err))
}

func TestSettingsThatCouldLoseCommitsStopTheStart(t *testing.T) {
	alongside(t)
	nats := newCluster(t, "lazily")
	cfg := nats.config(t)
	_, err := startService(t.Context(), cfg)
	require.ErrorIs(t, err, eventstore.ErrUnsafeStore)
	assert.ErrorContains(t, err, "server outside: sync_interval is lazy, needed: always")
	assert.Equal(t, exitFailure, exitCode(err))

	cfg.NATS.SystemCreds = ""
	_, err = startService(t.Context(), cfg)
	assert.ErrorContains(t, err, "--nats-system-creds")

	cfg.AllowUnsafe = true
	s := serveIn(t, cfg)
	require.NoError(t, s.Store.View(t.Context(), domain.SystemOrg, func(_ *domain.State, head eventstore.Head) error {
		assert.Positive(t, head.N, "the override is on record")
		return nil
	}))
}

// Servers in operator mode cannot ask this service who may connect: that is told at
// the start.
func TestOperatorModeHasNoCallouts(t *testing.T) {
	nats := newCluster(t, "always")
	cfg := nats.config(t)
	dir := t.TempDir()
	seed := func(name string, create func() (nkeys.KeyPair, error)) string {
		pair, err := create()
		require.NoError(t, err)
		text, err := pair.Seed()
		require.NoError(t, err)
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	cfg.NATS.Creds, cfg.NATS.SystemCreds = "", ""
	cfg.NATS.Nkey, cfg.NATS.SystemNkey = seed("user", nkeys.CreateUser), seed("system", nkeys.CreateUser)
	cfg.NATS.CalloutSeed = seed("issuer", nkeys.CreateAccount)
	_, err := startService(t.Context(), cfg)
	require.ErrorContains(t, err, "servers in operator mode (JWT) have no such users and cannot ask this service who may connect: leave out --nats-callout-seed")
	assert.Equal(t, exitUsage, exitCode(err))

	cfg = nats.config(t)
	cfg.NATS.CalloutSeed = seed("issuer", nkeys.CreateAccount)
	_, err = startService(t.Context(), cfg)
	require.ErrorContains(t, err, "--nats-callout-seed needs --nats-nkey and --nats-system-nkey")
}

func TestCredentialsThatAreWrongAreNamed(t *testing.T) {
	alongside(t)
	nats := newCluster(t, "always")
	cfg := nats.config(t)
	cfg.NATS.Creds = newCluster(t, "always").creds
	_, err := startService(t.Context(), cfg)
	require.ErrorContains(t, err, "Authorization Violation")
	cfg.NATS.Creds = "nowhere"
	_, err = startService(t.Context(), cfg)
	require.ErrorContains(t, err, "nowhere")
}
