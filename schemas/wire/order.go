package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// OrderRemoteUnlock is the type of an order to open a door once.
const OrderRemoteUnlock = "remote_unlock"

// Order is what the service tells a gateway to do now, as a request on
// control.<org>.<gateway>.do. It is sent once and stored nowhere. A gateway that
// has met the id answers again what it answered then and does nothing more; it need
// remember ids only until they are over.
//
// A remote unlock opens the door to the side in when the gateway's own decision for
// the person allows it as a remote unlock. Without a grant the person may by their
// role, and the gateway looks at the door alone: fire, out of service, blocked,
// lockdown, lease.
type Order struct {
	Type   string    `json:"type"` // remote_unlock; a gateway that does not know the type does not answer
	ID     ID        `json:"id"`   // of the request
	Org    ID        `json:"org"`
	Door   ID        `json:"door"`
	Person ID        `json:"person"`          // who asked
	Grant  string    `json:"grant,omitempty"` // id of the permission row of the grant; none: by the person's role
	At     time.Time `json:"at"`              // of the commit, by the clock of the service
	// ValidUntil is exclusive, by the clock of the service as the gateway's lease gives
	// it, never by a wall clock. Later the gateway does nothing and answers
	// deny_too_late.
	ValidUntil time.Time `json:"valid_until"`
}

// Outcome is the result of an order at the gateway.
type Outcome string

// The outcomes of an order.
const (
	Executed Outcome = "executed" // the door opened
	Refused  Outcome = "refused"  // the gateway decided that the door stays closed
)

// RefusalCode is why a gateway did not open a door: deny_ and up to 59 lower case
// letters and underscores.
type RefusalCode string

var refusalCode = regexp.MustCompile(`^deny_[a-z_]{1,59}$`)

// OrderAnswer is what a gateway answers to an order, to the subject that the order
// names for the reply.
type OrderAnswer struct {
	ID      ID          `json:"id"`             // of the order
	Outcome Outcome     `json:"outcome"`        // executed, or refused
	Code    RefusalCode `json:"code,omitempty"` // why it refused: the code of the decision, or deny_too_late
}

// MaxOrderAnswer is the greatest length of an answer to an order in bytes.
const MaxOrderAnswer = 1024

// DecodeOrderAnswer reads the answer to an order. It refuses an answer to another
// order, and one that does not state an outcome. Unknown fields, which a newer gateway
// may add, are ignored.
func DecodeOrderAnswer(order *Order, body []byte) (*OrderAnswer, error) {
	if err := OrderAnswerBounds.Check(body); err != nil {
		return nil, fmt.Errorf("wire: read the answer to an order: %w", err)
	}
	var a OrderAnswer
	d := json.NewDecoder(bytes.NewReader(body))
	if err := errors.Join(CheckKeys(body, &a), d.Decode(&a)); err != nil {
		return nil, fmt.Errorf("wire: read the answer to an order: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("wire: something follows the answer to an order")
	}
	switch {
	case a.ID != order.ID:
		return nil, fmt.Errorf("wire: the answer to the order %s is to another one", order.ID)
	case a.Outcome != Executed && a.Outcome != Refused:
		return nil, errors.New("wire: the answer to an order says neither executed nor refused")
	case (a.Outcome == Refused) != (a.Code != ""):
		return nil, errors.New("wire: the answer to an order gives a code where it refuses, and there alone")
	case a.Code != "" && !refusalCode.MatchString(string(a.Code)):
		return nil, errors.New("wire: the code of the answer to an order is none of a denial")
	}
	return &a, nil
}
