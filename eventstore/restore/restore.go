// Package restore restores a ledger from a backup, and decides at which position each
// org continues.
//
// # The order, and why
//
// The whole backup is verified before anything is written: a flipped bit, a missing
// segment or a wrong key is found while the directory is still empty. From the first
// step on the directory is marked as unfinished, and serve refuses it; so is the ledger
// stream of a cluster. A restore that was killed starts again.
//
// Commits, activity, permissions and refusals are published unchanged, in their order.
// The commits are read back by the store's own rules, and every head is compared with
// the backup's. Sequences and times of messages are new, and nothing but the store
// knows sequences: snapshots are not restored, marks are made again, the vault's cursor
// starts again with the stream. Refusals are kept for their whole time again.
//
// # Losses
//
// Each org continues with LedgerRestored above the highest number that is known to have
// been used, and a margin: see [domain.LedgerRestored]. That holds also for a backup
// with no known loss, since nobody knows the last second before a power cut; a gateway
// may have seen it. If a loss is known, or no witness was asked, access that was taken
// away in the lost part is valid again. So an operator accepts the loss by the position
// where the ledger ends, and until then a mark beyond that position keeps the org from
// being served.
//
// # Erased people
//
// The copy of the vault may be older than an erasure. Erasures in the restored ledger
// are carried out when it is read. For later ones the witness knows the ids of the
// keys; without one an operator lists them, or states that there are none, which is
// recorded. People and PINs whose data such keys sealed end on record when the org
// continues.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/backup"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

// Conns are the connections to the servers that hold the streams.
type Conns struct {
	Conn     *nats.Conn           // of the service
	Operator *nats.Conn           // may make, change and remove streams
	System   *nats.Conn           // to the system account; nil means none was given
	Embedded *natsserver.Embedded // nil means a cluster
}

// Config is the input of a restore. A field that is not marked optional is required.
type Config struct {
	Data      string // directory whose lock the caller holds
	Target    string // name of the target from which the backup was opened
	Backup    *backup.Backup
	Master    vault.Master
	Witnesses []string                    // optional: directories with marks
	Accept    map[domain.ID]wire.Position // optional: losses that an operator accepts
	Erased    []Erased                    // optional: people and keys that were erased since
	NoErased  bool                        // an operator states that there are none
	Cluster   bool
	Replicas  int
	// Connect starts or reaches the servers. It is called once the directory is ready.
	Connect func(ctx context.Context) (Conns, error)
	Now     func() time.Time
	Log     *slog.Logger
}

var (
	// ErrErased says that nobody stated who was erased since the backup.
	ErrErased = errors.New("the vault of a backup may have keys of people who were erased since: give --witness DIR, or --erased FILE with a line \"ORG PERSON\" for each, or --no-erased when you know that there are none, which is recorded")
	// ErrWaiting says that losses must be accepted before anything is written.
	ErrWaiting = errors.New("what is lost must be accepted first")
)

// Run restores. It returns the record as far as it came. After an error nothing may be
// served from the directory, and Run must be called again.
func Run(ctx context.Context, cfg Config) (*Record, error) {
	if len(cfg.Witnesses) == 0 && len(cfg.Erased) == 0 && !cfg.NoErased {
		return nil, fmt.Errorf("restore: %w", ErrErased)
	}
	if err := requireEmpty(cfg.Data); err != nil {
		return nil, err
	}
	report, err := cfg.Backup.Verify(ctx)
	if err != nil {
		return nil, err
	}
	r := &Record{Target: cfg.Target, Begun: cfg.Now().UTC(), Backup: cfg.Backup.Manifest().Begun, Cluster: cfg.Cluster, NoErased: cfg.NoErased}
	if r.Orgs, err = plan(ctx, cfg.Backup, report.Heads, cfg.Witnesses); err != nil {
		return nil, err
	}
	if err := accept(r.Orgs, cfg.Accept); err != nil {
		return nil, err
	}
	if waiting := r.Waiting(); cfg.Cluster && len(waiting) > 0 {
		// Other instances have no directory that says which orgs wait.
		return r, fmt.Errorf("restore: %w: into a cluster all of it at once; nothing was written", ErrWaiting)
	}
	if err := r.write(cfg.Data); err != nil {
		return nil, err
	}
	run := &run{cfg: cfg, record: r}
	if err := run.all(ctx); err != nil {
		return r, err
	}
	r.Whole = true
	return r, r.write(cfg.Data)
}

// run is one restore in progress.
type run struct {
	cfg    Config
	record *Record
	conns  Conns
	js     jetstream.JetStream
	vault  *vault.Vault
}

func (r *run) all(ctx context.Context) (err error) {
	if err := r.openVault(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.vault.Close()) }()
	id, err := r.vault.ID(ctx)
	if err != nil {
		return err
	}
	if r.conns, err = r.cfg.Connect(ctx); err != nil {
		return err
	}
	if r.js, err = jetstream.New(r.conns.Conn, jetstream.WithPublishAsyncMaxPending(2*window)); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	operator, err := jetstream.New(r.conns.Operator)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := streams.BeginRestore(ctx, operator, r.cfg.Replicas, id); err != nil {
		return err
	}
	for _, stream := range backup.Streams {
		if err := r.publish(ctx, stream); err != nil {
			return fmt.Errorf("restore: stream %s: %w", stream, err)
		}
	}
	if err := r.goOn(ctx); err != nil {
		return err
	}
	if err := r.hold(); err != nil {
		return err
	}
	return streams.FinishRestore(ctx, operator)
}

// openVault restores the vault. Before anything can use it, it destroys the keys that
// the witnesses know to be destroyed.
func (r *run) openVault(ctx context.Context) error {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(r.cfg.Backup.Vault(ctx, writer)) }()
	err := vault.PutBack(ctx, r.cfg.Data, r.cfg.Master, reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		return err
	}
	if r.vault, err = vault.Open(ctx, r.cfg.Data, r.cfg.Master); err != nil {
		return err
	}
	for _, dir := range r.cfg.Witnesses {
		if err := mark.CopyDestroyed(dir, r.cfg.Data); err != nil {
			return errors.Join(err, r.vault.Close())
		}
	}
	keys, err := mark.ReadDestroyed(r.cfg.Data)
	if err == nil {
		err = r.destroy(ctx, keys)
	}
	if err != nil {
		return errors.Join(err, r.vault.Close())
	}
	return nil
}

func (r *run) destroy(ctx context.Context, keys []mark.DestroyedKey) error {
	of := map[domain.ID][]string{}
	for _, k := range keys {
		of[k.Org] = append(of[k.Org], k.Key)
	}
	for org, ids := range of {
		if err := r.vault.Destroy(ctx, string(org), ids, vault.Cursor{}); err != nil {
			return fmt.Errorf("restore: destroy again what was destroyed of %s: %w", org, err)
		}
	}
	return nil
}

// goOn opens the restored ledger and compares every head with the backup. It destroys
// the keys that an operator names, and continues the orgs that need no acceptance.
//
// The directory gets marks here. A kill while LedgerRestored is written then leaves a
// torn tail that is known as one, and no damage that holds every org.
func (r *run) goOn(ctx context.Context) (err error) {
	marks, err := mark.OpenMarks(r.cfg.Data, "", mark.Patience, r.cfg.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, marks.Close()) }()
	s, err := r.open(ctx, marks)
	if err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, s.Close(stopping))
	}()
	for _, o := range r.record.Orgs {
		head, err := s.Head(ctx, o.Org)
		if err != nil {
			return fmt.Errorf("restore: read %s again: %w", o.Org, err)
		}
		if head.Position() != o.Head || head.Hash != o.Hash {
			return fmt.Errorf("restore: the ledger of %s ends at %s (%s), and in the backup at %s (%s)", o.Org, head.Position(), head.Hash, o.Head, o.Hash)
		}
	}
	if err := r.erase(ctx, s); err != nil {
		return err
	}
	for i := range r.record.Orgs {
		if err := r.goOnWith(ctx, s, &r.record.Orgs[i]); err != nil {
			return err
		}
	}
	return r.remember(ctx, s)
}

// orgsInMemory is how many orgs are held at once. Each is read twice, in turn.
const orgsInMemory = 10

// open opens the restored ledger.
func (r *run) open(ctx context.Context, marks *mark.Marks) (*eventstore.Store, error) {
	return eventstore.Open(ctx, eventstore.Config{Conn: r.conns.Conn, System: r.conns.System, Embedded: r.conns.Embedded, Replicas: r.cfg.Replicas,
		Snapshots: filepath.Join(r.cfg.Data, "snapshots"), Marks: marks, Keys: r.vault, Vault: r.vault, Memory: orgsInMemory, Restoring: true, Now: r.cfg.Now, Log: r.cfg.Log,
		Destroyed: func(org domain.ID, keys []string) error { return NoteDestroyed(r.cfg.Data, org, keys) },
	}, eventstore.NewMetrics(prometheus.NewRegistry()))
}

// NoteDestroyed records keys in a directory before they are destroyed.
func NoteDestroyed(dir string, org domain.ID, keys []string) error {
	all := make([]mark.DestroyedKey, len(keys))
	for i, k := range keys {
		all[i] = mark.DestroyedKey{Org: org, Key: k}
	}
	return mark.NoteDestroyed(dir, all)
}

// erase destroys the keys of the people that an operator names.
func (r *run) erase(ctx context.Context, s *eventstore.Store) error {
	for _, e := range r.cfg.Erased {
		key := e.ID
		err := s.View(ctx, e.Org, func(state *domain.State, _ eventstore.Head) error {
			if of := state.KeyOf(domain.ID(e.ID)); of != "" {
				key = of
			}
			return nil
		})
		if err == nil {
			err = NoteDestroyed(r.cfg.Data, e.Org, []string{key})
		}
		if err == nil {
			err = r.destroy(ctx, []mark.DestroyedKey{{Org: e.Org, Key: key}})
		}
		if err != nil {
			return fmt.Errorf("restore: erase %s of %s again: %w", e.ID, e.Org, err)
		}
	}
	return nil
}

// goOnWith continues an org, unless it waits for acceptance or has already continued.
// People whose erasure it lost are erased again.
func (r *run) goOnWith(ctx context.Context, s *eventstore.Store, o *Org) error {
	if o.Waits() || o.GoesOn.N > 0 {
		return nil
	}
	end, err := s.EndOf(ctx, o.Org)
	if err != nil {
		return fmt.Errorf("restore: look where %s ends: %w", o.Org, err)
	}
	if end.Head.Position().Epoch > o.Head.Epoch { // a killed process had continued it without writing that down
		o.GoesOn = end.Head.Position()
		return nil
	}
	destroyed, err := mark.ReadDestroyed(r.cfg.Data)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	loss := o.loss()
	for _, k := range destroyed {
		if k.Org == o.Org {
			loss.Destroyed = append(loss.Destroyed, k.Key)
		}
	}
	result, err := s.GoOn(ctx, o.Org, loss)
	if err != nil {
		return fmt.Errorf("restore: go on with %s: %w", o.Org, err)
	}
	o.GoesOn = result.Position
	return nil
}

// remember records the operator's decisions in _system.
func (r *run) remember(ctx context.Context, s *eventstore.Store) error {
	var words []domain.RecordOverride
	if r.cfg.NoErased {
		words = append(words, domain.RecordOverride{Setting: "restore --no-erased", Value: "nobody was erased since the backup, an operator said", Needed: "--witness or --erased"})
	}
	for _, o := range r.record.Orgs {
		if _, now := r.cfg.Accept[o.Org]; now {
			words = append(words, domain.RecordOverride{Setting: "restore --accept-loss", Value: fmt.Sprintf("%s=%s; it goes on at %s", o.Org, o.Head, o.GoesOn), Needed: "no loss"})
		}
	}
	for _, o := range r.record.Orgs {
		if o.Org == domain.SystemOrg && o.Waits() {
			if len(words) > 0 {
				return fmt.Errorf("restore: %w: the org %s keeps what an operator decides; give --accept-loss %s=%s too", ErrWaiting, o.Org, o.Org, o.Head)
			}
			return nil
		}
	}
	for i, word := range words {
		_, err := s.Execute(ctx, domain.SystemOrg, eventstore.Request{
			ID:      domain.DeriveUUID(domain.UUID{}, fmt.Sprintf("restore/%s/%d", r.cfg.Now().UTC().Format(time.RFC3339Nano), i)),
			Command: "RecordOverride", Fields: []any{&word}, Actor: domain.ServiceActor("restore"),
		})
		if err != nil {
			return fmt.Errorf("restore: record %s: %w", word.Setting, err)
		}
	}
	return nil
}

// hold keeps waiting orgs from being served: their mark is beyond their ledger.
func (r *run) hold() (err error) {
	waiting := r.record.Waiting()
	if len(waiting) == 0 {
		return nil
	}
	file, err := mark.Open(r.cfg.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for _, o := range waiting {
		m := mark.Mark{Org: o.Org, Epoch: o.Head.Epoch, N: o.LostTo}
		if o.KnownBy != "" {
			m.Epoch, m.N = o.Known.Epoch, o.Known.N
		}
		if err := file.Advance(m); err != nil {
			return err
		}
	}
	return nil
}
