package eventstore

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
)

// minServer is the oldest nats-server whose fsync before the acknowledgement is
// whole: in 2.14.5 the inline compaction of a block was not fsynced.
var minServer = [3]int{2, 15, 2}

// checkEmbedded returns the unsafe settings of the server in this process.
func checkEmbedded(e *Embedded) []UnsafeSetting {
	cfg := e.Server().JetStreamConfig()
	return checkServer("the embedded server", server.VERSION, cfg != nil && cfg.SyncAlways)
}

// serversAnswer is how long the servers of a cluster have to tell their settings.
// lateAnswer is how long the others have when a majority has told them. serversTries is
// how often too few answers are asked for again.
const (
	serversAnswer = 2 * time.Second
	lateAnswer    = 300 * time.Millisecond
	serversTries  = 3
)

// A roll is what the servers of a cluster told when they were asked for their
// settings.
type roll struct {
	told   map[string][]UnsafeSetting // by name, of each server that answered: what is not safe of it
	silent []string                   // the others, as the cluster names them, in order
	size   int                        // of the cluster, by its own count
	slow   map[string]int64           // by name: connections that the server found too slow since its start
}

// majority is how many of the servers a cluster needs to take anything.
func (r roll) majority() int { return r.size/2 + 1 }

// unsafe lists the settings that are not safe, by the names of the servers.
func (r roll) unsafe() (out []UnsafeSetting) {
	for _, name := range slices.Sorted(maps.Keys(r.told)) {
		out = append(out, r.told[name]...)
	}
	return out
}

// checkServers asks the servers of the cluster for their settings, which needs
// credentials of the system account. A majority is enough, for that is what the
// cluster itself goes on with; the others are asked again while the store runs.
// Less counts as unknown settings, and unknown is unsafe: that is what it returns
// beside the settings that are known.
func checkServers(ctx context.Context, sys *nats.Conn, replicas int) (roll, []UnsafeSetting, error) {
	if sys == nil {
		return roll{}, []UnsafeSetting{{"the cluster", "sync_interval", "unknown",
			"always on every server; give system credentials (--nats-system-creds or --nats-system-nkey) so that it can be checked"}}, nil
	}
	for try := 1; ; try++ {
		r, err := surveyServers(ctx, sys, replicas)
		if err != nil {
			return r, nil, err
		}
		if len(r.told) >= r.majority() {
			return r, nil, nil
		}
		if try == serversTries {
			return r, []UnsafeSetting{{"the cluster", "servers that told their settings", strconv.Itoa(len(r.told)),
				fmt.Sprintf("at least %d, the majority of %d", r.majority(), r.size)}}, nil
		}
	}
}

// surveyServers asks every server once. How many there are the servers say themselves:
// the group that keeps the cluster's streams in order counts its members, whether
// they are up or not. There are at least as many as the streams have replicas.
func surveyServers(ctx context.Context, sys *nats.Conn, replicas int) (roll, error) {
	r := roll{told: map[string][]UnsafeSetting{}, slow: map[string]int64{}, size: replicas}
	members := map[string]bool{}
	inbox := sys.NewInbox()
	sub, err := sys.SubscribeSync(inbox)
	if err != nil {
		return r, fmt.Errorf("eventstore: ask the servers for their settings: %w", err)
	}
	if err := sys.PublishRequest("$SYS.REQ.SERVER.PING.VARZ", inbox, nil); err != nil {
		return r, errors.Join(fmt.Errorf("eventstore: ask the servers for their settings: %w", err), sub.Unsubscribe())
	}
	ctx, cancel := context.WithTimeout(ctx, serversAnswer)
	defer cancel()
	for len(r.told) < r.size {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			break // nothing more comes
		}
		var reply struct {
			Data server.Varz `json:"data"`
		}
		if err := json.Unmarshal(msg.Data, &reply); err != nil {
			return r, errors.Join(fmt.Errorf("eventstore: read the settings of a server: %w", err), sub.Unsubscribe())
		}
		js := reply.Data.JetStream
		if js.Config == nil {
			continue // a server without JetStream stores nothing
		}
		r.told[reply.Data.Name] = checkServer("server "+reply.Data.Name, reply.Data.Version, js.Config.SyncAlways)
		r.slow[reply.Data.Name] = reply.Data.SlowConsumers
		if js.Meta != nil {
			r.size = max(r.size, js.Meta.Size)
			members[js.Meta.Leader] = true
			for _, m := range js.Meta.Replicas {
				members[m.Name] = true
			}
		}
		if len(r.told) == r.majority() {
			defer time.AfterFunc(lateAnswer, cancel).Stop()
		}
	}
	delete(members, "") // there was no leader
	for name := range members {
		if _, told := r.told[name]; !told {
			r.silent = append(r.silent, name)
		}
	}
	slices.Sort(r.silent)
	return r, sub.Unsubscribe()
}

func checkServer(where, version string, syncAlways bool) []UnsafeSetting {
	var out []UnsafeSetting
	if !syncAlways {
		out = append(out, UnsafeSetting{where, "sync_interval", "lazy", "always"})
	}
	if !versionAtLeast(version, minServer) {
		out = append(out, UnsafeSetting{where, "version", strconv.Quote(version), fmt.Sprintf("v%d.%d.%d or newer", minServer[0], minServer[1], minServer[2])})
	}
	return out
}

// versionAtLeast reads a version as 2.15.2 or v2.15.2-beta; a pre-release counts
// as older than its release, anything else as too old.
func versionAtLeast(v string, least [3]int) bool {
	v, pre, _ := strings.Cut(strings.TrimPrefix(v, "v"), "-")
	parts := strings.Split(v, ".")
	if len(parts) != 3 {
		return false
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil {
			return false
		}
		if n != least[i] {
			return n > least[i]
		}
	}
	return pre == ""
}
