package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/bulk"
	"gatehouse/domain"
)

// An export that is imported into an empty org is exported there in the same bytes. It
// has awkward names, both instants of an hour that comes twice, zones and empty lists.
func TestAnExportMakesTheSameInAnotherOrg(t *testing.T) {
	s := newStation(t)
	for _, words := range [][]string{
		{"CreateSite", "site=hq", "name==HYPERLINK(1)", "zone=Europe/Berlin"},
		{"CreateSite", "site=far", "name=Île, \"Ø\"; größer", "zone=Pacific/Chatham"},
		{"ConnectSite", "site=hq", "lock_system=gatehouse"},
		{"SetNotification", "site=hq", "kind=shared_access", "enabled=true"},
		{"CreateArea", "area=yard", "site=hq", "name='quoted'"},
		{"CreateUnit", "unit=u1", "site=hq", "name=-1"},
		{"CreateUnit", "unit=u2", "site=hq", "name=+2"},
		{"CreateDoor", "door=gate", "site=hq", "name=@gate, the", "kind=gate", "in=yard", "capabilities=remote_unlock,unlock_for", "capacity=200"},
		{"CreateDoor", "door=d1", "site=hq", "name=D1", "kind=unit", "unit=u1", "fire_release=true"},
		{"DefineSchedule", "schedule=night", "name=Night", `times={"holidays":"ignore","windows":[{"days":["sat","sun"],"from":"22:30","to":"24:00"}]}`},
		{"DefineAccessRight", "right=entries", "name=Entries", "doors=gate,d1", "schedule=night"},
		{"DefineAccessRight", "right=none", "name=None", "doors=", "schedule=always"},
		{"MapUnitAccess", "unit=u1", `rights=[{"right":"entries","schedule":"night"}]`},
		{"MapUnitAccess", "unit=u2", `rights=[{"right":"entries"}]`},
		{"RegisterPerson", "person=anna", "name==Anna\nO'Neil, \"the\" tenant", "email=anna@example.com", "phone=+49 30 123"},
		{"RegisterPerson", "person=ben", "name= Bén 日本語\t"},
		{"RegisterPerson", "person=carl"},
		{"AssignRole", "person=carl", "role=guest", "site=hq", "until=2040-10-28T02:30:00+02:00"},
		{"CreateBooking", "booking=b1", "unit=u1", "person=anna", "from=2026-03-29"},
		{"CreateBooking", "booking=b2", "unit=u2", "person=ben", "from=2024-02-29", "until=2044-02-29"},
		{"MoveIn", "booking=b1", "tenant_manages=users"},
		{"ShareAccess", "bookings=b1", `sharees=[{"person":"carl"},{"person":"new","email":"new@example.com"}]`, "from=2026-03-29", "until=2040-01-31", "shares=s1,s2"},
		{"GrantRight", "grant=g1", "person=carl", "right=entries", "from=2026-03-29", "kinds=fob,card", "buffer_before=15"},
		{"AssignFob", "credential=f1", "number=0012", "person=anna", "booking=b1", "from=2026-10-25T02:30:00+02:00", "until=2040-10-28T02:30:00+01:00"},
		{"AssignFob", "credential=f2", "kind=card", "format=wiegand26", "number=1-77", "person=carl", "sites=hq"},
		{"SuspendBooking", "booking=b2", "level=overlock", "cause=unpaid"},
		{"SuspendPerson", "person=carl"},
		{"DisableDoor", "door=d1"},
		{"CreateDoor", "door=back", "site=hq", "name=Back", "kind=inner", "capabilities=remote_unlock"},
		{"Lockdown", "site=far"},
		{"Lockdown", "area=yard"},
		{"Lockdown", "door=back", "cause=intruder"},
		{"SetSitePolicy", "site=hq", `policy={"fob_holders":"anyone","fob_schedule":"night","membership_overlap":"union","share_depth":2}`},
		{"SetHolidayCalendar", "site=hq", `days=[{"date":"2026-12-24","until":"2026-12-26","kind":"holiday","name":"Weihnachten, \"drei\" Tage"},{"date":"2026-10-25","kind":"special"}]`},
		{"SetBlackout", "site=hq", "blackout=paint", "name==Paint", "from=2026-03-29T02:30", "to=2026-03-30T00:00"},
		{"SetBlackout", "site=far", "blackout=storm", "from=2024-02-29T00:00", "to=2024-03-01T00:00"},
		{"RegisterGateway", "gateway=cabinet", "site=hq", "name=Cabinet", "public_key=" + gatewayKey(t)},
		{"AssignDoorToGateway", "gateway=cabinet", "door=gate"},
		{"CreateUnitUser", "unit=u1", "person=dora", "name=Dora", `access=[{"right":"entries","mode":"same_as_unit"}]`},
		{"CreateUnitManager", "unit=u1", "person=ben", `access=[{"right":"entries","mode":"limited","limited":{"holidays":"ignore","windows":[{"days":["sat"],"from":"22:30","to":"23:00"}]}}]`, "may_delegate_management=true"},
		{"CreateGroup", "group=crew", "name==Crew", "doors=gate,back", "owner=ben"},
		{"AddMember", "group=crew", "person=anna", "role=owner"},
		{"AddMember", "group=crew", "person=dora", "role=user"},
		{"CreateGroup", "group=none", "name=None", "doors=", "owner=olga"},
		{"SetGroupOption", "group=crew", "option=remote_unlock", "enabled=true"},
		{"SetGroupOption", "group=crew", "option=admins_modify_settings", "enabled=false"},
		{"SetGroupSchedule", "group=crew", `times={"windows":[{"days":["mon"],"from":"08:00","to":"09:00"}]}`},
		{"SetGroupSchedule", "group=none", "times={}"},
		{"SetGroupBusinessHours", "group=crew", `times={"windows":[{"days":["fri"],"from":"22:00","to":"06:00"}]}`, "first_in=false", "grace_minutes=0"},
		{"SetGroupBlackout", "group=crew", "blackout=feast", "from=2026-03-29T02:30", "to=2026-03-30T02:30"},
		{"SchedulePosture", "door=back", "schedule=night"},
		{"SetPosture", "site=hq", "posture=free_access"},
		{"SetPosture", "door=gate", "posture=unlocked", "until=2040-10-28T02:30:00+01:00"},
	} {
		s.must(append([]string{"do"}, words...)...)
	}
	there := &station{t: t, service: s.service, url: s.url, token: s.org("other"), dir: s.dir}
	for _, kind := range bulk.KindNames() {
		path := filepath.Join(s.dir, kind+".csv")
		out := s.verb(t.Context(), "export", kind, path, "--url", s.url, "--token", s.token)
		require.Equal(t, exitDone, out.code, out.stderr)
		assert.Contains(t, out.stderr, kind+": ")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		lines := strings.Count(string(text), "\n") - 1
		require.Positive(t, lines, kind)
		args := []string{"import", kind, path}
		if kind == "people" { // the owner is there
			args = append(args, "--skip-bad")
		}
		got := there.at(t.Context(), args...)
		require.Equal(t, exitDone, got.code, "%s: %s\n%s", kind, got.stderr, text)
	}
	for _, kind := range bulk.KindNames() {
		here, over := exportLines(t, s, kind), exportLines(t, there, kind)
		assert.Equal(t, here, over, kind)
		assert.Equal(t, s.must("export", kind, "--json"), s.must("export", kind, "-", "--json"), kind)
	}
}

// asASpreadsheetSaves is a cell as a spreadsheet writes it back that was given it bare:
// numbers lose their zeros and all digits behind the eleventh, dates are its own.
func asASpreadsheetSaves(cell string) string {
	n, err := strconv.ParseFloat(cell, 64)
	switch {
	case err == nil && n >= 1e11:
		return strconv.FormatFloat(n, 'E', 5, 64)
	case err == nil:
		return strconv.FormatFloat(n, 'f', -1, 64)
	case regexp.MustCompile(`^[0-9]{1,2}[-/.][0-9]{1,4}$|(?i)^(mar|dec)-?[0-9]+$`).MatchString(cell):
		return "01.02.2026"
	case strings.EqualFold(cell, "true"):
		return "WAHR"
	}
	return cell
}

// A number stays the same when it is exported, saved by a spreadsheet and imported.
func TestNumbersAreTheSameByWayOfASpreadsheet(t *testing.T) {
	s := newStation(t)
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	for i, number := range []string{"0012", "000123456789012", "123456789012345678", "12345678901", "1E5", "12-1999", "3/4", "MAR1", "true", "=1+1", "04A1B2C3"} {
		s.must("do", "AssignFob", fmt.Sprint("credential=c", i), "kind=card", "number="+number, "person=olga", "sites=hq")
	}
	s.must("do", "AssignFob", "credential=w", "kind=card", "format=wiegand26", "number=003-00004", "person=olga", "sites=hq")
	cells, err := csv.NewReader(strings.NewReader(exportLines(t, s, "credentials"))).ReadAll()
	require.NoError(t, err)
	var saved bytes.Buffer
	out := csv.NewWriter(&saved)
	out.Comma, out.UseCRLF = ';', true
	for _, row := range cells {
		for i := range row {
			row[i] = asASpreadsheetSaves(row[i])
		}
		require.NoError(t, out.Write(row))
	}
	out.Flush()
	there := &station{t: t, service: s.service, url: s.url, token: s.org("other"), dir: s.dir}
	there.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	there.must("import", "credentials", s.file("saved.csv", saved.String()))
	assert.Equal(t, exportLines(t, s, "credentials"), exportLines(t, there, "credentials"))
}

// gatewayKey is the public key of a new gateway.
func gatewayKey(t *testing.T) string {
	t.Helper()
	pair, err := nkeys.CreateUser()
	require.NoError(t, err)
	key, err := pair.PublicKey()
	require.NoError(t, err)
	return key
}

// exportLines is an export as a table, read on standard output.
func exportLines(t *testing.T, s *station, kind string) string {
	t.Helper()
	o := s.verb(t.Context(), "export", kind, "--url", s.url, "--token", s.token)
	require.Equal(t, exitDone, o.code, o.stderr)
	return o.stdout
}

func TestAnExportOfPeople(t *testing.T) {
	s := newStation(t)
	s.must("do", "RegisterPerson", "person=anna", "name==1+1", "phone=+49 30 123")
	assert.Contains(t, exportLines(t, s, "people"), "\nanna,'=1+1,,'+49 30 123\n")
	for line := range strings.Lines(s.must("export", "people")) {
		var person struct {
			Person domain.ID `json:"person"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &person))
		assert.NotEmpty(t, person.Person)
	}
	assert.Equal(t, exitUsage, s.at(t.Context(), "export", "windows").code)
	assert.Equal(t, exitUsage, s.at(t.Context(), "export", "people", filepath.Join(s.dir, "missing", "people.csv")).code)
	bad := s.verb(t.Context(), "export", "people", filepath.Join(s.dir, "x.csv"), "--url", s.url, "--token", s.token+"x")
	assert.Equal(t, exitForbidden, bad.code)
	found, err := filepath.Glob(filepath.Join(s.dir, "x.csv*"))
	require.NoError(t, err)
	assert.Empty(t, found, "whole or not at all")
}
