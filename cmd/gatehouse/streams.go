package main

import (
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"

	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/streams"
)

// streamsCmd is about the streams of the ledger.
type streamsCmd struct {
	Apply streamsApplyCmd `cmd:"" help:"Bring the settings of the streams to what this version needs."`
}

// streamsApplyCmd changes the settings of the streams.
type streamsApplyCmd struct {
	Data string `env:"GATEHOUSE_DATA" default:"${data}" placeholder:"DIR" help:"Data directory of a stopped service with the embedded server."`

	NATSURL      string `name:"nats-url" env:"GATEHOUSE_NATS_URL" placeholder:"URL" group:"External NATS:" help:"The cluster instead of a data directory."`
	OperatorNkey string `name:"nats-operator-nkey" env:"GATEHOUSE_NATS_OPERATOR_NKEY" placeholder:"FILE" group:"External NATS:" help:"Seed of the operator's nkey, as gatehouse keys makes it."`
	Creds        string `name:"nats-operator-creds" env:"GATEHOUSE_NATS_OPERATOR_CREDS" placeholder:"FILE" group:"External NATS:" help:"Credentials of a user that may change streams, where users are not in the servers' configuration."`
	TLSCA        string `name:"nats-tls-ca" env:"GATEHOUSE_NATS_TLS_CA" placeholder:"FILE" group:"External NATS:" help:"Authority of the servers' certificates (PEM)."`
	TLSCert      string `name:"nats-tls-cert" env:"GATEHOUSE_NATS_TLS_CERT" placeholder:"FILE" group:"External NATS:" help:"Certificate of this client (PEM)."`
	TLSKey       string `name:"nats-tls-key" env:"GATEHOUSE_NATS_TLS_KEY" placeholder:"FILE" group:"External NATS:" help:"Key of that certificate (PEM)."`
	Replicas     int    `env:"GATEHOUSE_REPLICAS" default:"1" enum:"1,3,5" group:"External NATS:" help:"Copies of the streams, at least: 1, 3 or 5."`

	Vault string `placeholder:"ID" help:"Set the vault of the ledger to this id, which the log of serve shows."`
}

// Help tells why the service does not do it.
func (streamsApplyCmd) Help() string {
	return `The service may create streams, but may not change or empty an existing one, so that
neither a bug nor a stolen seed can delete the ledger. This verb makes the changes that an
upgrade needs, and reverts what somebody changed. It cannot bring back data that a wrong
setting has deleted: restore the ledger first.

On a cluster it needs the operator's seed, which no instance has, and the service keeps
running. With the embedded server, stop the service first.

Examples:

  gatehouse streams apply --data /var/lib/gatehouse
  gatehouse streams apply --nats-url nats://n1:4222 --nats-operator-nkey operator.nk --replicas 3`
}

// Run applies the settings and tells what was changed.
func (c *streamsApplyCmd) Run(w *world) error {
	if c.NATSURL == "" && (c.OperatorNkey != "" || c.Creds != "" || c.Replicas > 1) {
		return usage("--nats-operator-nkey, --nats-operator-creds and --replicas are for a cluster, which --nats-url names")
	}
	if c.OperatorNkey != "" && c.Creds != "" {
		return usage("--nats-operator-nkey and --nats-operator-creds exclude each other")
	}
	conn, done, err := c.connect(w)
	if err != nil {
		return err
	}
	defer done()
	all, err := streams.Apply(w.ctx, conn, c.Replicas, c.Vault)
	for _, a := range all {
		if len(a.Changed) == 0 {
			fmt.Fprintf(w.stdout, "%s: as it should be\n", a.Stream)
		}
		for _, u := range a.Changed {
			fmt.Fprintf(w.stdout, "%s: %s was %s, needed: %s\n", a.Stream, u.Setting, u.Value, u.Needed)
		}
	}
	return err
}

// connect reaches the streams as the operator: those of a cluster, or of a data
// directory that nobody serves.
func (c *streamsApplyCmd) connect(w *world) (conn *nats.Conn, done func(), err error) {
	if c.NATSURL != "" {
		login, err := loginOf("--nats-operator-nkey", c.Creds, c.OperatorNkey)
		if err != nil {
			return nil, nil, err
		}
		conn, err = nats.Connect(c.NATSURL, append(login, tlsOptions(c.TLSCA, c.TLSCert, c.TLSKey)...)...)
		if err != nil {
			return nil, nil, natsConfig{URL: c.NATSURL}.notIn(err, "--nats-operator-creds", "--nats-operator-nkey")
		}
		return conn, conn.Close, nil
	}
	lock, err := natsserver.LockData(c.Data)
	if err != nil {
		return nil, nil, err
	}
	release := func() { _ = lock.Release() }
	embedded, err := natsserver.Start(natsserver.Config{Dir: c.Data, Log: slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		release()
		return nil, nil, err
	}
	if conn, err = embedded.ConnectOperator(); err != nil {
		embedded.Stop()
		release()
		return nil, nil, err
	}
	return conn, func() { conn.Close(); embedded.Stop(); release() }, nil
}
