package backup

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireMemory fails when f allocates too much for its input. The bound is some bytes
// for each byte of the input, and one part of a message.
func requireMemory(t *testing.T, input []byte, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(len(input))*400+maxBody+4<<20)
}

// A manifest with a good checksum is not trusted: a writer of the target can make one.
func FuzzDecodeManifest(f *testing.F) {
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `{"streams":null}`, `{"streams":[null]}`, `{"vault":[{}]}`, `{"streams":[{"name":"LEDGER","segments":[null]}]}`,
		`{"streams":[{"name":"LEDGER","segments":[{"name":"segments/LEDGER/../../x","first":1,"last":1,"messages":1,"size":1}]}]}`,
		strings.Repeat(`{"streams":[`, 3000), strings.Repeat(`[`, 20_000),
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := append(fmt.Appendf(nil, "%s %d sha256:%x\n", manifestMagic, Format, sha256.Sum256(body)), body...)
		requireMemory(t, b, func() {
			m, err := decodeManifest(b)
			if err != nil {
				return
			}
			for _, s := range m.Streams {
				for _, seg := range s.Segments {
					require.NotContains(t, seg.Name, "..")
				}
			}
		})
	})
}

func FuzzReadSegment(f *testing.F) {
	want := SegmentHeader{Format, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "LEDGER", 1, 1, 1}
	header := `{"format":1,"ledger":"2026-01-01T00:00:00Z","stream":"LEDGER","first":1,"last":1,"messages":1}` + "\n"
	message := (&Message{Seq: 1, Time: want.Ledger, Subject: "ledger.0.acme", Header: map[string][]string{"A": {"b"}}, Body: []byte("{}")}).append(nil)
	for _, s := range []string{``, `null`, header, header + string(message), header + string(message[:9]), header + "\x01\x00\xff\xff\xff\xff\x0f", strings.Repeat(`{"a":`, 20_000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		requireMemory(t, plain, func() {
			messages, err := readSegment(plain, want)
			if err == nil {
				require.Len(t, messages, want.Messages)
			}
		})
	})
}
