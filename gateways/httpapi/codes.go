package httpapi

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas/wire"
)

// # The secrets of codes
//
// The secret of a code follows from the service's key, the org and the id of the command,
// and is kept nowhere: the sender of the command is told it for a while again after a lost
// answer, by any instance, and the ledger has the public half of its key alone.

// GatewayCode is a code by which a gateway enrols.
type GatewayCode struct {
	Gateway domain.ID `json:"gateway"`
	Code    string    `json:"code" doc:"good once, until then; it is shown to the sender of the command, for ten minutes"`
	Until   time.Time `json:"until" doc:"exclusive"`
}

// codeSecret is the secret of the code of one entry of a command.
func (a *API) codeSecret(org domain.ID, command domain.UUID, entry int) [wire.EnrolmentSecretSize]byte {
	h := hmac.New(sha256.New, a.cfg.Enrolment.Codes)
	fmt.Fprintf(h, "gatehouse code 1\n%s\n%s\n%d\n", org, command, entry)
	return [wire.EnrolmentSecretSize]byte(h.Sum(nil))
}

// codeKey is the key of the code of one entry of a command, as the ledger has it.
func (a *API) codeKey(org domain.ID, command domain.UUID, entry int) domain.EnrolmentKey {
	public := wire.EnrolmentKey(a.codeSecret(org, command, entry)).Public().(ed25519.PublicKey)
	return domain.EnrolmentKey(hex.EncodeToString(public))
}

// makeCodes gives commands the keys of the codes that they need.
func (a *API) makeCodes(org domain.ID, command domain.UUID, fields []any) {
	for i, f := range fields {
		if c, ok := f.(domain.Enrols); ok && c.NeedsCode() && a.cfg.Enrolment != nil {
			c.SetCode(a.codeKey(org, command, i))
		}
	}
}

// codes lists the codes that a command gave, while they may be told to its sender.
func (a *API) codes(org domain.ID, req eventstore.Request, result eventstore.Result) ([]GatewayCode, error) {
	if a.cfg.Enrolment == nil || req.DryRun || a.cfg.Now().Sub(result.At) > toldFor {
		return nil, nil
	}
	given := map[domain.EnrolmentKey]GatewayCode{}
	for _, stored := range result.Events {
		e, err := stored.Decode()
		if err != nil {
			return nil, fmt.Errorf("httpapi: show a code: %w", err)
		}
		if gateway, code, ok := domain.CodeOf(e); ok {
			given[code.Key] = GatewayCode{Gateway: gateway, Until: code.Until}
		}
	}
	var out []GatewayCode
	for i := 0; i < len(req.Fields) && len(given) > 0; i++ {
		if c, ok := given[a.codeKey(org, req.ID, i)]; ok {
			text := wire.EnrolmentCode{Org: wire.ID(org), Gateway: wire.ID(c.Gateway), Secret: a.codeSecret(org, req.ID, i),
				Fingerprint: wire.Fingerprint(a.cfg.Enrolment.LogKey.Public().(ed25519.PublicKey))}
			c.Code = text.String()
			out = append(out, c)
		}
	}
	return out, nil
}
