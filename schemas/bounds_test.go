package schemas

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

func TestBoundsAreCheckedBeforeAnythingIsBuilt(t *testing.T) {
	b := wire.Bounds{Size: 200, Depth: 3, Items: 4, Count: 8}
	for text, says := range map[string]string{
		`{"a":[{"b":1}]}`:                   "",
		`{"a":[{"b":[]}]}`:                  "3 levels",
		`[[[`:                               "",
		`[[[[`:                              "3 levels",
		`]]]]]][[[`:                         "",
		`{"a":"[[[[[[","b":"\"[[[[","c":1}`: "",
		`{"a":"\\","b":[[[[1]]]]}`:          "3 levels",
		`[1,2,3,4]`:                         "",
		`[1,2,3,4,5]`:                       "4 entries",
		`[",,,,,,,,,,,,"]`:                  "",
		`{"a":1,"b":2,"c":3,"d":4,"e":5}`:   "",
		`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}`: "8 values",
		`[[1,2],[3,4],[5,6]]`:                "8 values",
		`"` + strings.Repeat("x", 200) + `"`: "200 bytes",
	} {
		err := b.Check([]byte(text))
		if says == "" {
			assert.NoError(t, err, text)
		} else {
			assert.ErrorContains(t, err, says, text)
		}
	}
	assert.Zero(t, testing.AllocsPerRun(10, func() { _ = CommandBounds.Check([]byte(`{"a":[1,2,3]}`)) }))
}

func TestDepthCostsNoMemory(t *testing.T) {
	typ, _ := domain.CommandNamed("DefineSchedule")
	for _, open := range []string{`{"a":`, `[`, `{"windows":[`} {
		body := []byte(strings.Repeat(open, 200_000))
		var any any
		requireWithin(t, body, 0, func() {
			var e *wire.BoundError
			require.ErrorAs(t, wire.CheckKeys(body, &any), &e)
		})
		requireWithin(t, body, 0, func() {
			_, err := DecodeCommands(typ, body)
			require.Error(t, err)
		})
	}
}

func TestManyEntriesAreRefusedBeforeTheyAreDecoded(t *testing.T) {
	typ, _ := domain.CommandNamed("SetSitePolicy")
	_, err := DecodeCommands(typ, []byte(`[`+strings.Repeat(`{},`, domain.MaxList)+`{}]`))
	var refusal *domain.Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, "invalid_field", refusal.Code)
	body := []byte(`[` + strings.Repeat(`{},`, 300_000) + `{}]`)
	requireWithin(t, body, 0, func() {
		_, err := DecodeCommands(typ, body)
		require.Error(t, err)
	})
}

func TestAZippedBaseDoesNotUnfoldForEver(t *testing.T) {
	body := zippedPart(t, make([]byte, 64<<20))
	requireWithin(t, body, 8<<20, func() {
		var b wire.BaseReader
		whole, err := b.Take(body)
		require.NoError(t, err)
		require.True(t, whole)
		_, err = b.SiteTable("acme", "north", nil)
		require.ErrorContains(t, err, "bytes in one row")
	})
}

// zippedPart is the one message of a base with this content.
func zippedPart(t *testing.T, content []byte) []byte {
	t.Helper()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write(content)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	body, err := json.Marshal(wire.PermissionPart{Format: 1, Org: "acme", Site: "north", N: 1, Part: 1, Of: 1, Data: zipped.Bytes()})
	require.NoError(t, err)
	return body
}

// perByte is how many bytes a decoder may take for each byte that it is given: a
// field of a few letters becomes an entry of a map, an empty object a struct.
const perByte = 400

// requireWithin fails when f allocates more than its input warrants.
func requireWithin(t *testing.T, input []byte, more uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	most := uint64(len(input))*perByte + more + 1<<20
	require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, most, "bytes allocated for %d of input", len(input))
}

// seeds are inputs that broke decoders, or might.
func seeds(f *testing.F, more ...string) {
	for _, s := range append(more, ``, `null`, `{}`, `[]`, `[{}]`, `"x"`, `1e999`, `{"":{"":0}}`, `{"a":1,"a":2}`, "\xff", "{\"a\":\"\\ud800\"}",
		strings.Repeat(`{"a":`, 2000), strings.Repeat(`[`, 20_000), `[`+strings.Repeat(`{},`, 2000)+`{}]`, `{"a":[`+strings.Repeat(`0,`, 2000)+`0]}`) {
		f.Add([]byte(s))
	}
}

func FuzzDecodeCommands(f *testing.F) {
	names := domain.Commands()
	for i := range names {
		f.Add(uint16(i), []byte(`{}`))
	}
	for _, s := range []string{strings.Repeat(`{"windows":[`, 2000), `[` + strings.Repeat(`{},`, 2000) + `{}]`, `{"at":"9999-12-31T23:59:59-23:59"}`, `{"from":"9999-12-31"}`} {
		f.Add(uint16(7), []byte(s))
	}
	f.Fuzz(func(t *testing.T, kind uint16, body []byte) {
		typ := names[int(kind)%len(names)]
		requireWithin(t, body, 0, func() { _, _ = DecodeCommands(typ, body) })
	})
}

func FuzzReadCommit(f *testing.F) {
	seeds(f, `{"id":"00000000-0000-0000-0000-000000000000","request":"`+strings.Repeat("0", 64)+`","org":"acme","epoch":1,"n":1,"at":"2026-01-01T00:00:00Z","actor":"person:olga","command":"RenameOrg","events":[{"type":"org.renamed","version":1,"sites":[],"data":`+strings.Repeat(`{"a":`, 100)+`1`+strings.Repeat(`}`, 100)+`}],"prev":"`+strings.Repeat("0", 64)+`","min_reader":1}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		requireWithin(t, body, 0, func() {
			if c, err := DecodeCommit(body); err == nil {
				_, _ = c.Applied()
			}
		})
	})
}

func FuzzDecodeActivity(f *testing.F) {
	seeds(f, `{"gateway":"g","k":1,"type":"access_granted","local":{"a":[]}}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		requireWithin(t, body, 0, func() { _, _ = wire.DecodeActivity(body) })
	})
}

func FuzzDecodeOrderAnswer(f *testing.F) {
	seeds(f, `{"id":"o","outcome":"executed"}`, `{"id":"o","outcome":"refused","code":"deny_too_late"}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		requireWithin(t, body, 0, func() { _, _ = wire.DecodeOrderAnswer(&wire.Order{ID: "o"}, body) })
	})
}

func FuzzDecodePermission(f *testing.F) {
	seeds(f, `{"format":1,"org":"acme","site":"north","n":1,"put":[{"kind":"door","door":"d"}]}`, `{"format":1,"part":1,"of":1,"data":"H4sIAAAAAAAA"}`, `{"format":2}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		requireWithin(t, body, 0, func() { _, _, _ = wire.DecodePermission(body) })
	})
}

func FuzzReadBase(f *testing.F) {
	row, err := unlock.Encode(&unlock.Door{ID: "d"})
	require.NoError(f, err)
	seeds(f, `{"format":1,"org":"acme","site":"north","n":1,"rows":1}`+"\n"+string(row)+"\n", "{}\n"+strings.Repeat("{}\n", 1000))
	f.Fuzz(func(t *testing.T, body []byte) {
		part := zippedPart(t, body)
		requireWithin(t, body, 8<<20, func() {
			var b wire.BaseReader
			_, _ = b.Take(part)
			_, _ = b.SiteTable("acme", "north", nil)
		})
	})
}

func FuzzCheckKeys(f *testing.F) {
	seeds(f, `{"site":"north","policy":{"fob_schedule":"a","FOB_SCHEDULE":"b"}}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		requireWithin(t, body, 0, func() {
			var any any
			_ = wire.CheckKeys(body, &any)
			typ, _ := domain.CommandNamed("SetSitePolicy")
			_ = wire.CheckKeys(body, typ.New())
		})
	})
}
