package unlock

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"gatehouse/domain/strict"
)

// Rows is a list of rows in their wire form: [{"kind":"door","row":{"id":"d1",…}}].
type Rows []Row

// Encode gives the one encoding of a row, {"kind":"door","row":{…}}, which its
// hash is of.
func Encode(r Row) ([]byte, error) {
	row, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("unlock: encode %s: %w", r.Key(), err)
	}
	b := make([]byte, 0, len(row)+32)
	b = append(append(append(b, `{"kind":"`...), r.Key().Kind.String()...), `","row":`...)
	return append(append(b, row...), '}'), nil
}

// Decode reads what Encode gives. A member that this version does not know is
// refused, for it may be one that narrows.
func Decode(data []byte) (Row, error) {
	var envelope envelope
	if !envelope.cut(data) {
		if err := strict.Decode(data, &envelope); err != nil {
			return nil, fmt.Errorf("unlock: decode a row: %w", err)
		}
	}
	r := newRow(envelope.Kind)
	if r == nil {
		return nil, fmt.Errorf("unlock: decode a row: it has no kind")
	}
	if err := strict.Decode(envelope.Row, r); err != nil {
		return nil, fmt.Errorf("unlock: decode a %s: %w", envelope.Kind, err)
	}
	return r, nil
}

// envelope is the outer part of an encoded row.
type envelope struct {
	Kind Kind            `json:"kind"`
	Row  json.RawMessage `json:"row"`
}

// cut takes the envelope off as Encode writes it, which saves reading a row twice. It
// reports false for any other form.
func (e *envelope) cut(data []byte) bool {
	rest, ok := bytes.CutPrefix(data, []byte(`{"kind":"`))
	if !ok {
		return false
	}
	kind, rest, ok := bytes.Cut(rest, []byte(`","row":`))
	if !ok || e.Kind.UnmarshalText(kind) != nil {
		return false
	}
	row, ok := bytes.CutSuffix(rest, []byte{'}'})
	e.Row = row
	return ok && len(row) > 0 && row[0] == '{'
}

// DecodeExact reads a row whose text is taken to be what Encode gives: the digest of the
// table shows whether it is. It saves writing each row of a base again for its hash.
func DecodeExact(data []byte) (Row, error) {
	r, err := Decode(data)
	if err != nil {
		return nil, err
	}
	return hashedRow{r, sha256.Sum256(data)}, nil
}

// hashedRow is a row with its hash.
type hashedRow struct {
	Row
	hash Digest
}

func newRow(k Kind) Row {
	switch k {
	case KindSite:
		return new(Site)
	case KindDoor:
		return new(Door)
	case KindRight:
		return new(Right)
	case KindSchedule:
		return new(Schedule)
	case KindPerson:
		return new(Person)
	case KindUnit:
		return new(Unit)
	case KindBooking:
		return new(Booking)
	case KindCredential:
		return new(Credential)
	case KindGrant:
		return new(Grant)
	}
	return nil
}

// MarshalJSON writes the list.
func (rows Rows) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		row, err := Encode(r)
		if err != nil {
			return nil, err
		}
		b = append(b, row...)
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads the list.
func (rows *Rows) UnmarshalJSON(data []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*rows = make(Rows, 0, len(list))
	for _, raw := range list {
		r, err := Decode(raw)
		if err != nil {
			return err
		}
		*rows = append(*rows, r)
	}
	return nil
}
