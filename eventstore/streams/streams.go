// Package streams keeps the streams of the service on JetStream: their names, how they
// are made and changed, and which of their settings could lose what was acknowledged.
//
// It knows nothing of what the messages say. Its [Setting] is also the form in which an
// unsafe setting of a server is told.
package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/schemas"
)

// The streams of the service. Their names and subjects are part of the contract.
const (
	Ledger      = "LEDGER"      // ledger.<shard>.<org>: one commit a message, for ever
	Activity    = "ACTIVITY"    // activity.<org>.<site>.<gateway>: what was observed
	Permissions = "PERMISSIONS" // permissions.<org>.<site>: what gateways decide on
	Refusals    = "REFUSALS"    // refusals.<org>: refused commands without their bodies
)

// VaultKey is the entry of the ledger stream's metadata that names its vault.
const VaultKey = "gatehouse_vault"

// DamageAdvice is what an operator does about a damaged ledger.
const DamageAdvice = "put the ledger back from a copy that is whole, and start again"

// HistoryAge is how long permissions and refusals are kept: the audit horizon. The
// service takes out what is older by its own time: an age limit of the stream goes by the
// clock of the server, which would take out everything at once when it jumps ahead.
const HistoryAge = 400 * 24 * time.Hour

// Wanted returns the settings of a stream as this code makes it.
func Wanted(replicas int) []jetstream.StreamConfig {
	base := jetstream.StreamConfig{
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1, MaxMsgSize: 1 << 20, Replicas: replicas,
		// Our guards make repeats harmless, so the server need not remember ids.
		Duplicates: 100 * time.Millisecond,
	}
	ledger, activity, permissions, refusals := base, base, base, base

	ledger.Name, ledger.Subjects = Ledger, []string{"ledger.*.*"}
	ledger.Description = "Gatehouse: every accepted command, for ever"
	ledger.DenyDelete, ledger.DenyPurge = true, true
	ledger.MaxMsgSize = schemas.MaxCommit + 4096 // headers

	activity.Name, activity.Subjects = Activity, []string{"activity.*.*.*"}
	activity.Description = "Gatehouse: what was observed at doors and gateways"
	activity.AllowAtomicPublish, activity.DenyDelete = true, true

	permissions.Name, permissions.Subjects = Permissions, []string{"permissions.*.*", "permissions.*.*.base"}
	permissions.Description = "Gatehouse: the rows that gateways decide on, as they changed"
	permissions.AllowAtomicPublish = true

	refusals.Name, refusals.Subjects = Refusals, []string{"refusals.*"}
	refusals.Description = "Gatehouse: refused commands, without their bodies"
	refusals.DenyDelete = true
	return []jetstream.StreamConfig{ledger, activity, permissions, refusals}
}

// A Setting is one that can lose or rewrite what was acknowledged.
type Setting struct {
	Where   string // a stream or a server
	Setting string
	Value   string
	Needed  string
}

// String tells what is set, where, and what is needed.
func (u Setting) String() string {
	return fmt.Sprintf("%s: %s is %s, needed: %s", u.Where, u.Setting, u.Value, u.Needed)
}

// A Report is what is found of the settings of streams.
type Report struct {
	Unsafe  []Setting // can lose or rewrite what was acknowledged
	Differs []Setting // are not as this version makes them, and lose nothing
}

// Await waits until the ledger exists. The ledger then names its vault from the
// beginning. It waits for Patience at most, in case the instance that holds the
// vault is long in coming.
func Await(ctx context.Context, js jetstream.JetStream) {
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); {
		if _, err := js.Stream(ctx, Ledger); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// Add compares the settings of a stream with those that are wanted.
func (r *Report) Add(want, have jetstream.StreamConfig) {
	r.Unsafe = append(r.Unsafe, Unsafe(want, have)...)
	r.Differs = append(r.Differs, Different(want, have)...)
}

// Patience is how long the start waits for a cluster that is still starting up.
// Such a cluster has no place for a stream yet.
const Patience = 20 * time.Second

// tryTime is how long one try to open or make a stream may take. When two
// instances make the same stream at once, the cluster answers one of them alone.
const tryTime = 2 * time.Second

// Open opens a stream or makes it.
func Open(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	for deadline := time.Now().Add(Patience); ; {
		stream, err := tryStream(ctx, js, want)
		if err == nil {
			return stream, nil
		}
		later := errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) || // another instance was first
			errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
		if js, ok := errors.AsType[jetstream.JetStreamError](err); ok && js.APIError() != nil {
			later = later || notYetCodes[js.APIError().ErrorCode]
		}
		if !later || time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(again):
		}
	}
}

func tryStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
	}
	return stream, err
}

// again is the pause between two tries.
const again = 100 * time.Millisecond

// Look returns a stream; nil when it does not exist. It waits for a cluster that is
// still coming up, up to Patience.
func Look(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	for deadline := time.Now().Add(Patience); ; {
		stream, err := lookOnce(ctx, js, name)
		if err == nil {
			return stream, nil
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, nil
		}
		if time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(again):
		}
	}
}

func lookOnce(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	return js.Stream(ctx, name)
}

// notYetCodes are the server's errors while a cluster is coming up.
var notYetCodes = map[jetstream.ErrorCode]bool{
	10005: true, // no suitable peers for placement
	10008: true, // JetStream system temporarily unavailable
	10009: true, // JetStream not in cluster or not current
	10074: true, // not enough peers online
}

// Different names what a stream has other than this version makes it, though
// nothing is lost by it.
func Different(want, have jetstream.StreamConfig) []Setting {
	var out []Setting
	where := "stream " + want.Name
	for _, c := range []struct {
		setting    string
		have, want any
	}{
		{"subjects", have.Subjects, want.Subjects},
		{"max_msg_size", have.MaxMsgSize, want.MaxMsgSize},
		{"allow_direct", have.AllowDirect, want.AllowDirect},
		{"allow_atomic", have.AllowAtomicPublish, want.AllowAtomicPublish},
	} {
		if have, want := fmt.Sprint(c.have), fmt.Sprint(c.want); have != want {
			out = append(out, Setting{where, c.setting, have, want})
		}
	}
	if agedAsBefore(have) {
		out = append(out, Setting{where, "max_age", have.MaxAge.String(), "0: the service takes out what is older than that"})
	}
	return out
}

// Unsafe compares what a stream has with what keeps every acknowledged
// message, in nats-server 2.15.
func Unsafe(want, have jetstream.StreamConfig) []Setting {
	var out []Setting
	need := func(ok bool, setting string, value any, needed string) {
		if !ok {
			out = append(out, Setting{"stream " + have.Name, setting, fmt.Sprint(value), needed})
		}
	}
	need(have.Storage == jetstream.FileStorage, "storage", have.Storage, "file")
	need(have.Retention == jetstream.LimitsPolicy, "retention", have.Retention, "limits")
	need(have.PersistMode == jetstream.DefaultPersistMode, "persist_mode", have.PersistMode, "default: async acknowledges before the fsync")
	need(have.MaxAge == 0 || agedAsBefore(have), "max_age", have.MaxAge, "0, for ever")
	need(have.MaxMsgs <= 0, "max_msgs", have.MaxMsgs, "-1, no limit")
	need(have.MaxMsgsPerSubject <= 0, "max_msgs_per_subject", have.MaxMsgsPerSubject, "-1, no limit")
	need(have.MaxBytes <= 0 || have.Discard == jetstream.DiscardNew, "discard", have.Discard, "new: with max_bytes the old policy deletes what was acknowledged")
	need(have.Discard == jetstream.DiscardNew, "discard", have.Discard, "new")
	need(have.Compression == jetstream.NoCompression, "compression", have.Compression, "none: the server deletes a compressed stream over one damaged block")
	need(!have.NoAck, "no_ack", have.NoAck, "false")
	need(!have.AllowMsgTTL, "allow_msg_ttl", have.AllowMsgTTL, "false")
	need(!have.AllowMsgSchedules, "allow_msg_schedules", have.AllowMsgSchedules, "false")
	need(!have.AllowRollup, "allow_rollup_hdrs", have.AllowRollup, "false")
	need(!have.Sealed, "sealed", have.Sealed, "false")
	need(have.Mirror == nil, "mirror", have.Mirror != nil, "none: a mirror takes no commits")
	need(len(have.Sources) == 0, "sources", len(have.Sources), "none: a source appends without the guard")
	need(have.SubjectTransform == nil, "subject_transform", have.SubjectTransform != nil, "none")
	need(!want.DenyDelete || have.DenyDelete, "deny_delete", have.DenyDelete, "true")
	need(!want.DenyPurge || have.DenyPurge, "deny_purge", have.DenyPurge, "true")
	need(have.Replicas >= want.Replicas, "num_replicas", have.Replicas, fmt.Sprintf("at least %d", want.Replicas))
	return out
}

// agedAsBefore reports whether a stream has the age limit that earlier versions gave it.
func agedAsBefore(have jetstream.StreamConfig) bool {
	return have.Name == Refusals && have.MaxAge >= HistoryAge
}

// Lines writes settings one to a line, each behind a newline.
func Lines(settings []Setting) string {
	out := ""
	for _, s := range settings {
		out += "\n  " + s.String()
	}
	return out
}

// apiTimeout bounds one request to the server.
const apiTimeout = 5 * time.Second
