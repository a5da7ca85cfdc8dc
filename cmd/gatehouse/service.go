package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/backup"
	trusted "gatehouse/eventstore/clock"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/restore"
	"gatehouse/eventstore/vault"
	"gatehouse/gateways/admission"
	"gatehouse/gateways/control"
	"gatehouse/gateways/httpapi"
	"gatehouse/gateways/receipts"
	"gatehouse/projections/due"
	"gatehouse/projections/permissions"
)

// A service is a running instance.
type service struct {
	URL           string // of the API, without a slash at the end
	MetricsURL    string // where metrics have an address of their own; else empty
	BootstrapPath string // file with a bootstrap token that is good; empty: there is none
	// BootstrapMade is the org that this token has made, of which nothing was used yet;
	// empty: it has made none.
	BootstrapMade domain.ID
	Store         *eventstore.Store
	Permissions   *permissions.Projector
	Keys          vault.Keeper
	logKey        ed25519.PrivateKey // signs permissions
	codeKey       []byte             // the secrets of codes follow from it
	Backups       *backup.Schedule   // nil: none are made beside this instance
	Marks         *mark.Marks
	Failed        chan error // gets what makes the service end by itself

	cfg          serviceConfig
	restored     *restore.Record // what a restore did in the data directory; nil: there was none
	metrics      *prometheus.Registry
	storeMetrics *eventstore.Metrics
	panics       *eventstore.Panics // since before the store is there, which others may ask for keys
	natsConns
	clock     *trusted.Clock
	wall      func() time.Time // the clock as it is, which servers on this machine and their protocols go by
	held      *vault.Vault     // nil: another instance holds the vault
	loader    loader
	admission *admission.Admission // nil: this instance admits nobody
	within    []*gatewayWithin     // gateways of this process
	receipts  *receipts.Tracker
	control   *control.Control
	ending    context.CancelFunc // of what runs until the API is shut
	running   sync.WaitGroup     // what ends with it
	stops     []func(context.Context) error
}

// startService starts an instance: the lock of the data directory, the vault, the
// NATS server or the connection to one, the store, the projections, the API. When
// it returns, the API answers; orgs go on being loaded. The context bounds the
// start alone.
func startService(ctx context.Context, cfg serviceConfig) (*service, error) {
	s := &service{cfg: cfg, metrics: prometheus.NewRegistry(), Failed: make(chan error, 1)}
	s.storeMetrics = eventstore.NewMetrics(s.metrics)
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if s.wall = cfg.Wall; s.wall == nil {
		s.wall = cfg.Now
	}
	s.clock = trusted.New(trusted.Config{Wall: cfg.Now, Elapsed: cfg.Elapsed, Synced: cfg.Synced, File: filepath.Join(cfg.Data, "clock")})
	s.cfg.Now = s.clock.Now
	s.panics = eventstore.NewPanics(s.storeMetrics, s.cfg.Now, cfg.Log)
	if err := s.start(ctx); err != nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return nil, errors.Join(err, s.Stop(stopping))
	}
	return s, nil
}

func (s *service) start(ctx context.Context) error {
	listener, err := s.prepare()
	if err != nil {
		return err
	}
	if err := s.openStore(ctx); err != nil {
		return err
	}
	for _, o := range s.waiting(ctx) {
		s.cfg.Log.Error("an org is not served until the loss of its commits is accepted", "org", o.Org, "position", o.Head.String(), "lost", o.Lost(),
			"do", fmt.Sprintf("stop this service, and gatehouse restore --data %s --accept-loss %s=%s", s.cfg.Data, o.Org, o.Head))
	}
	if !s.cfg.ConfirmClock.IsZero() && s.clock.Check() != nil {
		if err := s.Store.ConfirmClock(ctx, s.cfg.ConfirmClock, ""); err != nil {
			return fmt.Errorf("--confirm-clock: %w", err)
		}
	}
	if err := s.project(ctx); err != nil {
		return err
	}
	boot, err := s.bootstrap(ctx) // it may read an org, of which the projections are to know
	if err != nil {
		return err
	}
	if err := s.serve(listener, boot); err != nil {
		return err
	}
	if err := s.offerBackups(); err != nil {
		return err
	}
	s.load()
	s.runGateways()
	return nil
}

// onStop adds what a stop does; the last one added is done first.
func (s *service) onStop(f func(context.Context) error) { s.stops = append(s.stops, f) }

// Stop stops in good order: the API, what sends commands, the projections, the
// store, and what those stand on. It goes on after an error.
func (s *service) Stop(ctx context.Context) error {
	var errs []error
	for _, stop := range slices.Backward(s.stops) {
		errs = append(errs, endWithin(ctx, stop))
	}
	s.stops = nil
	return errors.Join(errs...)
}

// stopGrace is how long a part of a stop may go on after its time is over.
const stopGrace = 500 * time.Millisecond

// endWithin runs a part of a stop, and gives it up when it goes on after its time: the
// process is to end whatever hangs.
func endWithin(ctx context.Context, stop func(context.Context) error) error {
	ended := make(chan error, 1)
	go func() { ended <- stop(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(stopGrace):
		return fmt.Errorf("%s does not end, and was given up", runtime.FuncForPC(reflect.ValueOf(stop).Pointer()).Name())
	}
}

// prepare takes the data directory and the address, which nothing may share.
func (s *service) prepare() (net.Listener, error) {
	lock, err := natsserver.LockData(s.cfg.Data)
	if err != nil && !errors.Is(err, natsserver.ErrLocked) {
		return nil, fmt.Errorf("the data directory cannot be written: --data %s: %w", s.cfg.Data, err)
	}
	if err != nil {
		return nil, err
	}
	s.onStop(func(context.Context) error { return lock.Release() })
	if s.restored, err = restore.Check(s.cfg.Data); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("the address of the API, --listen: %w", err)
	}
	s.onStop(func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil // the HTTP server has closed it
	})
	took, err := measureSync(s.cfg.Data)
	switch {
	case isFull(err):
		s.cfg.Log.Error("the disk of the data directory is full: questions and decisions are answered, and commands wait for room", "data", s.cfg.Data)
	case err != nil:
		return nil, fmt.Errorf("the data directory cannot be written: --data %s: %w", s.cfg.Data, err)
	default:
		s.cfg.Log.Info("the disk was measured", "data", s.cfg.Data, "fsync_ms", milliseconds(took))
	}
	return listener, nil
}

// waiting lists the orgs that a restore has left for an operator's word. One that was
// given in a process which was killed then may stand in the ledger alone.
func (s *service) waiting(ctx context.Context) []restore.Org {
	if s.restored == nil {
		return nil
	}
	return slices.DeleteFunc(s.restored.Waiting(), func(o restore.Org) bool {
		end, err := s.Store.EndOf(ctx, o.Org)
		return err == nil && end.Head.Position().Epoch > o.Head.Epoch
	})
}

// openStore opens the vault and the ledger.
func (s *service) openStore(ctx context.Context) error {
	master, err := s.master()
	if err != nil {
		return err
	}
	held, err := s.openVault(ctx, master)
	if err != nil {
		return err
	}
	if s.Marks, err = mark.OpenMarks(s.cfg.Data, s.cfg.Witness, mark.Patience, s.cfg.Log); err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return s.Marks.Close() })
	if err := s.connect(); err != nil {
		return err
	}
	if err := s.shareVault(held, master); err != nil {
		return err
	}
	if s.logKey, err = master.LogKey(); err != nil {
		return err
	}
	if s.codeKey, err = master.CodeKey(); err != nil {
		return err
	}
	s.Store, err = eventstore.Open(ctx, eventstore.Config{Conn: s.conn, Bulk: s.bulk, System: s.system, Embedded: s.embedded,
		Replicas: s.cfg.NATS.Replicas, Snapshots: filepath.Join(s.cfg.Data, "snapshots"), Marks: s.Marks, Keys: s.Keys, Vault: held,
		Memory: s.cfg.OrgMemory, AdoptVault: s.cfg.AdoptVault, AllowUnsafe: s.cfg.AllowUnsafe, AwaitLedger: s.cfg.RemoteVault, Now: s.cfg.Now, Clock: s.clock, Log: s.cfg.Log,
		Destroyed: s.keepDestroyed(s.cfg.Witness), Panics: s.panics}, s.storeMetrics)
	if err != nil {
		return err
	}
	s.onStop(s.Store.Close)
	return nil
}

// project starts what follows the ledger. Both are observers before any org is
// used but _system, of which neither keeps anything.
func (s *service) project(ctx context.Context) error {
	js, err := jetstream.New(s.conn)
	if err != nil {
		return fmt.Errorf("projections: %w", err)
	}
	bulk, err := jetstream.New(s.bulk)
	if err != nil {
		return fmt.Errorf("projections: %w", err)
	}
	s.Permissions, err = permissions.New(ctx, permissions.Config{Store: s.Store, JS: js, Bulk: bulk, Keys: s.Keys, LogKey: s.logKey, Metrics: s.metrics, Now: s.cfg.Now, Log: s.cfg.Log})
	if err != nil {
		return err
	}
	if s.issuer != nil {
		s.admission, err = admission.New(admission.Config{Conn: s.conn, System: s.system, Issuer: s.issuer, Gateways: s.gateways,
			Store: s.Store, Metrics: s.metrics, Now: s.wall, Log: s.cfg.Log})
		if err != nil {
			return err
		}
	}
	timer := due.New(due.Config{Store: s.Store, Now: s.cfg.Now, Log: s.cfg.Log}, due.NewMetrics(s.metrics))
	var publishing sync.WaitGroup
	publish, stopPublishing := context.WithCancel(context.Background())
	publishing.Go(func() {
		if err := s.Permissions.Run(publish); err != nil && publish.Err() == nil {
			s.fail(fmt.Errorf("permissions are not published any more: %w", err))
		}
	})
	running, end := context.WithCancel(context.Background())
	s.ending = end
	s.running.Go(func() { timer.Run(running) })
	s.loader.ctx = running
	// The order: no more commands of the service's own, everything published, then
	// the publishing ends. The store closes after that and takes its snapshots.
	s.onStop(func(ctx context.Context) error {
		end()
		s.running.Wait()
		flushing, cancel := context.WithTimeout(ctx, flushTimeout)
		defer cancel()
		err := s.Permissions.Flush(flushing)
		stopPublishing()
		publishing.Wait()
		return err
	})
	if s.receipts, err = receipts.New(receipts.Config{Conn: s.conn, Metrics: s.metrics, Now: s.cfg.Now, Log: s.cfg.Log}); err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return s.receipts.Close() })
	s.control = control.New(control.Config{Conn: s.conn, Store: s.Store, Tables: s.Permissions, Receipts: s.receipts, Keys: s.Keys, LogKey: s.logKey, Metrics: s.metrics, Now: s.cfg.Now, Log: s.cfg.Log})
	s.onStop(s.control.Stop)
	return nil
}

// serve starts the API, and the metrics where they have an address of their own.
func (s *service) serve(listener net.Listener, boot *httpapi.Bootstrap) error {
	api, err := httpapi.New(httpapi.Config{Store: s.Store, Open: s.Store.OpenEvents, Table: s.Permissions.Table, Doors: s.Permissions, Enrolment: s.enrolment(), Accepted: s.control.Accepted, Receipts: s.receipts, Changed: s.Permissions.Changed, Tables: s.Permissions.Tables, Ready: s.ready, Bootstrap: boot, Metrics: s.metrics, Now: s.cfg.Now, Log: s.cfg.Log, Version: version(), Limits: s.cfg.Limits})
	if err != nil {
		return err
	}
	server := api.Server()
	scheme := "http"
	if s.cfg.TLSCert != "" {
		if server.TLSConfig, err = s.cfg.serverTLS(); err != nil {
			return err
		}
		scheme = "https"
	} else if !isLoopback(listener.Addr()) {
		s.cfg.Log.Warn("tokens and personal data cross the network in clear: give --tls-cert and --tls-key, or put a proxy with TLS before it", "listen", listener.Addr().String())
	}
	s.goServe(server, api.Listener(listener), scheme == "https")
	s.URL = scheme + "://" + reachable(listener.Addr())
	s.cfg.Log.Info("serving", "url", s.URL, "version", version())
	if s.cfg.MetricsListen == "" {
		return nil
	}
	own, err := net.Listen("tcp", s.cfg.MetricsListen)
	if err != nil {
		return fmt.Errorf("the address of the metrics, --metrics-listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", api.MetricsHandler())
	mux.Handle("GET /readyz", api.ReadinessHandler())
	s.goServe(&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}, own, false)
	s.MetricsURL = "http://" + reachable(own.Addr()) + "/metrics"
	s.cfg.Log.Info("serving metrics", "url", s.MetricsURL)
	return nil
}

// goServe serves until a stop, which waits for the requests under way.
func (s *service) goServe(server *http.Server, listener net.Listener, withTLS bool) {
	var serving sync.WaitGroup
	serving.Go(func() {
		serve := server.Serve
		if withTLS {
			serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
		}
		if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("the API is not served any more: %w", err))
		}
	})
	s.onStop(func(ctx context.Context) error {
		shutting, cancel := context.WithTimeout(ctx, shutdownTimeout)
		defer cancel()
		err := server.Shutdown(shutting)
		if err != nil {
			err = errors.Join(fmt.Errorf("requests were cut off: %w", err), server.Close())
		}
		serving.Wait()
		return err
	})
}

// fail ends the service, for the first of several reasons.
func (s *service) fail(err error) {
	select {
	case s.Failed <- err:
	default: // it ends already
	}
}
