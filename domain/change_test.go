package domain

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// changing is a Change… or Set… command with fields that may be left out: how to name
// the thing, a value for each field, other values, and what the state then has.
type changing struct {
	thing, first, second string
	cleared              map[string]any // what null makes of a field, where that is not nothing
	has                  func(*State) any
}

var changings = map[string]changing{
	"ChangeAccessRight": {
		thing: `{"right":"visitor-doors"}`, first: `{"name":"Visitors","schedule":"office-hours","doors":["gate"]}`,
		second: `{"name":"Guests","schedule":"always","doors":["lift"]}`,
		has:    func(s *State) any { return rowOf(s.AccessRights, "visitor-doors") },
	},
	"ChangeBookingWindow": {
		thing: `{"booking":"book-a1"}`, first: `{"from":"2026-03-01","until":"2026-12-31"}`, second: `{"from":"2026-02-01","until":"2026-11-30"}`,
		has: func(s *State) any { return rowOf(s.Bookings, "book-a1") },
	},
	"ChangeDoor": {
		thing:   `{"door":"gate"}`,
		first:   `{"name":"Gate","in":"hall","out":"yard","class":"critical","fire_release":true,"after_lease":"last_table","capabilities":["remote_unlock"],"capacity":90}`,
		second:  `{"name":"Main gate","in":"yard","out":"hall","class":"standard","fire_release":false,"after_lease":"deny","capabilities":["unlock_for"],"capacity":80}`,
		cleared: map[string]any{"class": "standard", "after_lease": "deny"},
		has:     func(s *State) any { return rowOf(s.Doors, "gate") },
	},
	"ChangePerson": {
		thing: `{"person":"anna"}`, first: `{"name":"Anna","email":"a@example.com","phone":"+49 30 1"}`, second: `{"name":"Anne","email":"b@example.com","phone":"+49 30 2"}`,
		has: func(s *State) any {
			p := rowOf(s.People, "anna")
			return map[string]string{"name": p.Name.Text(), "email": p.Email.Text(), "phone": p.Phone.Text()}
		},
	},
	"ChangeSchedule": {
		thing: `{"schedule":"office-hours"}`, first: `{"name":"Office","times":{"windows":[{"days":["mon"],"from":"08:00","to":"18:00"}]}}`,
		second: `{"name":"Desk","times":{"windows":[{"days":["tue"],"from":"09:00","to":"17:00"}]}}`,
		has: func(s *State) any {
			r := rowOf(s.Schedules, "office-hours")
			return map[string]any{"name": r.Name, "times": r.Schedule}
		},
	},
	"ChangeShareWindow": {
		thing: `{"share":"share-will"}`, first: `{"from":"2026-03-02","until":"2026-04-30"}`, second: `{"from":"2026-03-03","until":"2026-05-31"}`,
		has: func(s *State) any { return rowOf(s.Shares, "share-will") },
	},
	"SetBlackout": {
		thing: `{"site":"north","blackout":"move"}`, first: `{"name":"Moving","from":"2026-05-04T08:00","to":"2026-05-04T12:00"}`,
		second: `{"name":"Painting","from":"2026-05-04T07:00","to":"2026-05-04T13:00"}`,
		has: func(s *State) any {
			all := rowOf(s.Sites, "north").Blackouts
			return all[slices.IndexFunc(all, func(b SiteBlackout) bool { return b.ID == "move" })]
		},
	},
	"SetGroupBlackout": {
		thing: `{"group":"crew","blackout":"move"}`, first: `{"name":"Moving","from":"2026-05-04T08:00","to":"2026-05-04T12:00"}`,
		second: `{"name":"Painting","from":"2026-05-04T07:00","to":"2026-05-04T13:00"}`,
		has: func(s *State) any {
			all := rowOf(s.Groups, "crew").Blackouts
			return all[slices.IndexFunc(all, func(b SiteBlackout) bool { return b.ID == "move" })]
		},
	},
	"SetGroupBusinessHours": {
		thing: `{"group":"crew"}`, first: `{"times":{"windows":[{"days":["mon"],"from":"08:00","to":"18:00"}]},"first_in":false,"grace_minutes":5}`,
		second: `{"times":{"windows":[{"days":["tue"],"from":"08:00","to":"18:00"}]},"first_in":true,"grace_minutes":7}`,
		// Without times there are no hours, and so neither of the others.
		cleared: map[string]any{"first_in": true, "grace_minutes": 60.0, "times": "all"},
		has:     func(s *State) any { return rowOf(s.Groups, "crew").Hours },
	},
	"SetPosture": {
		thing: `{"door":"gate","posture":"unlocked"}`, first: `{"until":"2026-03-09T10:00:00Z"}`, second: `{"until":"2026-03-09T12:00:00Z"}`,
		has: func(s *State) any { return rowOf(s.Doors, "gate").Posture },
	},
	"SetSitePolicy": {
		thing: `{"site":"north"}`,
		first: `{"fob_holders":"anyone","service_fobs":"forbidden","fob_schedule":"office-hours","consent":"required","missing_notification":"refuse",
			"share_depth":2,"unit_manager_keys":"forbidden","manager_shares":"forbidden","membership_overlap":"union","uses":"per_gateway","lockdown_egress":"shut"}`,
		second: `{"fob_holders":"primary_tenant","service_fobs":"allowed","fob_schedule":"always","consent":"optional","missing_notification":"warn",
			"share_depth":3,"unit_manager_keys":"allowed","manager_shares":"allowed","membership_overlap":"forbid","uses":"one_gateway","lockdown_egress":"free"}`,
		has: func(s *State) any { return rowOf(s.Sites, "north").Policy },
	},
}

func rowOf[T any](t *table[T], id ID) *T {
	r, ok := t.Get(id)
	if !ok {
		panic("there is no " + id)
	}
	return r
}

// modifiers are optional fields of such commands that say how to change, or of what.
var modifiers = map[string][]string{
	"ChangeAccessRight": {"add_doors", "remove_doors"}, "SetBlackout": {"blackout"}, "SetGroupBlackout": {"blackout"},
	"SetPosture": {"door", "site", "until_change"},
}

// TestEveryFieldOfAChangeCanBeLeftOut finds the commands that change something by their
// names, so that a new one is held to it: what may be left out has a type that knows
// whether it was.
func TestEveryFieldOfAChangeCanBeLeftOut(t *testing.T) {
	for _, typ := range Commands() {
		if !strings.HasPrefix(typ.Name, "Change") && !strings.HasPrefix(typ.Name, "Set") || typ.Permit().Service {
			continue
		}
		optional := false
		for _, f := range reflect.VisibleFields(typ.Type()) {
			name, omit, _ := strings.Cut(f.Tag.Get("json"), ",")
			_, given := GivenType(f.Type)
			if omit != "" && !slices.Contains(modifiers[typ.Name], name) {
				assert.True(t, given || f.Type.Kind() == reflect.Pointer, "%s.%s: left out, it would be taken for its zero value", typ.Name, name)
			}
			optional = optional || given || f.Type.Kind() == reflect.Pointer
		}
		_, tried := changings[typ.Name]
		assert.Equal(t, optional, tried, "%s: the test below sends its subsets", typ.Name)
	}
}

// TestAChangeLeavesWhatItDoesNotName sends each subset of the fields of each command
// that changes something, and each field as null.
func TestAChangeLeavesWhatItDoesNotName(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(changings)) {
		t.Run(name, func(t *testing.T) {
			c := changings[name]
			w := newWorld(t)
			w.base("busy")
			s := sent(t, w, w.state, name, c, jsonFields(t, c.first))
			first, second := jsonFields(t, c.first), jsonFields(t, c.second)
			names := slices.Sorted(maps.Keys(first))
			assert.Subset(t, hasOf(t, c, s), first)
			for subset := range 1 << len(names) {
				given, want := map[string]any{}, maps.Clone(first)
				for i, field := range names {
					if subset>>i&1 == 1 {
						given[field], want[field] = second[field], second[field]
					}
				}
				has := hasOf(t, c, sent(t, w, s, name, c, given))
				for field, value := range want {
					assertHas(t, value, has[field], "%s of %v", field, given)
				}
			}
			for _, field := range names {
				clears(t, w, s, name, c, field, first)
			}
		})
	}
}

// clears sends null for a field: it is cleared and the others stay, or it is refused.
func clears(t *testing.T, w *world, s *State, name string, c changing, field string, first map[string]any) {
	typ, _ := CommandNamed(name)
	f, top := typ.Type().FieldByNameFunc(func(n string) bool {
		f, _ := typ.Type().FieldByName(n)
		return strings.HasPrefix(f.Tag.Get("json"), field+",")
	})
	if top && f.Type.Kind() == reflect.Pointer { // that null is refused is a matter of the decoder
		return
	}
	has := hasOf(t, c, sent(t, w, s, name, c, map[string]any{field: nil}))
	if c.cleared[field] == "all" {
		assert.Empty(t, has)
		return
	}
	assertHas(t, c.cleared[field], has[field], "null for %s", field)
	for other, value := range first {
		if other != field {
			assertHas(t, value, has[other], "%s, with null for %s", other, field)
		}
	}
}

// assertHas compares what a field has; nothing is as good as its zero value.
func assertHas(t *testing.T, want, has any, msg ...any) {
	if want == nil {
		assert.Empty(t, has, msg...)
		return
	}
	if in, ok := want.(map[string]any); ok {
		assert.Subset(t, has, in, msg...)
		return
	}
	if want == false {
		assert.Contains(t, []any{nil, false}, has, msg...)
		return
	}
	assert.Equal(t, want, has, msg...)
}

func jsonFields(t *testing.T, text string) map[string]any {
	var out map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &out))
	return out
}

func hasOf(t *testing.T, c changing, s *State) map[string]any {
	text, err := json.Marshal(c.has(s))
	require.NoError(t, err)
	return jsonFields(t, string(text))
}

// sent is the state after a command, which leaves the one before as it was.
func sent(t *testing.T, w *world, s *State, name string, c changing, given map[string]any) *State {
	fields := jsonFields(t, c.thing)
	if name == "SetSitePolicy" {
		fields["policy"] = given
	} else {
		maps.Copy(fields, given)
	}
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	typ, _ := CommandNamed(name)
	cx := Context{ID: DeriveUUID(UUID{}, string(text)), At: w.at, Actor: PersonActor("olga")}
	after := s.Fork()
	d, r := after.Decide(cx, w.commandsOf(typ, cx.ID, string(text))...)
	require.Nil(t, r, "%s %s: %v", name, text, r)
	after.Apply(Applied{Moment{N: s.N + 1, At: w.at, CommandID: cx.ID, Actor: cx.Actor}, d.Events})
	return after
}
