package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/domain/unlock"
)

// MaxAsk is the greatest size of a gateway's request in bytes, and MaxAnswer that of an
// answer. One message of permissions always has room in an answer.
const (
	MaxAsk    = 512 << 10
	MaxAnswer = MaxPermissionBody + 64<<10
)

// AskType is what a gateway asks the service for.
type AskType string

// The requests of a gateway on control.<org>.<gateway>.ask.
const (
	AskHello   AskType = "hello"   // who it is and where its records end
	AskLease   AskType = "lease"   // whether its table is current
	AskTable   AskType = "table"   // the changes that it lacks, or all
	AskKey     AskType = "key"     // the key of its site's tags
	AskRecords AskType = "records" // to store records, which follow the request one a line
	AskPins    AskType = "pins"    // the digits of PINs for the device of a door; their ids follow the request one a line
	AskHistory AskType = "history" // its own records, for a box that takes the place of another
)

// Ask is a request of a gateway. It is one line of JSON; the records of [AskRecords] are
// further lines behind it, byte for byte as the gateway keeps them, for the hash of each
// is in the next.
type Ask struct {
	Type AskType `json:"type"`
	// Epoch, N and Digest are the head of the table that the gateway decides on. N is 0
	// while it has none.
	Epoch  uint64        `json:"epoch,omitempty"`
	N      uint64        `json:"n,omitempty"`
	Digest unlock.Digest `json:"digest,omitzero"`
	// DeviceN is the last commit of which everything is in the devices that decide by
	// themselves, as read back from them; none where the gateway decides for all doors.
	DeviceN uint64 `json:"device_n,omitempty"`
	// Version is that of the key of tags that is asked for; Box is the gateway's public
	// key of the moment (X25519, an nkey that begins with X) to which the answer is sealed,
	// and Proof the signature of its identity over both ([KeyStatement]).
	Version uint32 `json:"version,omitempty"`
	Box     string `json:"box,omitempty"`
	Proof   []byte `json:"proof,omitempty"`
	// Door is the door for whose device PINs are asked for. Box and Proof are as above, with
	// a statement of its own ([PinStatement]).
	Door ID `json:"door,omitempty"`
	// ClockErrorMS is how far the gateway's idea of the time may be wrong, in milliseconds;
	// none while it does not know.
	ClockErrorMS uint32 `json:"clock_error_ms,omitempty"`
	// Page goes on where an answer to AskTable or AskHistory ended; empty begins.
	Page string `json:"page,omitempty"`
	// Software is what runs at the gateway, for people.
	Software string `json:"software,omitempty"`
}

// Answer is the answer of the service. Messages of a table follow it one a line, byte for
// byte as they were published.
type Answer struct {
	Error *AskError `json:"error,omitempty"` // with none of the fields below, but for Records
	Time  time.Time `json:"time,omitzero"`   // of the service, when it answers
	Site  ID        `json:"site,omitempty"`  // of the gateway
	// Records is where the stored records end: to hello, and to records.
	Records *RecordsEnd `json:"records,omitempty"`
	// Current says that the table of the request has every change up to the head of the
	// ledger as it was when the request came. Else Since is the time of the commit of the
	// first change that it lacks.
	Current bool      `json:"current,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// Epoch and N are the head of the site's table.
	Epoch uint64 `json:"epoch,omitempty"`
	N     uint64 `json:"n,omitempty"`
	// Lost are the ranges that restores of the ledger lost, if the gateway asked with a
	// table of an earlier epoch: it takes a table of the new one only if it saw nothing
	// beyond them.
	Lost []Lost `json:"lost,omitempty"`
	// Base says that the messages behind the answer begin with a base.
	Base bool `json:"base,omitempty"`
	// Page is what the next request for the table must name; empty: these are the last.
	Page string `json:"page,omitempty"`
	// Version and Key are the site's key of tags, sealed to the Box of the request by From.
	Version uint32 `json:"version,omitempty"`
	Key     []byte `json:"key,omitempty"`
	From    string `json:"from,omitempty"` // of the digits of PINs too, which are one line behind the answer
}

// AskCode says why a request of a gateway is refused.
type AskCode string

// The codes of refusals.
const (
	AskUnknown     AskCode = "unknown_request"
	AskMalformed   AskCode = "malformed"
	AskTooLarge    AskCode = "too_large"
	AskTooFast     AskCode = "too_fast"       // again after RetryMS
	AskUnavailable AskCode = "unavailable"    // again after RetryMS
	AskGap         AskCode = "records_gap"    // records are missing in between
	AskForked      AskCode = "records_forked" // the records do not follow the stored ones
	AskNoKey       AskCode = "no_such_key"    // the site has another key
	AskNotYours    AskCode = "retired"        // the gateway serves no more
)

// AskError is a refusal.
type AskError struct {
	Code    AskCode `json:"code"`
	Message string  `json:"message"` // what is wrong, the value, what to do
	RetryMS uint32  `json:"retry_ms,omitempty"`
}

// Error gives the message.
func (e *AskError) Error() string { return e.Message }

// KeyStatement is what a gateway signs with its identity to be told the key of tags.
func KeyStatement(org, gateway ID, version uint32, box string) []byte {
	return fmt.Appendf(nil, "gatehouse key 1\n%s\n%s\n%d\n%s\n", org, gateway, version, box)
}

// MaxPins is how many PINs one request asks for at most.
const MaxPins = 256

// PinStatement is what a gateway signs with its identity to be told digits. They are of
// PINs for the device of a door.
func PinStatement(org, gateway, door ID, box string) []byte {
	return fmt.Appendf(nil, "gatehouse pins 1\n%s\n%s\n%s\n%s\n", org, gateway, door, box)
}

// EncodeAsk writes a request with the lines behind it.
func EncodeAsk(a *Ask, lines [][]byte) ([]byte, error) { return encodeLines(a, lines, MaxAsk) }

// EncodeAnswer writes an answer with the lines behind it.
func EncodeAnswer(a *Answer, lines [][]byte) ([]byte, error) {
	return encodeLines(a, lines, MaxAnswer)
}

func encodeLines(first any, lines [][]byte, most int) ([]byte, error) {
	head, err := json.Marshal(first)
	if err != nil {
		return nil, fmt.Errorf("wire: write a request: %w", err)
	}
	var b bytes.Buffer
	b.Write(head)
	for _, l := range lines {
		b.WriteByte('\n')
		b.Write(l)
	}
	if b.Len() > most {
		return nil, &AskError{Code: AskTooLarge, Message: fmt.Sprintf("a message of %d bytes, at most %d are taken", b.Len(), most)}
	}
	return b.Bytes(), nil
}

// DecodeAsk reads a request and the lines behind it, which share its memory. The error is
// an *AskError.
func DecodeAsk(body []byte) (*Ask, [][]byte, error) {
	a := new(Ask)
	lines, err := decodeLines(body, a, MaxAsk)
	if err != nil {
		return nil, nil, &AskError{Code: AskMalformed, Message: "the request cannot be read: " + err.Error()}
	}
	return a, lines, nil
}

// DecodeAnswer reads an answer and the lines behind it, which share its memory. A refusal
// is an *AskError beside the answer.
func DecodeAnswer(body []byte) (*Answer, [][]byte, error) {
	a := new(Answer)
	lines, err := decodeLines(body, a, MaxAnswer)
	if err != nil {
		return nil, nil, fmt.Errorf("wire: read the answer to a request: %w", err)
	}
	if a.Error != nil {
		return a, nil, a.Error
	}
	return a, lines, nil
}

func decodeLines(body []byte, first any, most int) ([][]byte, error) {
	if len(body) > most {
		return nil, &BoundError{"bytes", most}
	}
	head, rest, more := bytes.Cut(body, []byte{'\n'})
	if err := AskBounds.Decode(head, first); err != nil {
		return nil, err
	}
	if !more {
		return nil, nil
	}
	lines := bytes.SplitN(rest, []byte{'\n'}, MaxRecords+1)
	if len(lines) > MaxRecords {
		return nil, &BoundError{"lines", MaxRecords}
	}
	return lines, nil
}
