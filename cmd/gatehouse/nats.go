package main

import (
	"context"
	"net"
	"time"

	"github.com/nats-io/nats.go"

	"gatehouse/eventstore"
	"gatehouse/eventstore/vault"
)

// natsConfig says which NATS the service stands on. Everything is optional.
type natsConfig struct {
	URL, Creds, SystemCreds string // of an external cluster; empty: a server within the process
	CA, Cert, Key           string // files for TLS to it
	Listen                  string // address of the server within the process; empty: it does not listen
	Replicas                int
}

// check finds what does not go together, before anything is touched.
func (n natsConfig) check() error {
	switch {
	case n.URL != "" && n.Listen != "":
		return usage("--nats-listen is of the server within the process, and --nats-url names another")
	case n.URL == "" && n.Replicas > 1:
		return usage("--replicas %d: copies need an external cluster, which --nats-url names", n.Replicas)
	case (n.Cert == "") != (n.Key == ""):
		return usage("--nats-tls-cert and --nats-tls-key go together")
	case n.Listen == "":
		return nil
	}
	if addr, err := net.ResolveTCPAddr("tcp", n.Listen); err != nil || !isLoopback(addr) {
		return usage("--nats-listen %s: the server within the process knows no users, so it listens on the loopback alone, as 127.0.0.1:4222", n.Listen)
	}
	return nil
}

// natsConns are the connections of a service.
type natsConns struct {
	embedded *eventstore.Embedded // nil with an external cluster
	conn     *nats.Conn
	system   *nats.Conn // to the system account; nil: none was given
}

// connect starts the server within the process, or connects to the external one.
func (s *service) connect() error {
	n := s.cfg.NATS
	if n.URL != "" {
		return s.connectOut()
	}
	embedded, err := eventstore.StartEmbedded(s.cfg.Data, n.Listen, s.cfg.Log)
	if err != nil {
		return err
	}
	s.embedded = embedded
	s.onStop(func(context.Context) error { embedded.Stop(); return nil })
	if s.conn, err = embedded.Connect(s.natsOptions("")...); err != nil {
		return err
	}
	s.onStop(func(context.Context) error { s.conn.Close(); return nil })
	return nil
}

func (s *service) connectOut() error {
	n := s.cfg.NATS
	var err error
	if s.conn, err = nats.Connect(n.URL, s.natsOptions(n.Creds)...); err != nil {
		return &unreachableError{base: n.URL, err: err}
	}
	s.onStop(func(context.Context) error { s.conn.Close(); return nil })
	if n.Replicas == 1 {
		s.cfg.Log.Warn("the streams have one copy: a disk that is lost takes the ledger with it; see --replicas")
	}
	if n.SystemCreds == "" {
		return nil
	}
	if s.system, err = nats.Connect(n.URL, s.natsOptions(n.SystemCreds)...); err != nil {
		return &unreachableError{base: n.URL, err: err}
	}
	s.onStop(func(context.Context) error { s.system.Close(); return nil })
	return nil
}

// natsOptions are the terms of a connection: it is made anew for as long as the
// service runs.
func (s *service) natsOptions(creds string) []nats.Option {
	n := s.cfg.NATS
	options := []nats.Option{
		nats.Name("gatehouse"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.Timeout(5 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				s.cfg.Log.Warn("the connection to NATS is lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			s.cfg.Log.Info("the connection to NATS is back", "server", c.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			s.cfg.Log.Warn("NATS reports an error", "subject", subject, "error", err)
		}),
	}
	if creds != "" {
		options = append(options, nats.UserCredentials(creds))
	}
	if n.CA != "" {
		options = append(options, nats.RootCAs(n.CA))
	}
	if n.Cert != "" {
		options = append(options, nats.ClientCert(n.Cert, n.Key))
	}
	return options
}

// master gives the master key of personal data, and makes one at the first start
// of the instance that holds the vault.
func (s *service) master() (vault.Master, error) {
	master, made, err := vault.LoadOrCreateMaster(s.cfg.Data, s.cfg.VaultKey)
	if made {
		s.cfg.Log.Warn("a master key of personal data was made; keep a copy of it away from the backups of the data directory: with both anybody reads everything, without it nobody does", "file", s.cfg.masterFile())
	}
	return master, err
}

// openVault opens the vault where this instance holds it, else returns nil.
func (s *service) openVault(ctx context.Context, master vault.Master) (*vault.Vault, error) {
	if s.cfg.RemoteVault {
		return nil, nil
	}
	v, err := vault.Open(ctx, s.cfg.Data, master)
	if err != nil {
		return nil, err
	}
	s.onStop(func(context.Context) error { return v.Close() })
	s.Keys = v
	return v, nil
}

// shareVault lets other instances ask the vault that this one holds, or asks that
// of another.
func (s *service) shareVault(held *vault.Vault, master vault.Master) error {
	if held == nil {
		remote, err := vault.NewRemote(s.conn, master)
		s.Keys = remote
		return err
	}
	stop, err := vault.Serve(s.conn, held, s.cfg.Log)
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { stop(); return nil })
	return nil
}
