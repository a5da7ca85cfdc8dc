package schemas

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

func TestEncodeWritesWhatMarshalWrites(t *testing.T) {
	cause := domain.DeriveUUID(domain.UUID{}, "cause")
	for _, c := range []*Commit{
		{Events: []Event{}},
		{
			ID: domain.DeriveUUID(domain.UUID{}, "id"), Request: wire.HashOf([]byte("r")), Org: "acme", Epoch: 2, N: 7,
			At: time.Date(2026, 3, 2, 9, 0, 0, 123456789, time.UTC), Actor: domain.PersonActor("ana"), OnBehalfOf: "bo",
			Causation: &cause, Command: "AssignFob", Prev: wire.HashOf([]byte("p")), MinReader: 2,
			Made: []domain.ID{"p-1041", "p-2718"},
			Events: []Event{
				{Type: "fob.assigned", Version: 1, Sites: []domain.ID{"north", "south"}, Data: json.RawMessage(`{"a":"<&>","b":[1,2]}`)},
				{Type: "org.created", Version: 3, Sites: []domain.ID{}, Data: json.RawMessage(`{}`)},
			},
		},
	} {
		got, err := c.Encode()
		require.NoError(t, err)
		var back Commit
		require.NoError(t, json.Unmarshal(got, &back))
		assert.Equal(t, c, &back)
		decoded, err := DecodeCommit(got)
		require.NoError(t, err)
		assert.Equal(t, c, decoded)
	}
	_, err := (&Commit{Org: `a"b`}).Encode()
	assert.Error(t, err)
}

// The quick reader reads every body that it accepts as the JSON decoder does.
func FuzzDecodeCommit(f *testing.F) {
	cause := domain.DeriveUUID(domain.UUID{}, "cause")
	for _, c := range []*Commit{
		{Org: "acme", Actor: domain.PersonActor("ana"), Command: "X", At: time.Unix(1, 5).UTC()},
		{Org: "acme", Actor: domain.ServiceActor("due"), OnBehalfOf: "bo", Causation: &cause, Command: "X", N: 3, At: time.Unix(1, 0).UTC(), Made: []domain.ID{"p-1041"},
			Events: []Event{{Type: "a.b", Version: 1, Sites: []domain.ID{"s", "t"}, Data: json.RawMessage(`{"a":{"b":"}\\\""},"c":[{}]}`)}}},
	} {
		body, err := c.Encode()
		require.NoError(f, err)
		f.Add(body)
		f.Add(append(body, ' '))
		f.Add(body[:len(body)/2])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		quick, ok := decodeEncoded(body)
		if !ok {
			return
		}
		var slow Commit
		if json.Unmarshal(body, &slow) != nil {
			for _, e := range quick.Events {
				if !json.Valid(e.Data) {
					return // found when the event is read
				}
			}
			t.Fatalf("taken, but no JSON: %s", body)
		}
		assert.Equal(t, slow, *quick)
	})
}
