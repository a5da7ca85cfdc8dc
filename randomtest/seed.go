// Package randomtest gives random tests their seeds: the same in every run, or fresh
// ones.
//
// # Why
//
// A test that everybody must pass may not depend on chance, so its seeds are fixed.
// Fixed seeds alone look at the same few histories for ever: a long run takes a fresh
// seed, and prints it, so that a failure can be repeated.
package randomtest

import (
	"flag"
	"os"
	"strconv"
	"sync"
	"testing"
)

// Variable names the environment variable with a fresh seed: a number of up to 64 bits.
const Variable = "GATEHOUSE_SEED"

// Fixed reports whether the seeds are the fixed ones. A test that counts what its
// histories met can do so only then.
func Fixed() bool { return os.Getenv(Variable) == "" }

// Seed returns the fixed seed, or with [Variable] one that is made of both. A test that
// fails prints the variable.
func Seed(t testing.TB, fixed uint64) uint64 {
	t.Helper()
	if Fixed() {
		return fixed
	}
	fresh, err := strconv.ParseUint(os.Getenv(Variable), 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: it is a number without a sign: %v", Variable, os.Getenv(Variable), err)
	}
	if _, was := told.LoadOrStore(t, true); !was {
		t.Logf("random test: repeat it with %s=%d", Variable, fresh)
		t.Cleanup(func() { told.Delete(t) })
	}
	return mix(fresh + fixed)
}

// told are the running tests that have printed the variable.
var told sync.Map

// mix spreads neighbouring numbers over all others, as SplitMix64 does.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Rapid seeds the checks of pgregory.net/rapid that follow in the test. A seed that was
// given with -rapid.seed is kept.
func Rapid(t testing.TB, fixed uint64) {
	t.Helper()
	f := flag.Lookup("rapid.seed")
	old := f.Value.String()
	if old != "0" {
		return
	}
	if err := f.Value.Set(strconv.FormatUint(Seed(t, fixed), 10)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Value.Set(old); err != nil {
			t.Fatal(err)
		}
	})
}
