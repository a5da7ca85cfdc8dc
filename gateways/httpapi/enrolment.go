package httpapi

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/nats-io/nkeys"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// Enrolment is how gateways get their codes and enrol.
type Enrolment struct {
	LogKey ed25519.PrivateKey // signs the answers; codes have its fingerprint
	Codes  []byte             // the key from which the secrets of codes follow
	// Servers lists the addresses of NATS for a gateway that reached this service by a
	// host; none: no gateway can connect.
	Servers func(host string) []string
}

// enrolling is the actor of the commands by which gateways enrol.
var enrolling = domain.ServiceActor("enrolment")

// falseCodes bounds the requests for one gateway whose code this instance does not know.
// Each costs a look at the ledger. They hold up nobody who has the code.
var falseCodes = Rate{1, 20}

// enrolPattern is the route by which gateways enrol.
const enrolPattern = "POST /v1/orgs/{org}/gateways/{gateway}/enrolment"

type enrolInput struct {
	Org     domain.ID `path:"org" maxLength:"64"`
	Gateway domain.ID `path:"gateway" maxLength:"64"`
	Body    wire.EnrolRequest

	host string
}

// Resolve notes by which host the gateway reached the service.
func (in *enrolInput) Resolve(ctx huma.Context) []error {
	in.host = ctx.Host()
	return nil
}

type enrolOutput struct{ Body wire.EnrolAnswer }

func (a *API) registerEnrolment() {
	serve(a, route{effect: commits, open: true, usedBy: "a gateway with its code, without a token"}, huma.Operation{
		OperationID: "Enrol", Method: http.MethodPost, Path: "/v1/orgs/{org}/gateways/{gateway}/enrolment", Security: []map[string][]string{},
		Summary: "Gives a gateway the key that it made, by a one-use code",
		Description: "The gateway signs a statement with the key that follows from its code and with its new nkey. The code itself is not sent. " +
			"If the answer was lost, the same key may be sent again with the same code. " +
			"The answer to somebody without a valid code is the same whether the gateway exists or not.",
		Tags: []string{"Gateways"}, Errors: []int{400, 403, 409, 413, 415, 429, 503, 504},
	}, a.enrol)
}

// enrol answers a gateway that proves to have a code and the private half of its key.
func (a *API) enrol(ctx context.Context, in *enrolInput) (*enrolOutput, error) {
	if p := checkEnrolment(in); p != nil {
		return nil, p
	}
	servers := a.cfg.Enrolment.Servers(in.host)
	if len(servers) == 0 {
		return nil, problem(http.StatusServiceUnavailable, "no_gateway_address",
			"this service has no address of NATS for gateways; start it with --nats-listen, or name the addresses with --gateway-nats-url. The code stays good")
	}
	g, code, err := a.codeOf(ctx, in)
	if err == nil && code == "" {
		if !a.rates.falseCodes.allow(string(in.Org) + "/" + string(in.Gateway)) {
			return nil, a.rateLimited(shareGateway)
		}
		if err = a.lookAtTail(ctx, in.Org); err == nil { // another instance may have given the code an instant ago
			g, code, err = a.codeOf(ctx, in)
		}
	}
	switch {
	case err != nil:
		return nil, a.asProblem(ctx, err)
	case code == "":
		return nil, problem(http.StatusForbidden, "enrolment_refused",
			"this code is not good: it is not one of this gateway, or a newer one took its place; a system manager makes a new one with RotateGatewayKey")
	}
	key := domain.GatewayKey(in.Body.PublicKey)
	if g.Retired != "" || g.EnrolledBy != code || g.PublicKey != key {
		_, err := a.cfg.Store.Execute(ctx, in.Org, eventstore.Request{ID: newID(), Command: "EnrolGateway", Actor: enrolling,
			Fields: []any{&domain.EnrolGateway{Gateway: in.Gateway, Code: code, PublicKey: key}}})
		if err != nil {
			return nil, a.asProblem(ctx, err)
		}
		a.cfg.Log.Info("a gateway has enrolled", "request_id", infoOf(ctx).id, "org", in.Org, "gateway", in.Gateway, "key", key)
	}
	answer := wire.EnrolAnswer{Org: wire.ID(in.Org), Gateway: wire.ID(in.Gateway), Site: wire.ID(g.Site), NATSURLs: servers, Time: a.cfg.Now().UTC()}
	answer.Sign(a.cfg.Enrolment.LogKey, &in.Body)
	return &enrolOutput{answer}, nil
}

// checkEnrolment refuses a request that no gateway sends. It says nothing of the ledger.
func checkEnrolment(in *enrolInput) *Problem {
	for name, id := range map[string]domain.ID{"path.org": in.Org, "path.gateway": in.Gateway} {
		if err := domain.CheckID(id); err != nil {
			return malformed(name, "%v", err)
		}
	}
	r := &in.Body
	if n := len(r.Nonce); n < wire.MinNonce || n > wire.MaxNonce {
		return malformed("body.nonce", "has %d bytes; send %d to %d", n, wire.MinNonce, wire.MaxNonce)
	}
	if len(r.Proof) != ed25519.SignatureSize {
		return malformed("body.proof", "has %d bytes; a signature has %d", len(r.Proof), ed25519.SignatureSize)
	}
	public, err := nkeys.FromPublicKey(r.PublicKey)
	if err != nil || !nkeys.IsValidPublicUserKey(r.PublicKey) {
		return malformed("body.public_key", "it is not the public key of an nkey of a user, which begins with U")
	}
	if public.Verify(r.Statement(wire.ID(in.Org), wire.ID(in.Gateway)), r.Signature) != nil {
		return malformed("body.signature", "it is not the signature of the statement by the nkey")
	}
	return nil
}

// codeOf returns the gateway and the key of its code with which a request is signed;
// no key: it has none that this instance knows. An unknown gateway takes as long.
func (a *API) codeOf(ctx context.Context, in *enrolInput) (g domain.Gateway, code domain.EnrolmentKey, err error) {
	listed := false
	err = a.cfg.Store.View(ctx, domain.SystemOrg, func(s *domain.State, _ eventstore.Head) error {
		listed = s.Orgs.Has(in.Org)
		return nil
	})
	if err == nil && listed {
		err = a.cfg.Store.View(ctx, in.Org, func(s *domain.State, _ eventstore.Head) error {
			if row, ok := s.Gateways.Get(in.Gateway); ok {
				g = *row
			}
			return nil
		})
	}
	if err != nil {
		return g, "", err
	}
	statement := in.Body.Statement(wire.ID(in.Org), wire.ID(in.Gateway))
	for _, key := range []domain.EnrolmentKey{g.EnrolledBy, g.Enrolment.Key} {
		raw, err := hex.DecodeString(string(key))
		if err != nil || len(raw) != ed25519.PublicKeySize {
			raw = make([]byte, ed25519.PublicKeySize)
		}
		if ed25519.Verify(raw, statement, in.Body.Proof) && key != "" {
			code = key
		}
	}
	return g, code, nil
}

// lookAtTail reads what other instances committed to an org that is listed. For others
// it takes as long.
func (a *API) lookAtTail(ctx context.Context, org domain.ID) error {
	if _, err := a.cfg.Store.Head(ctx, domain.SystemOrg); err != nil {
		return err
	}
	listed := false
	err := a.cfg.Store.View(ctx, domain.SystemOrg, func(s *domain.State, _ eventstore.Head) error {
		listed = s.Orgs.Has(org)
		return nil
	})
	if err != nil {
		return err
	}
	if !listed {
		org = domain.SystemOrg
	}
	_, err = a.cfg.Store.Head(ctx, org)
	return err
}
