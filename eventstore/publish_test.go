package eventstore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/eventstore/streams"
)

func TestGuardedAppendsAreWholeAndInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, b *testbed) {
		s := b.store()
		const subject = "permissions.acme.north"
		bodies := func(n int) [][]byte {
			out := make([][]byte, n)
			for i := range out {
				out[i] = fmt.Appendf(nil, "%d of %d", i+1, n)
			}
			return out
		}
		add := func(n int, last uint64) (uint64, error) {
			return s.GuardedAppend(t.Context(), streams.Permissions, subject, bodies(n), last)
		}
		end, err := add(1, 0)
		require.NoError(t, err)
		for _, n := range []int{1, 3} {
			for _, wrong := range []uint64{0, end + 1} {
				_, err = add(n, wrong)
				assert.ErrorIs(t, err, ErrConflict)
			}
		}
		_, err = add(0, end)
		assert.Error(t, err)
		_, err = add(MaxAppend+1, end)
		assert.ErrorIs(t, err, ErrRejected)
		for _, n := range []int{3, 1, MaxAppend} {
			next, err := add(n, end)
			require.NoError(t, err)
			assert.Equal(t, end+uint64(n), next)
			end = next
		}
		stream, err := s.js.Stream(t.Context(), streams.Permissions)
		require.NoError(t, err)
		msg, err := stream.GetMsg(t.Context(), 4)
		require.NoError(t, err)
		assert.Equal(t, "3 of 3", string(msg.Data))
		assert.Equal(t, subject, msg.Subject)
		info, err := stream.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, end, info.State.LastSeq)

		_, err = s.GuardedAppend(t.Context(), streams.Ledger, subject, bodies(1), end)
		assert.ErrorIs(t, err, ErrRejected, "the subject is another stream's")
	})
}
