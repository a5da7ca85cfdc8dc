package domain

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// perStateByte is how many bytes a state may take for each byte that it is read from: a
// length of one byte becomes an entry of a list, which is a struct.
const perStateByte = 1000

// FuzzUnmarshalBinary reads damaged states: an error or a state that can be written
// again, in bounded memory.
func FuzzUnmarshalBinary(f *testing.F) {
	w := newWorld(f)
	w.base("busy")
	sealed, err := w.state.AppendBinary(nil)
	require.NoError(f, err)
	f.Add(0, []byte{}, len(sealed))
	for i := 0; i < len(sealed); i += 97 {
		f.Add(i, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, len(sealed))
		f.Add(i, []byte{}, i)
	}
	f.Fuzz(func(t *testing.T, at int, damage []byte, end int) {
		data := append([]byte(nil), sealed...)
		if at < 0 || at >= len(data) || end < 0 || end > len(data) {
			return
		}
		copy(data[at:], damage)
		data = data[:end]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := NewState()
		err := s.UnmarshalBinary(data)
		runtime.ReadMemStats(&after)
		require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(len(data))*perStateByte+4<<20)
		if err == nil {
			require.Len(t, data, len(sealed), "a state that was cut is read")
			_, err := s.AppendBinary(nil)
			require.NoError(t, err)
		}
	})
}

func TestAStateOfOtherCodeIsNotRead(t *testing.T) {
	data, err := NewState().AppendBinary(nil)
	require.NoError(t, err)
	require.NoError(t, NewState().UnmarshalBinary(data))
	data[0] ^= 1
	require.ErrorIs(t, NewState().UnmarshalBinary(data), errLayout)
	require.ErrorIs(t, NewState().UnmarshalBinary(nil), errLayout)
	require.ErrorIs(t, NewState().UnmarshalBinary([]byte(`{"fold":4}`)), errLayout)
}

// BenchmarkBinary writes and reads the state of 20,000 people, beside the JSON form.
func BenchmarkBinary(b *testing.B) {
	s := staffed(b, 20_000).state
	data, err := s.AppendBinary(nil)
	require.NoError(b, err)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			_, err := s.AppendBinary(nil)
			require.NoError(b, err)
		}
		b.ReportMetric(float64(len(data))/20_000, "B/person")
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, NewState().UnmarshalBinary(data))
		}
	})
	b.Run("write-json", func(b *testing.B) {
		var text []byte
		for b.Loop() {
			text, err = s.MarshalJSON()
			require.NoError(b, err)
		}
		b.ReportMetric(float64(len(text))/20_000, "B/person")
	})
}
