package eventstore

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// serverStart is how long the embedded server may take to be ready; recovery of a
// large store needs most of it.
const serverStart = 2 * time.Minute

// Embedded is a nats-server within this process, with JetStream in a directory.
type Embedded struct {
	Server *server.Server
}

// StartEmbedded starts the server in dir/jetstream. Every write is fsynced before
// it is acknowledged. Without a listen address it takes no connection but those
// of this process. The caller holds the [DataLock] of dir.
func StartEmbedded(dir, listen string, log *slog.Logger) (*Embedded, error) {
	opts := &server.Options{
		ServerName: "gatehouse",
		JetStream:  true,
		StoreDir:   filepath.Join(dir, "jetstream"),
		SyncAlways: true,
		NoSigs:     true,
		DontListen: listen == "",
		// Gateways will log in with nkeys, which need a nonce from the start.
		AlwaysEnableNonce: true,
	}
	if listen != "" {
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return nil, fmt.Errorf("eventstore: listen address %q: %w", listen, err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, fmt.Errorf("eventstore: listen address %q: %w", listen, err)
		}
		opts.Host, opts.Port = host, n
		if n == 0 {
			opts.Port = server.RANDOM_PORT
		}
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("eventstore: make the embedded server: %w", err)
	}
	srv.SetLoggerV2(natsLog{log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(serverStart) {
		srv.Shutdown()
		return nil, fmt.Errorf("eventstore: the embedded server is not ready after %s", serverStart)
	}
	return &Embedded{srv}, nil
}

// Connect makes a connection within the process.
func (e *Embedded) Connect(opts ...nats.Option) (*nats.Conn, error) {
	nc, err := nats.Connect("", append(opts, nats.InProcessServer(e.Server), nats.MaxReconnects(-1))...)
	if err != nil {
		return nil, fmt.Errorf("eventstore: connect within the process: %w", err)
	}
	return nc, nil
}

// Stop ends the server after its store is closed.
func (e *Embedded) Stop() {
	e.Server.Shutdown()
	e.Server.WaitForShutdown()
}

// natsLog passes what the server has to say on to slog: warnings and worse.
type natsLog struct{ log *slog.Logger }

func (l natsLog) Noticef(format string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Warnf(format string, v ...any)   { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Fatalf(format string, v ...any)  { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Errorf(format string, v ...any)  { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Debugf(format string, v ...any)  {}
func (l natsLog) Tracef(format string, v ...any)  {}
