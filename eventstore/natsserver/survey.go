package natsserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/mod/semver"

	"gatehouse/eventstore/streams"
)

// minServer is the oldest nats-server whose fsync before the acknowledgement is
// whole: in 2.14.5 the inline compaction of a block was not fsynced.
const minServer = "v2.15.2"

// Unsafe returns the settings of the server with which it could lose what it
// acknowledges.
func (e *Embedded) Unsafe() []streams.Setting {
	cfg := e.Server().JetStreamConfig()
	return checkServer("the embedded server", server.VERSION, cfg != nil && cfg.SyncAlways)
}

// Tries is how often servers are asked again while too few answer.
const Tries = 3

// answerTime is how long the servers of a cluster have to answer. lateAnswer is how long
// the others have when a majority has answered.
const (
	answerTime = 2 * time.Second
	lateAnswer = 300 * time.Millisecond
)

// A Survey is what the servers of a cluster told when they were asked for their
// settings.
type Survey struct {
	Told   map[string][]streams.Setting // by name, of each server that answered: what is not safe of it
	Silent []string                     // the others, as the cluster names them, in order
	Size   int                          // of the cluster, by its own count
	Slow   map[string]int64             // by name: connections that the server found too slow since its start
}

// Majority is how many of the servers a cluster needs to take anything.
func (r Survey) Majority() int { return r.Size/2 + 1 }

// Unsafe lists the settings that are not safe, by the names of the servers.
func (r Survey) Unsafe() (out []streams.Setting) {
	for _, name := range slices.Sorted(maps.Keys(r.Told)) {
		out = append(out, r.Told[name]...)
	}
	return out
}

// CheckServers asks the servers of the cluster for their settings, which needs
// credentials of the system account. A majority is enough, for that is what the
// cluster itself goes on with; the others are asked again while the store runs.
// Less counts as unknown settings, and unknown is unsafe: that is what it returns
// beside the settings that are known.
func CheckServers(ctx context.Context, sys *nats.Conn, replicas int) (Survey, []streams.Setting, error) {
	if sys == nil {
		return Survey{}, []streams.Setting{{Where: "the cluster", Setting: "sync_interval", Value: "unknown",
			Needed: "always on every server; give system credentials (--nats-system-creds or --nats-system-nkey) so that it can be checked"}}, nil
	}
	for try := 1; ; try++ {
		r, err := Ask(ctx, sys, replicas)
		if err != nil {
			return r, nil, err
		}
		if len(r.Told) >= r.Majority() {
			return r, nil, nil
		}
		if try == Tries {
			return r, []streams.Setting{{Where: "the cluster", Setting: "servers that told their settings", Value: strconv.Itoa(len(r.Told)),
				Needed: fmt.Sprintf("at least %d, the majority of %d", r.Majority(), r.Size)}}, nil
		}
	}
}

// Ask asks every server once. How many there are the servers say themselves: the group
// that keeps the cluster's streams in order counts its members, whether they are up or
// not. There are at least as many as the streams have replicas.
func Ask(ctx context.Context, sys *nats.Conn, replicas int) (Survey, error) {
	r := Survey{Told: map[string][]streams.Setting{}, Slow: map[string]int64{}, Size: replicas}
	members := map[string]bool{}
	var late *time.Timer // ends the wait when a majority has answered
	err := ping(ctx, sys, func(v server.Varz, stop context.CancelFunc) bool {
		if v.JetStream.Config == nil {
			return true // a server without JetStream stores nothing
		}
		r.Told[v.Name] = checkServer("server "+v.Name, v.Version, v.JetStream.Config.SyncAlways)
		r.Slow[v.Name] = v.SlowConsumers
		if meta := v.JetStream.Meta; meta != nil {
			r.Size = max(r.Size, meta.Size)
			members[meta.Leader] = true
			for _, m := range meta.Replicas {
				members[m.Name] = true
			}
		}
		if len(r.Told) == r.Majority() && late == nil {
			late = time.AfterFunc(lateAnswer, stop)
		}
		return len(r.Told) < r.Size
	})
	if late != nil {
		late.Stop()
	}
	if err != nil {
		return r, fmt.Errorf("natsserver: ask the servers for their settings: %w", err)
	}
	delete(members, "") // there was no leader
	for name := range members {
		if _, told := r.Told[name]; !told {
			r.Silent = append(r.Silent, name)
		}
	}
	slices.Sort(r.Silent)
	return r, nil
}

func checkServer(where, version string, syncAlways bool) []streams.Setting {
	var out []streams.Setting
	if !syncAlways {
		out = append(out, streams.Setting{Where: where, Setting: "sync_interval", Value: "lazy", Needed: "always"})
	}
	if !newEnough(version) {
		out = append(out, streams.Setting{Where: where, Setting: "version", Value: strconv.Quote(version), Needed: minServer + " or newer"})
	}
	return out
}

// newEnough reads the version of a server, with a v or without. A text that is no
// version counts as too old.
func newEnough(version string) bool {
	v := "v" + strings.TrimPrefix(version, "v")
	return semver.IsValid(v) && semver.Compare(v, minServer) >= 0
}

// Clocks asks the servers of a cluster for the offsets of their clocks from a clock
// here. It also returns how many servers there are.
func Clocks(ctx context.Context, sys *nats.Conn, replicas int, now func() time.Time) (offsets []time.Duration, size int, err error) {
	size = replicas
	err = ping(ctx, sys, func(v server.Varz, _ context.CancelFunc) bool {
		offsets = append(offsets, v.Now.Sub(now()))
		if v.JetStream.Meta != nil {
			size = max(size, v.JetStream.Meta.Size)
		}
		return len(offsets) < size
	})
	return offsets, size, err
}

// ping asks every server for its state and passes on each answer. It ends when the
// receiver has enough or time is up.
func ping(ctx context.Context, sys *nats.Conn, f func(v server.Varz, stop context.CancelFunc) (more bool)) (err error) {
	inbox := sys.NewInbox()
	sub, err := sys.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sub.Unsubscribe()) }()
	if err := sys.PublishRequest("$SYS.REQ.SERVER.PING.VARZ", inbox, nil); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for more := true; more; {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil // nothing more comes
		}
		var reply struct {
			Data server.Varz `json:"data"`
		}
		if err := json.Unmarshal(msg.Data, &reply); err != nil {
			return err
		}
		more = f(reply.Data, cancel)
	}
	return nil
}
