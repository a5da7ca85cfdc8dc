package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/schemas"
)

// The streams of the service. Their names and subjects are part of the contract.
const (
	StreamLedger      = "LEDGER"      // ledger.<shard>.<org>: one commit a message, for ever
	StreamActivity    = "ACTIVITY"    // activity.<org>.<site>.<gateway>: what was observed
	StreamPermissions = "PERMISSIONS" // permissions.<org>.<site>: what gateways decide on
	StreamRefusals    = "REFUSALS"    // refusals.<org>: refused commands without their bodies
)

// historyAge is how long permissions and refusals are kept: the audit horizon. The
// service takes out what is older by its own time: an age limit of the stream goes by the
// clock of the server, which would take out everything at once when it jumps ahead.
const historyAge = 400 * 24 * time.Hour

// wanted returns the settings of a stream as this code makes it.
func wanted(replicas int) []jetstream.StreamConfig {
	base := jetstream.StreamConfig{
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1, MaxMsgSize: 1 << 20, Replicas: replicas,
		// Our guards make repeats harmless, so the server need not remember ids.
		Duplicates: 100 * time.Millisecond,
	}
	ledger, activity, permissions, refusals := base, base, base, base

	ledger.Name, ledger.Subjects = StreamLedger, []string{"ledger.*.*"}
	ledger.Description = "Gatehouse: every accepted command, for ever"
	ledger.DenyDelete, ledger.DenyPurge = true, true
	ledger.MaxMsgSize = schemas.MaxCommit + 4096 // headers

	activity.Name, activity.Subjects = StreamActivity, []string{"activity.*.*.*"}
	activity.Description = "Gatehouse: what was observed at doors and gateways"
	activity.AllowAtomicPublish, activity.DenyDelete = true, true

	permissions.Name, permissions.Subjects = StreamPermissions, []string{"permissions.*.*", "permissions.*.*.base"}
	permissions.Description = "Gatehouse: the rows that gateways decide on, as they changed"
	permissions.AllowAtomicPublish = true

	refusals.Name, refusals.Subjects = StreamRefusals, []string{"refusals.*"}
	refusals.Description = "Gatehouse: refused commands, without their bodies"
	refusals.DenyDelete = true
	return []jetstream.StreamConfig{ledger, activity, permissions, refusals}
}

// An UnsafeSetting is a setting that can lose or rewrite what was acknowledged.
type UnsafeSetting struct {
	Where   string // a stream or a server
	Setting string
	Value   string
	Needed  string
}

// String tells what is set, where, and what is needed.
func (u UnsafeSetting) String() string {
	return fmt.Sprintf("%s: %s is %s, needed: %s", u.Where, u.Setting, u.Value, u.Needed)
}

// A survey is what was found of the streams.
type survey struct {
	unsafe  []UnsafeSetting // can lose or rewrite what was acknowledged
	differs []UnsafeSetting // are not as this version makes them, and lose nothing
}

// openStreams makes the streams that are absent and looks at the settings of the
// others. It does not change an unsafe setting: somebody chose it, and an operator
// should first ask what it has lost already. With the embedded server it brings
// harmless settings to this version; on a cluster the operator does ([ApplyStreams]).
func (cfg *Config) openStreams(ctx context.Context, js jetstream.JetStream) (survey, error) {
	if cfg.AwaitLedger {
		awaitLedger(ctx, js)
	}
	found, err := surveyStreams(ctx, js, cfg)
	if err != nil || len(found.unsafe) > 0 || len(found.differs) == 0 {
		return found, err
	}
	err = cfg.asOperator(func(nc *nats.Conn) error {
		_, err := ApplyStreams(ctx, nc, cfg.Replicas, "")
		return err
	})
	if errors.Is(err, errNotOperator) {
		return found, nil
	}
	return survey{}, err
}

// awaitLedger waits until the ledger exists. The ledger then names its vault from the
// beginning. It waits for clusterPatience at most, in case the instance that holds the
// vault is long in coming.
func awaitLedger(ctx context.Context, js jetstream.JetStream) {
	for deadline := time.Now().Add(clusterPatience); time.Now().Before(deadline); {
		if _, err := js.Stream(ctx, StreamLedger); err == nil || pause(ctx, 100*time.Millisecond) != nil {
			return
		}
	}
}

func surveyStreams(ctx context.Context, js jetstream.JetStream, cfg *Config) (survey, error) {
	var found survey
	for _, want := range wanted(cfg.Replicas) {
		made := want
		if want.Name == StreamLedger && cfg.Vault != nil {
			id, err := cfg.Vault.ID(ctx)
			if err != nil {
				return found, fmt.Errorf("eventstore: %w", err)
			}
			made.Metadata = withVault(nil, id)
		}
		stream, err := openStream(ctx, js, made)
		if err != nil {
			return found, fmt.Errorf("eventstore: stream %s: %w", want.Name, err)
		}
		found.add(want, stream.CachedInfo().Config)
	}
	return found, nil
}

func (s *survey) add(want, have jetstream.StreamConfig) {
	s.unsafe = append(s.unsafe, unsafeSettings(want, have)...)
	s.differs = append(s.differs, differentSettings(want, have)...)
}

// clusterPatience is how long the start waits for a cluster that is still starting up.
// Such a cluster has no place for a stream yet.
const clusterPatience = 20 * time.Second

// streamTry is how long one try to open or make a stream may take. When two
// instances make the same stream at once, the cluster answers one of them alone.
const streamTry = 2 * time.Second

// openStream opens a stream or makes it.
func openStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	for deadline := time.Now().Add(clusterPatience); ; {
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
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func tryStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTry)
	defer cancel()
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
	}
	return stream, err
}

// notYetCodes are the server's errors while a cluster is coming up.
var notYetCodes = map[jetstream.ErrorCode]bool{
	10005: true, // no suitable peers for placement
	10008: true, // JetStream system temporarily unavailable
	10009: true, // JetStream not in cluster or not current
	10074: true, // not enough peers online
}

// differentSettings names what a stream has other than this version makes it, though
// nothing is lost by it.
func differentSettings(want, have jetstream.StreamConfig) []UnsafeSetting {
	var out []UnsafeSetting
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
			out = append(out, UnsafeSetting{where, c.setting, have, want})
		}
	}
	if agedAsBefore(have) {
		out = append(out, UnsafeSetting{where, "max_age", have.MaxAge.String(), "0: the service takes out what is older than that"})
	}
	return out
}

// unsafeSettings compares what a stream has with what keeps every acknowledged
// message, in nats-server 2.15.
func unsafeSettings(want, have jetstream.StreamConfig) []UnsafeSetting {
	var out []UnsafeSetting
	need := func(ok bool, setting string, value any, needed string) {
		if !ok {
			out = append(out, UnsafeSetting{"stream " + have.Name, setting, fmt.Sprint(value), needed})
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
	return have.Name == StreamRefusals && have.MaxAge >= historyAge
}
