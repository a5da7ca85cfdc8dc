package domain

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain/unlock"
	"gatehouse/randomtest"
)

// named says what an impact tells of.
type named struct {
	pairs, credentials map[string]Effect // person/door, and credential/site/door
	doors              map[ID]bool
}

func (i Impact) named() (lost, gained named) {
	fill := func(access AccessChanges, credentials, doors []Effect) named {
		n := named{map[string]Effect{}, map[string]Effect{}, map[ID]bool{}}
		for _, c := range access.List {
			n.pairs[string(c.Person+"/"+c.Door)] = c.Effect
		}
		for _, c := range i.Credentials.List {
			for _, d := range c.Doors {
				if slices.Contains(credentials, c.Effect) {
					n.credentials[string(c.Credential+"/"+d)] = c.Effect
				}
			}
		}
		for _, d := range i.Doors.List {
			if slices.Contains(doors, d.Effect) {
				n.doors[d.Door] = true
			}
		}
		return n
	}
	return fill(i.Lost, []Effect{EffectStops, EffectNarrowed}, []Effect{EffectShuts, EffectNoLongerOpen}),
		fill(i.Gained, []Effect{EffectWorks, EffectWidened}, []Effect{EffectReopens, EffectStandsOpen})
}

func (n named) has(q asked, person ID) bool {
	return n.doors[q.Door] || n.pairs[string(person+"/"+q.Door)] != "" || n.credentials[string(q.Credential+"/"+q.Door)] != ""
}

// questions asks for everybody and everything at every door at a few instants.
func (h *history) questions() (out []asked) {
	instants := []time.Time{h.at}
	for range 3 {
		instants = append(instants, h.at.Add(time.Duration(rapid.IntRange(0, 14*24*60).Draw(h.t, "minutes"))*time.Minute))
	}
	instants = append(instants, h.around())
	for id, d := range h.s.Doors.All() {
		for _, at := range instants {
			q := asked{Site: d.Site, Door: id, At: at}
			for c := range h.s.Credentials.All() {
				q.Credential = c
				out = append(out, q)
			}
			for p := range h.s.People.All() {
				q.Credential, q.Person = "", p
				for _, kind := range []CredentialKind{"", KindFob, KindCard, KindPin, KindMobileKey} {
					q.Kind = kind
					out = append(out, q)
				}
				q.Kind, q.Remote = "", true
				out = append(out, q)
				q.Remote = false
			}
		}
	}
	return out
}

// decideAt decides with what a gateway knows of its door.
func (g gateway) decideAt(local *unlock.Local, q asked) unlock.Answer {
	return unlock.Decide(g[q.Site], local, q.unlockRequest())
}

// TestAnImpactHidesNothing: over any history, what opens before a command and does
// not after it is told beforehand as lost, what opens only after it as gained; and
// what is told to be lost opens no more.
func TestAnImpactHidesNothing(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	told := map[Effect]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(1, 12).Draw(t, "commands") {
			h.pass()
			if rapid.Bool().Draw(t, "due") {
				h.due()
			}
			cmd := h.command()
			id := DeriveUUID(UUID{}, fmt.Sprintf("impact/%d", h.sent))
			_, impact, r := h.s.Foresee(Context{ID: id, At: h.at, Actor: PersonActor("olga")}, cmd)
			if r != nil {
				continue
			}
			require.Zero(t, impact.Lost.Hidden+impact.Gained.Hidden+impact.Credentials.Hidden+impact.Doors.Hidden, "the owner sees everything")
			_, apart, _ := h.s.Fork().Foresee(Context{ID: id, At: h.at, Actor: PersonActor("olga")}, cmd)
			require.Equal(t, impact, apart, "a fork foresees the same")
			before := maps.Clone(h.gates)
			require.Nil(t, h.sendAs(id, PersonActor("olga"), cmd))
			lost, gained := impact.named()
			count(told, impact)
			came := unlock.Local{LeaseEnd: unlock.Held, FirstIn: unlock.InstantOf(h.at.Add(-time.Hour))}
			for n, q := range h.questions() {
				was, is := before.decide(q), h.gates.decide(q)
				if n%3 == 0 { // somebody who lets others in came an hour ago
					was, is = before.decideAt(&came, q), h.gates.decideAt(&came, q)
				}
				person := q.Person
				if c, ok := h.s.Credentials.Get(q.Credential); ok {
					person = c.Person
				}
				require.True(t, !was.Allowed || is.Allowed || lost.has(q, person), "%T %+v takes away, and nobody said so: %s is %s and was %s\n%+v", cmd, cmd, q, is.Code, was.Code, impact)
				require.True(t, was.Allowed || !is.Allowed || gained.has(q, person), "%T %+v gives, and nobody said so: %s is %s and was %s\n%+v", cmd, cmd, q, is.Code, was.Code, impact)
				if lost.pairs[string(person+"/"+q.Door)] == EffectLost {
					require.False(t, is.Allowed && is.Code != unlock.AllowPostureUnlocked && is.Code != unlock.AllowPostureFreeAccess, "%T %+v: lost, and still %s by %s", cmd, cmd, q, is.Code)
				}
			}
		}
	})
	t.Log(told)
	if !randomtest.Fixed() {
		return // which effects a few histories have is chance
	}
	for _, e := range []Effect{EffectLost, EffectNarrowed, EffectGained, EffectWidened, EffectStops, EffectShuts} {
		require.NotZero(t, told[e], "no command had the effect %s", e)
	}
}

func count(told map[Effect]int, i Impact) {
	for _, c := range append(i.Lost.List, i.Gained.List...) {
		told[c.Effect]++
	}
	for _, c := range i.Credentials.List {
		told[c.Effect]++
	}
	for _, c := range i.Doors.List {
		told[c.Effect]++
	}
}
