package vault

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

func newKey() Key { return Key{newKeyID(), newSecret()} }

func TestBoxOpensWithItsKeyAndPlaceOnly(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		clear, ad := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "clear"), rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "ad")
		k := newKey()
		box, err := k.Seal(ad, clear)
		require.NoError(t, err)

		id, err := BoxKeyID(box)
		require.NoError(t, err)
		require.Equal(t, k.ID, id)
		got, err := k.Open(ad, box)
		require.NoError(t, err)
		require.True(t, bytes.Equal(clear, got))

		_, err = k.Open(append(ad, 0), box)
		require.ErrorIs(t, err, ErrBox)
		_, err = newKey().Open(ad, box)
		require.ErrorIs(t, err, ErrBox)
		_, err = Key{k.ID, newSecret()}.Open(ad, box)
		require.ErrorIs(t, err, ErrBox)
	})
}

// Boxes are hashed and compared as texts, so a box must have one text.
func TestEveryOtherTextOfABoxIsRefused(t *testing.T) {
	k := newKey()
	box, err := k.Seal([]byte("ad"), []byte("Ada"))
	require.NoError(t, err)
	for i := range len(box) {
		for _, c := range []byte("ABCabc019-_=.\n\r ") {
			if other := box[:i] + string(c) + box[i+1:]; other != box {
				_, err := k.Open([]byte("ad"), other)
				require.ErrorIs(t, err, ErrBox, "%q", other)
			}
		}
		for _, other := range []string{box[:i], box[:i] + "\n" + box[i:], box[:i] + "\r\n" + box[i:]} {
			_, err := k.Open([]byte("ad"), other)
			require.ErrorIs(t, err, ErrBox, "%q", other)
		}
	}
	for _, other := range []string{box + "=", box + "A", box + "\n", "." + box, strings.ToUpper(k.ID) + box[16:]} {
		_, err := k.Open([]byte("ad"), other)
		require.ErrorIs(t, err, ErrBox, "%q", other)
	}
}

func TestSealingTwiceGivesTwoBoxes(t *testing.T) {
	k := newKey()
	a, err := k.Seal(nil, []byte("4711"))
	require.NoError(t, err)
	b, err := k.Seal(nil, []byte("4711"))
	require.NoError(t, err)
	assert.NotEqual(t, a, b)
	assert.Regexp(t, `^[0-9a-f]{16}\.[A-Za-z0-9_-]{43}$`, a) // 12 + 4 + 16 bytes
}

func TestTheZeroKeySealsNothing(t *testing.T) {
	_, err := Key{}.Seal(nil, nil)
	require.Error(t, err)
	box, err := newKey().Seal(nil, nil)
	require.NoError(t, err)
	_, err = Key{ID: box[:keyIDSize]}.Open(nil, box)
	require.ErrorIs(t, err, ErrBox)
}

func TestHMACIsUnderAKeyOfItsOwn(t *testing.T) {
	k := newKey()
	derived, err := hkdf.Key(sha256.New, k.secret.bytes(), nil, "gatehouse vault hmac", 32)
	require.NoError(t, err)
	mac := hmac.New(sha256.New, derived)
	mac.Write([]byte("ada@example.org"))
	assert.Equal(t, [32]byte(mac.Sum(nil)), k.HMAC([]byte("ada@example.org")))
	assert.NotEqual(t, k.HMAC([]byte("a")), k.HMAC([]byte("b")))
	assert.NotEqual(t, k.HMAC([]byte("a")), newKey().HMAC([]byte("a")))
}

func TestTagIsDefinedByItsBytes(t *testing.T) {
	k := deriveTagKey(newSecret(), "s1", 1)
	mac := hmac.New(sha256.New, k.secret.bytes())
	mac.Write([]byte("\x00\x00\x00\x04card\x00\x00\x00\x03H10\x00\x00\x00\x0512345"))
	want := [16]byte(mac.Sum(nil))
	assert.Equal(t, want, k.Tag("card", "H10", "12345"))

	tagger := k.Tagger()
	for range 3 {
		assert.Equal(t, want, tagger.Tag("card", "H10", "12345"))
		assert.NotEqual(t, want, tagger.Tag("card", "H1", "012345"))
		assert.NotEqual(t, want, tagger.Tag("pin", "H10", "12345"))
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() { tagger.Tag("card", "H10301", "123456789") }))
}

func TestTagKeysDifferBySiteAndVersion(t *testing.T) {
	org := newSecret()
	seen := make(map[string]bool)
	for _, site := range []string{"1", "11", "s1", "1 1"} {
		for _, version := range []int{1, 2, 11} {
			k := deriveTagKey(org, site, version)
			assert.False(t, seen[string(k.secret.bytes())])
			seen[string(k.secret.bytes())] = true
		}
	}
	assert.Len(t, seen, 12)
}

// A value that holds a secret never prints it. That holds for every way of printing,
// also for a field of another value.
func TestNothingPrintsASecret(t *testing.T) {
	v := open(t, t.TempDir(), newMaster())
	k := reserve(t, v, "org", 1)[0]
	tag, err := v.TagKey(t.Context(), "org", "s1", 1)
	require.NoError(t, err)
	master := newMaster()
	type outer struct {
		private any
		Public  any
	}
	for _, c := range []struct {
		value  any
		secret secret
	}{
		{k, k.secret}, {&k, k.secret}, {tag, tag.secret}, {master, master.secret}, {k.secret, k.secret},
		{[]Key{k}, k.secret}, {byID(k), k.secret}, {struct{ k Key }{k}, k.secret}, {struct{ m Master }{master}, master.secret},
		{outer{k, k}, k.secret}, {&outer{&k, &k}, k.secret}, {struct{ t TagKey }{tag}, tag.secret}, {v, v.transport}, {v, v.orgs},
		{tag.Tagger(), tag.secret}, {outer{tag.Tagger(), *tag.Tagger()}, tag.secret},
	} {
		var out bytes.Buffer
		for _, verb := range "vsdxXqobcUeEfFgGt" {
			fmt.Fprintf(&out, "%"+string(verb)+" %+"+string(verb)+" %#"+string(verb)+"\n", c.value, c.value, c.value)
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("key", "value", c.value)
		}
		if b, err := json.Marshal(c.value); err == nil {
			out.Write(b)
		}
		forbidden := append(spell(c.secret), fmt.Appendf(nil, "% x", c.secret.bytes()[:8]))
		forbidden = append(forbidden, bytes.Trim(fmt.Appendf(nil, "%d", [8]byte(c.secret.bytes()[:8])), "[]"))
		forbidden = append(forbidden, bytes.Trim(fmt.Appendf(nil, "%#v", [8]byte(c.secret.bytes()[:8])), "[8]uint{}"))
		for _, f := range forbidden {
			assert.NotContains(t, out.String(), string(f), "%T", c.value)
		}
	}
	assert.Equal(t, "key "+k.ID, fmt.Sprint(k))
	assert.Equal(t, "tag key version 1", fmt.Sprint(tag))
	assert.Equal(t, "[master key]", fmt.Sprintf("%#x", master))
}
