package main

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gatehouse/gateways/httpapi"
)

// serviceConfig says how to run the service in this process. Fields not marked optional
// are required.
type serviceConfig struct {
	Data            string // directory
	Witness         string // optional: directory on another disk
	Listen          string // address of the API; port 0 takes a free one
	TLSCert, TLSKey string // optional: files
	MetricsListen   string // optional: address
	NATS            natsConfig
	RemoteVault     bool     // another instance holds the vault
	VaultKey        string   // optional: the master key as text
	Gateways        []string // optional: folders of gateways that run within the service
	OrgMemory       int      // optional: orgs to hold in memory
	AdoptVault      bool     // take the vault for the ledger's though it is another than before
	AllowUnsafe     bool
	Bootstrap       bool         // write a bootstrap token though there are orgs
	Backup          backupConfig // optional
	Now             func() time.Time
	// Wall is optional: the clock of this machine, where Now is another.
	Wall func() time.Time
	// Elapsed is optional: a clock that nobody sets, against which Now is held. Without
	// it Now is believed whatever it says. Synced goes with it: whether a time source
	// keeps the clock.
	Elapsed func() time.Duration
	Synced  func() bool
	// ConfirmClock is optional: the time by an operator's watch, which makes a clock good
	// that is not trusted at the start.
	ConfirmClock time.Time
	Log          *slog.Logger
	Limits       httpapi.Limits // optional
}

// check finds what does not go together, before anything is touched.
func (c *serviceConfig) check() error {
	if c.OrgMemory < 0 {
		return usage("--org-memory %d: at least one org is held", c.OrgMemory)
	}
	if c.Limits.Connections < 0 || c.Limits.ConnectionsOfAddress < 0 {
		return usage("--connections %d --connections-of-address %d: neither is negative", c.Limits.Connections, c.Limits.ConnectionsOfAddress)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return usage("--tls-cert and --tls-key go together")
	}
	if c.RemoteVault {
		if c.NATS.URL == "" {
			return usage("--vault remote: another instance is reached over the cluster that --nats-url names")
		}
		if _, err := os.Stat(c.masterFile()); c.VaultKey == "" && errors.Is(err, fs.ErrNotExist) {
			return usage("--vault remote: give the master key of the instance that holds the vault as GATEHOUSE_VAULT_KEY, by --vault-key-file, or in %s", c.masterFile())
		}
	}
	if err := errors.Join(c.NATS.check(), c.Backup.check(c.RemoteVault)); err != nil {
		return err
	}
	return c.checkListen()
}

// masterFile is where the master key lies when it does not come with the
// environment.
func (c *serviceConfig) masterFile() string { return filepath.Join(c.Data, "vault.key") }

// serverTLS is how the instance proves who it is.
func (c *serviceConfig) serverTLS() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, usage("--tls-cert: %v", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
