package eventstore

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas"
)

// snapshotBytes is a file with a good checksum.
func snapshotBytes(header, state string, ids []byte) []byte {
	file := append([]byte(header+"\n"+state), ids...)
	sum := sha256.Sum256(file)
	return append(file, sum[:]...)
}

// perSnapshotByte is how many bytes a snapshot may take for each byte of its file: a
// field of a few letters becomes an entry of a map, an empty object a struct.
const perSnapshotByte = 1000

// A snapshot with sizes that do not add up, or with a state that no fold makes, is
// refused. Its checksum proves nothing: anybody who can write a snapshot can give it a
// good one.
func FuzzDecodeSnapshot(f *testing.F) {
	for _, header := range []string{
		`{"format":"gatehouse snapshot 1","org":"acme","state_size":2}`,
		`{"format":"gatehouse snapshot 1","org":"acme","state_size":26,"ids":-1}`,
		`{"format":"gatehouse snapshot 1","org":"acme","state_size":-24,"ids":1}`,
		`{"format":"gatehouse snapshot 1","org":"acme","state_size":2,"ids":768614336404564650}`,
	} {
		f.Add(header, `{}`, []byte{})
	}
	empty, err := domain.NewState().MarshalJSON()
	require.NoError(f, err)
	for _, rows := range []string{`[null]`, `[{}]`, `[{"id":"a"},{"id":"a"}]`, `{"a":null}`, `{"a":{}}`, `{"a":{"n":[1],"row":{}}}`, `null`, `[]`} {
		for _, old := range []string{`[]`, `{}`} {
			state := strings.ReplaceAll(string(empty), old, rows)
			f.Add(fmt.Sprintf(`{"format":"gatehouse snapshot 1","org":"acme","state_size":%d}`, len(state)), state, []byte{})
		}
	}
	f.Fuzz(func(t *testing.T, header, state string, ids []byte) {
		file := snapshotBytes(header, state, ids)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, stored, _, err := decodeSnapshot(file, "acme")
		if err == nil {
			err = schemas.StateBounds.Check(stored)
		}
		var s *domain.State
		if err == nil {
			s = domain.NewState()
			err = s.UnmarshalJSON(stored)
		}
		runtime.ReadMemStats(&after)
		require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(len(file))*perSnapshotByte+4<<20)
		if err == nil {
			_, err := s.MarshalJSON()
			require.NoError(t, err)
		}
	})
}
