package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	trusted "gatehouse/eventstore/clock"
	"gatehouse/gateways/httpapi"
)

// serveCmd runs the service.
type serveCmd struct {
	Listen  string `env:"GATEHOUSE_LISTEN" default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address of the HTTP API; port 0 takes a free one."`
	Data    string `env:"GATEHOUSE_DATA" default:"${data}" placeholder:"DIR" help:"Data directory: ledger, vault, snapshots. One service holds it at a time."`
	URLFile string `name:"url-file" env:"GATEHOUSE_URL_FILE" placeholder:"FILE" help:"Write the URL of the API here once it listens."`

	TLSCert string `name:"tls-cert" env:"GATEHOUSE_TLS_CERT" placeholder:"FILE" help:"Serve HTTPS with this certificate chain (PEM)."`
	TLSKey  string `name:"tls-key" env:"GATEHOUSE_TLS_KEY" placeholder:"FILE" help:"Key of the certificate (PEM)."`

	MetricsListen string `env:"GATEHOUSE_METRICS_LISTEN" placeholder:"ADDR" help:"Serve /metrics and the whole of /readyz without a token at an address of its own; keep it on the loopback."`

	natsFlags       `embed:""`
	NATSCalloutSeed string `name:"nats-callout-seed" env:"GATEHOUSE_NATS_CALLOUT_SEED" placeholder:"FILE" group:"External NATS:" help:"Seed of the account key that the servers' auth_callout names as issuer: this instance says which gateway may connect."`
	NATSGateways    string `name:"nats-gateways-account" env:"GATEHOUSE_NATS_GATEWAYS_ACCOUNT" default:"GATEWAYS" placeholder:"NAME" group:"External NATS:" help:"Account of gateways in the servers' configuration."`
	Vault           string `env:"GATEHOUSE_VAULT" default:"local" enum:"local,remote" group:"External NATS:" help:"local: this instance holds the keys of personal data. remote: it asks the one that does; they share the master key."`

	vaultKeyFlag `embed:""`

	NATSListen string `name:"nats-listen" env:"GATEHOUSE_NATS_LISTEN" placeholder:"ADDR" help:"Let the NATS server within the process listen for gateways; beyond the loopback it needs --tls-cert. Without it, it does not listen."`

	Backup      string        `name:"backup" env:"GATEHOUSE_BACKUP" placeholder:"TARGET" group:"Backups:" help:"Make backups here while serving: a folder, or s3://bucket/prefix."`
	BackupEvery time.Duration `name:"backup-every" env:"GATEHOUSE_BACKUP_EVERY" default:"1h" placeholder:"DURATION" group:"Backups:" help:"How often."`
	backupFlags `group:"Backups:"`

	OrgMemory int `name:"org-memory" env:"GATEHOUSE_ORG_MEMORY" default:"500" placeholder:"N" help:"Orgs held in memory; beyond them, those unused for longest are written to snapshots and let go until they are used again."`

	Connections          int    `env:"GATEHOUSE_CONNECTIONS" default:"2000" placeholder:"N" help:"Connections of the API in all. Beyond them a new one takes the place of one that has shown no good token, or else of the one unused for longest."`
	ConnectionsOfAddress int    `env:"GATEHOUSE_CONNECTIONS_OF_ADDRESS" placeholder:"N" help:"Of them, from one address (IPv6: one /64); without it three quarters. Behind a proxy, give as many as --connections."`
	Witness              string `env:"GATEHOUSE_WITNESS" placeholder:"DIR" help:"Directory on another disk to which the marks of where the ledger ends are copied each second. With it, a data directory that was put back to an older copy is found."`

	AdoptVault       bool   `env:"GATEHOUSE_ADOPT_VAULT" help:"Start with another vault than the one that the ledger was sealed with, when that is lost for ever; it is recorded in the ledger."`
	AllowUnsafeStore bool   `env:"GATEHOUSE_ALLOW_UNSAFE_STORE" help:"Start on settings that could lose acknowledged commits; it is recorded in the ledger."`
	ConfirmClock     string `env:"GATEHOUSE_CONFIRM_CLOCK" placeholder:"TIME" help:"The time by your watch, in RFC 3339, when the clock of this machine is not trusted and is right; it is recorded in the ledger."`

	Bootstrap bool `env:"GATEHOUSE_BOOTSTRAP" help:"Write a bootstrap token for a further org, though there are orgs."`

	LogFormat string `env:"GATEHOUSE_LOG_FORMAT" default:"text" enum:"text,json" help:"text or json."`
	LogLevel  string `env:"GATEHOUSE_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
}

// Help tells about the first start, the vault and signals.
func (serveCmd) Help() string {
	return `The first start on an empty ledger writes DATA/bootstrap.token, good for a day and for
making one org. The master key of personal data is GATEHOUSE_VAULT_KEY, 32 bytes in
base64 or hexadecimal, or what --vault-key-file holds; without them DATA/vault.key is
made: keep a copy of it, but not in the backups of DATA.

DATA/marks says where the ledger of every org ends, apart from the ledger itself. An org
whose ledger ends before that serves nothing: commits that were acknowledged are lost.
Put DATA back from a copy that is whole. --witness keeps a copy of the marks elsewhere,
in a directory that must be there; while its disk hangs or is gone the service goes on
and "gatehouse ready" says so.

A first SIGINT or SIGTERM stops in good order: commands under way finish, permissions
are published, snapshots are written. A second one ends the process at once; nothing
that was acknowledged is lost by that.

Examples:

  gatehouse serve
  gatehouse serve --data /var/lib/gatehouse --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  gatehouse serve --nats-url nats://n1,nats://n2,nats://n3 --nats-creds app.creds --nats-system-creds sys.creds --replicas 3`
}

// stopTimeout is how long a stop in good order may take. Of that, shutdownTimeout is
// for requests under way, which end within 10 s unless they hang, and flushTimeout for
// permissions to be published: without NATS they are not, and the next start does it.
const (
	stopTimeout     = 30 * time.Second
	shutdownTimeout = 11 * time.Second
	flushTimeout    = 10 * time.Second
)

// Run serves until the first signal.
func (c *serveCmd) Run(w *world) error {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return usage("--data: %v", err)
	}
	witness := c.Witness
	if witness != "" {
		if witness, err = filepath.Abs(witness); err != nil {
			return usage("--witness: %v", err)
		}
		if witness == data {
			return usage("--witness %s: it is the data directory; give one on another disk", witness)
		}
	}
	cfg := c.config(w, data)
	cfg.Witness = witness
	if cfg.VaultKey, err = c.text(); err != nil {
		return err
	}
	if c.ConfirmClock != "" {
		if cfg.ConfirmClock, err = time.Parse(time.RFC3339, c.ConfirmClock); err != nil {
			return usage("--confirm-clock %q: write the time as 2026-11-30T14:00:00Z", c.ConfirmClock)
		}
	}
	if err := os.Remove(c.URLFile); c.URLFile != "" && err != nil && !errors.Is(err, fs.ErrNotExist) {
		return usage("--url-file: %v", err) // what an earlier service left must not be taken for this one's
	}
	s, err := startService(w.ctx, cfg)
	if err != nil {
		return err
	}
	switch {
	case s.BootstrapMade != "":
		w.say("The bootstrap token in %s has made the org %s, of which no token was used yet. If its owner's token is lost, make the same org again and\n"+
			"another is given. For a further org start with --bootstrap.", s.BootstrapPath, s.BootstrapMade)
	case s.BootstrapPath != "":
		w.say("There is a bootstrap token in %s, good for a day. Make an org with it:\n\n  gatehouse org create ORG --name NAME --owner PERSON --url %s --bootstrap-file %s\n",
			s.BootstrapPath, s.URL, s.BootstrapPath)
	}
	if c.URLFile != "" {
		if err := writeWhole(c.URLFile, []byte(s.URL+"\n"), 0o644); err != nil {
			cfg.Log.Error("the URL could not be written", "file", c.URLFile, "error", err)
		}
	}
	var failed error
	select {
	case <-w.ctx.Done():
		cfg.Log.Info("stopping; a second signal ends at once")
	case failed = <-s.Failed:
		cfg.Log.Error("the service cannot go on", "error", failed)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.Stop(ctx); err != nil && failed == nil {
		failed = fmt.Errorf("not everything was brought to an end, the next start does it: %w", err)
	}
	cfg.Log.Info("stopped")
	return failed
}

func (c *serveCmd) config(w *world, data string) serviceConfig {
	cfg := serviceConfig{
		Data: data, Listen: c.Listen, TLSCert: c.TLSCert, TLSKey: c.TLSKey, MetricsListen: c.MetricsListen,
		NATS:        c.nats(),
		Backup:      backupConfig{Target: c.Backup, Every: c.BackupEvery, flags: c.backupFlags},
		RemoteVault: c.Vault == "remote",
		OrgMemory:   c.OrgMemory, AdoptVault: c.AdoptVault, AllowUnsafe: c.AllowUnsafeStore, Bootstrap: c.Bootstrap,
		Now: w.now, Elapsed: trusted.Elapsed, Synced: trusted.Synced, Log: c.logger(w),
		Limits: httpapi.Limits{Connections: c.Connections, ConnectionsOfAddress: c.ConnectionsOfAddress},
	}
	cfg.NATS.Listen, cfg.NATS.CalloutSeed, cfg.NATS.Gateways = c.NATSListen, c.NATSCalloutSeed, c.NATSGateways
	return cfg
}

// logger writes to stderr.
func (c *serveCmd) logger(w *world) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo // kong admits no other level
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w.stderr, options))
	}
	return slog.New(slog.NewTextHandler(w.stderr, options))
}

// defaultData is where state belongs that is no configuration and no cache.
func defaultData() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "gatehouse")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "gatehouse")
	}
	return "gatehouse-data"
}
