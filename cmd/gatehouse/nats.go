package main

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
)

// natsConfig says which NATS the service stands on. Everything is optional.
type natsConfig struct {
	URL                string   // of an external cluster; empty: a server within the process
	Creds, SystemCreds string   // files to log in to it with, of the account with the streams and of the system
	Nkey, SystemNkey   string   // the same as files with seeds; creds and nkeys exclude each other
	CA, Cert, Key      string   // files for TLS to it
	CalloutSeed        string   // file with the seed that signs who may connect to it; empty: others do that
	Gateways           string   // account of gateways in it
	Listen             string   // address of the server within the process; empty: it does not listen
	GatewayURLs        []string // that gateways are told to connect to; empty: where this service finds NATS
	Replicas           int
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
	case n.Creds != "" && n.Nkey != "" || n.SystemCreds != "" && n.SystemNkey != "":
		return usage("--nats-creds and --nats-nkey exclude each other, as do --nats-system-creds and --nats-system-nkey")
	case n.CalloutSeed != "" && n.URL == "":
		return usage("--nats-callout-seed is for an external cluster, which --nats-url names; the server within the process has keys of its own")
	case n.CalloutSeed != "" && (n.Nkey == "" || n.SystemNkey == ""):
		return usage("--nats-callout-seed needs --nats-nkey and --nats-system-nkey: by the first the servers send what gateways sign, by the second gateways are cut off")
	}
	return n.checkGatewayURLs()
}

// checkListen finds addresses that are none, and refuses one for gateways beyond the loopback without TLS: what gateways
// decide on and what they observe would cross the network in clear.
func (c *serviceConfig) checkListen() error {
	for flag, address := range map[string]string{"--listen": c.Listen, "--metrics-listen": c.MetricsListen} {
		if _, err := net.ResolveTCPAddr("tcp", address); err != nil && address != "" {
			return usage("%s: %v", flag, err)
		}
	}
	if c.NATS.Listen == "" {
		return nil
	}
	addr, err := net.ResolveTCPAddr("tcp", c.NATS.Listen)
	if err != nil {
		return usage("--nats-listen: %v", err)
	}
	if !isLoopback(addr) && c.TLSCert == "" {
		return usage("--nats-listen %s: beyond the loopback it needs --tls-cert and --tls-key, which serve gateways too", c.NATS.Listen)
	}
	return nil
}

// natsConns are the connections of a service.
type natsConns struct {
	embedded *natsserver.Embedded // nil with an external cluster
	conn     *nats.Conn
	bulk     *nats.Conn    // to the same account, for what is read in bulk
	system   *nats.Conn    // to the system account; nil: none was given, or nobody listens
	issuer   nkeys.KeyPair // signs who may connect; nil: this instance admits nobody
	gateways string        // account of gateways
}

// connect starts the server within the process, or connects to the external one.
func (s *service) connect() error {
	n := s.cfg.NATS
	if n.URL != "" {
		return s.connectOut()
	}
	if n.Listen == "" && len(s.cfg.Gateways) > 0 {
		n.Listen = "127.0.0.1:0" // only a server that listens tells gateways from the service
		s.cfg.NATS.Listen = n.Listen
	}
	cfg := natsserver.Config{Dir: s.cfg.Data, Listen: n.Listen, Marks: s.Marks, Log: s.cfg.Log}
	if n.Listen != "" && s.cfg.TLSCert != "" {
		var err error
		if cfg.TLS, err = s.cfg.serverTLS(); err != nil {
			return err
		}
	}
	embedded, err := natsserver.Start(cfg)
	if err != nil {
		return err
	}
	s.embedded, s.issuer, s.gateways = embedded, embedded.Issuer, natsserver.GatewaysAccount
	s.onStop(func(context.Context) error { embedded.Stop(); return nil })
	if n.Listen != "" {
		s.cfg.Log.Info("NATS listens for gateways", "address", embedded.Server().Addr().String())
	}
	options := s.natsOptions()
	if s.conn, err = embedded.Connect(options...); err != nil {
		return err
	}
	s.onStop(func(context.Context) error { s.conn.Close(); return nil })
	if s.bulk, err = embedded.Connect(options...); err != nil {
		return err
	}
	s.onStop(func(context.Context) error { s.bulk.Close(); return nil })
	if s.system, err = embedded.ConnectSystem(options...); err != nil {
		return err
	}
	s.onStop(func(context.Context) error { s.system.Close(); return nil })
	return nil
}

func (s *service) connectOut() error {
	n := s.cfg.NATS
	if n.CalloutSeed != "" {
		var err error
		if s.issuer, err = readSeed("--nats-callout-seed", n.CalloutSeed); err != nil {
			return err
		}
		s.gateways = n.Gateways
	}
	login, err := loginOf("--nats-nkey", n.Creds, n.Nkey)
	if err != nil {
		return err
	}
	if s.conn, err = nats.Connect(n.URL, append(s.natsOptions(), login...)...); err != nil {
		return n.notIn(err, "--nats-creds", "--nats-nkey")
	}
	s.onStop(func(context.Context) error { s.conn.Close(); return nil })
	if s.bulk, err = nats.Connect(n.URL, append(s.natsOptions(), login...)...); err != nil {
		return n.notIn(err, "--nats-creds", "--nats-nkey")
	}
	s.onStop(func(context.Context) error { s.bulk.Close(); return nil })
	if n.Replicas == 1 {
		s.cfg.Log.Warn("the streams have one copy: a disk that is lost takes the ledger with it; see --replicas")
	}
	if n.SystemCreds == "" && n.SystemNkey == "" {
		return nil
	}
	if login, err = loginOf("--nats-system-nkey", n.SystemCreds, n.SystemNkey); err != nil {
		return err
	}
	if s.system, err = nats.Connect(n.URL, append(s.natsOptions(), login...)...); err != nil {
		return n.notIn(err, "--nats-system-creds", "--nats-system-nkey")
	}
	s.onStop(func(context.Context) error { s.system.Close(); return nil })
	return nil
}

// notIn says why the servers are not reached, or with what they let nobody in. That
// servers in operator mode know users by their JWTs alone, and so have none that may
// answer auth callouts as --nats-callout-seed wants it, comes to light here too.
func (n natsConfig) notIn(err error, creds, nkey string) error {
	switch {
	case !errors.Is(err, nats.ErrAuthorization):
		return &client.UnreachableError{Base: n.URL, Err: err}
	case n.CalloutSeed != "":
		return usage("--nats-url %s: the servers do not let this instance in with %s (%v). The nkey must be of a user in the servers' configuration, "+
			"as in deploy/nats/server.conf; servers in operator mode (JWT) have no such users and cannot ask this service who may connect: "+
			"leave out --nats-callout-seed there, and log in with %s", n.URL, nkey, err, creds)
	}
	return usage("--nats-url %s: the servers do not let this instance in with what %s, %s or the URL give: %v", n.URL, creds, nkey, err)
}

// loginOf is how a connection logs in: with a file of credentials or of a seed, or
// without either.
func loginOf(flag, creds, nkey string) ([]nats.Option, error) {
	switch {
	case creds != "":
		return []nats.Option{nats.UserCredentials(creds)}, nil
	case nkey != "":
		pair, err := readSeed(flag, nkey)
		if err != nil {
			return nil, err
		}
		public, err := pair.PublicKey()
		if err != nil || !nkeys.IsValidPublicUserKey(public) {
			return nil, usage("%s: %s holds no seed of a user, which begins with SU", flag, nkey)
		}
		return []nats.Option{nats.Nkey(public, pair.Sign)}, nil
	}
	return nil, nil
}

// readSeed reads an nkey from a file with its seed. The error does not tell what
// the file holds.
func readSeed(flag, file string) (nkeys.KeyPair, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("%s: %v", flag, err)
	}
	pair, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return nil, usage("%s: %s holds no seed of an nkey: %v", flag, file, err)
	}
	return pair, nil
}

// natsOptions are the terms of a connection: it is made again for as long as the
// service runs.
func (s *service) natsOptions() []nats.Option {
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
			if errors.Is(err, nats.ErrSlowConsumer) {
				s.storeMetrics.Slow.WithLabelValues("client").Inc()
			}
			s.cfg.Log.Warn("NATS reports an error", "subject", subject, "error", err)
		}),
	}
	if n.URL != "" {
		// A server that hangs ends no connection; another one of the cluster answers.
		options = append(options, nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2))
	}
	return append(options, tlsOptions(n.CA, n.Cert, n.Key)...)
}

// tlsOptions are how a connection proves who both sides are.
func tlsOptions(ca, cert, key string) (options []nats.Option) {
	if ca != "" {
		options = append(options, nats.RootCAs(ca))
	}
	if cert != "" {
		options = append(options, nats.ClientCert(cert, key))
	}
	return options
}

// master returns the master key of personal data. It makes one at the first start of
// the instance that holds the vault.
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
	s.Keys, s.held = v, v
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
	stop, err := vault.Serve(s.conn, held, s.guardVault, s.cfg.Log)
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { stop(); return nil })
	return nil
}

// guardVault runs what answers another instance from the vault.
func (s *service) guardVault(org string, f func()) error {
	return s.panics.Guard("vault", domain.ID(org), "", f)
}
