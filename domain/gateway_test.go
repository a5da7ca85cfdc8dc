package domain

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain/unlock"
	"gatehouse/randomtest"
)

// unlockRequest is the question as the gateways' code is asked.
func (q asked) unlockRequest() unlock.Request {
	r := unlock.Request{
		Door: unlock.IDOf(string(q.Door)), Side: unlock.In, At: unlock.InstantOf(q.At),
		Credential: unlock.IDOf(string(q.Credential)), Person: unlock.IDOf(string(q.Person)),
		Kind: unlockCredentialKinds[q.Kind],
	}
	if q.Remote {
		r.Command = unlock.CommandRemoteUnlock
	}
	return r
}

// gateway keeps the tables of all sites as gateways do, by changes alone.
type gateway map[ID]*unlock.Table

func (g gateway) follow(t require.TestingT, s *State) {
	for _, c := range s.TakeChanges(testTags) {
		table := g[c.Site]
		if table == nil {
			table = new(unlock.Table)
		}
		next, err := table.Apply(unlock.Delta{Position: fmt.Sprintf("1-%d", s.N), N: s.N, Put: c.Put, Delete: c.Delete})
		require.NoError(t, err)
		g[c.Site] = next
	}
}

func (g gateway) decide(q asked) unlock.Answer {
	table := g[q.Site]
	if table == nil {
		table = new(unlock.Table)
	}
	return unlock.Decide(table, LeaseHeld, q.unlockRequest())
}

// agree asks the question of both and fails where they differ.
func (g gateway) agree(t require.TestingT, s *State, q asked) (allowed bool) {
	allowed, code := slowDecide(s, q)
	a := g.decide(q)
	require.Equal(t, code, a.Code.String(), "%s", q)
	require.Equal(t, allowed, a.Allowed, "%s", q)
	if c, ok := s.Credentials.Get(q.Credential); ok && g[q.Site] != nil && slices.Contains(c.Sites, q.Site) && c.Number.Text() != "" {
		r := q.unlockRequest()
		r.Credential = unlock.ID{}
		r.Tag, _ = testTags(q.Site, c.Kind, c.Format, c.Number.Text())
		require.Equal(t, a.Code, unlock.Decide(g[q.Site], LeaseHeld, r).Code, "by tag: %s", q)
	}
	return allowed
}

func TestDecideAgreesWithTheStateWhateverTheState(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	codes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := NewState()
		s.WatchChanges()
		g := gateway{}
		for n := range rapid.IntRange(1, 25).Draw(t, "commits") {
			scramble(t, s, uint64(n+1))
			g.follow(t, s)
		}
		for range 40 {
			q := drawQuestion(t, s)
			g.agree(t, s, q)
			_, code := slowDecide(s, q)
			codes[code]++
		}
	})
	t.Log(codes)
}

// gatewayCommand mostly moves doors; gateways are registered again as they retire.
func (h *history) gatewayCommand() Command {
	n := rapid.IntRange(0, 3).Draw(h.t, "gateway")
	id, door := numbered("w", n), draw(h.t, "door", storageDoors[:6]...)
	assign := AssignDoorToGateway{Gateway: id, Door: door}
	return draw[Command](h.t, "command", assign, assign, assign, RemoveDoorFromGateway{Gateway: id, Door: door},
		RegisterGateway{Gateway: id, Site: "north", PublicKey: someGatewayKeys[n]}, RetireGateway{Gateway: id, Reason: GatewayBroken},
		RetireGateway{Gateway: id, Reason: GatewayStolen})
}

// knownToThieves adds the PINs that are known at the site of a gateway which has just
// been retired as stolen.
func (h *history) knownToThieves(known map[ID]struct{}, stolen map[ID]struct{}) {
	for id, g := range h.s.Gateways.All() {
		if _, before := stolen[id]; before || g.Retired != GatewayStolen {
			continue
		}
		stolen[id] = struct{}{}
		for pin, c := range h.s.Credentials.All() {
			if c.Kind == KindPin && slices.Contains(c.Sites, g.Site) {
				known[pin] = struct{}{}
			}
		}
	}
}

// opensNothingOf: what a thief knows opens nothing ever again, but where the door
// stands open anyway.
func (h *history) opensNothingOf(known map[ID]struct{}, q asked, code string) {
	if _, ok := known[q.Credential]; ok && code != "allow_posture_unlocked" {
		require.False(h.t, strings.HasPrefix(code, "allow_"), "%s opens with %s", q.Credential, code)
	}
}

// countedAtOne: a PIN whose uses one gateway counts opens at no other, ever, but
// where the door stands open anyway.
func (h *history) countedAtOne(q asked, code string, opened map[ID]ID) {
	c, ok := h.s.Credentials.Get(q.Credential)
	if !ok || c.MaxUses == 0 || c.Home == "" || !strings.HasPrefix(code, "allow_") || code == "allow_posture_unlocked" {
		return
	}
	at := theRow(h.s.Doors, q.Door).Gateway
	require.NotEmpty(h.t, at)
	if opened[c.ID] == "" {
		opened[c.ID] = at
	}
	require.Equal(h.t, opened[c.ID], at, "%s opens at two gateways", c.ID)
}
