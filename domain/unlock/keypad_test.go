package unlock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/randomtest"
)

// typed is what a reader asks when digits are typed: those of a credential, or of
// nobody.
func (s *storage) typed(c *Credential, at Instant) Request {
	r := Request{Door: IDOf(s.hall.ID), Side: In, At: at, Kind: Pin, Tag: tagged("nobody's")}
	if c != nil {
		r.Tag = c.Tag
	}
	return r
}

// try asks and keeps what follows of it.
func (s *storage) try(t *Table, k *Keypad, r Request) Answer {
	s.local.Keypad = *k
	a := Decide(t, &s.local, r)
	*k = k.After(r, a)
	return a
}

func TestWrongCodesLockTheReader(t *testing.T) {
	s := newStorage(t)
	table, err := NewTable(s.all()...)
	require.NoError(t, err)
	s.local.LeaseEnd = Held
	var k Keypad
	at := noon
	for range freeCodes {
		assert.Equal(t, DenyInvalidPin, s.try(table, &k, s.typed(nil, at)).Code)
		assert.False(t, k.LockedOut(at))
	}
	for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		s.try(table, &k, s.typed(nil, at))
		assert.Equal(t, want, time.Duration(k.Until-at))
		locked := k
		assert.Equal(t, DenyLockout, s.try(table, &k, s.typed(nil, k.Until-1)).Code)
		assert.Equal(t, DenyLockout, s.try(table, &k, s.typed(s.pin, k.Until-1)).Code, "the right code is not looked at either")
		assert.Equal(t, locked, k, "what is typed meanwhile counts for nothing")
		at = k.Until
	}
	assert.True(t, s.try(table, &k, s.typed(s.pin, at)).Allowed)
	for range freeCodes {
		s.try(table, &k, s.typed(nil, at))
		assert.False(t, k.LockedOut(at), "a right code ended the row")
	}
	later := at + 24*hour
	s.try(table, &k, s.typed(nil, later))
	assert.Equal(t, Keypad{Row: 1, Count: 1, Forgot: later, Until: k.Until}, k, "a day later all is forgotten")
}

func TestWhatIsAWrongCode(t *testing.T) {
	s := newStorage(t)
	s.local.LeaseEnd = Held
	revoked := &Credential{ID: "revoked", Tag: tagged("revoked"), Kind: Pin, Person: "sue", State: CredentialRevoked}
	s.rows = append(s.rows, revoked)
	asked := func(change func(*Request)) Keypad {
		r := s.typed(s.pin, noon)
		change(&r)
		table, err := NewTable(s.all()...)
		require.NoError(t, err)
		k := Keypad{Row: 3, Count: 3, Forgot: noon}
		s.try(table, &k, r)
		return k
	}
	kept, wrong, right := Keypad{Row: 3, Count: 3, Forgot: noon}, Keypad{Row: 4, Count: 4, Forgot: noon}, Keypad{Count: 3, Forgot: noon}
	assert.Equal(t, right, asked(func(*Request) {}))
	assert.Equal(t, right, asked(func(r *Request) { r.Door = IDOf("door-a") }), "a PIN is right where it does not open")
	assert.Equal(t, wrong, asked(func(r *Request) { r.Tag = revoked.Tag }))
	assert.Equal(t, kept, asked(func(r *Request) { r.Tag, r.Kind = s.card.Tag, AnyKind }), "a card is no code")
	assert.Equal(t, kept, asked(func(r *Request) { r.Tag, r.Kind = tagged("nobody's"), AnyKind }))
	assert.Equal(t, kept, asked(func(r *Request) { r.Tag, r.Person = Tag{}, IDOf("sue") }))
	s.hall.Factor = PinFactor
	assert.Equal(t, right, asked(func(r *Request) { r.Tag, r.Kind, r.Second = s.card.Tag, AnyKind, s.pin.Tag }))
	assert.Equal(t, wrong, asked(func(r *Request) { r.Tag, r.Kind, r.Second = s.card.Tag, AnyKind, tagged("nobody's") }))
	s.hall.Factor = PersonFactor
	assert.Equal(t, wrong, asked(func(r *Request) { r.Tag, r.Kind, r.Second = s.card.Tag, AnyKind, tagged("nobody's") }), "digits may be tried in place of the second person's")
}

func TestALockedReaderLetsPeopleOut(t *testing.T) {
	s := newStorage(t)
	s.local = Local{LeaseEnd: Held, Keypad: Keypad{Until: Held}}
	for _, factor := range []Factor{NoFactor, PinFactor} {
		s.hall.Factor = factor
		table, err := NewTable(s.all()...)
		require.NoError(t, err)
		r := s.typed(s.pin, noon)
		r.Second = s.pin.Tag
		assert.Equal(t, DenyLockout, Decide(table, &s.local, r).Code)
		r.Side = Out
		a := Decide(table, &s.local, r)
		assert.True(t, a.Allowed)
		assert.Equal(t, []Code{DenyLockout}, a.Failed.Codes())
	}
}

// TestGuessesAreFew is the promise of the package about guessing: however wrong
// codes are timed, and however often somebody who has a PIN types it between, a
// reader looks at no more than its numbers say.
func TestGuessesAreFew(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		var k Keypad
		var looked []Instant
		at, own := noon, rapid.IntRange(0, 12).Draw(t, "wrong codes before a right one")
		pauses := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second, time.Minute, 15 * time.Minute, time.Hour, 26 * time.Hour}), 1, 20).Draw(t, "pauses")
		for n := range 300 {
			at = max(at+Instant(pauses[n%len(pauses)]), k.Until)
			if own > 0 && n%own == 0 {
				k = k.right(at)
			}
			k = k.wrong(at)
			looked = append(looked, at)
		}
		for i, from := range looked {
			for j := i; j < len(looked); j++ {
				if most := dayCodes + 1 + int((looked[j]-from)/longLockout); j-i+1 > most {
					t.Fatalf("%d wrong codes within %s", j-i+1, time.Duration(looked[j]-from))
				}
			}
		}
	})
}

// TestAnAnswerSaysDuress: a code for duress decides as any other.
func TestAnAnswerSaysDuress(t *testing.T) {
	s := newStorage(t)
	s.local.LeaseEnd = Held
	forced := *s.pin
	forced.ID, forced.Tag, forced.Duress = "forced", tagged("forced"), true
	s.rows = append(s.rows, &forced)
	for _, factor := range []Factor{NoFactor, PinFactor} {
		s.hall.Factor = factor
		table, err := NewTable(s.all()...)
		require.NoError(t, err)
		for _, at := range []Instant{noon, noon + 12*hour} {
			plain, silent := s.typed(s.pin, at), s.typed(&forced, at)
			if factor == PinFactor {
				plain.Tag, plain.Second = s.card.Tag, s.pin.Tag
				silent.Tag, silent.Second = s.card.Tag, forced.Tag
			}
			a, b := Decide(table, &s.local, plain), Decide(table, &s.local, silent)
			assert.Equal(t, a.Allowed, b.Allowed)
			assert.Equal(t, a.Code, b.Code)
			assert.Equal(t, a.Failed, b.Failed)
			assert.False(t, a.Duress())
			assert.True(t, b.Duress())
		}
	}
}
