package httpapi

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// box is a gateway that wants to enrol.
type box struct {
	*bed
	org, gateway wire.ID
	key          nkeys.KeyPair
}

func (b *bed) box(gateway wire.ID) box {
	b.t.Helper()
	key, err := nkeys.CreateUser()
	require.NoError(b.t, err)
	return box{b, "acme", gateway, key}
}

func (x box) public() string {
	x.t.Helper()
	public, err := x.key.PublicKey()
	require.NoError(x.t, err)
	return public
}

// request is what a box sends that has a code.
func (x box) request(code wire.EnrolmentCode) *wire.EnrolRequest {
	x.t.Helper()
	r := &wire.EnrolRequest{PublicKey: x.public(), Nonce: []byte("0123456789abcdef")}
	var err error
	r.Signature, err = x.key.Sign(r.Statement(x.org, x.gateway))
	require.NoError(x.t, err)
	r.Proof = ed25519.Sign(wire.EnrolmentKey(code.Secret), r.Statement(x.org, x.gateway))
	return r
}

func (x box) post(r *wire.EnrolRequest) reply {
	x.t.Helper()
	body, err := json.Marshal(r)
	require.NoError(x.t, err)
	return x.ask("", http.MethodPost, fmt.Sprintf("/v1/orgs/%s/gateways/%s/enrolment", x.org, x.gateway), string(body))
}

// enrol sends a code, and checks the answer as a gateway does.
func (x box) enrol(code wire.EnrolmentCode) wire.EnrolAnswer {
	x.t.Helper()
	r := x.request(code)
	var a wire.EnrolAnswer
	require.NoError(x.t, json.Unmarshal(x.post(r).is(http.StatusOK).body, &a))
	require.NoError(x.t, a.Check(code, r))
	return a
}

// codes reads the codes of an answer.
func (r reply) codes() (out []wire.EnrolmentCode) {
	r.t.Helper()
	var a CommandResult
	require.NoError(r.t, json.Unmarshal(r.is(http.StatusOK).body, &a))
	for _, c := range a.Codes {
		code, err := wire.ParseEnrolmentCode(c.Code)
		require.NoError(r.t, err)
		require.Equal(r.t, string(c.Gateway), string(code.Gateway))
		out = append(out, code)
	}
	return out
}

func TestAGatewayEnrolsByItsCode(t *testing.T) {
	b := newWorld(t, "storage")
	mara := b.token("mara", domain.ScopeFull)
	code := b.send(mara, "RegisterGateway", `{"gateway":"cabinet","site":"north"}`).codes()[0]
	x := b.box("cabinet")
	a := x.enrol(code)
	assert.Equal(t, wire.ID("north"), a.Site)
	assert.Equal(t, b.servers, a.NATSURLs)
	assert.Equal(t, b.clock(), a.Time)
	assert.Equal(t, x.public(), b.get(mara, "/gateways/cabinet").json()["public_key"])

	// The answer may be lost, and another box comes too late.
	x.enrol(code)
	b.box("cabinet").post(b.box("cabinet").request(code)).problem(http.StatusConflict, "enrolment_used")
	require.Len(t, b.get(mara, "/commits?type=gateway.enrolled").items(), 1)

	// A box that is swapped: the old one goes on until the new one has come.
	second := b.send(mara, "RotateGatewayKey", `{"gateway":"cabinet"}`).codes()[0]
	assert.Equal(t, x.public(), b.get(mara, "/gateways/cabinet").json()["public_key"])
	y := b.box("cabinet")
	y.enrol(second)
	assert.Equal(t, y.public(), b.get(mara, "/gateways/cabinet").json()["public_key"])
	x.post(x.request(code)).problem(http.StatusForbidden, "enrolment_refused")

	ended := b.send(mara, "RotateGatewayKey", `{"gateway":"cabinet"}`).codes()[0]
	b.set(b.clock().Add(domain.EnrolmentLife))
	b.box("cabinet").post(b.box("cabinet").request(ended)).problem(http.StatusConflict, "enrolment_ended")
	third := b.send(mara, "RotateGatewayKey", `{"gateway":"cabinet"}`).codes()[0]
	b.send(mara, "RetireGateway", `{"gateway":"cabinet","reason":"stolen"}`).is(http.StatusOK)
	z := b.box("cabinet")
	z.post(z.request(third)).problem(http.StatusConflict, "gateway_retired")
	y.post(y.request(second)).problem(http.StatusConflict, "gateway_retired")
}

// A code is told to its sender for a while, and stands nowhere else: nobody reads it
// back, and no log has it.
func TestACodeIsToldToItsSenderAlone(t *testing.T) {
	b := newWorld(t, "storage")
	mara, olga := b.token("mara", domain.ScopeFull), b.token("olga", domain.ScopeFull)
	const body = `[{"gateway":"cabinet","site":"north"},{"gateway":"second","site":"north","public_key":"UDHMYFIH3QO524UVSUOCSCEI6CK23OIEJUNXHVUW43PQMXLIHPKPY3OP"},{"site":"north"}]`
	const key = "Idempotency-Key: 018f4e6a-7c2b-7000-8000-2f6d3c1b9a55"
	assert.NotContains(t, string(b.ask(mara, http.MethodPost, "/v1/orgs/acme/commands/RegisterGateway?dry_run=true", body, key).is(http.StatusOK).body), "codes")
	answer := b.send(mara, "RegisterGateway", body, key)
	codes := answer.codes()
	require.Len(t, codes, 2)
	assert.NotEqual(t, codes[0].Secret, codes[1].Secret)
	require.Equal(t, codes, b.send(mara, "RegisterGateway", body, key).codes())
	b.send(olga, "RegisterGateway", body, key).problem(http.StatusUnprocessableEntity, "command_id_reused")
	b.box(codes[1].Gateway).enrol(codes[1])
	told := []string{b.said(), string(b.get(olga, "/gateways").body), string(b.get(olga, "/commits?type=gateway").body)}
	b.set(b.clock().Add(toldFor + time.Second))
	told = append(told, string(b.send(mara, "RegisterGateway", body, key).is(http.StatusOK).body))
	for _, text := range told {
		for _, c := range codes {
			letters := c.String()[strings.LastIndexByte(c.String(), '.')+1:]
			assert.NotContains(t, text, letters[:6])
			assert.NotContains(t, text, fmt.Sprintf("%x", c.Secret))
		}
	}
}

// Without a code nobody learns which orgs and gateways exist, nor which have a code.
func TestWhoHasNoCodeIsAnsweredAlike(t *testing.T) {
	b := newWorld(t, "storage")
	mara := b.token("mara", domain.ScopeFull)
	open := b.send(mara, "RegisterGateway", `{"gateway":"open","site":"north"}`).codes()[0]
	used := b.send(mara, "RegisterGateway", `{"gateway":"used","site":"north"}`).codes()[0]
	b.box("used").enrol(used)
	b.send(mara, "RegisterGateway", `{"gateway":"retired","site":"north"}`)
	b.send(mara, "RetireGateway", `{"gateway":"retired","reason":"broken"}`).is(http.StatusOK)
	var first reply
	for _, at := range [][2]wire.ID{{"acme", "open"}, {"acme", "used"}, {"acme", "retired"}, {"acme", "nowhere"}, {"other", "open"}, {"_system", "open"}} {
		x := b.box(at[1])
		x.org = at[0]
		r := x.post(x.request(wire.EnrolmentCode{Secret: [16]byte{1}}))
		if at[0] == "_system" { // which is no id
			r.problem(http.StatusBadRequest, "malformed")
			continue
		}
		r.problem(http.StatusForbidden, "enrolment_refused")
		if first.t == nil {
			first = r
		}
		assert.Equal(t, string(first.body), string(r.body), at)
	}
	// A code of one gateway, or of one org, is none of another.
	x := b.box("used")
	x.post(x.request(open)).problem(http.StatusForbidden, "enrolment_refused")
	y := b.box("open")
	r := y.request(open)
	y.org = "other"
	y.post(r).problem(http.StatusBadRequest, "malformed")
}

// The key of another box, or a changed request, is not taken.
func TestAGatewayProvesThatItHasItsKey(t *testing.T) {
	b := newWorld(t, "storage")
	code := b.send(b.token("mara", domain.ScopeFull), "RegisterGateway", `{"gateway":"cabinet","site":"north"}`).codes()[0]
	x := b.box("cabinet")
	for field, change := range map[string]func(r *wire.EnrolRequest){
		"public_key": func(r *wire.EnrolRequest) { r.PublicKey = "U" },
		"signature":  func(r *wire.EnrolRequest) { r.PublicKey = b.box("cabinet").public() },
		"nonce":      func(r *wire.EnrolRequest) { r.Nonce = r.Nonce[1:] },
		"proof":      func(r *wire.EnrolRequest) { r.Proof = nil },
	} {
		r := x.request(code)
		change(r)
		assert.Equal(t, "body."+field, x.post(r).problem(http.StatusBadRequest, "malformed").Fields[0].Name)
	}
	b.ask("", http.MethodPost, "/v1/orgs/acme/gateways/cabinet/enrolment", strings.Repeat(" ", wire.MaxEnrolment+1)).problem(http.StatusRequestEntityTooLarge, "body_too_large")
	b.servers = nil
	x.post(x.request(code)).problem(http.StatusServiceUnavailable, "no_gateway_address")
	b.servers = []string{"tls://later:4222"}
	x.enrol(code)
}

// False codes for a gateway are bounded, and whoever has its code enrols all the same.
func TestFalseCodesHoldUpNobody(t *testing.T) {
	b := newWorld(t, "storage")
	code := b.send(b.token("mara", domain.ScopeFull), "RegisterGateway", `{"gateway":"cabinet","site":"north"}`).codes()[0]
	for _, gateway := range []wire.ID{"cabinet", "nowhere"} {
		x := b.box(gateway)
		r := x.request(wire.EnrolmentCode{})
		for range falseCodes.Burst {
			x.post(r).problem(http.StatusForbidden, "enrolment_refused")
		}
		x.post(r).problem(http.StatusTooManyRequests, "rate_limited")
	}
	b.box("cabinet").enrol(code)
}

// Of many boxes that come with one code at once, one enrols.
func TestACodeLetsOneBoxIn(t *testing.T) {
	b := newWorld(t, "storage")
	mara := b.token("mara", domain.ScopeFull)
	code := b.send(mara, "RegisterGateway", `{"gateway":"cabinet","site":"north"}`).codes()[0]
	var in atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		x := b.box("cabinet")
		r := x.request(code)
		all.Go(func() {
			if got := x.post(r); got.status == http.StatusOK {
				in.Add(1)
			} else if assert.Equal(t, http.StatusConflict, got.status) {
				assert.Contains(t, string(got.body), "enrolment_used")
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, in.Load())
}
