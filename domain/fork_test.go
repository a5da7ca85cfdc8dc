package domain

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

// TestAForkIsAStateOfItsOwn: whatever happens to a state afterwards, its fork stays as
// it was, and the other way round.
func TestAForkIsAStateOfItsOwn(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	owner := PersonActor("olga")
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		sendSome := func(h *history) {
			for range rapid.IntRange(1, 10).Draw(t, "commands") {
				h.pass()
				h.send(owner, h.command())
			}
		}
		digest := func(s *State) [32]byte {
			s.EachPersonal(func(_ ID, p *Personal) {
				if !p.Empty() {
					*p = p.Sealed("key." + p.Text())
				}
			})
			d, err := s.Digest()
			require.NoError(t, err)
			return d
		}
		sendSome(h)
		first, second, frozen := h.s.Fork(), h.s.Fork(), h.s.Freeze()
		was := digest(h.s)
		require.Equal(t, was, digest(first))
		sendSome(h)
		require.Equal(t, was, digest(first), "what happened since is not in the fork")
		written, err := frozen.AppendBinary(nil)
		require.NoError(t, err)
		read := NewState()
		require.NoError(t, read.UnmarshalBinary(written))
		got, err := read.Digest()
		require.NoError(t, err)
		require.Equal(t, was, got, "nor in what is written of that moment")
		is := digest(h.s)
		forked := *h
		forked.s = second
		for range 10 {
			cmd := forked.command()
			c := Context{ID: DeriveUUID(UUID{}, "fork"), At: h.at, Actor: owner}
			if d, r := second.Decide(c, cmd); r == nil {
				second.Apply(Applied{Moment{N: second.N + 1, At: h.at, Actor: owner}, d.Events})
			}
		}
		require.Equal(t, is, digest(h.s), "what happens in the fork stays there")
		require.Equal(t, was, digest(first))
	})
}
