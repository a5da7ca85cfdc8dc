package httpapi

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore"
	"gatehouse/gateways/reads"
	"gatehouse/schemas/wire"
)

// testDoors is what in-process gateways decide with: the state as it is, and tags
// by a plain hash.
type testDoors struct {
	b     *bed
	noKey bool
}

func (d *testDoors) Tag(_, _ domain.ID, _ domain.CredentialKind, format, number string) (unlock.Tag, bool) {
	return plainTag(format, number), !d.noKey
}

func plainTag(format, number string) unlock.Tag {
	if format == "" {
		format = "raw"
	}
	sum := sha256.Sum256([]byte(format + "\x00" + number))
	return unlock.Tag(sum[:len(unlock.Tag{})])
}

func (d *testDoors) Table(org, site domain.ID) (t *unlock.Table) {
	if !d.b.tables {
		return nil
	}
	require.NoError(d.b.t, d.b.store.View(d.b.t.Context(), org, func(s *domain.State, h eventstore.Head) (err error) {
		rows, _ := s.Rows(site, func(_ domain.ID, _ domain.CredentialKind, format, number string) (unlock.Tag, bool) {
			return plainTag(format, number), true
		})
		t, err = new(unlock.Table).Apply(unlock.Delta{Position: h.Position().String(), N: h.N, At: unlock.InstantOf(h.At), Put: rows})
		return err
	}))
	return t
}

// newReadsWorld is the shared beginning with an API that takes reads.
func newReadsWorld(t *testing.T) (*bed, *testDoors) {
	t.Helper()
	b := newWorld(t, "busy")
	doors := &testDoors{b: b}
	var err error
	b.api, err = New(Config{Store: b.store, Open: b.store.OpenEvents, Table: b.asked, Doors: doors, Ready: func() (troubles, degraded []Trouble) { return nil, nil },
		Metrics: prometheus.NewRegistry(), Now: b.clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "test",
		Limits: Limits{PerToken: Rate{10_000, 10_000}}})
	require.NoError(t, err)
	return b, doors
}

const till = "/v1/orgs/acme/sites/north/reads/till"

// cardReads is a body with reads of one card at the gate.
func cardReads(card string, numbers ...int) string {
	var list []string
	for _, n := range numbers {
		list = append(list, fmt.Sprintf(`{"number":%d,"at":%q,"door":"gate","card":%q}`, n, start.Add(time.Duration(n)*time.Minute).Format(time.RFC3339), card))
	}
	return `{"reads":[` + strings.Join(list, ",") + `]}`
}

// tally reads an answer of the reads.
func (r reply) tally() reads.Tally {
	r.t.Helper()
	r.is(http.StatusOK)
	var t reads.Tally
	require.NoError(r.t, json.Unmarshal(r.body, &t))
	return t
}

func (b *bed) reads(token, body string) reply {
	b.t.Helper()
	return b.ask(token, http.MethodPost, till, body)
}

func (b *bed) countReads(token string) reply {
	b.t.Helper()
	return b.ask(token, http.MethodGet, till, "")
}

// recordedReads is how many reads the ledger holds of the gateway "till".
func (b *bed) recordedReads() (n int) {
	b.t.Helper()
	damaged, err := b.store.Activity(b.t.Context(), "acme", "north", "till", func(*wire.Activity) error {
		n++
		return nil
	})
	require.NoError(b.t, err)
	require.Zero(b.t, damaged)
	return n
}

func TestReadsAreRecordedOnceAndCounted(t *testing.T) {
	b, _ := newReadsWorld(t)
	stan := b.token("stan", domain.ScopeFull)
	assert.Equal(t, reads.Tally{Denied: map[string]uint64{}}, b.countReads(stan).tally())

	first := b.reads(stan, cardReads("1001", 2, 3, 5)).tally()
	assert.Equal(t, uint64(3), first.Reads)
	assert.Equal(t, uint64(3), first.Allowed+first.Denied["deny_outside_schedule"], "%+v", first)
	assert.NotZero(t, first.Allowed)
	assert.Equal(t, uint64(5), first.Last)
	assert.Equal(t, first, b.reads(stan, cardReads("1001", 2, 3, 5)).tally(), "the same reads again")
	more := b.reads(stan, cardReads("no-such-card", 3, 5, 6)).tally()
	assert.Equal(t, uint64(1), more.Denied["deny_unknown_credential"])
	assert.Equal(t, 2, more.Credentials)
	assert.Equal(t, 4, b.recordedReads())
	r := b.countReads(stan)
	assert.Equal(t, more, r.tally())
	assert.NotEmpty(t, r.header.Get(positionHeader))
	assert.Equal(t, more, b.countReads(b.token("stan", domain.ScopeRead)).tally())
}

func TestNobodyRecordsForARegisteredGateway(t *testing.T) {
	b, _ := newReadsWorld(t)
	olga := domain.PersonActor("olga")
	b.execute(olga, "RegisterGateway", `{"gateway":"far","site":"south","public_key":"UBVXTRL6NIEVEOJIFQCIDDUWCEXT6A5EAAN2S6SWJQRYKKR7D2S7ZZV2"}`)
	stan := b.token("stan", domain.ScopeFull)
	for gateway, code := range map[string]string{"cabinet": "gateway_registered", "far": "id_in_use"} {
		path := "/v1/orgs/acme/sites/north/reads/" + gateway
		b.ask(stan, http.MethodPost, path, cardReads("1001", 1)).problem(http.StatusConflict, code)
		b.ask(stan, http.MethodGet, path, "").problem(http.StatusConflict, code)
	}
	b.ask(b.token("olga", domain.ScopeFull), http.MethodGet, "/v1/orgs/acme/sites/north/reads/far", "").problem(http.StatusConflict, "gateway_registered")
}

func TestReadsAreOfStaffOfTheSite(t *testing.T) {
	b, _ := newReadsWorld(t)
	body := cardReads("1001", 1)
	for who, code := range map[domain.ID]string{"olga": "", "mara": "", "stan": "", "gus": "role_not_permitted", "anna": "role_not_permitted", "sue": "unknown_site"} {
		token := b.token(who, domain.ScopeFull)
		if code == "" {
			b.reads(token, body).tally()
			b.countReads(token).tally()
			continue
		}
		status := http.StatusForbidden
		if code == "unknown_site" {
			status = http.StatusNotFound
		}
		b.reads(token, body).problem(status, code)
		b.countReads(token).problem(status, code)
	}
	stan := b.token("stan", domain.ScopeFull)
	b.reads(b.token("stan", domain.ScopeRead), body).problem(http.StatusForbidden, "scope_not_permitted")
	b.reads("", body).problem(http.StatusUnauthorized, "unauthenticated")
	b.ask(stan, http.MethodPost, "/v1/orgs/globex/sites/north/reads/till", body).is(http.StatusNotFound)
	b.ask(stan, http.MethodGet, "/v1/orgs/globex/sites/north/reads/till", "").is(http.StatusNotFound)
	b.ask(stan, http.MethodPost, "/v1/orgs/acme/sites/nowhere/reads/till", body).problem(http.StatusNotFound, "unknown_site")
	assert.Equal(t, 1, b.recordedReads())
}

func TestReadsThatAreNotWellFormedAreRefusedWhole(t *testing.T) {
	b, _ := newReadsWorld(t)
	stan := b.token("stan", domain.ScopeFull)
	many := make([]int, reads.MaxReads+1)
	for i := range many {
		many[i] = i + 1
	}
	one := func(fields string) string {
		return `{"reads":[{"number":1,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1"},` + fields + `]}`
	}
	for name, body := range map[string]string{
		"none":                    `{"reads":[]}`,
		"too many":                cardReads("1001", many...),
		"a number twice":          cardReads("1001", 1, 1),
		"numbers that fall":       cardReads("1001", 2, 1),
		"the number nought":       cardReads("1001", 0),
		"a door that is no id":    one(`{"number":2,"at":"2026-03-02T09:00:00Z","door":"The Gate","card":"1"}`),
		"no door":                 one(`{"number":2,"at":"2026-03-02T09:00:00Z","card":"1"}`),
		"no card":                 one(`{"number":2,"at":"2026-03-02T09:00:00Z","door":"gate"}`),
		"an empty card":           one(`{"number":2,"at":"2026-03-02T09:00:00Z","door":"gate","card":""}`),
		"a card that is too long": one(`{"number":2,"at":"2026-03-02T09:00:00Z","door":"gate","card":"` + strings.Repeat("1", 201) + `"}`),
		"no time":                 one(`{"number":2,"door":"gate","card":"1"}`),
		"a time without offset":   one(`{"number":2,"at":"2026-03-02T09:00:00","door":"gate","card":"1"}`),
		"half of a character":     one(`{"number":2,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1\ud800"}`),
		"another encoding":        one("{\"number\":2,\"at\":\"2026-03-02T09:00:00Z\",\"door\":\"gate\",\"card\":\"J\xfc\"}"),
		"another side":            one(`{"number":2,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1","side":"up"}`),
		"a field too many":        one(`{"number":2,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1","name":"Anna"}`),
	} {
		r := b.reads(stan, body)
		assert.Equal(t, http.StatusBadRequest, r.status, "%s: %s", name, r.body)
	}
	b.ask(stan, http.MethodPost, "/v1/orgs/acme/sites/north/reads/No.Id", cardReads("1", 1)).problem(http.StatusBadRequest, "malformed")
	for _, at := range []string{"0000-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"} {
		b.ask(stan, http.MethodPost, "/v1/orgs/acme/sites/north/reads/g", `{"reads":[{"number":1,"at":"`+at+`","door":"gate","card":"1"}]}`).
			problem(http.StatusBadRequest, "malformed")
	}
	assert.Zero(t, b.recordedReads())
	b.reads(stan, cardReads("1001", many[:reads.MaxReads]...)).tally()
	assert.Equal(t, reads.MaxReads, b.recordedReads())
}

func TestReadsHaveNumbersOfTheirFormat(t *testing.T) {
	b, _ := newReadsWorld(t)
	stan := b.token("stan", domain.ScopeFull)
	for format, card := range map[string]string{"wiegand-26": "12-345", "wiegand26": "300-1", "raw": "a b"} {
		body := fmt.Sprintf(`{"reads":[{"number":1,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1"},{"number":2,"at":"2026-03-02T09:00:00Z","door":"gate","format":%q,"card":%q}]}`, format, card)
		r := b.reads(stan, body)
		r.problem(http.StatusUnprocessableEntity, "card_format")
		assert.Contains(t, string(r.body), "the read 2: ")
	}
	assert.Zero(t, b.recordedReads())
}

func TestAReadThatIsAnotherThanTheRecordedOneIsRefused(t *testing.T) {
	b, _ := newReadsWorld(t)
	stan := b.token("stan", domain.ScopeFull)
	lines := func(lines ...string) string {
		var list []string
		for i, line := range lines {
			list = append(list, fmt.Sprintf(`{"number":%d,"at":"2026-03-02T09:00:00Z","door":"gate","card":"1001","line":%q}`, i+2, line))
		}
		return `{"reads":[` + strings.Join(list, ",") + `]}`
	}
	b.reads(stan, lines("a", "b")).tally()
	b.reads(stan, lines("a", "b")).tally()
	r := b.reads(stan, lines("a", "x", "c"))
	r.problem(http.StatusConflict, "reads_differ")
	assert.Contains(t, string(r.body), `"entries":[{"index":1,`)
	assert.Contains(t, string(r.body), "the read 3 is another")
	assert.Equal(t, 2, b.recordedReads())
	b.reads(stan, lines("a", "b", "c")).tally()
	assert.Equal(t, 3, b.recordedReads())
}

func TestReadsWaitForWhatTheyAreDecidedOn(t *testing.T) {
	b, doors := newReadsWorld(t)
	stan := b.token("stan", domain.ScopeFull)
	b.tables = false
	r := b.reads(stan, cardReads("1001", 1))
	r.problem(http.StatusServiceUnavailable, "behind")
	assert.Equal(t, "1", r.header.Get("Retry-After"))
	b.tables, doors.noKey = true, true
	b.reads(stan, cardReads("1001", 1)).problem(http.StatusServiceUnavailable, "behind")
	doors.noKey = false
	assert.Equal(t, uint64(1), b.reads(stan, cardReads("1001", 1)).tally().Reads)
}

// TestAnotherInstanceMayRecordForTheSameGateway holds that who meets it is asked to
// send again, and then is served.
func TestAnotherInstanceMayRecordForTheSameGateway(t *testing.T) {
	b, doors := newReadsWorld(t)
	stan := b.token("stan", domain.ScopeFull)
	b.reads(stan, cardReads("1001", 1)).tally()
	other, err := reads.Open(t.Context(), b.store, doors, b.clock, "acme", "north", "till")
	require.NoError(t, err)
	_, err = other.Take(t.Context(), []reads.Read{{Number: 2, At: start, Door: "gate", Side: unlock.In, Card: "1001"}})
	require.NoError(t, err)
	b.reads(stan, cardReads("1001", 2, 3)).problem(http.StatusServiceUnavailable, "busy")
	assert.Equal(t, uint64(3), b.reads(stan, cardReads("1001", 2, 3)).tally().Reads)
	assert.Equal(t, 3, b.recordedReads())
}

func TestMoreSourcesThanAreKeptOpen(t *testing.T) {
	b, _ := newReadsWorld(t)
	stan := b.token("stan", domain.ScopeFull)
	for round := range 2 {
		for i := range maxGateways + 2 {
			r := b.ask(stan, http.MethodPost, fmt.Sprintf("/v1/orgs/acme/sites/north/reads/till-%d", i), cardReads("1001", round+1))
			require.Equal(t, uint64(round+1), r.tally().Reads)
		}
	}
}

// TestReadsAreInTheDocument holds the document of an API that takes reads to have
// both operations, and their answers to it; that of one which does not has neither.
func TestReadsAreInTheDocument(t *testing.T) {
	b, _ := newReadsWorld(t)
	stan := b.token("stan", domain.ScopeFull)
	c := readContract(t, b.ask("", http.MethodGet, "/openapi.json", "").is(http.StatusOK).body)
	const path = "/v1/orgs/{org}/sites/{site}/reads/{gateway}"
	post, get := c.doc.Paths[path]["post"], c.doc.Paths[path]["get"]
	require.Equal(t, "RecordReads", post.OperationID)
	require.Equal(t, "CountReads", get.OperationID)
	c.holds(post, b.reads(stan, cardReads("1001", 1)).is(http.StatusOK))
	c.holds(post, b.reads(stan, cardReads("1001")).is(http.StatusBadRequest))
	c.holds(post, b.reads(b.token("gus", domain.ScopeFull), cardReads("1001", 1)).is(http.StatusForbidden))
	c.holds(post, b.reads("", cardReads("1001", 1)).is(http.StatusUnauthorized))
	c.holds(get, b.countReads(stan).is(http.StatusOK))
	c.holds(get, b.ask(stan, http.MethodGet, till+"?nobody_knows=1", "").is(http.StatusBadRequest))
	c.holds(get, b.ask(stan, http.MethodGet, till+"?at_least=x", "").is(http.StatusBadRequest))
	c.holds(get, b.ask(stan, http.MethodGet, till+"?at_least=2-1", "").is(http.StatusServiceUnavailable))
	c.holds(get, b.countReads("").is(http.StatusUnauthorized))
	var good any
	require.NoError(t, json.Unmarshal([]byte(cardReads("1001", 1)), &good))
	require.NoError(t, c.schema(post.RequestBody.Content["application/json"].Schema).Validate(good))
	b.tables = false
	c.holds(post, b.reads(stan, cardReads("1001", 2)).is(http.StatusServiceUnavailable))
}

func TestAnAPIWithoutDoorsTakesNoReads(t *testing.T) {
	b := newBed(t, Limits{})
	assert.NotContains(t, string(b.api.openapi), "RecordReads")
}
