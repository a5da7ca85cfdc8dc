package domain

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

// openNames are fields of commands that name no record: free words, the org itself, and
// what a record of a site or a group holds.
var openNames = []string{"Blackout", "Cause", "ConsentRef", "Org", "Reason", "Request"}

// hiddenFrom are people of every kind of role: a tenant who manages a unit, another
// tenant, a unit user, a sharee, a group admin, staff of another site, nobody.
var hiddenFrom = []ID{"anna", "ben", "vera", "will", "gus", "sue", "rita"}

// Every field of every command says whether what it names may be hidden.
func TestEveryNameIsHiddenOrOpen(t *testing.T) {
	for _, typ := range Commands() {
		eachField(reflect.ValueOf(typ.New()), func(field string, v reflect.Value) {
			elem := v.Type()
			for elem.Kind() == reflect.Slice || elem.Kind() == reflect.Pointer {
				elem = elem.Elem()
			}
			if elem != reflect.TypeFor[ID]() {
				return
			}
			_, hidden := tablesNamed[field]
			assert.True(t, hidden != slices.Contains(openNames, field), "%s.%s: add it to tablesNamed, so that what the sender may not see is not there, or to openNames", typ.Name, field)
		})
	}
}

// TestTheHiddenIsAnsweredAsTheUnknown compares the answers for a hidden id and for one
// that nobody has. It sends commands of every type by everybody, once with an id that
// occurs in no record that the sender may read and once with an unknown id: the answers
// differ in the id alone. An id that a new thing would take is the exception: it is
// answered with one code, whatever kind of thing has the id.
func TestTheHiddenIsAnsweredAsTheUnknown(t *testing.T) {
	w := newWorld(t)
	w.base("busy")
	seen := map[ID][]byte{}
	for _, who := range hiddenFrom {
		seen[who] = w.readableBy(who)
	}
	compared, taken := 0, map[string]bool{}
	for _, typ := range Commands() {
		if p := typ.Permit(); p == (Permit{Service: true}) || p == (Permit{Bootstrap: true}) {
			continue
		}
		names := 0
		for seed := range 16 {
			ptr := rapid.Custom(func(rt *rapid.T) any {
				ptr := typ.New()
				generator{rt, w.state, typ.Name}.fill(reflect.ValueOf(ptr).Elem(), "")
				return ptr
			}).Example(int(randomtest.Seed(t, uint64(seed)) % (1 << 31)))
			id := DeriveUUID(UUID{}, fmt.Sprint(typ.Name, seed))
			Complete(id, ptr)
			if needs, ok := ptr.(Candidates); ok {
				needs.SetCandidates(candidates(id))
			}
			if needs, ok := ptr.(Enrols); ok {
				needs.SetCode(someCode)
			}
			eachName(reflect.ValueOf(ptr), func(field string, at reflect.Value) {
				names++
				was := at.Interface().(ID)
				defer at.Set(reflect.ValueOf(was))
				for _, who := range hiddenFrom {
					answer := func(name ID) string {
						at.Set(reflect.ValueOf(name))
						return w.answer(Context{ID: id, At: w.at, Actor: PersonActor(who)}, typ.Command(ptr), name)
					}
					for _, hidden := range hiddenIDs(w.state, field, seen[who], []byte(written(ptr)), 3) {
						unknown := answer(hidden + "-x") // stands beside it wherever ids are sorted
						got := answer(hidden)
						compared++
						const inUse = "id_in_use: the id NAME " // another id of the command may be in use too
						if strings.Contains(got, inUse) {
							require.NotContains(t, unknown, inUse, "%s %s %s: %s", who, typ.Name, field, hidden)
							taken[typ.Name] = true
							continue
						}
						require.Equal(t, unknown, got, "%s %s %s: %s\n%s", who, typ.Name, field, hidden, written(ptr))
					}
				}
			})
		}
		t.Logf("%s: %d", typ.Name, names)
	}
	assert.Greater(t, compared, 5000)
	for name := range taken {
		assert.Contains(t, []string{"RegisterPerson", "IssueToken", "GrantRight", "CreateBooking", "AssignFob", "IssuePin", "IssueOneTimePin", "IssueMobileKey",
			"IssueDuressPin", "ShareAccess", "CreateUnitUser", "CreateUnitManager", "CreateGroup", "GrantAuctionAccess", "CreateArea", "CreateDoor", "CreateUnit",
			"DefineAccessRight", "DefineSchedule", "RegisterGateway"}, name, "it makes nothing new")
	}
}

// readableBy is everything of the state that somebody may read. It includes the ids of
// the doors, units, rights and sites of what they were given.
func (w *world) readableBy(who ID) []byte {
	var out bytes.Buffer
	for _, t := range w.state.journal.tables {
		rows := reflect.ValueOf(t).MethodByName("All").Call(nil)[0]
		for id, row := range rows.Seq2() {
			if Visible(w.state.AsOf(w.at), who, RecordOf(w.state, row.Interface())) {
				out.Write(w.marshal(id.Interface()))
				out.Write(w.marshal(row.Interface()))
			}
		}
	}
	note := func(id ID, knows bool) {
		if knows {
			fmt.Fprintf(&out, "%q", id)
		}
	}
	for id := range w.state.Doors.All() {
		note(id, w.state.AsOf(w.at).MayKnowDoor(who, id))
	}
	for id := range w.state.Sites.All() {
		note(id, w.state.AsOf(w.at).MayKnowSite(who, id))
	}
	for id, u := range w.state.Units.All() {
		note(id, w.state.wasInUnit(who, u))
	}
	for id, r := range w.state.AccessRights.All() {
		note(id, w.state.hadRight(who, r))
	}
	return out.Bytes()
}

// hiddenIDs returns some ids of a field's table that occur in nothing that was read. It
// leaves out ids that the command itself contains, and people whose addresses it names.
func hiddenIDs(s *State, field string, read, command []byte, most int) (out []ID) {
	all := map[string]func() []ID{
		"bookings": func() []ID { return ids(s.Bookings) }, "credentials": func() []ID { return ids(s.Credentials) },
		"grants": func() []ID { return ids(s.Grants) }, "groups": func() []ID { return ids(s.Groups) },
		"people": func() []ID { return ids(s.People) }, "reviews": func() []ID { return ids(s.Reviews) },
		"shares": func() []ID { return ids(s.Shares) }, "tokens": func() []ID { return ids(s.Tokens) },
		"areas": func() []ID { return ids(s.Areas) }, "doors": func() []ID { return ids(s.Doors) },
		"access_rights": func() []ID { return ids(s.AccessRights) }, "schedules": func() []ID { return ids(s.Schedules) },
		"gateways": func() []ID { return ids(s.Gateways) }, "sites": func() []ID { return ids(s.Sites) },
		"units": func() []ID { return ids(s.Units) },
	}[tablesNamed[field](s.AsOf(s.LastAt)).name]()
	for _, id := range all {
		if len(out) == most {
			break
		}
		if !bytes.Contains(read, []byte(`"`+id+`"`)) && !bytes.Contains(command, []byte(`"`+id+`"`)) && !bytes.Contains(command, []byte(`"`+id+`@`)) {
			out = append(out, id)
		}
	}
	return out
}

// eachName gives every id in a command that a table of people's records has.
func eachName(v reflect.Value, f func(field string, at reflect.Value)) {
	eachField(v, func(field string, v reflect.Value) {
		if _, ok := tablesNamed[field]; !ok {
			return
		}
		switch {
		case v.Kind() == reflect.Pointer && v.IsNil():
			return
		case v.Kind() == reflect.Pointer:
			f(field, v.Elem())
			return
		case v.Kind() == reflect.Slice && v.Type().Elem() != reflect.TypeFor[ID]():
			return
		case v.Kind() != reflect.Slice:
			f(field, v)
			return
		}
		for i := range v.Len() {
			f(field, v.Index(i))
		}
	})
}

// written is what stands in the fields of a command or an event.
func written(of any) (out string) {
	eachField(reflect.ValueOf(of), func(field string, v reflect.Value) {
		switch x := v.Interface().(type) {
		case Personal:
			out += fmt.Sprintf(" %s=%q", field, x.Text())
		case *ID, []ID:
			out += fmt.Sprintf(" %s=%q", field, idsIn(v))
		default:
			out += fmt.Sprintf(" %s=%q", field, fmt.Sprint(x))
		}
	})
	return out
}

// answer is what a command is answered, without the id that it names.
func (w *world) answer(c Context, cmd Command, name ID) string {
	d, r := w.state.Decide(c, cmd)
	said := "accepted"
	if r != nil {
		said = "refused " + r.Code + ": " + r.Message + fmt.Sprint(r.IDs)
	} else {
		for _, e := range d.Events {
			said += " " + EventName(e) + written(e)
		}
		said += fmt.Sprint(d.Warnings)
	}
	return strings.ReplaceAll(said, string(name), "NAME")
}
