package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
)

// Streams are the streams that a backup consists of. Every other one is derived from them.
var Streams = []string{streams.Ledger, streams.Activity, streams.Permissions, streams.Refusals}

// A Source gives what is to be backed up while it is in use.
type Source interface {
	// State tells where the streams stand.
	State(ctx context.Context) (*State, error)
	// Read gives the messages of a stream between two sequences, both inclusive, but
	// for those that are not there.
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

// readTries is how often a reading is started over, a second apart, without a message.
const readTries = 5

// Read implements [Source]. A consumer that is lost, as with its server in a cluster,
// is made again behind what was read.
func (l *live) Read(ctx context.Context, stream string, from, until uint64, f func(*Message) error) error {
	var failed error // what f answered, which no second reading mends
	next := from
	for tries := 1; next <= until; tries++ {
		err := eventstore.ReadSparse(ctx, l.js, stream, next, until, func(msg jetstream.Msg, meta *jetstream.MsgMetadata) error {
			seq := meta.Sequence.Stream
			failed = f(&Message{Seq: seq, Time: meta.Timestamp.UTC(), Subject: msg.Subject(), Header: msg.Headers(), Body: msg.Data()})
			if failed == nil {
				next, tries = seq+1, 1
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
