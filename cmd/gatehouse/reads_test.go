package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/bulk"
	"gatehouse/gateways/reads"
)

// makeGate makes the site hq with a gate that opens to a card, and a lodge that
// does not.
func (s *station) makeGate() {
	s.t.Helper()
	s.must("do", "CreateSite", "site=hq", "name=Headquarters", "zone=Europe/Berlin")
	s.must("do", "CreateDoor", "site=hq", "door=gate", "name=Gate", "kind=gate")
	s.must("do", "CreateDoor", "site=hq", "door=lodge", "name=Lodge", "kind=inner")
	s.must("do", "DefineAccessRight", "right=entry", "name=Entry", "doors=gate", "schedule=always")
	s.must("do", "RegisterPerson", "person=anna")
	s.must("do", "AssignRole", "person=anna", "role=staff", "site=hq")
	s.must("do", "GrantRight", "grant=g", "person=anna", "right=entry")
	s.must("do", "AssignFob", "credential=card", "kind=card", "number=1001", "person=anna", "sites=hq")
}

// passes are the lines of reads n to m of one card at the gate.
func passes(n, m int) string {
	var b strings.Builder
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for i := n; i <= m; i++ {
		fmt.Fprintf(&b, "%s,1001,gate\n", at.Add(time.Duration(i)*time.Second).Format(time.RFC3339))
	}
	return b.String()
}

var passColumns = []string{"--time-column", "at", "--credential-column", "card", "--door-columns", "door", "--gateway", "till"}

func readsOf(path string, more ...string) []string {
	return append(append([]string{"reads", path}, passColumns...), more...)
}

// eachOnce checks that the reads of the lines are recorded, each once, in order.
func (s *station) eachOnce(lines int) {
	s.t.Helper()
	got := s.recorded("till")
	require.Len(s.t, got, lines)
	for i, source := range got {
		require.Equal(s.t, fmt.Sprint("till:", i+2), source)
	}
}

// TestReadsGoOnAfterAStop stops in the middle, with the answer to the last request
// lost. It starts again, and once more when the file has grown.
func TestReadsGoOnAfterAStop(t *testing.T) {
	s := newStation(t)
	s.makeGate()
	const lines = 2*reads.MaxReads + 300
	path := s.file("passes.csv", "at,card,door\n"+passes(1, lines))
	ctx, uncut := s.cutAfter(2, func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/reads/")
	})
	stopped := s.at(ctx, readsOf(path)...)
	uncut()
	assert.NotEqual(t, exitDone, stopped.code)
	assert.Empty(t, stopped.stdout, "a summary is of the whole")
	s.eachOnce(2 * reads.MaxReads)

	again := s.at(t.Context(), readsOf(path)...)
	require.Equal(t, exitDone, again.code, again.stderr)
	assert.Contains(t, again.stderr, fmt.Sprintf("going on behind line %d", 2*reads.MaxReads+1))
	assert.Equal(t, bulk.ReadsSummary{Reads: lines, Allowed: lines, Denied: map[string]uint64{}, Doors: 1, Credentials: 1}, lastLine[bulk.ReadsSummary](t, again.stdout))
	s.eachOnce(lines)

	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(passes(lines+1, lines+20))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	assert.Equal(t, uint64(lines+20), lastLine[bulk.ReadsSummary](t, s.must(readsOf(path)...)).Reads)
	s.eachOnce(lines + 20)
}

// TestBadReadsAreToldAndNothingIsSent checks that a bad line at the very end leaves
// nothing half done. The rest is sent when the bad line is to be skipped.
func TestBadReadsAreToldAndNothingIsSent(t *testing.T) {
	s := newStation(t)
	s.makeGate()
	path := s.file("passes.csv", "at,card,door,side\r\n"+
		"2026-03-02T08:00:00Z,1001,gate,in\r\n"+
		"2026-03-02 08:00,1001,gate,in\r\n"+
		"2026-03-02T08:00:01Z,1001,lodge,Out\r\n"+
		"2026-03-02T08:00:02Z,,gate,in\r\n"+
		"2026-03-02T08:00:02Z,1001,--,in\r\n"+
		"2026-03-02T08:00:02Z,1001,gate,up\r\n"+
		"2026-03-02T08:00:02Z,1001,gate\r\n"+
		"1926-03-02T08:00:02Z,1001,gate,in\r\n"+
		"2026-03-02T08:00:03Z,4711,gate,in\r\n")
	refused := s.at(t.Context(), readsOf(path, "--side-column", "side")...)
	assert.Equal(t, exitUsage, refused.code)
	for _, told := range []string{
		`line 3: the time "2026-03-02 08:00" is not written as "2006-01-02T15:04:05Z07:00"`,
		"line 5: the number is empty", `line 6: the name "--" has no letter or digit`, `line 7: the side is "up"; it is in or out, or what --sides says`,
		`line 8: it has 3 values, the header has 4: "2026-03-02T08:00:02Z,1001,gate"`, `line 9: the time "1926-03-02T08:00:02Z" is not within the years 1970 to 2261`,
		"6 lines cannot be read; nothing was sent; mend them or give --skip-bad",
	} {
		assert.Contains(t, refused.stderr, told)
	}
	assert.Empty(t, refused.stdout)
	assert.Empty(t, s.recorded("till"))

	want := bulk.ReadsSummary{Reads: 3, Allowed: 1, Doors: 2, Credentials: 2, Skipped: 6,
		Denied: map[string]uint64{"deny_no_access_right": 1, "deny_unknown_credential": 1}}
	for range 2 {
		assert.Equal(t, want, lastLine[bulk.ReadsSummary](t, s.must(readsOf(path, "--side-column", "side", "--skip-bad")...)))
		assert.Equal(t, []string{"till:2", "till:4", "till:10"}, s.recorded("till"))
	}
}

func TestReadsOfWhatIsNotThere(t *testing.T) {
	s := newStation(t)
	s.makeGate()
	path := s.file("passes.csv", "at,card,door\n"+passes(1, 1))
	assert.Equal(t, exitUsage, s.at(t.Context(), "reads", path, "--time-column", "when", "--credential-column", "card", "--door-columns", "door").code)
	assert.Equal(t, exitUsage, s.at(t.Context(), readsOf(path, "--zone", "Europe/Nowhere")...).code)
	assert.Equal(t, exitUsage, s.at(t.Context(), readsOf(path, "--gateway", "No Id")...).code)
	assert.Equal(t, exitUsage, s.at(t.Context(), readsOf(path, "--time-layout", "2006-01-02 15:04 MST")...).code)
	assert.Equal(t, exitUsage, s.at(t.Context(), readsOf(filepath.Join(s.dir, "missing.csv"))...).code)
	assert.Equal(t, exitUsage, s.verb(t.Context(), append(readsOf(path), "--url", s.url, "--token", s.token)...).code, "no site")
	assert.Equal(t, exitForbidden, s.verb(t.Context(), append(readsOf(path), "--url", s.url, "--site", "hq")...).code, "no token")
	assert.Equal(t, exitRefused, s.verb(t.Context(), append(readsOf(path), "--url", s.url, "--token", s.token, "--site", "nowhere")...).code)
	assert.Empty(t, s.recorded("till"))
}

// TestAFileThatDoesNotContinueIsRefused sends the file of another day for the same
// gateway, and files of which one line is another.
func TestAFileThatDoesNotContinueIsRefused(t *testing.T) {
	s := newStation(t)
	s.makeGate()
	const header = "at,card,door\n"
	send := func(text string, more ...string) outcome {
		return s.at(t.Context(), readsOf(s.file("passes.csv", text), more...)...)
	}
	const lines = 2*reads.MaxReads + 500
	first := header + passes(1, lines)
	require.Equal(t, exitDone, send(first).code)
	for name, c := range map[string]struct {
		text string
		says string
	}{
		"another day":         {header + passes(90_001, 90_003), "line 2: the read 2 is another than the one that is recorded"},
		"one line changed":    {header + passes(1, 1233) + strings.Replace(passes(1234, 1234), "gate", "lodge", 1) + passes(1235, lines+1), "line 1235: the read 1235 is another"},
		"one line left out":   {header + passes(1, 2000) + passes(2002, lines+1), "line 2002: "},
		"the last is another": {header + passes(1, lines-1) + passes(lines+1, lines+9), fmt.Sprintf("line %d: ", lines+1)},
		"another header":      {"at,card,door,x\n" + strings.ReplaceAll(passes(1, 3), "\n", ",\n"), "line 2: "},
	} {
		o := send(c.text)
		assert.Equal(t, exitRefused, o.code, "%s: %s", name, o.stderr)
		assert.Contains(t, o.stderr, c.says, name)
		assert.Contains(t, o.stderr, "--as-new", name)
	}
	s.eachOnce(lines)
	require.Equal(t, exitDone, send(header+passes(1, 10)).code, "an older copy has nothing new")
	require.Equal(t, exitDone, send(first+passes(lines+1, lines+2)).code, "it has grown")
	s.eachOnce(lines + 2)

	day2 := header + passes(90_001, 90_003)
	for range 2 {
		o := send(day2, "--as-new")
		require.Equal(t, exitDone, o.code, o.stderr)
		assert.Equal(t, uint64(3), lastLine[bulk.ReadsSummary](t, o.stdout).Reads, "as new, once")
	}
	s.eachOnce(lines + 2)
}

func TestACopyOfAFileIsTakenOnce(t *testing.T) {
	s := newStation(t)
	s.makeGate()
	send := func(name, text string) outcome {
		o := s.at(t.Context(), "reads", s.file(name, text), "--time-column", "at", "--credential-column", "card", "--door-columns", "door")
		require.Equal(t, exitDone, o.code, o.stderr)
		return o
	}
	text := "at,card,door\n" + passes(1, 5)
	send("passes.csv", text)
	for _, name := range []string{"passes.csv", "passes (1).csv", "passes - Copy.csv"} {
		o := send(name, text)
		assert.Equal(t, uint64(5), lastLine[bulk.ReadsSummary](t, o.stdout).Reads)
		assert.Contains(t, o.stderr, "going on behind line 6", name)
	}
	other := "at,card,door\n" + passes(1, 1) + passes(7, 9)
	for range 2 {
		o := send("passes (2).csv", other)
		assert.Equal(t, uint64(4), lastLine[bulk.ReadsSummary](t, o.stdout).Reads, "it is named like a copy, and is none")
	}
}

// TestAnUnfinishedLineWaits cuts the last line of a file, and finishes it.
func TestAnUnfinishedLineWaits(t *testing.T) {
	s := newStation(t)
	s.makeGate()
	whole := "at,card,door\n" + passes(1, 3)
	for _, cut := range []int{6, 12, 25} {
		o := s.at(t.Context(), readsOf(s.file("passes.csv", whole[:len(whole)-cut]))...)
		require.Equal(t, exitDone, o.code, o.stderr)
		assert.Contains(t, o.stderr, "line 4 is unfinished")
		assert.Equal(t, 4, lastLine[bulk.ReadsSummary](t, o.stdout).Waiting)
	}
	s.eachOnce(2)
	o := s.at(t.Context(), readsOf(s.file("passes.csv", strings.TrimSuffix(whole, "\n")))...)
	require.Equal(t, exitDone, o.code, o.stderr)
	s.eachOnce(3) // a file without a line end at its end is whole
	s.must(readsOf(s.file("passes.csv", whole))...)
	s.eachOnce(3)
}

// TestOneCardHasOneNumberInEveryFile imports cards from one file and reads of them from
// another. Each file writes the numbers in its own way. The test then imports the cards
// again.
func TestOneCardHasOneNumberInEveryFile(t *testing.T) {
	s := newStation(t)
	s.makeGate()
	cards := s.file("cards.csv", "credential;number\nw1;012-00345\nw2;7:8\n")
	words := []string{"import", "credentials", cards, "--set", "kind=card", "--set", "sites=hq", "--set", "person=anna", "--set", "format=wiegand26"}
	assert.Equal(t, 2, lastLine[bulk.Imported](t, s.must(words...)).Accepted)
	again := append(slices.Clone(words), "--set", "from=2026-01-01") // another list, of the same numbers
	refused := s.at(t.Context(), again...)
	assert.Equal(t, exitRefused, refused.code, refused.stderr)
	typed := s.file("typed.csv", "credential,number\nw1,\"12,345\"\nw2,007-00008\n")
	there := append(slices.Clone(words), "--json")
	there[2] = typed
	assert.Equal(t, 2, lastLine[bulk.Imported](t, s.must(there...)).Repeated*2, "however they are typed, the cards are the same")

	reads := s.file("reads.csv", "at,card,door\n2026-03-02T08:00:00Z,012-00345,gate\n2026-03-02T08:00:01Z,\"12,00345\",gate\n2026-03-02T08:00:02Z,7 8,gate\n")
	assert.Equal(t, uint64(3), lastLine[bulk.ReadsSummary](t, s.must(readsOf(reads, "--format", "wiegand26")...)).Allowed)
	none := s.at(t.Context(), readsOf(reads, "--format", "wiegand-26")...)
	assert.Equal(t, exitUsage, none.code)
	assert.Contains(t, none.stderr, `--format: there is no format "wiegand-26"; did you mean wiegand26?`)
	wrong := s.at(t.Context(), readsOf(s.file("wrong.csv", "at,card,door\n2026-03-02T08:00:00Z,300-1,gate\n"), "--format", "wiegand26")...)
	assert.Equal(t, exitUsage, wrong.code)
	assert.Contains(t, wrong.stderr, `line 2: "300-1" is no number of the format wiegand26`)
}

// TestReadsAreSentInConstantMemory reads a file of which the client may keep a
// part at a time; GATEHOUSE_LONG makes it a million lines.
func TestReadsAreSentInConstantMemory(t *testing.T) {
	lines := 20_000
	if os.Getenv("GATEHOUSE_LONG") != "" {
		lines = 1_000_000
	}
	path := filepath.Join(t.TempDir(), "passes.csv")
	f, err := os.Create(path)
	require.NoError(t, err)
	w := bufio.NewWriter(f)
	_, err = w.WriteString("at,card,door\n")
	require.NoError(t, err)
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for i := range lines {
		_, err = fmt.Fprintf(w, "%s,card-number-%d,gate\n", at.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i)
		require.NoError(t, err)
	}
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())

	var tally reads.Tally
	var first, most uint64 // bytes of the heap that are in use
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			var body struct {
				Reads []struct {
					Number uint64 `json:"number"`
				} `json:"reads"`
			}
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&body))
			tally.Reads += uint64(len(body.Reads))
			tally.Last = body.Reads[len(body.Reads)-1].Number
		}
		if used := inUse(); first == 0 {
			first = used
		} else {
			most = max(most, used)
		}
		assert.NoError(t, json.NewEncoder(w).Encode(tally))
	}))
	defer server.Close()
	s := &station{t: t, url: server.URL, token: "gh.acme.t.s"}
	o := s.at(context.Background(), readsOf(path, "--zone", "Europe/Berlin")...)
	require.Equal(t, exitDone, o.code, o.stderr)
	assert.Equal(t, uint64(lines), lastLine[bulk.ReadsSummary](t, o.stdout).Reads)
	t.Logf("%d lines; heap in use before the first read: %d KiB, at most: %d KiB", lines, first>>10, most>>10)
	assert.Less(t, most, first+2<<20, "as much is in use whatever the number of lines")
}

// inUse is what is left of the heap after a collection, in bytes.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
