package permissions

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/unlock"
)

// crowded is a node with a site of so many people.
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

// BenchmarkPublish brings a change of one row from the queue to its durable place
// in the stream, which costs the same whatever the size of the site.
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

// BenchmarkBarePublish publishes as many bytes, fsynced.
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

// BenchmarkLoad makes the table of a site of 20,000 rows of what is published.
func BenchmarkLoad(b *testing.B) {
	n := crowded(b, 20_000)
	for range b.N {
		n.b.load("acme", "north")
	}
}
