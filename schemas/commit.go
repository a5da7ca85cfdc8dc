// Package schemas reads and writes the wire contract of Gatehouse. It covers the bodies
// of commits, activity records, permission deltas and bases, and has one JSON Schema
// for each command, event, row and record.
//
// # Why the hash is not in the body
//
// A commit names the SHA-256 of the previous body as it is stored. It does not contain
// its own, so that nobody ever needs a canonical form of JSON, and the chain is checked
// over bytes.
package schemas

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/strict"
	"gatehouse/schemas/wire"
)

// Format is the version of the stored form that this code writes and reads. It must not
// fold a commit whose MinReader is greater.
const Format = 2

// The formats that a reader of a commit needs: the second one with Made, else the
// first.
const (
	firstFormat = 1
	madeFormat  = 2
)

// MaxCommit is the greatest size of a commit's body in bytes.
const MaxCommit = 512 << 10

// Commit is one accepted command as it is stored in the ledger. It is one message and
// one fsync, and readers see all of it or nothing.
type Commit struct {
	ID         domain.UUID  `json:"id"`      // of the command
	Request    wire.Hash    `json:"request"` // of actor, command and fields, see eventstore
	Org        domain.ID    `json:"org"`
	Epoch      uint64       `json:"epoch"`
	N          uint64       `json:"n"`  // 1, 2, 3 … in the org, without the numbers that LedgerRestored names as lost
	At         time.Time    `json:"at"` // UTC with nanoseconds, never before that of the previous commit
	Actor      domain.Actor `json:"actor"`
	OnBehalfOf domain.ID    `json:"on_behalf_of,omitempty"`
	Causation  *domain.UUID `json:"causation,omitempty"` // the command that made this one follow
	Command    string       `json:"command"`
	Made       []domain.ID  `json:"made,omitempty"` // ids of the people that the command left out, in order; a stand-in for who was known
	Events     []Event      `json:"events"`
	Prev       wire.Hash    `json:"prev"` // of the previous body of the org as stored
	MinReader  int          `json:"min_reader"`
}

// Event is one fact of a commit as stored.
type Event struct {
	Type    string          `json:"type"` // wire name: fob.assigned
	Version int             `json:"version"`
	Sites   []domain.ID     `json:"sites"` // that it concerns, sorted; none: the whole org
	Data    json.RawMessage `json:"data"`
}

// Position is the position of the commit.
func (c *Commit) Position() wire.Position { return wire.Position{Epoch: c.Epoch, N: c.N} }

// SetEvents sets the events of the commit in their stored form. Their personal values
// must be sealed.
func (c *Commit) SetEvents(events []domain.Event, sites [][]domain.ID) error {
	c.Events = make([]Event, len(events))
	for i, e := range events {
		name := domain.EventName(e)
		typ, ok := domain.EventNamed(name)
		if !ok {
			return fmt.Errorf("schemas: event %s is in no list of words", name)
		}
		data, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("schemas: write %s: %w", name, err)
		}
		s := sites[i]
		if s == nil {
			s = []domain.ID{}
		}
		c.Events[i] = Event{Type: name, Version: typ.Version, Sites: s, Data: data}
	}
	return nil
}

// SetMade sets the ids that were made, and the format that a reader needs for them.
func (c *Commit) SetMade(ids []domain.ID) {
	c.Made, c.MinReader = ids, firstFormat
	if len(ids) > 0 {
		c.MinReader = madeFormat
	}
}

// Encode writes the body of the commit. It writes the same bytes as json.Marshal, but
// does not read and compact the data of the events again, which took a third of the
// time of a command.
func (c *Commit) Encode() ([]byte, error) {
	size := 600
	for _, e := range c.Events {
		size += len(e.Data) + 100
	}
	b := make([]byte, 0, size)
	b = append(b, `{"id":"`...)
	b = append(b, c.ID.String()...)
	b = append(b, `","request":"`...)
	b = hex.AppendEncode(b, c.Request[:])
	b = append(b, `","org":"`...)
	b = append(b, c.Org...)
	b = append(b, `","epoch":`...)
	b = strconv.AppendUint(b, c.Epoch, 10)
	b = append(b, `,"n":`...)
	b = strconv.AppendUint(b, c.N, 10)
	b = append(b, `,"at":"`...)
	b = c.At.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","actor":"`...)
	b = append(b, c.Actor.String()...)
	if c.OnBehalfOf != "" {
		b = append(b, `","on_behalf_of":"`...)
		b = append(b, c.OnBehalfOf...)
	}
	if c.Causation != nil {
		b = append(b, `","causation":"`...)
		b = append(b, c.Causation.String()...)
	}
	b = append(b, `","command":"`...)
	b = append(b, c.Command...)
	b = append(b, '"')
	for i, id := range c.Made {
		if i == 0 {
			b = append(b, `,"made":["`...)
		} else {
			b = append(b, `","`...)
		}
		b = append(b, id...)
	}
	if len(c.Made) > 0 {
		b = append(b, `"]`...)
	}
	b = append(b, `,"events":[`...)
	for i, e := range c.Events {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.append(b)
	}
	b = append(b, `],"prev":"`...)
	b = hex.AppendEncode(b, c.Prev[:])
	b = append(b, `","min_reader":`...)
	b = strconv.AppendInt(b, int64(c.MinReader), 10)
	b = append(b, '}')
	for _, id := range append([]domain.ID{c.Org, c.OnBehalfOf, c.Actor.ID}, c.Made...) {
		if err := checkPlain(string(id)); err != nil {
			return nil, fmt.Errorf("schemas: write commit %s of %s: %w", c.Position(), c.Org, err)
		}
	}
	return b, nil
}

// append appends the event. Its texts are ids and names of types, which need no escape.
func (e Event) append(b []byte) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, e.Type...)
	b = append(b, `","version":`...)
	b = strconv.AppendInt(b, int64(e.Version), 10)
	b = append(b, `,"sites":[`...)
	for i, s := range e.Sites {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, s...)
		b = append(b, '"')
	}
	b = append(b, `],"data":`...)
	b = append(b, e.Data...)
	return append(b, '}')
}

// checkPlain refuses a text that would need an escape between quotes.
func checkPlain(s string) error {
	for _, c := range []byte(s) {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return fmt.Errorf("%q is no id", s)
		}
	}
	return nil
}

// DecodeCommit reads a body as stored. Unknown fields are refused, unless a later
// format wrote the body: then only the envelope is read, and TooNew reports it.
//
// The commit refers to parts of the body.
func DecodeCommit(body []byte) (*Commit, error) {
	if len(body) > CommitBounds.Size {
		return nil, fmt.Errorf("schemas: read a commit: %w", &wire.BoundError{What: "bytes", Most: CommitBounds.Size})
	}
	if c, ok := decodeEncoded(body); ok {
		return c, nil
	}
	if err := CommitBounds.Check(body); err != nil {
		return nil, fmt.Errorf("schemas: read a commit: %w", err)
	}
	var c Commit
	if err := strict.Decode(body, &c); err == nil {
		return &c, nil
	} else if lax := json.Unmarshal(body, &c); lax != nil || !c.TooNew() {
		return nil, fmt.Errorf("schemas: read a commit: %w", err)
	}
	return &c, nil
}

// TooNew reports whether only later code may fold this commit.
func (c *Commit) TooNew() bool { return c.MinReader > Format }

// Applied returns the commit in the form that the fold takes. Its events have their
// present versions, and their personal values are sealed.
func (c *Commit) Applied() (domain.Applied, error) {
	a := domain.Applied{Moment: domain.Moment{N: c.N, At: c.At, CommandID: c.ID, Actor: c.Actor}}
	if c.TooNew() {
		return a, fmt.Errorf("schemas: commit %s of %s needs a reader of format %d, this is %d", c.Position(), c.Org, c.MinReader, Format)
	}
	a.Events = make([]domain.Event, len(c.Events))
	for i, e := range c.Events {
		ev, err := e.Decode()
		if err != nil {
			return a, fmt.Errorf("schemas: commit %s of %s, event %d: %w", c.Position(), c.Org, i, err)
		}
		a.Events[i] = ev
	}
	return a, nil
}

// Decode reads the event and converts it to its present version. An unknown type is an
// error: a fact is never skipped.
func (e Event) Decode() (domain.Event, error) {
	typ, ok := domain.EventNamed(e.Type)
	if !ok {
		return nil, fmt.Errorf("unknown event %s", e.Type)
	}
	data, err := upcast(e.Type, e.Version, typ.Version, e.Data)
	if err != nil {
		return nil, err
	}
	ptr := typ.New()
	if err := strict.Decode(data, ptr); err != nil {
		return nil, fmt.Errorf("read %s: %w", e.Type, err)
	}
	domain.Boxes(ptr)
	return typ.Event(ptr), nil
}

// DecodeCommands reads the body of a request: the fields of one command, or an array of
// them. It returns pointers as [domain.CommandType.New] makes them.
func DecodeCommands(typ domain.CommandType, body []byte) ([]any, error) {
	if err := CommandBounds.Check(body); err != nil {
		return nil, fmt.Errorf("%s: %w", typ.Name, err)
	}
	body = bytes.TrimSpace(body)
	if err := wire.CheckText(body); err != nil {
		return nil, fmt.Errorf("%s: %w", typ.Name, err)
	}
	if len(body) == 0 || body[0] != '[' {
		ptr, err := decodeFields(typ, body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", typ.Name, err)
		}
		return []any{ptr}, nil
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, fmt.Errorf("%s: %w", typ.Name, err)
	}
	if len(raw) > domain.MaxList {
		return nil, domain.TooMany(len(raw))
	}
	ptrs := make([]any, len(raw))
	for i, r := range raw {
		ptr, err := decodeFields(typ, bytes.TrimSpace(r))
		if err != nil {
			return nil, fmt.Errorf("%s: entry %d: %w", typ.Name, i, err)
		}
		ptrs[i] = ptr
	}
	return ptrs, nil
}

// decodeFields reads the fields of one command, which must be an object: null would be
// a command without fields.
func decodeFields(typ domain.CommandType, fields []byte) (any, error) {
	if len(fields) == 0 || fields[0] != '{' {
		return nil, errors.New("the fields of a command are a JSON object")
	}
	ptr := typ.New()
	if err := wire.CheckKeys(fields, ptr); err != nil {
		return nil, err
	}
	err := strict.Decode(fields, ptr)
	if _, typed := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !typed {
		if at := wire.FindValue(fields, typ.New()); at != nil {
			return nil, at
		}
	}
	return ptr, err
}
