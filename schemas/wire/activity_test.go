package wire

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestARecordOfBeforeVersionsHasItsTypeAsNamedNow(t *testing.T) {
	a, err := DecodeActivity([]byte(`{"gateway":"till","boot":1,"k":7,"type":"access_granted","clock":"given"}`))
	require.NoError(t, err)
	assert.Equal(t, AccessGranted, a.Type)
	assert.True(t, a.Known())
	assert.Zero(t, a.V)
}

func TestARecordOfLaterCodeIsKeptAndUnknown(t *testing.T) {
	for _, body := range []string{
		`{"v":9,"gateway":"till","boot":1,"k":7,"type":"access.granted","more":{"a":1}}`,
		`{"v":1,"gateway":"till","boot":1,"k":7,"type":"lift.stuck"}`,
	} {
		a, err := DecodeActivity([]byte(body))
		require.NoError(t, err)
		assert.False(t, a.Known(), body)
		assert.Equal(t, Warning, a.Weight(), body)
		assert.EqualValues(t, 7, a.K)
	}
}

func TestEveryTypeIsANounAndWhatBecameOfIt(t *testing.T) {
	for _, typ := range ActivityTypes() {
		assert.Regexp(t, `^[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*$`, typ)
		m, ok := typ.Meaning()
		assert.True(t, ok)
		assert.LessOrEqual(t, len(strings.Fields(m.Meaning)), 12, typ)
		assert.Equal(t, m.Severity, (&Activity{V: 1, Type: typ}).Weight())
	}
}

// A gateway sends a thousand records in one request of at most 512 KiB, and the stream
// is not compressed.
func TestRecordsOfAVisitHave450BytesInTheMean(t *testing.T) {
	at := time.Date(2026, 11, 30, 18, 30, 5, 123456789, time.UTC)
	base := Activity{Gateway: "gw-north-2", Boot: 12, K: 1_204_331, Prev: HashOf([]byte("x")), At: at, RecordedAt: at.Add(3 * time.Millisecond),
		Door: "d-1041", Side: "in", Clock: ClockService, ClockErrorMS: 12}
	granted := base
	granted.Type, granted.Method, granted.Credential, granted.Person, granted.Code, granted.Grant = AccessGranted, MethodFob, "c-20411", "p-10412", "allow_grant", "b:b-30412"
	granted.Position, granted.Digest, granted.LeaseEnd = "1-1204331", strings.Repeat("ab", 32), at.Add(14*time.Minute)
	denied := granted
	denied.Type, denied.Code, denied.Failed = AccessDenied, "deny_outside_schedule", []string{"deny_outside_schedule"}
	denied.Local = json.RawMessage(`{"first_in":1764527405,"last_side":2,"uses":3}`)
	unknown := base
	unknown.Type, unknown.Method, unknown.Code, unknown.Tag, unknown.TagKey = AccessDenied, MethodCard, "deny_unknown_credential", hex.EncodeToString(make([]byte, 16)), 3
	unknown.Failed, unknown.Position, unknown.Digest, unknown.LeaseEnd = []string{"deny_unknown_credential"}, granted.Position, granted.Digest, granted.LeaseEnd
	taken, closed := base, base
	taken.Type, taken.Of, taken.HowKnown = AccessTaken, 1_204_330, KnownSensor
	closed.Type, closed.Of, closed.HowKnown = DoorClosed, 1_204_330, KnownSensor
	var sum int
	mix := []Activity{granted, taken, closed, granted, taken, closed, granted, taken, closed, denied, unknown}
	for i := range mix {
		body, err := mix[i].Encode()
		require.NoError(t, err)
		sum += len(body)
	}
	assert.LessOrEqual(t, sum/len(mix), 450)
}
