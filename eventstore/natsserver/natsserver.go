// Package natsserver runs the NATS server within the process, and asks any server how
// it stores.
//
// The server keeps its streams in the data directory, which one process may hold at a
// time, see [LockData]. The package reads what the server wrote there: before a start,
// since the server cuts a damaged block in silence; and again and again while it runs.
// Damaged files are copied aside and losses noted, until somebody has moved them
// elsewhere. The content of messages is the business of others.
package natsserver

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"gatehouse/eventstore/mark"
)

// serverStart is how long the embedded server may take to be ready; recovery of a
// large store needs most of it.
const serverStart = 2 * time.Minute

// Config says how to run a server within this process.
type Config struct {
	Dir string // the server keeps its streams in Dir/jetstream; the caller holds the [DataLock] of Dir
	// Listen is the address for gateways; empty: the server takes no connection but
	// those of this process.
	Listen string
	TLS    *tls.Config // optional: of that address
	Marks  *mark.Marks // optional: where the ledgers and streams end, as known outside them
	Log    *slog.Logger
}

// Embedded is a nats-server within this process, with JetStream in a directory. It
// may be started again while connections to it are open: they come back by themselves.
type Embedded struct {
	// Issuer signs who may connect from outside; nil when the server does not
	// listen. It is made at every start: no connection outlives the server.
	Issuer nkeys.KeyPair

	cfg          Config
	user, system nkeys.KeyPair // of the connections of this process; nil when the server does not listen
	operator     nkeys.KeyPair // of who may change streams
	server       atomic.Pointer[server.Server]
	port         int // that it listens at; 0: any, until it was started
	aside        aside
	last         manifest // of the end before the last start
}

// Server is the server as it runs now, or as it ran last.
func (e *Embedded) Server() *server.Server { return e.server.Load() }

// InProcessConn makes a connection to the server as it runs now. It is what
// [nats.InProcessServer] asks for, at first and after the server was started again.
func (e *Embedded) InProcessConn() (net.Conn, error) { return e.Server().InProcessConn() }

// GatewaysAccount is the account of gateways in the embedded server. They have one
// of their own because JetStream sends the acknowledgement of what they publish
// to whatever reply subject they name: in the account of the streams, that could be
// the subject of a ledger.
const GatewaysAccount = "GATEWAYS"

// Start starts the server. Every write is fsynced before it is
// acknowledged. From outside it takes only those whom a responder to auth callouts
// admits, which the caller runs with the Issuer.
func Start(cfg Config) (*Embedded, error) {
	e := &Embedded{cfg: cfg}
	var err error
	if e.operator, err = nkeys.CreateUser(); err != nil {
		return nil, fmt.Errorf("natsserver: make a key: %w", err)
	}
	if cfg.Listen != "" {
		if err := e.makeKeys(); err != nil {
			return nil, fmt.Errorf("natsserver: make a key: %w", err)
		}
	}
	if err := e.start(); err != nil {
		return nil, err
	}
	return e, nil
}

// start starts a server on the directory, and returns when it is ready.
func (e *Embedded) start() error {
	e.last = readManifest(e.cfg.Dir)
	if err := errors.Join(e.checkBlocks(), e.begun()); err != nil {
		return err
	}
	e.finishMetas()
	opts := &server.Options{
		ServerName: "gatehouse",
		JetStream:  true,
		StoreDir:   filepath.Join(e.cfg.Dir, "jetstream"),
		SyncAlways: true,
		NoSigs:     true,
		DontListen: e.cfg.Listen == "",
	}
	operator, err := e.operator.PublicKey()
	if err != nil {
		return fmt.Errorf("natsserver: make a key: %w", err)
	}
	opts.Nkeys = []*server.NkeyUser{{Nkey: operator}}
	if e.cfg.Listen == "" {
		// A connection without a user is the service: nobody else reaches a server that does not listen.
		key, err := nkeys.CreateUser()
		if err != nil {
			return fmt.Errorf("natsserver: make a key: %w", err)
		}
		if opts.NoAuthUser, err = key.PublicKey(); err != nil {
			return fmt.Errorf("natsserver: make a key: %w", err)
		}
		opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: opts.NoAuthUser, Permissions: servicePermissions()})
	} else if err := e.listen(opts); err != nil {
		return err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("natsserver: make the embedded server: %w", err)
	}
	fatal := make(chan string, 1)
	srv.SetLoggerV2(natsLog{e.cfg.Log, fatal}, false, false, false)
	srv.Start()
	if err := ready(srv, fatal); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("natsserver: the embedded server does not start: %w", err)
	}
	if addr, ok := srv.Addr().(*net.TCPAddr); ok {
		e.port = addr.Port
	}
	if e.Issuer != nil {
		if err := letGatewaysIn(srv); err != nil {
			srv.Shutdown()
			srv.WaitForShutdown()
			return fmt.Errorf("natsserver: make the account of gateways: %w", err)
		}
	}
	e.server.Store(srv)
	return nil
}

// ready waits until the server is ready. The server logs the reason when it is not.
func ready(srv *server.Server, fatal <-chan string) error {
	for deadline := time.Now().Add(serverStart); time.Now().Before(deadline); {
		if len(fatal) > 0 {
			return errors.New(<-fatal)
		}
		if srv.ReadyForConnections(readyStep) {
			return nil
		}
	}
	return fmt.Errorf("it is not ready after %s", serverStart)
}

// readyStep is how long the server may take to be ready before its log is asked.
const readyStep = 100 * time.Millisecond

// makeKeys makes the keys of the users of this process, and that which signs who
// may connect.
func (e *Embedded) makeKeys() (err error) {
	if e.Issuer, err = nkeys.CreateAccount(); err != nil {
		return err
	}
	if e.user, err = nkeys.CreateUser(); err != nil {
		return err
	}
	e.system, err = nkeys.CreateUser()
	return err
}

// listen gives the server an address, users for this process, and auth callouts
// for everybody else.
func (e *Embedded) listen(opts *server.Options) error {
	host, port, err := net.SplitHostPort(e.cfg.Listen)
	if err != nil {
		return fmt.Errorf("natsserver: listen address %q: %w", e.cfg.Listen, err)
	}
	if opts.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("natsserver: listen address %q: %w", e.cfg.Listen, err)
	}
	if opts.Port == 0 {
		opts.Port = cmp.Or(e.port, server.RANDOM_PORT)
	}
	opts.Host = host
	if e.cfg.TLS != nil {
		opts.TLS, opts.TLSConfig = true, e.cfg.TLS
	}
	issuer, err1 := e.Issuer.PublicKey()
	user, err2 := e.user.PublicKey()
	system, err3 := e.system.PublicKey()
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("natsserver: make a key: %w", err)
	}
	sys := server.NewAccount(server.DEFAULT_SYSTEM_ACCOUNT)
	opts.Accounts, opts.SystemAccount = []*server.Account{sys}, server.DEFAULT_SYSTEM_ACCOUNT
	users := []string{user, system, opts.Nkeys[0].Nkey}
	opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: user, Permissions: servicePermissions()}, &server.NkeyUser{Nkey: system, Account: sys})
	// Gateways log in with nkeys, which need a nonce from the start.
	opts.AlwaysEnableNonce = true
	opts.AuthCallout = &server.AuthCallout{Issuer: issuer, Account: server.DEFAULT_GLOBAL_ACCOUNT, AuthUsers: users}
	return nil
}

// letGatewaysIn makes the account of gateways and joins it to that of the streams.
// It is made after the start, for a server that starts with accounts of its own
// gives the one of the streams no JetStream.
func letGatewaysIn(srv *server.Server) error {
	gateways, err := srv.RegisterAccount(GatewaysAccount)
	if err != nil {
		return err
	}
	streams := srv.GlobalAccount()
	join := func(from, to *server.Account, subject string) error {
		return errors.Join(from.AddServiceExport(subject, []*server.Account{to}), to.AddServiceImport(from, subject, subject))
	}
	const changes = "tables.*.*" // of permissions
	return errors.Join(join(streams, gateways, "control.*.*.ask"), join(gateways, streams, "control.*.*.do"),
		streams.AddStreamExport(changes, []*server.Account{gateways}), gateways.AddStreamImport(streams, changes, ""))
}

// Connect makes a connection within the process, to the account of the streams.
func (e *Embedded) Connect(opts ...nats.Option) (*nats.Conn, error) { return e.connect(e.user, opts) }

// ConnectSystem makes a connection within the process to the system account; nil
// when the server does not listen, so that there is nobody to look after.
func (e *Embedded) ConnectSystem(opts ...nats.Option) (*nats.Conn, error) {
	if e.system == nil {
		return nil, nil
	}
	return e.connect(e.system, opts)
}

// ConnectOperator makes a connection within the process that may change the streams.
// The service has one at its start and by its start alone.
func (e *Embedded) ConnectOperator(opts ...nats.Option) (*nats.Conn, error) {
	return e.connect(e.operator, opts)
}

func (e *Embedded) connect(user nkeys.KeyPair, opts []nats.Option) (*nats.Conn, error) {
	opts = append(opts, nats.InProcessServer(e), nats.MaxReconnects(-1))
	if user != nil {
		name, err := user.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("natsserver: connect within the process: %w", err)
		}
		opts = append(opts, nats.Nkey(name, user.Sign))
	}
	nc, err := nats.Connect("", opts...)
	if err != nil {
		return nil, fmt.Errorf("natsserver: connect within the process: %w", err)
	}
	return nc, nil
}

// Stop ends the server after its store is closed.
func (e *Embedded) Stop() {
	running := e.Server().Running()
	ends, err := e.streamEnds()
	e.Server().Shutdown()
	e.Server().WaitForShutdown()
	if running && err == nil && len(ends) > 0 {
		e.ended(ends)
	}
}

// natsLog passes the server's warnings and errors on to slog. The first fatal error
// also goes to the channel fatal; the server reports it nowhere else.
type natsLog struct {
	log   *slog.Logger
	fatal chan<- string
}

func (l natsLog) Noticef(format string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Warnf(format string, v ...any)   { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Errorf(format string, v ...any)  { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Debugf(format string, v ...any)  {}
func (l natsLog) Tracef(format string, v ...any)  {}
func (l natsLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}
