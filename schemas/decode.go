package schemas

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// scan reads a commit in exactly the form that Encode writes. That is three times as
// fast as reading it as JSON. On any other form it gives up, and the caller reads the
// body as JSON: scan never decides that a body is invalid.
type scan struct {
	rest []byte
	bad  bool
}

// decodeEncoded reads a body in the form of Encode, and reports whether it had that
// form.
func decodeEncoded(body []byte) (*Commit, bool) {
	s := &scan{rest: body}
	var c Commit
	s.literal(`{"id":`)
	s.into(&c.ID)
	s.literal(`,"request":`)
	s.hash(&c.Request)
	s.literal(`,"org":`)
	c.Org = domain.ID(s.text())
	s.literal(`,"epoch":`)
	c.Epoch = s.number()
	s.literal(`,"n":`)
	c.N = s.number()
	s.literal(`,"at":`)
	c.At = s.time()
	s.literal(`,"actor":`)
	s.into(&c.Actor)
	if s.optional(`,"on_behalf_of":`) {
		c.OnBehalfOf = domain.ID(s.text())
	}
	if s.optional(`,"causation":`) {
		c.Causation = new(domain.UUID)
		s.into(c.Causation)
	}
	s.literal(`,"command":`)
	c.Command = string(s.text())
	if s.optional(`,"made":[`) {
		c.Made = s.ids()
	}
	s.literal(`,"events":[`)
	c.Events = s.events()
	s.literal(`,"prev":`)
	s.hash(&c.Prev)
	s.literal(`,"min_reader":`)
	c.MinReader = int(s.number())
	s.literal(`}`)
	return &c, !s.bad && len(s.rest) == 0
}

func (s *scan) events() []Event {
	out := []Event{}
	for !s.bad && !s.optional(`]`) {
		if len(out) > 0 {
			s.literal(`,`)
		}
		var e Event
		s.literal(`{"type":`)
		e.Type = string(s.text())
		s.literal(`,"version":`)
		e.Version = int(s.number())
		s.literal(`,"sites":[`)
		e.Sites = s.ids()
		s.literal(`,"data":`)
		e.Data = s.object()
		s.literal(`}`)
		out = append(out, e)
	}
	return out
}

// ids reads the rest of a list of ids after its bracket.
func (s *scan) ids() []domain.ID {
	out := []domain.ID{}
	for !s.bad && !s.optional(`]`) {
		if len(out) > 0 {
			s.literal(`,`)
		}
		out = append(out, domain.ID(s.text()))
	}
	return out
}

func (s *scan) optional(lit string) bool {
	if len(s.rest) < len(lit) || string(s.rest[:len(lit)]) != lit {
		return false
	}
	s.rest = s.rest[len(lit):]
	return true
}

func (s *scan) literal(lit string) { s.bad = s.bad || !s.optional(lit) }

// text reads a string without escapes, in ASCII.
func (s *scan) text() []byte {
	if !s.optional(`"`) {
		s.bad = true
		return nil
	}
	for i, c := range s.rest {
		if c == '"' {
			t := s.rest[:i]
			s.rest = s.rest[i+1:]
			return t
		}
		if c < ' ' || c == '\\' || c >= 0x7f {
			break
		}
	}
	s.bad = true
	return nil
}

// number reads a number without sign, fraction or leading zero.
func (s *scan) number() uint64 {
	i := 0
	for i < len(s.rest) && s.rest[i] >= '0' && s.rest[i] <= '9' {
		i++
	}
	n, err := strconv.ParseUint(string(s.rest[:i]), 10, 63)
	s.bad = s.bad || err != nil || i > 1 && s.rest[0] == '0'
	s.rest = s.rest[i:]
	return n
}

func (s *scan) into(v interface{ UnmarshalText([]byte) error }) {
	s.bad = s.bad || v.UnmarshalText(s.text()) != nil
}

func (s *scan) hash(h *wire.Hash) {
	t := s.text()
	if len(t) != 2*len(h) {
		s.bad = true
		return
	}
	_, err := hex.Decode(h[:], t)
	s.bad = s.bad || err != nil
}

func (s *scan) time() time.Time {
	t, err := time.Parse(time.RFC3339Nano, string(s.text()))
	s.bad = s.bad || err != nil
	return t
}

// object reads one JSON object unchanged, by its braces. Its content is checked when
// the event is read.
func (s *scan) object() json.RawMessage {
	depth, quoted := 0, false
	for i := 0; i < len(s.rest) && !s.bad; i++ {
		switch c := s.rest[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
			s.bad = depth > wire.MaxDepth
		case c == '}':
			depth--
			if depth == 0 {
				out := json.RawMessage(s.rest[: i+1 : i+1])
				s.rest = s.rest[i+1:]
				return out
			}
		case depth == 0:
			s.bad = true
		}
	}
	s.bad = true
	return nil
}
