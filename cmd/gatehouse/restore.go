package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"

	"gatehouse/domain"
	"gatehouse/eventstore/backup"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/restore"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

// restoreCmd puts a ledger back from a backup.
type restoreCmd struct {
	Target     string   `arg:"" optional:"" help:"The backup: a folder, or s3://bucket/prefix. Leave it out to accept losses of a directory that was restored or lost commits."`
	Data       string   `env:"GATEHOUSE_DATA" default:"${data}" placeholder:"DIR" help:"Data directory to restore into: empty, except for vault.key."`
	Witness    []string `env:"GATEHOUSE_WITNESS" placeholder:"DIR" help:"Directory that records where the ledgers ended and whose keys were destroyed: that of serve --witness, and the old data directory if it can be read."`
	AcceptLoss []string `placeholder:"ORG=POSITION" help:"Accept that the commits of the org after this position, where its ledger ends, are lost. @FILE reads one ORG=POSITION per line."`
	Erased     []string `placeholder:"FILE" help:"File with a line \"ORG PERSON\" for each person erased since the backup; their keys are destroyed again."`
	NoErased   bool     `help:"Confirm that nobody was erased since the backup; the ledger records this."`

	identityFlags `embed:""`
	backupTarget  `embed:""`
	vaultKeyFlag  `embed:""`
	natsFlags     `embed:""`
	OperatorNkey  string `name:"nats-operator-nkey" env:"GATEHOUSE_NATS_OPERATOR_NKEY" placeholder:"FILE" group:"External NATS:" help:"Seed of the operator's nkey, as gatehouse keys creates it; instances may not remove or change streams."`
	OperatorCreds string `name:"nats-operator-creds" env:"GATEHOUSE_NATS_OPERATOR_CREDS" placeholder:"FILE" group:"External NATS:" help:"Credentials of a user that may change streams, if users are not in the servers' configuration; default: --nats-creds."`
}

// Help tells what is done and what a loss means.
func (restoreCmd) Help() string {
	return `The whole backup is verified before anything is written. All
commits keep their positions. New commits of an org start in a new epoch, above the lost
positions, so that no position is used twice. If the restore is interrupted, run it again:
it starts over. Until then serve does not start on the directory.

GATEHOUSE_VAULT_KEY, --vault-key-file or DATA/vault.key must be the master key that the
vault was created with.

The restore lists the lost commits of each org. Access that they took away is valid again:
revoked fobs, tokens and roles, ended bookings; people who were erased are there again. The service
therefore does not serve such an org until you accept its loss with the position where its
ledger ends. Without --witness the losses are unknown, and no org is served until its loss
is accepted. Exit code 3: some orgs are not served yet.

If a data directory lost commits in another way, because a disk was damaged or an old copy
was put back, restore a backup that has those commits. If there is none, leave out TARGET
and accept the loss of each org that "gatehouse ready" lists.

Examples:

  gatehouse restore /mnt/backup/gatehouse --identity key.txt --data /var/lib/gatehouse --witness /mnt/witness
  gatehouse restore --data /var/lib/gatehouse --accept-loss acme=1-4711 --accept-loss _system=1-12
  gatehouse restore s3://backups/gatehouse --identity key.txt --no-erased --accept-loss @losses.txt`
}

// Run restores, or accepts losses, and lists the outcome of each org.
func (c *restoreCmd) Run(w *world) error {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return usage("--data: %v", err)
	}
	s := &service{cfg: c.config(w, data)}
	if err := c.check(); err != nil {
		return err
	}
	lock, err := natsserver.LockData(data)
	if err != nil {
		return err
	}
	r, err := c.restore(w, s)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), stopTimeout)
	defer cancel()
	if err := errors.Join(err, s.Stop(stopping), lock.Release()); err != nil {
		if errors.Is(err, restore.ErrWaiting) && r != nil {
			c.tell(w, r)
		}
		return restoreError(err)
	}
	c.tell(w, r)
	if len(r.Waiting()) > 0 {
		return &codedError{exitRefused, errors.New("orgs wait for their loss to be accepted; all others are served by gatehouse serve")}
	}
	return nil
}

// restoreError is an error with the exit code that it deserves.
func restoreError(err error) error {
	for _, wrong := range []error{restore.ErrAccept, restore.ErrErased} {
		if errors.Is(err, wrong) {
			return &codedError{exitUsage, err}
		}
	}
	if errors.Is(err, restore.ErrWaiting) {
		return &codedError{exitRefused, err}
	}
	return err
}

func (c *restoreCmd) config(w *world, data string) serviceConfig {
	return serviceConfig{Data: data, Now: w.now, Log: slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), NATS: c.nats()}
}

// check finds what does not go together, before anything is touched.
func (c *restoreCmd) check() error {
	switch {
	case c.OperatorNkey != "" && c.OperatorCreds != "":
		return usage("--nats-operator-nkey and --nats-operator-creds exclude each other")
	case c.NATSURL == "" && c.OperatorNkey+c.OperatorCreds != "":
		return usage("--nats-operator-nkey and --nats-operator-creds are for a cluster, which --nats-url names")
	case c.NATSNkey != "" && c.OperatorNkey+c.OperatorCreds == "":
		return usage("--nats-nkey: the service may not change streams; give the operator's seed too, --nats-operator-nkey")
	}
	return c.nats().check()
}

// operator is the connection that makes, changes and removes streams.
func (c *restoreCmd) operator(s *service) (conn *nats.Conn, err error) {
	switch {
	case s.embedded != nil:
		conn, err = s.embedded.ConnectOperator()
	case c.OperatorNkey+c.OperatorCreds == "":
		return s.conn, nil
	default:
		login, e := loginOf("--nats-operator-nkey", c.OperatorCreds, c.OperatorNkey)
		if e != nil {
			return nil, e
		}
		if conn, err = nats.Connect(c.NATSURL, append(s.natsOptions(), login...)...); err != nil {
			err = c.nats().notIn(err, "--nats-operator-creds", "--nats-operator-nkey")
		}
	}
	if err != nil {
		return nil, err
	}
	s.onStop(func(context.Context) error { conn.Close(); return nil })
	return conn, nil
}

func (c *restoreCmd) restore(w *world, s *service) (*restore.Record, error) {
	cfg := restore.Config{Data: s.cfg.Data, Target: c.Target, Witnesses: c.Witness, NoErased: c.NoErased, Cluster: c.NATSURL != "",
		Replicas: c.Replicas, Now: w.now, Log: s.cfg.Log,
		Connect: func(context.Context) (restore.Conns, error) {
			if err := s.connect(); err != nil {
				return restore.Conns{}, err
			}
			operator, err := c.operator(s)
			return restore.Conns{Conn: s.conn, Operator: operator, System: s.system, Embedded: s.embedded}, err
		}}
	var err error
	if cfg.Accept, err = c.losses(); err != nil {
		return nil, err
	}
	if cfg.Master, err = c.master(s); err != nil {
		return nil, err
	}
	if c.Target == "" {
		if len(cfg.Accept) == 0 {
			return nil, usage("name the target of a backup, or losses to accept")
		}
		return restore.Accept(w.ctx, cfg)
	}
	for _, file := range c.Erased {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usage("--erased: %v", err)
		}
		some, err := restore.ReadErased(string(text))
		if err != nil {
			return nil, usage("--erased %s: %v", file, err)
		}
		cfg.Erased = append(cfg.Erased, some...)
		cfg.NoErased = cfg.NoErased || len(some) == 0 // an empty list is a word too
	}
	target, err := c.open(c.Target)
	if err != nil {
		return nil, err
	}
	identities, err := c.identities()
	if err != nil {
		return nil, err
	}
	if cfg.Backup, err = backup.Open(w.ctx, target, identities...); err != nil {
		return nil, err
	}
	return restore.Run(w.ctx, cfg)
}

// master reads the master key; a restore makes none.
func (c *restoreCmd) master(s *service) (vault.Master, error) {
	var err error
	if s.cfg.VaultKey, err = c.text(); err != nil {
		return vault.Master{}, err
	}
	if _, err := os.Stat(s.cfg.masterFile()); s.cfg.VaultKey == "" && errors.Is(err, fs.ErrNotExist) {
		return vault.Master{}, usage("the master key of the vault is needed: give GATEHOUSE_VAULT_KEY or --vault-key-file, or put it back as %s", s.cfg.masterFile())
	}
	master, _, err := vault.LoadOrCreateMaster(s.cfg.Data, s.cfg.VaultKey)
	return master, err
}

// losses reads the losses that are accepted.
func (c *restoreCmd) losses() (map[domain.ID]wire.Position, error) {
	all := map[domain.ID]wire.Position{}
	for _, word := range c.AcceptLoss {
		lines := []string{word}
		if file, ok := strings.CutPrefix(word, "@"); ok {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, usage("--accept-loss: %v", err)
			}
			lines = strings.Fields(string(text))
		}
		for _, line := range lines {
			org, at, ok := strings.Cut(line, "=")
			position, err := wire.ParsePosition(at)
			if !ok || err != nil {
				return nil, usage("--accept-loss %s: it is written ORG=POSITION, as acme=1-4711", line)
			}
			all[domain.ID(org)] = position
		}
	}
	return all, nil
}

// tell prints the outcome of each org, and what to look at.
func (c *restoreCmd) tell(w *world, r *restore.Record) {
	if r.Backup.IsZero() {
		w.say("Orgs whose ledger ended before what is known of it:")
	} else {
		w.say("Restored as of %s:", r.Backup.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	var accept []string
	lost := false
	for _, o := range r.Orgs {
		state := "goes on at " + o.GoesOn.String()
		if o.Waits() {
			state = "NOT SERVED until --accept-loss " + string(o.Org) + "=" + o.Head.String()
			accept = append(accept, fmt.Sprintf("--accept-loss %s=%s", o.Org, o.Head))
		}
		lost = lost || o.KnownBy != "" || o.Blind
		w.say("  %s ends at %s: %s; %s", o.Org, o.Head, o.Lost(), state)
	}
	if lost {
		w.say(`What was done in a lost range is undone. Look at each org for, and do again:
  revoked tokens, roles, fobs, PINs and grants; erased people; retired and stolen gateways
  bookings that ended or changed; suspensions; lockdowns; new people, doors and rights
Every site has a new key of tags; remote unlocks without an outcome are settled as unknown.`)
	}
	if len(accept) > 0 {
		w.say("When you accept that, with serve stopped:\n  gatehouse restore --data %s %s", c.Data, strings.Join(accept, " "))
	}
}
