package eventstore

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// snapshotBytes is a file with a good checksum.
func snapshotBytes(header string, state, ids []byte) []byte {
	file := slices.Concat([]byte(header+"\n"), state, ids)
	sum := sha256.Sum256(file)
	return append(file, sum[:]...)
}

// perSnapshotByte is how many bytes a snapshot may take for each byte of its file: a
// length of one byte becomes an entry of a list, which is a struct.
const perSnapshotByte = 1000

// A snapshot with sizes that do not add up, or with a state that no fold makes, is
// refused. Its checksum proves nothing: anybody who can write a snapshot can give it a
// good one.
func FuzzDecodeSnapshot(f *testing.F) {
	for _, header := range []string{
		`{"format":"gatehouse snapshot 2","org":"acme","state_size":2}`,
		`{"format":"gatehouse snapshot 2","org":"acme","state_size":26,"ids":-1}`,
		`{"format":"gatehouse snapshot 2","org":"acme","state_size":-24,"ids":1}`,
		`{"format":"gatehouse snapshot 2","org":"acme","state_size":2,"ids":768614336404564650}`,
	} {
		f.Add(header, []byte(`{}`), []byte{})
	}
	empty, err := domain.NewState().AppendBinary(nil)
	require.NoError(f, err)
	for i := range empty {
		state := slices.Clone(empty)
		state[i] ^= 0x41
		f.Add(fmt.Sprintf(`{"format":"gatehouse snapshot 2","org":"acme","state_size":%d}`, len(state)), state, []byte{})
	}
	f.Fuzz(func(t *testing.T, header string, state, ids []byte) {
		file := snapshotBytes(header, state, ids)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, stored, _, err := decodeSnapshot(file, "acme")
		var s *domain.State
		if err == nil {
			s = domain.NewState()
			err = s.UnmarshalBinary(stored)
		}
		runtime.ReadMemStats(&after)
		require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(len(file))*perSnapshotByte+4<<20)
		if err == nil {
			_, err := s.AppendBinary(nil)
			require.NoError(t, err)
		}
	})
}
