package domain

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

// decideProperty is the promise: over any history, the table that a gateway makes
// of changes decides every question as the state does.
func decideProperty(t *rapid.T, seen func(code string)) {
	h := newHistory(t)
	opened := map[ID]ID{} // a PIN with a number of uses -> the gateway at which it opened
	known, stolen := map[ID]struct{}{}, map[ID]struct{}{}
	for range rapid.IntRange(1, 40).Draw(t, "commands") {
		h.pass()
		if rapid.Bool().Draw(t, "due") {
			h.due()
		}
		h.step()
		h.knownToThieves(known, stolen)
		for range 4 {
			q := h.question()
			h.gates.agree(t, h.s, q)
			_, code := slowDecide(h.s, q)
			seen(code)
			h.countedAtOne(q, code, opened)
			h.opensNothingOf(known, q, code)
		}
	}
	rows := scratch(t, h.s)
	for site, table := range h.gates {
		require.Equal(t, len(rows[site]), table.Len(), "the changes add up to the rows")
	}
}

func TestDecideAgreesWithTheStateOverHistories(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	codes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) { decideProperty(t, func(code string) { codes[code]++ }) })
	t.Log(codes)
	if !randomtest.Fixed() {
		return // which codes a few histories meet is chance
	}
	for _, code := range []string{"allow_grant", "allow_share", "allow_staff", "deny_no_access_right", "deny_booking_ended", "deny_outside_schedule"} {
		require.NotZero(t, codes[code], "no history led to %s", code)
	}
}

// FuzzDecide asks the same of histories that the fuzzer makes up. Histories are
// long, and to shorten each one that shows something new takes a minute:
//
//	go test -fuzz FuzzDecide -fuzzminimizetime 1x ./domain
func FuzzDecide(f *testing.F) {
	for seed := range uint64(5) {
		var key [32]byte
		key[0] = byte(seed)
		data := make([]byte, 64<<10)
		if _, err := rand.NewChaCha8(key).Read(data); err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { decideProperty(t, func(string) {}) }))
}

// wholePolicy names every setting, so that those at their default are set too.
func wholePolicy(p Policy) Patch[Policy] {
	return Patch[Policy]{Value: p, Named: jsonNames(reflect.TypeFor[Policy]())}
}

// endOf is an end that is set in any case; the zero value: no end.
func endOf[T comparable](v T) Given[T] {
	var none T
	if v == none {
		return Given[T]{Named: true, Null: true}
	}
	return Give(v)
}
