package permissions

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
)

// crowded is a node with a site of that number of people.
func crowded(b *testing.B, people int) *node {
	bed := newBed(b)
	n := bed.node()
	n.do("acme", house)
	n.settle("acme")
	n.push("acme", "north", crowd(people), nil)
	n.turnAll()
	b.ResetTimer()
	return n
}

// BenchmarkPublish measures a change of one row from the queue to its durable place.
// The cost does not depend on the size of the site.
func BenchmarkPublish(b *testing.B) {
	for _, people := range []int{100, 20_000} {
		b.Run(fmt.Sprint(people), func(b *testing.B) {
			n := crowded(b, people)
			b.ReportAllocs()
			for i := range b.N {
				n.push("acme", "north", []unlock.Row{&unlock.Person{ID: "anna", State: unlock.PersonState(1 + i%2)}}, nil)
				n.turnAll()
			}
		})
	}
}

// BenchmarkBarePublish publishes the same number of bytes, fsynced.
func BenchmarkBarePublish(b *testing.B) {
	n := crowded(b, 1)
	deltas := n.b.deltas("acme", "north")
	body, err := json.Marshal(deltas[len(deltas)-1])
	require.NoError(b, err)
	for range b.N {
		_, err := n.b.js.Publish(b.Context(), subject("acme", "bare"), body, jetstream.WithRetryAttempts(0))
		require.NoError(b, err)
	}
}

// BenchmarkLoad builds the table of a site of 20,000 rows from its published messages.
func BenchmarkLoad(b *testing.B) {
	n := crowded(b, 20_000)
	for range b.N {
		n.b.load("acme", "north")
	}
}

// BenchmarkStolen retires a stolen gateway of a site where 10,000 people have a fob and
// a PIN each. It reports the time and the size of three steps: the commit, the
// publication that withdraws the PINs, and the publication of the tags of the other
// key.
func BenchmarkStolen(b *testing.B) {
	const people, list = 10_000, 500
	bed := newBed(b)
	n := bed.node()
	n.do("acme", house+cabinet)
	n.do("acme", `olga SetSitePolicy {"site":"north","policy":{"fob_holders":"anyone"}}`)
	for from := 0; from < people; from += list {
		each := func(format string) string {
			var entries []string
			for i := from; i < from+list; i++ {
				entries = append(entries, strings.ReplaceAll(format, "#", fmt.Sprint(i)))
			}
			return "[" + strings.Join(entries, ",") + "]"
		}
		n.do("acme", "olga RegisterPerson "+each(`{"person":"v#","name":"Somebody"}`))
		n.do("acme", "olga AssignRole "+each(`{"person":"v#","role":"staff","site":"north"}`))
		n.do("acme", "olga GrantRight "+each(`{"person":"v#","right":"north-doors"}`))
		n.do("acme", "olga AssignFob "+each(`{"credential":"f#","person":"v#","number":"9#","sites":["north"]}`))
		n.do("acme", "olga IssuePin "+each(`{"credential":"p#","person":"v#","sites":["north"]}`))
		n.settle("acme")
	}
	b.ResetTimer()
	for i := range b.N {
		n.do("acme", fmt.Sprintf(`olga RegisterGateway {"gateway":"w%d","site":"north","public_key":%q}`, i, gatewayKey(i)))
		n.turnAll()
		start, size := time.Now(), bed.size()
		lap := func(what string) {
			b.ReportMetric(float64(time.Since(start).Milliseconds()), what+"_ms")
			b.ReportMetric(float64(bed.size()-size)/1e6, what+"_MB")
			start, size = time.Now(), bed.size()
		}
		n.do("acme", fmt.Sprintf(`olga RetireGateway {"gateway":"w%d","reason":"stolen"}`, i))
		lap("committed")
		n.turnAll()
		lap("taken_away")
		n.settle("acme")
		lap("new_tags")
	}
}

// size is the number of bytes of the stream of permissions.
func (b *bed) size() uint64 {
	stream, err := b.js.Stream(b.t.Context(), "PERMISSIONS")
	require.NoError(b.t, err)
	info, err := stream.Info(b.t.Context())
	require.NoError(b.t, err)
	return info.State.Bytes
}
