package propagation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// bare are the hops without anything in between.
type bare struct {
	nats   *server.Server
	server *http.Server
	url    string
	conns  []*nats.Conn
	heard  chan struct{}
}

// The subjects and sizes of the bare hops: those of a commit and of a delta with one row.
const (
	bareStream  = "BENCH_BARE"
	bareLedger  = "bench.bare.ledger"
	bareTables  = "bench.bare.tables"
	bareTold    = "bench.bare.told"
	commitBytes = 900
	deltaBytes  = 800
)

func newBare(ctx context.Context, dir string, gateways int) (_ *bare, err error) {
	b := &bare{heard: make(chan struct{}, gateways)}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	conn, err := b.start(dir)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: bareStream, Subjects: []string{bareLedger, bareTables}, Storage: jetstream.FileStorage}); err != nil {
		return nil, fmt.Errorf("make the stream of the bare hops: %w", err)
	}
	for range gateways {
		hears, err := b.connect()
		if err != nil {
			return nil, err
		}
		if _, err := hears.Subscribe(bareTold, func(*nats.Msg) { b.heard <- struct{}{} }); err != nil {
			return nil, err
		}
		if err := hears.Flush(); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.url = "http://" + l.Addr().String()
	commit, delta := bytes.Repeat([]byte("c"), commitBytes), bytes.Repeat([]byte("d"), deltaBytes)
	b.server = &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, readErr := io.Copy(io.Discard, r.Body)
		_, first := js.Publish(r.Context(), bareLedger, commit)
		// The answer goes out as it does in the service: once the commit is durable.
		if err := errors.Join(readErr, first); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(delta)
		go b.tell(ctx, js, conn, delta)
	})}
	go func() { _ = b.server.Serve(l) }()
	return b, nil
}

// start starts a server that syncs each message, as that of the service does.
func (b *bare) start(dir string) (*nats.Conn, error) {
	var err error
	b.nats, err = server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: dir, SyncAlways: true, NoLog: true, NoSigs: true})
	if err != nil {
		return nil, err
	}
	b.nats.Start()
	if !b.nats.ReadyForConnections(patience) {
		return nil, errors.New("the bare server does not start")
	}
	return b.connect()
}

func (b *bare) connect() (*nats.Conn, error) {
	conn, err := nats.Connect(b.nats.ClientURL())
	if err == nil {
		b.conns = append(b.conns, conn)
	}
	return conn, err
}

// tell publishes the change and tells it.
func (b *bare) tell(ctx context.Context, js jetstream.JetStream, conn *nats.Conn, delta []byte) {
	if _, err := js.Publish(ctx, bareTables, delta); err == nil {
		_ = conn.Publish(bareTold, delta)
	}
}

func (b *bare) round(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(`{"person":"sam"}`))
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the bare hops answer %s", res.Status)
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for range cap(b.heard) {
		select {
		case <-b.heard:
		case <-timeout.C:
			return 0, fmt.Errorf("the bare message is not heard after %s", patience)
		}
	}
	return time.Since(began), nil
}

func (b *bare) close() {
	if b.server != nil {
		_ = b.server.Close()
	}
	for _, c := range b.conns {
		c.Close()
	}
	if b.nats != nil {
		b.nats.Shutdown()
		b.nats.WaitForShutdown()
	}
}
