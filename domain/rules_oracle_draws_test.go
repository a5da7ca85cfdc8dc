package domain_test

import (
	"encoding/json"
	"maps"
	"math/bits"
	"reflect"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// drawer draws the fields of a command by their types and names: mostly what there
// is and what could be, so that a good part is accepted.
type drawer struct {
	rt *rapid.T
	o  *ruled
	of string // the command
}

// pick draws one of the values, each equally often. The sampling of rapid itself mostly
// takes the first few: most commands would never be sent.
func pick[T any](rt *rapid.T, label string, values ...T) T {
	return values[evenly(len(values)).Draw(rt, label)]
}

func evenly(n int) *rapid.Generator[int] {
	return rapid.Custom(func(rt *rapid.T) int {
		drawn := 0
		for range bits.Len(uint(n)) + 3 {
			drawn *= 2
			if rapid.Bool().Draw(rt, "bit") {
				drawn++
			}
		}
		return drawn % n
	})
}

func (d drawer) fill(v reflect.Value, field string) {
	switch x := v.Addr().Interface().(type) {
	case *domain.ID:
		*x = d.id(field)
	case *domain.Personal:
		*x = domain.Clear(pick(d.rt, field, "x@example.com", "y@example.com", "4711", "4712", "4713"))
	case *time.Time:
		*x = d.o.at.Add(time.Duration(pick(d.rt, field, -1, 1, 3, 24, 24*9, 24*40)) * time.Hour)
	case *schedule.Date:
		*x = d.date(field)
	case *schedule.DateTime:
		x.Date = d.date(field)
	case *schedule.Schedule:
		*x = pick(d.rt, field, drawnTimes...)
	case *schedule.Calendar:
		*x = schedule.Calendar{{Date: d.date("from"), Until: d.date("until"), Kind: schedule.Holiday}}
	default:
		d.fillKind(v, field)
	}
}

// date lies around today; a last day mostly after a first one.
func (d drawer) date(field string) schedule.Date {
	year, month, day := d.o.at.Date()
	today, err := schedule.DateOf(year, month, day)
	if err != nil {
		panic(err)
	}
	if field == "until" || field == "to" {
		return today.AddDays(pick(d.rt, field, 0, 1, 2, 9, 30, 300))
	}
	return today.AddDays(pick(d.rt, field, -9, -1, 0, 0, 1, 3))
}

var drawnTimes = []schedule.Schedule{
	{Always: true},
	{},
	{Windows: []schedule.Window{{Days: []schedule.Day{"mon", "tue", "wed", "thu", "fri"}, From: 8 * 60, To: 18 * 60}}},
	{Windows: []schedule.Window{{Days: []schedule.Day{"mon", "tue"}, From: 8 * 60, To: 20 * 60}}},
	{Holidays: schedule.HolidaysIgnored, Windows: []schedule.Window{{Days: []schedule.Day{"mon", "fri", "sat"}, From: 22 * 60, To: 6 * 60}}},
}

func (d drawer) fillKind(v reflect.Value, field string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(d.text(v.Type(), field))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(d.rt, field))
	case reflect.Int:
		v.SetInt(int64(pick(d.rt, field, 0, 1, 2, 3, 30)))
	case reflect.Slice:
		n := pick(d.rt, field, 0, 1, 1, 1, 2)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			d.fill(v.Index(i), field)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.fill(v.Elem(), field)
	case reflect.Struct:
		if named := v.FieldByName("Named"); named.IsValid() {
			d.fillGiven(v, named, field)
			return
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			if option == "" || pick(d.rt, name+" is given", false, false, true) {
				d.fill(v.Field(i), name)
			}
		}
	}
}

// fillGiven names a field of a command that changes something: with a value, or null.
func (d drawer) fillGiven(v, named reflect.Value, field string) {
	if named.Kind() == reflect.Slice { // settings, each of which is a field
		var all map[string]any
		d.fill(v.FieldByName("Value"), field)
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
	if pick(d.rt, field+" is cleared", false, false, false, true) {
		v.FieldByName("Null").SetBool(true)
		return
	}
	d.fill(v.FieldByName("Value"), field)
}

// made are the commands that name a new thing in a field.
var made = map[string]string{
	"CreateArea": "area", "CreateBooking": "booking", "CreateDoor": "door", "CreateGroup": "group", "CreateSite": "site", "CreateUnit": "unit",
	"DefineAccessRight": "right", "DefineSchedule": "schedule", "GrantRight": "grant", "IssueMobileKey": "credential", "IssuePin": "credential",
	"IssueOneTimePin": "credential", "IssueToken": "token", "RegisterPerson": "person", "ShareAccess": "shares", "AddKeyStock": "credential",
	"SetBlackout": "blackout", "SetGroupBlackout": "blackout", "CreateOrg": "org", "RegisterOrg": "org",
}

func (d drawer) id(field string) domain.ID {
	if made[d.of] == field {
		return pick[domain.ID](d.rt, field, "", "n1", "n2", "n3")
	}
	known := d.known(field)
	if d.o.hostile != "" && field == "person" && rapid.Bool().Draw(d.rt, "for themselves") {
		return d.o.hostile
	}
	if d.of == "AssignFob" && field == "credential" {
		known = append(known, "n4", "n5", "n6")
	}
	if len(known) == 0 {
		known = []domain.ID{"word", "works"}
	}
	return pick(d.rt, field, known...)
}

func idsOf[T any](all func(func(domain.ID, *T) bool)) (out []domain.ID) {
	for id := range all {
		out = append(out, id)
	}
	return out
}

func (d drawer) known(field string) []domain.ID {
	s := d.o.state
	switch strings.TrimSuffix(field, "s") {
	case "site":
		return idsOf(s.Sites.All())
	case "area", "in", "out":
		return idsOf(s.Areas.All())
	case "door", "add_door", "remove_door":
		return idsOf(s.Doors.All())
	case "unit":
		return idsOf(s.Units.All())
	case "booking":
		return idsOf(s.Bookings.All())
	case "person", "owner":
		return idsOf(s.People.All())
	case "group":
		return idsOf(s.Groups.All())
	case "token":
		return idsOf(s.Tokens.All())
	case "schedule", "fob_schedule":
		return idsOf(s.Schedules.All())
	case "right":
		return idsOf(s.AccessRights.All())
	case "grant":
		return idsOf(s.Grants.All())
	case "share":
		return idsOf(s.Shares.All())
	case "review":
		return idsOf(s.Reviews.All())
	case "credential":
		return idsOf(s.Credentials.All())
	case "gateway":
		return idsOf(s.Gateways.All())
	case "pin":
		return []domain.ID{"pin-anna", "pin-ben", "pin-will", "pin-rita"}
	case "org":
		return []domain.ID{"acme", "other"}
	}
	return nil
}

// drawnWords are the values of the types that take a few words alone.
var drawnWords = map[reflect.Type][]string{
	reflect.TypeFor[domain.Role]():             {"system_manager", "staff", "guest"},
	reflect.TypeFor[domain.DoorKind]():         {"gate", "unit", "entry", "lift"},
	reflect.TypeFor[domain.DoorClass]():        {"standard", "critical"},
	reflect.TypeFor[domain.AfterLease]():       {"deny", "last_table"},
	reflect.TypeFor[domain.DoorCapability]():   {"remote_unlock", "unlock_for"},
	reflect.TypeFor[domain.CredentialKind]():   {"fob", "card", "mobile_key", "pin"},
	reflect.TypeFor[domain.NotificationKind](): {"shared_access"},
	reflect.TypeFor[domain.TokenScope]():       {"full", "read"},
	reflect.TypeFor[domain.ScheduleMode]():     {"always", "same_as_unit", "limited"},
	reflect.TypeFor[domain.LockLevel]():        {"gatelock", "overlock"},
	reflect.TypeFor[domain.PersonField]():      {"name", "email", "phone"},
	reflect.TypeFor[domain.ReportedAs]():       {"lost", "stolen", "damaged"},
	reflect.TypeFor[domain.TenantManages]():    {"users_and_managers", "users", "nothing"},
	reflect.TypeFor[domain.GroupRole]():        {"owner", "admin", "user"},
	reflect.TypeFor[domain.GroupOption]():      {"remote_unlock", "unlock_for", "admins_modify_settings"},
	reflect.TypeFor[domain.Posture]():          {"unlocked", "free_access", "normal"},
	reflect.TypeFor[domain.GatewayReason]():    {"replaced", "broken", "stolen"},
	reflect.TypeFor[domain.EnrolmentKey]():     {strings.Repeat("a1", 32)},
	reflect.TypeFor[domain.GatewayKey]():       {"UD2L2RSSDTT3K6EZVZXUZIE63XWGREZHVBVCEMWUUPZKJ442Y2FJ5XCP"},
}

func (d drawer) text(typ reflect.Type, field string) string {
	if words, ok := drawnWords[typ]; ok {
		return pick(d.rt, field, words...)
	}
	switch field {
	case "zone":
		return pick(d.rt, field, "UTC", "America/Santiago")
	case "hash":
		return strings.Repeat(pick(d.rt, field, "a1", "b2", "c3"), 32)
	case "fob_holders":
		return pick(d.rt, field, "anyone", "primary_tenant")
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
	case "format":
		return "raw"
	case "lock_system":
		return "gatehouse"
	}
	return pick(d.rt, field, "One", "Two")
}

// seldom are the commands that concern no opening; half of what is sent besides are
// those of oftener, whose fields must fit each other.
var seldom = []string{"RecordOverride", "RegisterOrg", "RestoreLedger", "RenameArea", "RenameGroup", "RenameOrg", "RenameSite", "SetNotification", "SetZoneRules", "ConnectSite",
	"SettleConsequences", "SettleRemoteUnlock", "CreateOrg", "IssueToken", "RevokeToken", "CreateArea", "CreateSite", "ChangePerson",
	"RegisterGateway", "RotateGatewayKey", "EnrolGateway", "RetireGateway", "AssignDoorToGateway", "RemoveDoorFromGateway"}

var oftener = []string{
	"AssignFob", "AssignFob", "IssuePin", "IssuePin", "IssueOneTimePin", "IssueMobileKey", "ShareAccess", "ShareAccess", "GrantRight", "GrantAuctionAccess",
	"CreateUnitUser", "CreateUnitUser", "CreateUnitManager", "ChangeUnitUserAccess", "ChangeUnitUserAccess", "AddMember", "ChangeMemberRole", "RemoveMember",
	"CreateBooking", "ChangeBookingWindow", "SuspendBooking", "SuspendBooking", "SuspendBooking", "ReinstateBooking", "ReinstateCredential", "SuspendPerson", "ReinstatePerson", "UnlockFor", "SetGroupOption",
	"ChangeAccessRight", "ChangeSchedule", "MapUnitAccess", "SetSitePolicy", "EnableDoor", "ReleaseLockdown", "RevokeRole", "ErasePerson", "RemoveMember", "SetBlackout",
	"SetGroupBusinessHours", "ChangeShareWindow", "ReleaseUnit",
}

var drawnCommands = func() (all []domain.CommandType) {
	for _, c := range domain.Commands() {
		if c.Name == "RestoreLedger" { // it gives nobody access and takes none away
			continue
		}
		all = append(all, c)
		if !slices.Contains(seldom, c.Name) {
			all = append(all, c)
		}
	}
	for _, name := range slices.Concat(oftener, oftener) {
		c, ok := domain.CommandNamed(name)
		if !ok {
			panic(name)
		}
		all = append(all, c)
	}
	return all
}()
