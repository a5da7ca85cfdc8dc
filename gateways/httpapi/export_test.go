package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

// exported reads an export: its lines, and what the last one says.
func exported(t testing.TB, body []byte) (lines []string, end exportEnd) {
	t.Helper()
	for line := range strings.Lines(string(body)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	require.NotEmpty(t, lines)
	var last map[string]exportEnd
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	return lines[:len(lines)-1], last["end"]
}

func (b *bed) export(token, path string) ([]string, exportEnd) {
	b.t.Helper()
	return exported(b.t, b.get(token, "/export/"+path).is(http.StatusOK).body)
}

func TestAnExportIsTheCommandsThatWouldMakeIt(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	for _, c := range [][2]string{
		{"SuspendBooking", `{"booking":"book-a2","level":"gatelock","cause":"unpaid"}`},
		{"CreateUnitUser", `{"unit":"a1","person":"will","access":[{"right":"entries"}]}`},
		{"CreateGroup", `{"group":"night-crew","name":"Night crew","doors":["gate"],"owner":"stan"}`},
		{"AddMember", `{"group":"night-crew","person":"vera","role":"user"}`},
		{"SetBlackout", `{"site":"north","blackout":"paint","from":"2026-03-02T10:00","to":"2026-03-03T10:00"}`},
		{"SetPosture", `{"door":"lift","posture":"unlocked","until":"2026-03-02T13:00:00+01:00"}`},
		{"SetPosture", `{"door":"gate","posture":"unlocked","until":"2026-03-02T09:01:00Z"}`},
	} {
		b.send(olga, c[0], c[1]).is(http.StatusOK)
	}
	b.set(start.Add(time.Minute))
	for kind, want := range map[string]string{
		"sites":            `{"site":"south","name":"South","zone":"Europe/Lisbon"}`,
		"areas":            `{"area":"hall","site":"north","name":"Hall"}`,
		"units":            `{"unit":"a4","site":"north","name":"A4"}`,
		"doors":            `{"door":"gate","site":"north","name":"Gate","kind":"gate","in":"yard","class":"standard","after_lease":"deny","capabilities":["remote_unlock"]}`,
		"schedules":        `{"schedule":"office-hours","name":"Office hours","times":{"windows":[{"days":["mon","tue","wed","thu","fri"],"from":"08:00","to":"18:00"}]}}`,
		"rights":           `{"right":"entries","name":"Gate and lift","doors":["gate","lift"],"schedule":"day-hours"}`,
		"unit-rights":      `{"unit":"a1","rights":[{"right":"entries"},{"right":"unit-a1"}]}`,
		"people":           `{"person":"vera","name":"Vera Visitor","email":"vera@example.com"}`,
		"roles":            `{"person":"stan","role":"staff","site":"north"}`,
		"bookings":         `{"booking":"book-a1","unit":"a1","person":"anna","from":"2026-03-01","until":"2026-12-31"}`,
		"move-ins":         `{"booking":"book-a1","tenant_manages":"users_and_managers"}`,
		"suspensions":      `{"booking":"book-a2","level":"gatelock","cause":"unpaid"}`,
		"shares":           `{"bookings":["book-a1"],"sharees":[{"person":"will"}],"from":"2026-03-02","until":"2026-03-31","shares":["share-will"]}`,
		"grants":           `{"grant":"grant-vera","person":"vera","right":"visitor-doors","from":"2026-03-02","until":"2026-03-31"}`,
		"credentials":      `{"credential":"fob-anna","kind":"fob","format":"raw","number":"1001","person":"anna","booking":"book-a1"}`,
		"suspended-people": "",
		"unit-users":       `{"unit":"a1","person":"will","access":[{"right":"entries","mode":"same_as_unit"}]}`,
		"groups":           `{"group":"night-crew","name":"Night crew","doors":["gate"],"owner":"stan"}`,
		"group-members":    `{"group":"night-crew","person":"vera","role":"user"}`,
		"blackouts":        `{"site":"north","blackout":"paint","from":"2026-03-02T10:00","to":"2026-03-03T10:00"}`,
		"postures":         `{"door":"lift","posture":"unlocked","until":"2026-03-02T12:00:00Z"}`,
	} {
		lines, end := b.export(olga, kind)
		if want != "" {
			assert.Contains(t, lines, want, kind)
		}
		assert.Equal(t, len(lines), end.Rows, kind)
		assert.Equal(t, b.get(olga, "").header.Get(positionHeader), end.Position, kind)
		_, ok := KindNamed(kind)
		require.True(t, ok, kind)
	}
	_, end := b.export(olga, "bookings")
	assert.Equal(t, 1, end.Suspended)
	lines, _ := b.export(olga, "postures")
	assert.Len(t, lines, 1, "the other is over")
	lines, _ = b.export(b.token("vera", domain.ScopeFull), "groups")
	assert.Equal(t, []string{`{"group":"night-crew","name":"Night crew","doors":["gate"]}`}, lines, "its users do not learn who owns it")
	one, _ := b.export(olga, "people?ids=vera,nobody")
	assert.Len(t, one, 1)
	b.get(olga, "/export/tokens").problem(http.StatusBadRequest, "malformed")
}

func TestAnExportKeepsWhatMayBeSeen(t *testing.T) {
	b := newWorld(t, "busy")
	sue, anna, olga := b.token("sue", domain.ScopeFull), b.token("anna", domain.ScopeFull), b.token("olga", domain.ScopeFull)
	lines, _ := b.export(sue, "doors")
	assert.Equal(t, []string{`{"door":"south-gate","site":"south","name":"South gate","kind":"gate","class":"standard","after_lease":"deny"}`}, lines)
	lines, _ = b.export(anna, "bookings")
	assert.Len(t, lines, 1, "their own alone")
	b.send(anna, "SetUnitPrivacy", `{"unit":"a1","enabled":true}`).is(http.StatusOK)
	lines, _ = b.export(olga, "unit-users")
	assert.Empty(t, lines)
	for _, kind := range []string{"credentials", "move-ins"} {
		seen := b.get(olga, "/"+strings.ReplaceAll(kind, "move-ins", "bookings")).ids()
		lines, end := b.export(olga, kind)
		assert.LessOrEqual(t, len(lines)+end.LeftOut, len(seen), "no more than the list of %s", kind)
	}
	b.send(olga, "RegisterPerson", `{"person":"pia","name":"Pia"}`).is(http.StatusOK)
	before, _ := b.export(olga, "people?ids=pia")
	assert.Len(t, before, 1)
	b.send(olga, "ErasePerson", `{"person":"pia"}`).is(http.StatusOK)
	after, end := b.export(olga, "people?ids=pia")
	assert.Empty(t, after)
	assert.Equal(t, 1, end.LeftOut)
}

func TestWhatIsTakenAwayIsNotExported(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	b.send(olga, "IssuePin", `{"person":"anna","booking":"book-a1"}`)
	b.send(olga, "ReportCredential", `{"credential":"fob-ben","as":"stolen"}`).is(http.StatusOK)
	b.send(olga, "RevokeShare", `{"share":"share-will"}`).is(http.StatusOK)
	b.send(olga, "EndBooking", `{"booking":"book-a2"}`).is(http.StatusOK)
	lines, end := b.export(olga, "credentials")
	assert.Len(t, lines, 1, "the fob of anna; neither that of ben nor a PIN nor a mobile key")
	assert.Positive(t, end.LeftOut)
	for _, kind := range []string{"shares", "roles"} {
		lines, _ := b.export(olga, kind)
		assert.NotContains(t, strings.Join(lines, "\n"), "share-will")
		assert.NotContains(t, strings.Join(lines, "\n"), `"owner"`)
	}
	lines, _ = b.export(olga, "bookings")
	assert.Len(t, lines, 1)
}

// An export is of one position, though the org goes on while it is read; what is
// to be forgotten meanwhile is forgotten in it too.
func TestAnExportIsOfOnePosition(t *testing.T) {
	b := newWorld(t, "busy")
	olga := b.token("olga", domain.ScopeFull)
	want, end := b.export(olga, "people")
	ctx := context.WithValue(t.Context(), infoKey{}, &info{caller: &caller{org: "acme", token: idOfToken(t, olga), person: "olga"}})
	e := &export{api: b.api, ctx: ctx}
	kind, ok := KindNamed("people")
	require.True(t, ok)
	require.NoError(t, e.begin(kind, nil))
	b.send(olga, "ChangePerson", `{"person":"anna","name":"Another"}`).is(http.StatusOK)
	b.send(olga, "RegisterPerson", `{"person":"late","name":"Late"}`).is(http.StatusOK)
	b.send(olga, "ErasePerson", `{"person":"vera"}`).is(http.StatusOK)
	var out bytes.Buffer
	require.NoError(t, e.write(&out))
	got, then := exported(t, out.Bytes())
	assert.Equal(t, end.Position, then.Position)
	assert.Len(t, got, len(want)-1)
	for _, line := range got {
		assert.Contains(t, want, line)
		assert.NotContains(t, line, "vera")
	}
}

func TestAnExportWaitsItsTurn(t *testing.T) {
	b := newWorld(t, "house")
	olga := b.token("olga", domain.ScopeFull)
	leave := b.fill(&b.api.budgets.exports)
	assert.Contains(t, b.get(olga, "/export/people").problem(http.StatusServiceUnavailable, "busy").Detail, "exports")
	leave()
	b.get(olga, "/export/people").is(http.StatusOK)
	b.get(olga, "/export/people").is(http.StatusOK)
	assert.Zero(t, b.api.budgets.exports.Taken())
}
