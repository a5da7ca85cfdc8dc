package eventstore

import (
	"encoding/json"
	"fmt"
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
	cfg := e.Server.JetStreamConfig()
	return checkServer("the embedded server", server.VERSION, cfg != nil && cfg.SyncAlways)
}

// checkServers asks every server of the cluster for its settings, which needs
// credentials of the system account. Fewer answers than replicas, or none, count
// as unknown settings, and unknown is unsafe.
func checkServers(sys *nats.Conn, replicas int) ([]UnsafeSetting, error) {
	if sys == nil {
		return []UnsafeSetting{{"the cluster", "sync_interval", "unknown",
			"always on every server; give system credentials (--nats-system-creds) so that it can be checked"}}, nil
	}
	inbox := sys.NewInbox()
	sub, err := sys.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("eventstore: ask the servers for their settings: %w", err)
	}
	if err := sys.PublishRequest("$SYS.REQ.SERVER.PING.VARZ", inbox, nil); err != nil {
		return nil, fmt.Errorf("eventstore: ask the servers for their settings: %w", err)
	}
	var unsafe []UnsafeSetting
	answers := 0
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
		wait := time.Until(deadline)
		if answers >= replicas {
			wait = 300 * time.Millisecond // further servers of a larger cluster
		}
		msg, err := sub.NextMsg(wait)
		if err != nil {
			break // nothing more comes
		}
		var reply struct {
			Data server.Varz `json:"data"`
		}
		if err := json.Unmarshal(msg.Data, &reply); err != nil {
			return nil, fmt.Errorf("eventstore: read the settings of a server: %w", err)
		}
		js := reply.Data.JetStream.Config
		if js == nil {
			continue // a server without JetStream stores nothing
		}
		answers++
		unsafe = append(unsafe, checkServer("server "+reply.Data.Name, reply.Data.Version, js.SyncAlways)...)
	}
	if answers < replicas {
		unsafe = append(unsafe, UnsafeSetting{"the cluster", "servers that told their settings", strconv.Itoa(answers), fmt.Sprintf("at least %d", replicas)})
	}
	return unsafe, sub.Unsubscribe()
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
