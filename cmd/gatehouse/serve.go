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
	Data    string `env:"GATEHOUSE_DATA" default:"${data}" placeholder:"DIR" help:"Data directory: ledger, vault, snapshots. Only one service can use it at a time."`
	URLFile string `name:"url-file" env:"GATEHOUSE_URL_FILE" placeholder:"FILE" help:"Write the URL of the API here once it listens."`

	TLSCert string `name:"tls-cert" env:"GATEHOUSE_TLS_CERT" placeholder:"FILE" help:"Serve HTTPS with this certificate chain (PEM)."`
	TLSKey  string `name:"tls-key" env:"GATEHOUSE_TLS_KEY" placeholder:"FILE" help:"Key of the certificate (PEM)."`

	MetricsListen string `env:"GATEHOUSE_METRICS_LISTEN" placeholder:"ADDR" help:"Serve /metrics and the full /readyz without a token at this address; keep it on the loopback interface."`

	natsFlags       `embed:""`
	NATSCalloutSeed string `name:"nats-callout-seed" env:"GATEHOUSE_NATS_CALLOUT_SEED" placeholder:"FILE" group:"External NATS:" help:"Seed of the account key that the servers' auth_callout names as issuer: this instance decides which gateways may connect."`
	NATSGateways    string `name:"nats-gateways-account" env:"GATEHOUSE_NATS_GATEWAYS_ACCOUNT" default:"GATEWAYS" placeholder:"NAME" group:"External NATS:" help:"Account of gateways in the servers' configuration."`
	Vault           string `env:"GATEHOUSE_VAULT" default:"local" enum:"local,remote" group:"External NATS:" help:"local: this instance holds the keys of personal data. remote: it asks the instance that does; both have the same master key."`

	vaultKeyFlag `embed:""`

	NATSListen string `name:"nats-listen" env:"GATEHOUSE_NATS_LISTEN" placeholder:"ADDR" help:"Let the embedded NATS server listen for gateways; beyond the loopback interface it needs --tls-cert. Default: it does not listen."`

	GatewayNATSURL []string `name:"gateway-nats-url" env:"GATEHOUSE_GATEWAY_NATS_URL" placeholder:"URL" help:"Address of NATS that gateways are told when they enrol, such as tls://gatehouse.example.com:4222; may be given several times. Default: those of --nats-url, or of --nats-listen."`

	Gateway []string `type:"path" env:"GATEHOUSE_GATEWAYS" placeholder:"DIR" help:"Run the lock gateway of this folder within the service; may be given several times. For a small site, whose doors are near this machine."`

	Backup      string        `name:"backup" env:"GATEHOUSE_BACKUP" placeholder:"TARGET" group:"Backups:" help:"Make backups here while serving: a folder, or s3://bucket/prefix."`
	BackupEvery time.Duration `name:"backup-every" env:"GATEHOUSE_BACKUP_EVERY" default:"1h" placeholder:"DURATION" group:"Backups:" help:"How often."`
	backupFlags `group:"Backups:"`

	OrgMemory int `name:"org-memory" env:"GATEHOUSE_ORG_MEMORY" default:"500" placeholder:"N" help:"Most orgs held in memory. Beyond that, the least recently used are written to snapshots and evicted until they are used again."`

	Connections          int    `env:"GATEHOUSE_CONNECTIONS" default:"2000" placeholder:"N" help:"Most connections to the API. Beyond that, a new one replaces one that has not shown a valid token, or else the least recently used."`
	ConnectionsOfAddress int    `env:"GATEHOUSE_CONNECTIONS_OF_ADDRESS" placeholder:"N" help:"Most connections from one address (IPv6: one /64); default: three quarters of --connections. Behind a proxy, give the same number as --connections."`
	Witness              string `env:"GATEHOUSE_WITNESS" placeholder:"DIR" help:"Directory on another disk to which DATA/marks is copied every second. It shows when the data directory was replaced by an older copy."`

	AdoptVault       bool   `env:"GATEHOUSE_ADOPT_VAULT" help:"Start with another vault if the one that sealed the ledger is lost for good; the ledger records this."`
	AllowUnsafeStore bool   `env:"GATEHOUSE_ALLOW_UNSAFE_STORE" help:"Start with settings that could lose acknowledged commits; the ledger records this."`
	ConfirmClock     string `env:"GATEHOUSE_CONFIRM_CLOCK" placeholder:"TIME" help:"The current time in RFC 3339: confirms a clock of this machine that is right but not trusted; the ledger records this."`

	Bootstrap bool `env:"GATEHOUSE_BOOTSTRAP" help:"Write a bootstrap token for another org, although orgs exist."`

	LogFormat string `env:"GATEHOUSE_LOG_FORMAT" default:"text" enum:"text,json" help:"text or json."`
	LogLevel  string `env:"GATEHOUSE_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
}

// Help tells about the first start, the vault and signals.
func (serveCmd) Help() string {
	return `The first start on an empty ledger writes DATA/bootstrap.token. It is valid for a day,
and creates one org. The master key of personal data is GATEHOUSE_VAULT_KEY, 32 bytes in
base64 or hexadecimal, or the content of --vault-key-file. If neither is given, the
service creates DATA/vault.key: keep a copy of it, but not with the backups of DATA.

DATA/marks records the position where the ledger of each org ends. If the ledger of an
org ends before its mark, acknowledged commits were lost, and the service does not serve
the org: restore DATA from a complete copy. --witness copies the marks to another
directory, which must exist. If its disk hangs or is missing, the service keeps running,
and "gatehouse ready" reports it.

The first SIGINT or SIGTERM stops the service in good order: running commands finish,
permissions are published, and snapshots are written. A second signal ends the process
at once; acknowledged commits are not lost.

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
	cfg.NATS.GatewayURLs, cfg.Gateways = c.GatewayNATSURL, c.Gateway
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
