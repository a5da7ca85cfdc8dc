package domain

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// # Enrolment
//
// A gateway that is registered without a key enrols by a code that is good once. The
// secret of the code is the seed of a key, of which the ledger has the public half: so
// neither the ledger nor its readers can enrol a box, and the code itself crosses no
// network. The service checks the signature, and sends EnrolGateway. Of two boxes with
// one code the ledger takes the first.

// EnrolmentLife is how long a code is good.
const EnrolmentLife = 24 * time.Hour

// Enrolment is a code by which a gateway may tell its key, once.
type Enrolment struct {
	Key   EnrolmentKey `json:"key"`
	Until time.Time    `json:"until"` // UTC, exclusive
}

// EnrolmentKey is the public half of the key of a code: Ed25519, 64 hex digits in lower
// case.
type EnrolmentKey string

// enrolmentKeyBytes is the size of a public key of Ed25519.
const enrolmentKeyBytes = 32

func (k EnrolmentKey) check() error {
	if k == "" {
		return nil // a rule asks for it
	}
	raw, err := hex.DecodeString(string(k))
	if err != nil || len(raw) != enrolmentKeyBytes || strings.ToLower(string(k)) != string(k) {
		return errors.New("it is not the key of a code, which has 64 hex digits in lower case")
	}
	return nil
}

// Enrols is a command that may give a code. The reader of the request makes the code and
// passes its key on before the command is decided; it is no field of the request.
type Enrols interface {
	// NeedsCode reports whether the command names no key, and so gives a code.
	NeedsCode() bool
	// SetCode gives the key of the code.
	SetCode(key EnrolmentKey)
}

// madeCode is the key of a code that was made for a command.
type madeCode struct{ key EnrolmentKey }

// SetCode gives the key of the code.
func (m *madeCode) SetCode(key EnrolmentKey) { m.key = key }

// NeedsCode reports whether the gateway is registered without a key.
func (c *RegisterGateway) NeedsCode() bool { return c.PublicKey == "" }

// NeedsCode reports whether the gateway gets a code in the place of a key.
func (c *RotateGatewayKey) NeedsCode() bool { return c.PublicKey == "" }

// CodeOf returns the gateway for which an event gives a code, and the code; not ok for
// any other event.
func CodeOf(e Event) (gateway ID, code Enrolment, ok bool) {
	switch e := e.(type) {
	case GatewayRegistered:
		gateway, code = e.Gateway, e.Enrolment
	case GatewayKeyRotated:
		gateway, code = e.Gateway, e.Enrolment
	}
	return gateway, code, code.Key != ""
}

// newCode is a code from now on; none if none was made.
func (tx *Tx) newCode(made madeCode) Enrolment {
	if made.key == "" {
		return Enrolment{}
	}
	return Enrolment{Key: made.key, Until: tx.At.Add(EnrolmentLife)}
}

// EnrolGateway gives a gateway the key that its box has made, by a code. The service
// sends it for who proved to have the code and the private half of the key.
type EnrolGateway struct {
	Gateway   ID           `json:"gateway"`
	Code      EnrolmentKey `json:"code"` // the key of the code
	PublicKey GatewayKey   `json:"public_key"`
}

func (EnrolGateway) permit() Permit         { return Permit{Service: true} }
func (c EnrolGateway) scope(s *State) Scope { return s.atGateway(c.Gateway) }
func (c EnrolGateway) decide(tx *Tx) *Refusal {
	g, r := tx.servingGateway(c.Gateway)
	if r != nil {
		return r
	}
	if r := required("public_key", string(c.PublicKey)); r != nil {
		return r
	}
	switch {
	case c.Code != "" && g.EnrolledBy == c.Code:
		if g.PublicKey == c.PublicKey {
			return nil // the answer was lost
		}
		return refuse("enrolment_used", "this code was already used, and gateway %s has another key by now; make a new code with RotateGatewayKey", g.ID).about(g.ID)
	case c.Code == "" || g.Enrolment.Key != c.Code:
		return refuse("enrolment_refused", "this code is not one of gateway %s, or a newer one took its place; make a new code with RotateGatewayKey", g.ID).about(g.ID)
	case !tx.At.Before(g.Enrolment.Until):
		return refuse("enrolment_ended", "this code of gateway %s ended at %s; make a new code with RotateGatewayKey", g.ID, g.Enrolment.Until.Format(time.RFC3339)).about(g.ID)
	}
	if g.PublicKey != c.PublicKey {
		if r := tx.checkNewKey(c.PublicKey); r != nil {
			return r
		}
	}
	tx.emit(GatewayEnrolled{Gateway: c.Gateway, PublicKey: c.PublicKey})
	return nil
}

// GatewayEnrolled gives a gateway the key that its box has made. The code by which it
// did so is used, and the key before is good no more.
type GatewayEnrolled struct {
	Gateway   ID         `json:"gateway"`
	PublicKey GatewayKey `json:"public_key"`
}

func (e GatewayEnrolled) fold(s *State, _ Moment) {
	s.Gateways.Update(e.Gateway, func(g *Gateway) {
		g.takeKey(e.PublicKey)
		g.EnrolledBy, g.Enrolment = g.Enrolment.Key, Enrolment{}
	})
}
func (e GatewayEnrolled) affectedSites(s *State) []ID { return s.atGateway(e.Gateway).Sites }
