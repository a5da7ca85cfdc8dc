package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/eventstore"
	"gatehouse/eventstore/vault"
)

// Streams are the streams that a backup consists of. Every other one is derived from them.
var Streams = []string{eventstore.StreamLedger, eventstore.StreamActivity, eventstore.StreamPermissions, eventstore.StreamRefusals}

// A Source gives what is to be backed up while it is in use.
type Source interface {
	// State tells where the streams stand.
	State(ctx context.Context) (*State, error)
	// Read gives the messages of a stream between two sequences, both inclusive, but for those that are not there.
	Read(ctx context.Context, stream string, from, until uint64, f func(*Message) error) error
	// Vault writes a copy of the vault, see [vault.Vault.Copy].
	Vault(ctx context.Context, w io.Writer) error
}

// State is where the streams of a ledger stand.
type State struct {
	Streams []StreamState `json:"streams"`
	Vault   string        `json:"vault"` // its id
}

// StreamState is where one stream stands.
type StreamState struct {
	Name  string    `json:"name"`
	Made  time.Time `json:"made"`
	First uint64    `json:"first"`
	Last  uint64    `json:"last"`
}

// Store is the source beside a store: its streams, and the vault that it holds.
type Store struct {
	JS    jetstream.JetStream
	Vault *vault.Vault // nil: another instance holds it, and the backup is to be made there
}

// ErrNoVault says that this instance has no vault to copy.
var ErrNoVault = errors.New("another instance holds the vault: make the backup there, beside its --vault local")

// Source gives the source, unless this instance does not hold the vault.
func (s Store) Source() (Source, error) {
	if s.Vault == nil {
		return nil, fmt.Errorf("backup: %w", ErrNoVault)
	}
	return &live{s.JS, s.Vault}, nil
}

type live struct {
	js    jetstream.JetStream
	vault *vault.Vault
}

// State implements [Source].
func (l *live) State(ctx context.Context) (*State, error) {
	var st State
	for _, name := range Streams {
		stream, err := l.js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("backup: look at stream %s: %w", name, err)
		}
		info := stream.CachedInfo()
		st.Streams = append(st.Streams, StreamState{name, info.Created.UTC(), info.State.FirstSeq, info.State.LastSeq})
	}
	var err error
	st.Vault, err = l.vault.ID(ctx)
	return &st, err
}

// Vault implements [Source].
func (l *live) Vault(ctx context.Context, w io.Writer) error { return l.vault.Copy(ctx, w) }

// Patience of a reading: messages are asked for so many ahead that the server works on one connection's worth, and for so
// long before the reading is begun anew, a few times.
const (
	readAhead  = 1000
	readTries  = 5
	readExpiry = 10 * time.Second
)

// Read implements [Source]. A consumer that is lost, as with its server in a cluster, is made again behind what was read.
func (l *live) Read(ctx context.Context, stream string, from, until uint64, f func(*Message) error) error {
	var failed error // what f answered, which no second reading mends
	next := from
	for tries := 1; next <= until; tries++ {
		err := l.readOnce(ctx, stream, next, until, func(m *Message) error {
			if failed = f(m); failed == nil {
				next, tries = m.Seq+1, 1
			}
			return failed
		})
		if err == nil || failed != nil {
			return failed
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if tries == readTries {
			return fmt.Errorf("backup: read %s from message %d: %w", stream, next, err)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// readOnce reads with one consumer. It ends at until, or where the server says that nothing comes behind: the last message
// may have been taken by retention.
func (l *live) readOnce(ctx context.Context, stream string, from, until uint64, f func(*Message) error) error {
	making, cancel := context.WithTimeout(ctx, readExpiry)
	defer cancel()
	cons, err := l.js.OrderedConsumer(making, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, InactiveThreshold: time.Minute})
	if err != nil {
		return err
	}
	if info := cons.CachedInfo(); info != nil && info.NumPending == 0 {
		return nil
	}
	msgs, err := cons.Messages(jetstream.PullMaxMessages(readAhead), jetstream.PullExpiry(readExpiry), jetstream.PullHeartbeat(readExpiry/4))
	if err != nil {
		return err
	}
	defer msgs.Stop()
	stop := context.AfterFunc(ctx, msgs.Stop)
	defer stop()
	for {
		msg, err := msgs.Next()
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		seq := meta.Sequence.Stream
		if seq > until {
			return nil
		}
		m := &Message{Seq: seq, Time: meta.Timestamp.UTC(), Subject: msg.Subject(), Header: msg.Headers(), Body: msg.Data()}
		if err := f(m); err != nil || seq == until || meta.NumPending == 0 {
			return err
		}
	}
}
