package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// transfer is the order in which files make the same in another org.
var transfer = []string{"sites", "areas", "units", "doors", "schedules", "rights", "unit-rights", "people", "roles", "bookings", "move-ins",
	"shares", "grants", "credentials", "suspensions", "suspended-people"}

// What is exported and imported into an empty org is exported there in the same
// bytes: awkward names, both instants of an hour that comes twice, zones, empty
// lists.
func TestAnExportMakesTheSameInAnotherOrg(t *testing.T) {
	require.Len(t, transfer, len(importCommands))
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
	} {
		s.must(append([]string{"do"}, words...)...)
	}
	there := &station{t: t, service: s.service, url: s.url, token: s.org("other"), dir: s.dir}
	for _, kind := range transfer {
		path := filepath.Join(s.dir, kind+".csv")
		out := s.verb(t.Context(), "export", kind, path, "--url", s.url, "--token", s.token)
		require.Equal(t, exitDone, out.code, out.stderr)
		assert.Contains(t, out.stderr, kind+": ")
		if kind == "shares" { // what sharing needs has commands of its own
			there.must("do", "ConnectSite", "site=hq", "lock_system=gatehouse")
			there.must("do", "SetNotification", "site=hq", "kind=shared_access", "enabled=true")
		}
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
	for _, kind := range transfer {
		here, over := exportLines(t, s, kind), exportLines(t, there, kind)
		assert.Equal(t, here, over, kind)
		assert.Equal(t, s.must("export", kind, "--json"), s.must("export", kind, "-", "--json"), kind)
	}
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
