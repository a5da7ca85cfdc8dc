package domain

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain/schedule"
	"gatehouse/randomtest"
)

// TestRandomCommands sends random commands of every type to an org in use. The
// world that takes them sees to it that deciding changes nothing, and that the
// ledger folds to the same state in one go, over a snapshot, and from what is
// stored.
func TestRandomCommands(t *testing.T) {
	randomtest.Rapid(t, 20260303)
	start := newWorld(t)
	start.base("busy")
	snapshot, err := start.state.AppendBinary(nil)
	require.NoError(t, err)
	accepted := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		w.at, w.commits = start.at, slices.Clone(start.commits)
		require.NoError(rt, w.state.UnmarshalBinary(snapshot))
		w.state.EachPersonal(openSpec)
		w.state.Reindex()
		for n := range rapid.IntRange(10, 50).Draw(rt, "commands") {
			sendRandom(rt, w, n, accepted)
		}
		restoreWorld(w, accepted)
		w.check()
	})
	if !randomtest.Fixed() {
		return // which commands a few histories take is chance
	}
	var never []string
	for _, c := range Commands() {
		if accepted[c.Name] == 0 {
			never = append(never, c.Name)
		}
	}
	// Some need what hardly ever comes together at random, or an org that is not
	// there yet.
	assert.LessOrEqual(t, len(never), len(Commands())/8, "never accepted: %v", never)
}

// restoreWorld goes on behind a restore: every key of tags is new, and no door opens
// for what was asked before.
func restoreWorld(w *world, accepted map[string]int) {
	w.given("restore", fmt.Sprintf(`service:restore RestoreLedger {"epoch":2,"lost_from":%d,"lost_to":%d,"hash_at_lost_from":"%064d"}`,
		w.state.N+1, w.state.N+1_000, 0))
	accepted["RestoreLedger"]++
	require.Empty(w.t, w.state.UnlockRequests.IDs(unlockPending, ""))
	for id, site := range w.state.Sites.All() {
		require.Greater(w.t, site.TagKey(), uint32(1<<16), id)
	}
}

// someCommands has those more often whose fields must fit each other.
func someCommands() []CommandType {
	all := slices.DeleteFunc(Commands(), func(c CommandType) bool { return c.Name == "RestoreLedger" }) // see restoreWorld
	for _, name := range []string{"CreateUnitUser", "RemoveUnitUser", "ChangeUnitUserAccess", "AddMember", "TransferGroupOwnership", "AssignFob", "IssuePin", "IssueDuressPin", "ShareAccess", "GrantRight",
		"SetUnitPrivacy", "UnlockFor", "SetBlackout", "RotateGatewayKey", "SetPosture", "RemoveMember", "RemoteUnlock"} {
		if c, ok := CommandNamed(name); ok {
			all = append(all, c, c, c)
		}
	}
	return all
}

// sendRandom sends one random command, and one that takes access away twice: the
// second has nothing left to change.
func sendRandom(rt *rapid.T, w *world, n int, accepted map[string]int) {
	typ := draw(rt, "command", someCommands()...)
	ptr := typ.New()
	g := generator{rt, w.state, typ.Name}
	g.fill(reflect.ValueOf(ptr).Elem(), "")
	w.at = w.at.Add(time.Duration(draw(rt, "seconds", 0, 0, 0, 1, 60, 600, 3600, 86400, 9*86400)) * time.Second)

	c := Context{ID: DeriveUUID(UUID{}, fmt.Sprintf("random/%d", n)), At: w.at, Actor: g.actor(typ)}
	Complete(c.ID, ptr)
	if needs, ok := ptr.(Candidates); ok {
		needs.SetCandidates(candidates(c.ID))
	}
	if needs, ok := ptr.(Enrols); ok {
		needs.SetCode(someCode)
	}
	cmd := typ.Command(ptr)
	d, r := w.decideOnly(c, typ, cmd)
	if r != nil {
		return
	}
	accepted[typ.Name]++
	checkReach(rt, w.state.AsOf(c.At), cmd, c.Actor.ID, d)
	w.commit(Moment{N: w.state.N + 1, At: w.at, CommandID: c.ID, Actor: c.Actor}, d.Events)
	if !typ.MayBeUrgent() || typ.Name == "SetBlackout" || typ.Name == "SetGroupBlackout" {
		return
	}
	c.ID = DeriveUUID(c.ID, "again")
	again, r := w.decideOnly(c, typ, cmd)
	require.True(rt, r != nil || len(again.Events) == 0, "%s twice: %v", typ.Name, again.Events)
}

// checkReach: who has no role sends only what anybody may about their own, and
// who has one at a site changes nothing at another, but for what asks for a role
// at any site.
func checkReach(rt *rapid.T, s View, cmd Command, actor ID, d Decision) {
	p := cmd.permit()
	if p.GroupRole != "" || p.Self || p.Primary || p.Sharee || p.UnitManager || p.Holder || p.Service || s.RoleAt(actor, "").AtLeast(RoleStaff) {
		return
	}
	require.True(rt, s.HighestRole(actor).AtLeast(RoleStaff), "%s without a role sent %s", actor, CommandName(cmd))
	if cmd.scope(s.State).AnySite {
		return
	}
	for i, sites := range d.Sites {
		for _, site := range sites {
			require.True(rt, s.RoleAt(actor, site).AtLeast(RoleStaff), "%s sent %s, and %s concerns %s",
				actor, CommandName(cmd), EventName(d.Events[i]), site)
		}
	}
}

// generator draws the fields of a command: mostly what is there, sometimes what
// is not.
type generator struct {
	rt    *rapid.T
	state *State
	name  string // of the command
}

func (g generator) actor(typ CommandType) Actor {
	if typ.Permit().Service && rapid.Bool().Draw(g.rt, "service") {
		return ServiceActor("due")
	}
	return PersonActor(draw[ID](g.rt, "actor", "olga", "olga", "olga", "olga", "mara", "stan", "anna", "ben", "vera", "gus", "sue"))
}

var march = must(schedule.DateOf(2026, 3, 1))

func (g generator) fill(v reflect.Value, field string) {
	switch x := v.Addr().Interface().(type) {
	case *ID:
		*x = g.id(field)
	case *Personal:
		*x = g.personal(field)
	case *time.Time:
		*x = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(-24, 24*90).Draw(g.rt, field)) * time.Hour)
	case *schedule.Date:
		first := map[string]int{"from": -5, "until": 10}[field]
		*x = march.AddDays(rapid.IntRange(first, first+20).Draw(g.rt, field))
	case *schedule.DateTime:
		x.Date = march.AddDays(rapid.IntRange(0, 9).Draw(g.rt, field))
	case *schedule.Schedule:
		*x = draw(g.rt, field, someSchedules...)
	case *schedule.Calendar:
		*x = schedule.Calendar{{Date: march.AddDays(rapid.IntRange(0, 9).Draw(g.rt, field)), Kind: schedule.Holiday}}
	default:
		g.fillKind(v, field)
	}
}

func (g generator) fillKind(v reflect.Value, field string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(g.text(v.Type(), field))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(g.rt, field))
	case reflect.Int:
		v.SetInt(int64(rapid.IntRange(0, 3).Draw(g.rt, field)))
	case reflect.Slice:
		n := draw(g.rt, field, 0, 1, 1, 1, 2)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			g.fill(v.Index(i), field)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		g.fill(v.Elem(), field)
	case reflect.Struct:
		if named := v.FieldByName("Named"); named.IsValid() {
			g.fillGiven(v, named, field)
			return
		}
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if option == "" || draw(g.rt, name+" is given", false, false, true) {
				g.fill(v.Field(i), name)
			}
		}
	}
}

// fillGiven names a field of a command that changes something: with a value, or null.
func (g generator) fillGiven(v, named reflect.Value, field string) {
	if named.Kind() == reflect.Slice { // settings, each of which is a field
		var all map[string]any
		g.fill(v.FieldByName("Value"), field)
		text, err := json.Marshal(v.FieldByName("Value").Interface())
		if err == nil {
			err = json.Unmarshal(text, &all)
		}
		if err != nil {
			panic(err)
		}
		named.Set(reflect.ValueOf(slices.Sorted(maps.Keys(all))))
		return
	}
	named.SetBool(true)
	if draw(g.rt, field+" is cleared", false, false, false, true) {
		v.FieldByName("Null").SetBool(true)
		return
	}
	g.fill(v.FieldByName("Value"), field)
}

var someSchedules = []schedule.Schedule{
	{Always: true},
	{},
	{Windows: []schedule.Window{{Days: []schedule.Day{"mon", "tue"}, From: 8 * 60, To: 18 * 60}}},
	{Windows: []schedule.Window{{Days: []schedule.Day{"mon"}, From: 9 * 60, To: 12 * 60}}},
	{Holidays: schedule.HolidaysIgnored, Windows: []schedule.Window{{Days: []schedule.Day{"fri"}, From: 22 * 60, To: 6 * 60}}},
}

// id draws an id that a field of this name may hold: of a thing that is there, of
// a new one for what the command makes, rarely of nothing.
func (g generator) id(field string) ID {
	if rapid.IntRange(0, 29).Draw(g.rt, field+" is unknown") == 7 {
		return draw[ID](g.rt, field, "", "unknown")
	}
	makes := strings.HasSuffix(strings.ToLower(g.name), strings.ReplaceAll(field, "_", "")) && field != "" &&
		slices.ContainsFunc([]string{"Create", "Define", "Assign", "Issue", "Grant", "Register"},
			func(verb string) bool { return strings.HasPrefix(g.name, verb) })
	if g.name == "GrantRight" {
		makes = field == "grant"
	}
	if g.name == "AssignDoorToGateway" {
		makes = false
	}
	known := g.known(field)
	if len(known) == 0 || makes {
		known = []ID{"", "new1", "new2"}
	}
	return draw(g.rt, field, known...)
}

func (g generator) known(field string) []ID {
	s := g.state
	switch strings.TrimSuffix(field, "s") {
	case "site":
		return ids(s.Sites)
	case "area", "in", "out":
		return ids(s.Areas)
	case "door", "add_door", "remove_door":
		return ids(s.Doors)
	case "unit":
		return ids(s.Units)
	case "booking":
		return ids(s.Bookings)
	case "person", "owner":
		return ids(s.People)
	case "group":
		return ids(s.Groups)
	case "token":
		return ids(s.Tokens)
	case "schedule", "fob_schedule":
		return ids(s.Schedules)
	case "right":
		return ids(s.AccessRights)
	case "grant":
		return ids(s.Grants)
	case "share":
		return ids(s.Shares)
	case "review":
		return ids(s.Reviews)
	case "credential", "pin":
		return ids(s.Credentials)
	case "gateway":
		return ids(s.Gateways)
	case "request":
		return ids(s.UnlockRequests)
	}
	return nil
}

func ids[T any](t *table[T]) (out []ID) {
	for id := range t.All() {
		out = append(out, id)
	}
	return out
}

func (g generator) personal(field string) Personal {
	switch field {
	case "email":
		return Clear(draw(g.rt, field, "x@example.com", "y@example.com", "vera@example.com"))
	case "phone":
		return Clear("+49 30 1234")
	}
	return Clear(draw(g.rt, field, "4711", "4712", "4713", "4714"))
}

// someGatewayKeys are public keys that no gateway of a base has.
var someGatewayKeys = []GatewayKey{
	"UDHMYFIH3QO524UVSUOCSCEI6CK23OIEJUNXHVUW43PQMXLIHPKPY3OP", "UBVXTRL6NIEVEOJIFQCIDDUWCEXT6A5EAAN2S6SWJQRYKKR7D2S7ZZV2",
	"UDNNXUMEULKSN4PL3VOAN7NNSNM3EKDVTNGX66OWM2E7UJKKVWCUMJSD", "UCN6GKDXSWIHQCKAPYKEHH7RTDK37R644343Y5B4WNURI33BBNEADPBS",
}

// someCode is the key of every code that the random tests make.
const someCode EnrolmentKey = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"

// someTexts are values of the types that do not take any text.
var someTexts = map[reflect.Type][]string{
	reflect.TypeFor[Role]():             {"system_manager", "staff", "guest"},
	reflect.TypeFor[DoorKind]():         {"gate", "unit", "entry"},
	reflect.TypeFor[DoorClass]():        {"standard", "critical"},
	reflect.TypeFor[AfterLease]():       {"deny", "last_table"},
	reflect.TypeFor[DoorCapability]():   {"remote_unlock", "unlock_for"},
	reflect.TypeFor[CredentialKind]():   {"fob", "card", "mobile_key"},
	reflect.TypeFor[NotificationKind](): {"shared_access"},
	reflect.TypeFor[TokenScope]():       {"full", "read"},
	reflect.TypeFor[ScheduleMode]():     {"always", "same_as_unit", "limited"},
	reflect.TypeFor[LockLevel]():        {"gatelock", "overlock"},
	reflect.TypeFor[PersonField]():      {"name", "email", "phone"},
	reflect.TypeFor[ReportedAs]():       {"lost", "stolen", "damaged"},
	reflect.TypeFor[TenantManages]():    {"users", "nothing"},
	reflect.TypeFor[GroupRole]():        {"owner", "admin", "user"},
	reflect.TypeFor[GroupOption]():      {"remote_unlock", "admins_modify_settings"},
	reflect.TypeFor[Posture]():          {"unlocked", "free_access", "normal"},
	reflect.TypeFor[UnlockOutcome]():    {"executed", "refused", "unreachable", "unknown"},
	reflect.TypeFor[RefusalCode]():      {"deny_lockdown"},
	reflect.TypeFor[GatewayReason]():    {"replaced", "stolen"},
	reflect.TypeFor[EnrolmentKey]():     {string(someCode)},
	reflect.TypeFor[GatewayKey]():       {string(someGatewayKeys[0]), string(someGatewayKeys[1]), string(someGatewayKeys[2]), string(someGatewayKeys[3])},
}

func (g generator) text(typ reflect.Type, field string) string {
	if values, ok := someTexts[typ]; ok {
		return draw(g.rt, field, values...)
	}
	switch field {
	case "zone":
		return draw(g.rt, field, "UTC", "Asia/Kolkata")
	case "hash":
		return draw(g.rt, field, strings.Repeat("a1", 32), strings.Repeat("b2", 32))
	case "fob_holders":
		return "anyone"
	case "membership_overlap":
		return "union"
	case "missing_notification":
		return "refuse"
	case "consent":
		return "required"
	case "uses":
		return "per_gateway"
	case "service_fobs", "unit_manager_keys", "manager_shares":
		return "forbidden"
	}
	return draw(g.rt, field, "One", "Two")
}
