package httpapi

import (
	"bytes"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
)

// Questions are asked far more often than anything else, and most of a typed route's
// time goes into reading a body of a few words. Questions that are plain are therefore
// read here: objects of short texts without escapes, each field once and known, the
// values in their bounds. All else, and so all that is wrong, goes to the typed route,
// which alone says what is wrong. Both then answer by the same function.

// The patterns of the routes whose plain requests are read here.
const (
	decidePattern = "POST /v1/orgs/{org}/sites/{site}/decisions"
	batchPattern  = "POST /v1/orgs/{org}/sites/{site}/decisions/batch"
)

// plainly answers plain questions, and leaves all other requests to next.
func (a *API) plainly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pattern, _ := a.routeOf(r)
		if pattern != decidePattern && pattern != batchPattern || !plainHeader(r) {
			next.ServeHTTP(w, r)
			return
		}
		body := infoOf(r.Context()).body
		org := OrgPath{string(callerOf(r.Context()).org)}
		site := strings.Split(r.URL.Path, "/")[5]
		if pattern == decidePattern {
			in := &questionInput{OrgPath: org, Site: site}
			if plainQuestion(&in.Body.DoorQuestion, body) {
				r.Pattern = pattern
				out, err := a.decide(r.Context(), in)
				answerPlainly(a, w, r, out, err)
				return
			}
		} else if questions, ok := plainQuestions(body); ok {
			in := &batchInput{OrgPath: org, Site: site}
			in.Body.Questions = questions
			r.Pattern = pattern
			out, err := a.decideMany(r.Context(), in)
			answerPlainly(a, w, r, out, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// plainHeader reports whether nothing of a request but its body needs reading. The mux
// names a route for a path that is not clean too, and sends it to the clean one.
func plainHeader(r *http.Request) bool {
	accept, media := r.Header["Accept"], r.Header["Content-Type"]
	return r.URL.RawQuery == "" && r.URL.RawPath == "" && path.Clean(r.URL.Path) == r.URL.Path && len(media) == 1 && media[0] == "application/json" &&
		(len(accept) == 0 || len(accept) == 1 && (accept[0] == "*/*" || accept[0] == "application/json"))
}

// answerPlainly writes an answer as a typed route does.
func answerPlainly[B any](a *API, w http.ResponseWriter, r *http.Request, out *Answer[B], err error) {
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var body bytes.Buffer
	if err := huma.DefaultJSONFormat.Marshal(&body, &out.Body); err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set(positionHeader, out.Position)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(body.Bytes()); err != nil {
		a.cfg.Log.Debug("a client went away", "request_id", infoOf(r.Context()).id, "error", err)
	}
}

// plainQuestion reads a body that is one plain question.
func plainQuestion(q *DoorQuestion, body []byte) bool {
	p := plain{body}
	return p.question(q) && p.end()
}

// plainQuestions reads a body that is a list of plain questions.
func plainQuestions(body []byte) ([]DoorQuestion, bool) {
	p := plain{body}
	if !p.next('{') {
		return nil, false
	}
	if key, ok := p.text(); !ok || string(key) != "questions" || !p.next(':') || !p.next('[') {
		return nil, false
	}
	list := make([]DoorQuestion, 0, min(maxQuestions, 1+bytes.Count(body, []byte("},"))))
	for {
		if len(list) == maxQuestions {
			return nil, false
		}
		list = append(list, DoorQuestion{})
		if !p.question(&list[len(list)-1]) {
			return nil, false
		}
		if !p.next(',') {
			return list, p.next(']') && p.next('}') && p.end()
		}
	}
}

// plain reads JSON that has no escapes.
type plain struct{ left []byte }

// next takes a byte behind blanks, when it is this one.
func (p *plain) next(b byte) bool {
	p.blanks()
	if len(p.left) == 0 || p.left[0] != b {
		return false
	}
	p.left = p.left[1:]
	return true
}

func (p *plain) blanks() {
	for len(p.left) > 0 && (p.left[0] == ' ' || p.left[0] == '\n' || p.left[0] == '\r' || p.left[0] == '\t') {
		p.left = p.left[1:]
	}
}

// end reports whether nothing is left.
func (p *plain) end() bool {
	p.blanks()
	return len(p.left) == 0
}

// text takes a text of printable ASCII.
func (p *plain) text() ([]byte, bool) {
	if !p.next('"') {
		return nil, false
	}
	for i, c := range p.left {
		switch {
		case c == '"':
			text := p.left[:i]
			p.left = p.left[i+1:]
			return text, true
		case c == '\\', c < ' ', c > '~':
			return nil, false
		}
	}
	return nil, false
}

// question takes a question, whose door is named.
func (p *plain) question(q *DoorQuestion) bool {
	*q = DoorQuestion{Side: "in"}
	if !p.next('{') {
		return false
	}
	var seen uint8
	for {
		key, ok := p.text()
		if !ok || !p.next(':') {
			return false
		}
		value, ok := p.text()
		if !ok {
			return false
		}
		field := q.take(key, value)
		if field == 0 || seen&field != 0 {
			return false
		}
		if seen |= field; !p.next(',') {
			return p.next('}') && q.Door != ""
		}
	}
}

// take sets a field by its plain value. It returns the bit of the field; 0: the value or
// the field is not plain.
func (q *DoorQuestion) take(key, value []byte) (field uint8) {
	if len(value) == 0 || len(value) > domain.MaxID {
		return 0
	}
	text := string(value)
	switch string(key) {
	case "person":
		q.Person = domain.ID(text)
		return 1
	case "credential":
		q.Credential = domain.ID(text)
		return 2
	case "door":
		q.Door = domain.ID(text)
		return 4
	case "side":
		q.Side = text
		return bitIf(8, text, "in", "out")
	case "kind":
		q.Kind = text
		return bitIf(16, text, "fob", "card", "pin", "mobile_key")
	case "command":
		q.Command = text
		return bitIf(32, text, "remote_unlock", "unlock_for")
	case "at":
		var at time.Time
		if at.UnmarshalText(value) != nil {
			return 0
		}
		q.At = &at
		return 64
	}
	return 0
}

// bitIf is the bit when a text is one of some.
func bitIf(bit uint8, text string, of ...string) uint8 {
	if slices.Contains(of, text) {
		return bit
	}
	return 0
}
