package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkSeal(b *testing.B) {
	k, ad, clear := newKey(), []byte("org|0198c0de-0000-7000-8000-000000000000|0|name"), []byte("Ada Lovelace")
	for b.Loop() {
		if _, err := k.Seal(ad, clear); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenBox(b *testing.B) {
	k, ad := newKey(), []byte("org|0198c0de-0000-7000-8000-000000000000|0|name")
	box, err := k.Seal(ad, []byte("Ada Lovelace"))
	require.NoError(b, err)
	for b.Loop() {
		if _, err := k.Open(ad, box); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTagger(b *testing.B) {
	g := deriveTagKey(newSecret(), "s1", 1).Tagger()
	for b.Loop() {
		g.Tag("card", "H10301", "123456789")
	}
}

// BenchmarkTagWithANewHash is what a Tagger saves.
func BenchmarkTagWithANewHash(b *testing.B) {
	key := newSecret().bytes()
	text := []byte("\x00\x00\x00\x04card\x00\x00\x00\x06H10301\x00\x00\x00\x09123456789")
	for b.Loop() {
		mac := hmac.New(sha256.New, key)
		mac.Write(text)
		mac.Sum(nil)
	}
}

func BenchmarkReserve1000(b *testing.B) {
	v := open(b, b.TempDir(), newMaster())
	for b.Loop() {
		reserve(b, v, "org", 1000)
	}
}

func BenchmarkKeys50k(b *testing.B) {
	v := open(b, b.TempDir(), newMaster())
	var keys []Key
	for range 5 {
		keys = append(keys, reserve(b, v, "org", 10_000)...)
	}
	asked := ids(keys)
	for b.Loop() {
		found, err := v.Keys(b.Context(), "org", asked)
		require.NoError(b, err)
		require.Len(b, found, len(keys))
	}
}

func BenchmarkRemoteKeys50k(b *testing.B) {
	s, master := startNATS(b), newMaster()
	v := open(b, b.TempDir(), master)
	serve(b, connect(b, s), v)
	r := remote(b, connect(b, s), master)
	var keys []Key
	for range 5 {
		keys = append(keys, reserve(b, v, "org", 10_000)...)
	}
	asked := ids(keys)
	for b.Loop() {
		found, err := r.Keys(b.Context(), "org", asked)
		require.NoError(b, err)
		require.Len(b, found, len(keys))
	}
}

// BenchmarkDestroy destroys one key at a time, beside 50,000 others.
func BenchmarkDestroy(b *testing.B) {
	v := open(b, b.TempDir(), newMaster())
	for range 5 {
		reserve(b, v, "org", 10_000)
	}
	var spare []Key
	var n uint64
	for b.Loop() {
		if len(spare) == 0 {
			b.StopTimer()
			spare = reserve(b, v, "org", 1000)
			b.StartTimer()
		}
		n++
		require.NoError(b, v.Destroy(b.Context(), "org", []string{spare[0].ID}, at(n)))
		spare = spare[1:]
	}
}
