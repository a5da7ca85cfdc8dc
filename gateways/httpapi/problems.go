package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/budget"
	"gatehouse/eventstore/clock"
	"gatehouse/eventstore/streams"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

// Problem is the body of every answer that is no success (RFC 9457).
type Problem struct {
	Title    string         `json:"title" doc:"the status in words"`
	Status   int            `json:"status" doc:"the HTTP status"`
	Code     string         `json:"code" doc:"stable code in snake_case, for programs"`
	Detail   string         `json:"detail" doc:"what is wrong and what to do, for people"`
	IDs      []domain.ID    `json:"ids,omitempty" doc:"the things it is about"`
	Entries  []Entry        `json:"entries,omitempty" doc:"of a list of commands, the entries that are refused"`
	Fields   []Field        `json:"fields,omitempty" doc:"of a malformed request, the fields that are wrong"`
	Position *wire.Position `json:"position,omitempty" doc:"the position of the org"`

	retryAfter string // seconds
}

// Entry is a refused entry of a list of commands.
type Entry struct {
	Index  int         `json:"index" doc:"from 0"`
	Code   string      `json:"code"`
	Detail string      `json:"detail"`
	IDs    []domain.ID `json:"ids,omitempty"`
}

// Field is a field or parameter that is wrong.
type Field struct {
	Name   string `json:"name" doc:"as query.limit, or body.site"`
	Detail string `json:"detail"`
}

// Error gives code and detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus gives the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders gives the headers that go with the problem.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter != "" {
		h.Set("Retry-After", p.retryAfter)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	return h
}

// ContentType gives the media type of problems.
func (p *Problem) ContentType(string) string { return problemJSON }

const problemJSON = "application/problem+json"

func problem(status int, code, format string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func (p *Problem) retry(seconds string) *Problem {
	p.retryAfter = seconds
	return p
}

// unknown says that something is not there, or not for the eyes of the caller,
// who is not told which.
func unknown(noun string, id domain.ID) *Problem {
	p := problem(http.StatusNotFound, "unknown_"+noun, "%s %s does not exist", strings.ReplaceAll(noun, "_", " "), id)
	p.IDs = []domain.ID{id}
	return p
}

func malformed(name, format string, args ...any) *Problem {
	f := said(name, fmt.Sprintf(format, args...))
	p := problem(http.StatusBadRequest, "malformed", "%s: %s", f.Name, f.Detail)
	p.Fields = []Field{f}
	return p
}

// These bound what a problem says of the fields of a body, as the sender chose their
// names.
const (
	maxSaid   = 500 // bytes of a name, and of what is wrong with it
	maxFields = 20
)

// said is a field and what is wrong with it, cut where that is long.
func said(name, detail string) Field {
	cut := func(text string) string {
		if len(text) <= maxSaid {
			return text
		}
		return strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return Field{cut(name), cut(detail)}
}

// The typed routes make their errors through this hook. It says in our words what
// they found wrong, and never repeats a value: it may be personal.
func init() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		switch status {
		case http.StatusUnprocessableEntity, http.StatusBadRequest:
			p := problem(http.StatusBadRequest, "malformed", "%s", message)
			for _, err := range errs[:min(len(errs), maxFields)] {
				f := Field{Name: "body", Detail: err.Error()}
				if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
					f = Field{d.Location, d.Message}
				}
				if name, twice := strings.CutSuffix(f.Detail, twiceSays); twice && f.Name == "body" {
					f = Field{"body." + name, twiceSays[2:]}
				}
				p.Fields = append(p.Fields, said(f.Name, f.Detail))
			}
			if len(p.Fields) > 0 {
				p.Detail = p.Fields[0].Name + ": " + p.Fields[0].Detail
			}
			return p
		case http.StatusRequestEntityTooLarge:
			return bodyTooLarge()
		case http.StatusUnsupportedMediaType:
			return wrongMediaType()
		case http.StatusNotAcceptable:
			return problem(status, "not_acceptable", "answers are application/json only; accept that")
		case http.StatusRequestTimeout:
			return tooSlow()
		}
		for _, err := range errs {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return bodyTooLarge()
			}
		}
		return problem(http.StatusInternalServerError, "internal", "internal error; the log of the service has the details")
	}
}

// twiceSays ends what [wire.CheckKeys] says of a field that is given twice. The
// typed routes pass the text on alone.
const twiceSays = ": the field is given twice"

func bodyTooLarge() *Problem {
	return problem(http.StatusRequestEntityTooLarge, "body_too_large", "a request has at most %d bytes; send smaller lists", maxBody)
}

// bodyAbove refuses a body that is above the limit of one route, or does not say its size.
func bodyAbove(most int) *Problem {
	return problem(http.StatusRequestEntityTooLarge, "body_too_large", "a request to this path has at most %d bytes, and says how many in Content-Length", most)
}

func tooSlow() *Problem {
	return problem(http.StatusRequestTimeout, "too_slow", "the body did not come in time")
}

func wrongMediaType() *Problem {
	return problem(http.StatusUnsupportedMediaType, "wrong_media_type", "send the body as Content-Type: application/json")
}

// refusalStatus maps kinds of refusals to statuses.
var refusalStatus = map[domain.RefusalKind]int{
	domain.RefusedByState:  http.StatusConflict,
	domain.RefusedBySender: http.StatusForbidden,
	domain.RefusedUnknown:  http.StatusNotFound,
	domain.RefusedInvalid:  http.StatusUnprocessableEntity,
}

// asProblem turns an error into a problem of HTTP. An error that means nothing to the
// caller is logged and answered without details.
func (a *API) asProblem(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if r, ok := errors.AsType[*domain.Refusal](err); ok {
		return refused(r)
	}
	if full, ok := errors.AsType[*budget.Full](err); ok {
		return usedUp(full)
	}
	switch {
	case errors.Is(err, eventstore.ErrPosition):
		return problem(http.StatusConflict, "version_conflict", "%v; read again and send a new command", err)
	case errors.Is(err, eventstore.ErrTokenEnded):
		return unauthenticated()
	case errors.Is(err, eventstore.ErrReservedID):
		return malformed("header.Idempotency-Key", "%v", eventstore.ErrReservedID)
	case errors.Is(err, eventstore.ErrReused):
		return problem(http.StatusUnprocessableEntity, "command_id_reused",
			"this Idempotency-Key was used for another request; choose a new key for a new request")
	case errors.Is(err, eventstore.ErrTooLarge):
		return problem(http.StatusRequestEntityTooLarge, "commit_too_large", "%v", err)
	case errors.Is(err, eventstore.ErrBusy):
		return problem(http.StatusServiceUnavailable, "busy", "%v; nothing was changed", eventstore.ErrBusy).retry("1")
	case errors.Is(err, eventstore.ErrStale):
		return problem(http.StatusServiceUnavailable, "stale", "%v; ask another instance, or again. Commands are tried all the same", err).retry("2")
	case errors.Is(err, eventstore.ErrClock):
		untrusted, _ := errors.AsType[*clock.Untrusted](err)
		return problem(http.StatusServiceUnavailable, "clock_untrusted", "%v; nothing was changed", untrusted).retry("10")
	case errors.Is(err, eventstore.ErrClosed):
		return problem(http.StatusServiceUnavailable, "stopping", "this instance is stopping; try again").retry("5")
	case errors.Is(err, eventstore.ErrUnsettled):
		a.log(ctx, "a command is unsettled", err)
		return problem(http.StatusGatewayTimeout, "unsettled",
			"it is not known whether the command took effect; send it again with the same Idempotency-Key, which the answer names").retry("1")
	case errors.Is(err, eventstore.ErrBrokenChain):
		a.log(ctx, "the ledger of an org is damaged", err)
		return problem(http.StatusServiceUnavailable, "ledger_damaged", "the ledger of this org is damaged, so nothing is answered from it and nothing is written; "+
			"whoever operates the service is to %s. Other orgs go on", streams.DamageAdvice)
	case errors.Is(err, eventstore.ErrTooNew):
		return problem(http.StatusServiceUnavailable, "read_only", "%v", eventstore.ErrTooNew)
	case errors.Is(err, vault.ErrDamaged):
		a.log(ctx, "a personal value has a damaged key", err)
		return problem(http.StatusServiceUnavailable, "key_damaged", "the key of these personal values is damaged in the vault, so they cannot be sealed or opened; "+
			"nothing was changed. Whoever operates the service finds in /readyz which key, and is to put back vault.db from a copy that is whole")
	case errors.Is(err, vault.ErrUnavailable):
		return problem(http.StatusServiceUnavailable, "vault_unavailable",
			"personal fields cannot be sealed or opened now; commands without them go on").retry("5")
	case errors.Is(err, eventstore.ErrStorageFull):
		return problem(http.StatusServiceUnavailable, "storage_full", "the disk of the ledger is full; nothing was changed. "+
			"Whoever operates the service is to make room; it goes on by itself then").retry("10")
	case errors.Is(err, eventstore.ErrUnsafeStore):
		return problem(http.StatusServiceUnavailable, "store_unsafe", "a stream or a server of the cluster could lose what it acknowledges, so nothing is committed; "+
			"nothing was changed. Whoever operates the service finds in /readyz which setting, and what to put right there").retry("10")
	case errors.Is(err, eventstore.ErrRejected):
		a.log(ctx, "the ledger did not take a commit", err)
		return problem(http.StatusServiceUnavailable, "not_stored", "the ledger did not take the command; nothing was changed").retry("5")
	case ctx.Err() != nil: // nobody waits for the answer
		return problem(http.StatusServiceUnavailable, "busy", "the client went away").retry("1")
	case eventstore.Unreachable(err):
		a.log(ctx, "the ledger does not answer", err)
		return problem(http.StatusServiceUnavailable, "ledger_unreachable", "the ledger does not answer now; try again, a command with the same Idempotency-Key").retry("5")
	}
	a.log(ctx, "a request failed", err)
	return problem(http.StatusInternalServerError, "internal", "internal error; the log of the service has the details under %s", infoOf(ctx).id)
}

func refused(r *domain.Refusal) *Problem {
	p := problem(refusalStatus[r.Kind], r.Code, "%s", r.Message)
	p.IDs = r.IDs
	for _, e := range r.Entries {
		p.Entries = append(p.Entries, Entry{e.Index, e.Code, e.Message, e.IDs})
	}
	return p
}

// fail writes an error as a problem.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.asProblem(r.Context(), err)
	leaveUnread(w, r)
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemJSON)
	a.write(w, r, p.Status, p)
}

// write writes a status and a JSON body. The content type is set already.
func (a *API) write(w http.ResponseWriter, r *http.Request, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		a.log(r.Context(), "an answer could not be written", err)
		status, b = http.StatusInternalServerError, []byte(`{"title":"Internal Server Error","status":500,"code":"internal","detail":"the answer could not be written"}`)
		w.Header().Set("Content-Type", problemJSON)
	}
	w.WriteHeader(status)
	if _, err := w.Write(append(b, '\n')); err != nil {
		a.cfg.Log.Debug("a client went away", "request_id", infoOf(r.Context()).id, "error", err)
	}
}
