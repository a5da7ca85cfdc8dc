package main

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/deploy"
	"gatehouse/schemas"
)

const deployed = "../../deploy"

func loadCompose(t *testing.T) *deploy.Compose {
	t.Helper()
	c, err := deploy.Load("../../docker-compose.yml")
	require.NoError(t, err)
	return c
}

// parsed reads a command line with an environment, of which every variable must be
// one of the verb's.
func parsed(t *testing.T, args []string, env map[string]string) (*verbs, *kong.Context) {
	t.Helper()
	for key, value := range env {
		t.Setenv(key, value)
	}
	into := &verbs{}
	parser, err := newParser(into)
	require.NoError(t, err)
	selected, err := parser.Parse(args)
	require.NoError(t, err)
	known := map[string]bool{}
	for _, f := range selected.Flags() {
		for _, key := range f.Envs {
			known[key] = true
		}
	}
	for key := range env {
		assert.True(t, known[key], "gatehouse %s knows no %s", selected.Command(), key)
	}
	return into, selected
}

// leftAtDefault are the flags of serve that the set does not set, and why.
var leftAtDefault = map[string]string{
	"url-file":           "the address is known",
	"tls-cert":           "a proxy with TLS stands before the set",
	"tls-key":            "a proxy with TLS stands before the set",
	"nats-creds":         "the servers know users by nkey, not by an operator's tokens",
	"nats-system-creds":  "the servers know users by nkey, not by an operator's tokens",
	"nats-tls-ca":        "the network of the set is its own",
	"nats-tls-cert":      "the network of the set is its own",
	"nats-tls-key":       "the network of the set is its own",
	"nats-listen":        "there is no server within the process",
	"gateway":            "gateways of the set are boxes at doors, which enrol by a code",
	"gateway-nats-url":   "gateways of the set find its servers as the service does",
	"allow-unsafe-store": "the servers sync always",
	"bootstrap":          "the first start writes a token",
	"org-memory":         "500 orgs are more than most operators have",
	"connections":        "2,000 are more than a proxy opens",
	"backup":             "where to and for whom is the operator's to say",
	"backup-every":       "an hour, once there is a target",
	"backup-recipient":   "goes with --backup",
	"backup-plain":       "goes with --backup",
	"vault-copies-for":   "goes with --backup",
	"s3-endpoint":        "goes with --backup",
	"s3-region":          "goes with --backup",
	"witness":            "another disk is the operator's to give",
	"adopt-vault":        "for once, by hand, when the vault is lost for ever",
	"confirm-clock":      "for once, by hand, when a clock is not believed and is right",
	"log-level":          "info is what an operator wants",
}

func TestTheComposeFileSetsEveryFlagOfServe(t *testing.T) {
	c := loadCompose(t)
	instances := 0
	for _, name := range c.Names() {
		s := c.Services[name]
		if s.Runs() != "gatehouse" || s.Command[0] != "serve" {
			continue
		}
		instances++
		t.Run(name, func(t *testing.T) {
			into, selected := parsed(t, s.Command, s.Environment)
			for _, f := range selected.Selected().Flags {
				_, left := leftAtDefault[f.Name]
				assert.NotEqual(t, left, slices.Contains(s.Command, "--"+f.Name) || isIn(f.Envs, s.Environment), "--%s", f.Name)
			}
			cfg := into.Serve.config(&world{stderr: os.Stderr}, "/data")
			cfg.VaultKey = strings.Repeat("07", 32) // that --vault-key-file holds
			assert.NoError(t, cfg.check(), "what is set goes together")
			assert.Greater(t, s.StopGracePeriod, stopTimeout, "a stop in good order is not cut off")
			assert.Equal(t, name != "gatehouse-a", cfg.RemoteVault, "one instance holds the vault")
		})
	}
	assert.Equal(t, 2, instances)
	_, selected := parsed(t, []string{"serve"}, nil)
	known := map[string]bool{}
	for _, f := range selected.Selected().Flags {
		known[f.Name] = true
	}
	for name := range leftAtDefault {
		assert.True(t, known[name], "serve has no --%s any more", name)
	}
}

func isIn(keys []string, env map[string]string) bool {
	for _, key := range keys {
		if _, ok := env[key]; ok {
			return true
		}
	}
	return false
}

// Every service of the compose file that runs the program uses its verbs. Health checks
// ask an instance where it listens.
func TestTheComposeFileUsesTheVerbs(t *testing.T) {
	c := loadCompose(t)
	parsed(t, c.Services["keys"].Command, c.Services["keys"].Environment)
	for _, name := range []string{"gatehouse-a", "gatehouse-b"} {
		s := c.Services[name]
		require.Equal(t, []string{"CMD", "/gatehouse"}, s.HealthCheck.Test[:2])
		into, _ := parsed(t, s.HealthCheck.Test[2:], nil)
		_, port, err := net.SplitHostPort(s.Environment["GATEHOUSE_LISTEN"])
		require.NoError(t, err)
		assert.Equal(t, "http://127.0.0.1:"+port, into.Ready.URL)
		require.Len(t, s.Ports, 1)
		assert.True(t, strings.HasSuffix(s.Ports[0], ":"+port), s.Ports[0])
	}
	// The image by itself does the same as a service of the set.
	dockerfile, err := os.ReadFile(deployed + "/Dockerfile")
	require.NoError(t, err)
	assert.Contains(t, string(dockerfile), `CMD ["/gatehouse", "ready", "--url", "http://127.0.0.1:8080"]`)
	assert.Contains(t, string(dockerfile), "\nENV GATEHOUSE_DATA="+c.Services["gatehouse-a"].Environment["GATEHOUSE_DATA"]+"\n")
	assert.Contains(t, string(dockerfile), "\nCMD [\"serve\", \"--listen\", \"0.0.0.0:8080\"]\n")
	parsed(t, []string{"serve", "--listen", "0.0.0.0:8080"}, nil)
}

// The servers' own parser reads the configuration, and what it finds is what the
// service needs: checked here before a start would refuse it.
func TestTheConfigurationOfTheServers(t *testing.T) {
	c := loadCompose(t)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "nats"), os.DirFS(deployed+"/nats")))
	keys := []string{"keys", "--secrets", filepath.Join(dir, "service-keys"), "--operator", filepath.Join(dir, "operator-keys"), "--nats-conf", filepath.Join(dir, "server-keys", "servers.conf"), "--routes"}
	keys = append(keys, c.Services["keys"].Command[len(keys):]...)
	require.Equal(t, exitDone, run(keys))
	settings := c.Services["gatehouse-a"].Environment
	stores := map[string]bool{}
	for _, name := range []string{"n1", "n2", "n3"} {
		s := c.Services[name]
		require.Equal(t, []string{"--config", "/nats/server.conf"}, s.Command)
		for key, value := range s.Environment {
			t.Setenv(key, value)
		}
		opts, err := server.ProcessConfigFile(filepath.Join(dir, "nats", "server.conf"))
		require.NoError(t, err)
		checkServerOptions(t, opts, settings)
		assert.Equal(t, name, opts.ServerName)
		assert.Contains(t, strings.Split(settings["GATEHOUSE_NATS_URL"], ","), "nats://"+name+":"+strconv.Itoa(opts.Port))
		assert.Contains(t, c.Services["keys"].Command[len(keys)-1], name+":"+strconv.Itoa(opts.Cluster.Port))
		assert.Equal(t, "127.0.0.1", opts.HTTPHost, "what a server tells of itself is its own")
		assert.Equal(t, "http://127.0.0.1:"+strconv.Itoa(opts.HTTPPort)+"/healthz", s.HealthCheck.Test[len(s.HealthCheck.Test)-1])
		for _, v := range s.Volumes {
			if source, place, _ := strings.Cut(v, ":"); place == opts.StoreDir {
				stores[source] = true
			}
		}
	}
	assert.Len(t, stores, 3, "each server has a store of its own")
}

func checkServerOptions(t *testing.T, opts *server.Options, settings map[string]string) {
	t.Helper()
	assert.True(t, opts.JetStream)
	assert.True(t, opts.SyncAlways, "an acknowledged commit is on the disk")
	assert.GreaterOrEqual(t, int(opts.MaxPayload), schemas.MaxCommit+4096)
	assert.Equal(t, settings["GATEHOUSE_REPLICAS"], strconv.Itoa(len(opts.Routes)))

	assert.Empty(t, opts.Users, "nobody logs in with a password")
	assert.Empty(t, opts.Username+opts.Password+opts.Authorization+opts.NoAuthUser)
	require.Len(t, opts.Nkeys, 3, "the service, its user of the system account, and the operator")
	var users []string
	for _, u := range opts.Nkeys {
		users = append(users, u.Nkey)
		assert.NotNil(t, u.Permissions, "of account %s", u.Account.Name)
	}
	assert.ElementsMatch(t, users, opts.AuthCallout.AuthUsers, "about everybody else the service is asked")
	var streams []string
	for _, a := range opts.Accounts {
		if a.JetStreamEnabled() || len(a.GetName()) > 0 && a.GetName() == opts.AuthCallout.Account {
			streams = append(streams, a.GetName())
		}
	}
	assert.Equal(t, []string{opts.AuthCallout.Account}, streams)
	for _, u := range opts.Nkeys {
		if u.Account.Name == opts.AuthCallout.Account && !slices.Contains(u.Permissions.Publish.Allow, "$JS.API.STREAM.UPDATE.*") {
			assert.Subset(t, u.Permissions.Publish.Deny, []string{"$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.MSG.DELETE.>",
				"$JS.API.STREAM.RESTORE.>", "$JS.API.STREAM.PURGE.LEDGER"}, "what takes away what was acknowledged")
		}
	}

	assert.NotEmpty(t, opts.Cluster.Password, "a server that does not know it is no part of the cluster")
	for _, r := range opts.Routes {
		password, _ := r.User.Password()
		assert.Equal(t, url.UserPassword(opts.Cluster.Username, opts.Cluster.Password), url.UserPassword(r.User.Username(), password))
	}
}
