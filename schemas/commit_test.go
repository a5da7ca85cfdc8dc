package schemas

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

func TestEncodeWritesWhatMarshalWrites(t *testing.T) {
	cause := domain.DeriveUUID(domain.UUID{}, "cause")
	for _, c := range []*Commit{
		{Events: []Event{}},
		{
			ID: domain.DeriveUUID(domain.UUID{}, "id"), Request: HashOf([]byte("r")), Org: "acme", Epoch: 2, N: 7,
			At: time.Date(2026, 3, 2, 9, 0, 0, 123456789, time.UTC), Actor: domain.PersonActor("ana"), OnBehalfOf: "bo",
			Causation: &cause, Command: "AssignFob", Prev: HashOf([]byte("p")), MinReader: 1,
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
