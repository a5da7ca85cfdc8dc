package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"

	"gatehouse/eventstore/vault"
)

// keysCmd makes the keys of a set of servers.
type keysCmd struct {
	Secrets  string `required:"" placeholder:"DIR" help:"Directory of the secrets: missing ones are created, existing ones are kept."`
	Operator string `required:"" placeholder:"DIR" help:"Directory of the operator's seed. No instance needs it: keep it where none can read it."`
	NATSConf string `name:"nats-conf" required:"" placeholder:"FILE" help:"Write the file that the configuration of the NATS servers includes."`
	Routes   string `required:"" placeholder:"ADDR,…" help:"Address of each NATS server for the others, as n1:6222,n2:6222,n3:6222."`
}

// Help tells what is made, and what to do with it.
func (keysCmd) Help() string {
	return `It creates these files in the directory of --secrets:

  service.nk      seed of the user by which the service logs in to NATS
  system.nk       seed of its user in the system account
  callout.nk      seed of the account key that signs who may connect
  vault.key       master key of personal data
  route.password  password between the NATS servers

and this one in the directory of --operator:

  operator.nk     seed of the user that may change streams, for gatehouse streams apply

Every instance of the service needs the first four. NATS needs the file of --nats-conf,
which has their public keys and the password. Keep a copy of vault.key, but not with the
backups of the data directories: with both, anybody can read all personal data; without
vault.key, nobody can.

Example:

  gatehouse keys --secrets ./secrets --operator ./operator --nats-conf ./nats/servers.conf --routes n1:6222,n2:6222,n3:6222`
}

// routeUser is the name by which NATS servers know each other.
const routeUser = "gatehouse"

// Run makes what is missing, and writes the file for NATS again.
func (c *keysCmd) Run(w *world) error {
	routes := strings.Split(c.Routes, ",")
	for _, r := range routes {
		if host, port, err := net.SplitHostPort(r); err != nil || host == "" || port == "" {
			return usage("--routes %s: addresses are written host:port, with commas between", c.Routes)
		}
	}
	for _, dir := range []string{c.Secrets, c.Operator} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("the secrets: %w", err)
		}
	}
	if _, made, err := vault.LoadOrCreateMaster(c.Secrets, ""); err != nil {
		return err
	} else if made {
		w.say("made %s; keep a copy of it away from the backups of the data directories", filepath.Join(c.Secrets, "vault.key"))
	}
	if err := os.MkdirAll(filepath.Dir(c.NATSConf), 0o755); err != nil {
		return fmt.Errorf("the file for NATS: %w", err)
	}
	conf := "# Written by gatehouse keys, which writes it again: public keys, and a password.\n"
	for _, k := range []struct {
		dir, file, name string
		make            func() (nkeys.KeyPair, error)
	}{
		{c.Secrets, "service.nk", "SERVICE_USER", nkeys.CreateUser},
		{c.Secrets, "system.nk", "SYSTEM_USER", nkeys.CreateUser},
		{c.Secrets, "callout.nk", "CALLOUT_ISSUER", nkeys.CreateAccount},
		{c.Operator, "operator.nk", "OPERATOR_USER", nkeys.CreateUser},
	} {
		public, err := publicKey(w, filepath.Join(k.dir, k.file), k.make)
		if err != nil {
			return err
		}
		conf += k.name + ": " + public + "\n"
	}
	password, err := secretOr(w, filepath.Join(c.Secrets, "route.password"), func() ([]byte, error) { return []byte(rand.Text()), nil })
	if err != nil {
		return err
	}
	conf += fmt.Sprintf("ROUTE_USER: %s\nROUTE_PASSWORD: %q\nROUTES: [\n", routeUser, password)
	for _, r := range routes {
		conf += fmt.Sprintf("  \"nats-route://%s:%s@%s\"\n", routeUser, password, r)
	}
	// The servers run as another user of the group that the file belongs to.
	if err := writeWhole(c.NATSConf, []byte(conf+"]\n"), 0o640); err != nil {
		return fmt.Errorf("the file for NATS: %w", err)
	}
	return nil
}

// publicKey gives the public key of a seed in a file, which is made where there is
// none.
func publicKey(w *world, path string, create func() (nkeys.KeyPair, error)) (string, error) {
	seed, err := secretOr(w, path, func() ([]byte, error) {
		pair, err := create()
		if err != nil {
			return nil, err
		}
		return pair.Seed()
	})
	if err != nil {
		return "", err
	}
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		return "", usage("%s holds no seed of a key: %v; put the right one back, or remove it for a new one", path, err)
	}
	return pair.PublicKey()
}

// secretOr reads a secret, or writes the one made where there is none.
func secretOr(w *world, path string, create func() ([]byte, error)) ([]byte, error) {
	text, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return []byte(text), err
	}
	secret, err := create()
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	if err := writeWhole(path, append(secret, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	w.say("made %s", path)
	return secret, nil
}

// readSecret reads a file that its owner alone may read, without the blanks around.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", usage("others may read or write %s (mode %04o): if nobody has, chmod 600 it", path, mode)
	}
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}
