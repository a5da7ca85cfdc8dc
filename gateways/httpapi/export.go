package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/vault"
)

const (
	// exportChunk is how many rows are written while the org is held for reading.
	exportChunk = 500
	// exportPatience is how long the reader of an export may take for a chunk.
	exportPatience = 30 * time.Second
)

type exportInput struct {
	OrgPath
	AtLeast
	Kind kindName `path:"kind"`
	IDs  []string `query:"ids" maxItems:"100" doc:"only things with these ids"`
}

// kindName is the name of one of [Kinds].
type kindName string

// Schema lists the names.
func (kindName) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, k := range Kinds {
		s.Enum = append(s.Enum, k.Name)
	}
	return s
}

// exportEnd is the last line of an export: without it, the export is not whole.
type exportEnd struct {
	Position  string `json:"position" doc:"of which everything before is"`
	Rows      int    `json:"rows"`
	LeftOut   int    `json:"left_out" doc:"things that the caller may see of which there is no line, as PINs, what is over, and what cannot be read as its key is damaged"`
	Suspended int    `json:"suspended" doc:"of the rows, those of suspended people, bookings and credentials, which is not in the rows"`
}

// exportRow is a thing at one position. Rows of a state are never changed in place,
// so it stays what it was while the org goes on.
type exportRow struct {
	row      any                                // for [domain.RecordOf]
	commands func(*exportView) []domain.Command // that would make it; none: no such command would
}

// suspended reports whether a thing has a line that does not say how it is shut
// out.
func suspended(row any) bool {
	switch r := row.(type) {
	case *domain.Person:
		return r.State == domain.PersonStateSuspended
	case *domain.Booking:
		return r.Level != ""
	}
	return false
}

func (a *API) registerExport() {
	op := huma.Operation{
		OperationID: "Export", Method: http.MethodGet, Path: "/v1/orgs/{org}/export/{kind}",
		Summary: "Writes everything of a kind that the caller may see as the commands that would make it",
		Description: "One line of JSON for each thing, with the fields of the command, and a last one {\"end\": {position, rows, left_out, suspended}}; " +
			"an export without it is not whole. All lines are of one position, however long it takes to read them; who may see them is judged as each is written. " +
			"Where the vault does not answer, kinds with personal values are answered with 503.",
		Tags: []string{"export"}, Errors: readErrors,
		Responses: map[string]*huma.Response{"200": {Description: "One line for each thing, and the end",
			Content: map[string]*huma.MediaType{"application/jsonl": {Schema: &huma.Schema{Type: huma.TypeString}}}}},
	}
	serve(a, route{effect: asks, usedBy: everybody}, op, func(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
		if err := a.reach(ctx, in.AtLeast); err != nil {
			return nil, err
		}
		leave, err := a.budgets.exports.Take(ctx, callerOf(ctx).who(), 1)
		if err != nil {
			return nil, a.asProblem(ctx, err)
		}
		e := &export{api: a, ctx: ctx}
		kind, _ := KindNamed(string(in.Kind))
		if err := e.begin(kind, in.IDs); err != nil {
			leave()
			return nil, a.asProblem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(out huma.Context) {
			defer leave()
			out.SetHeader("Content-Type", "application/jsonl")
			out.SetHeader(positionHeader, e.end.Position)
			out.SetStatus(http.StatusOK)
			// The status is sent, so that a reader learns of a failure by the missing end.
			if err := e.write(out.BodyWriter()); err != nil && ctx.Err() == nil {
				a.log(ctx, "an export broke off", err)
			}
		}}, nil
	})
}

// export is one export on its way.
type export struct {
	api  *API
	ctx  context.Context
	at   time.Time // when it began
	rows []exportRow
	end  exportEnd
}

// begin takes the rows as they are.
func (e *export) begin(k Kind, ids []string) error {
	e.at = e.api.cfg.Now()
	at, err := e.api.view(e.ctx, func(s domain.View, _ eventstore.Head) error {
		e.rows = k.rows(s.State, ids)
		return nil
	})
	if err == nil && k.personal && e.api.cfg.Store.Sealed(callerOf(e.ctx).org) > 0 {
		err = fmt.Errorf("httpapi: export: %w", vault.ErrUnavailable)
	}
	e.end.Position = at.String()
	return err
}

// write writes the rows in chunks, and releases the org between them.
func (e *export) write(w io.Writer) error {
	for last := false; !last; {
		n := min(len(e.rows), exportChunk)
		text, err := e.chunk(e.rows[:n])
		if err != nil {
			return err
		}
		clear(e.rows[:n]) // what is written needs no memory
		e.rows = e.rows[n:]
		if last = len(e.rows) == 0; last {
			end, err := json.Marshal(map[string]exportEnd{"end": e.end})
			if err != nil {
				return fmt.Errorf("httpapi: export: %w", err)
			}
			text = append(append(text, end...), '\n')
		}
		if rw, ok := w.(http.ResponseWriter); ok {
			err := http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(exportPatience))
			if err != nil && !errors.Is(err, http.ErrNotSupported) {
				return fmt.Errorf("httpapi: export: %w", err)
			}
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// chunk gives the lines of rows. It is a turn of the core, which ends before the reader
// is waited for.
func (e *export) chunk(rows []exportRow) (out []byte, err error) {
	turn, err := e.api.cfg.Store.Core().Begin(e.ctx, callerOf(e.ctx).who())
	if err != nil {
		return nil, err
	}
	defer turn.End()
	_, err = e.api.view(e.ctx, func(s domain.View, _ eventstore.Head) error {
		v := &exportView{viewer{s, callerOf(e.ctx).person}, e.at}
		for _, r := range rows {
			if !v.sees(r.row) {
				continue
			}
			commands := r.commands(v)
			for _, c := range commands {
				line, whole, err := exportLine(c)
				if err != nil {
					return err
				}
				if !whole {
					e.end.LeftOut++
					continue
				}
				out = append(append(out, line...), '\n')
				e.end.Rows++
			}
			switch {
			case len(commands) == 0:
				e.end.LeftOut++
			case suspended(r.row):
				e.end.Suspended++
			}
		}
		return nil
	})
	return out, err
}

// exportLine gives the fields of a command with personal values in clear. It is not
// whole when one of them cannot be read: while the vault answers, as it did when the
// export began, that is one whose key is damaged.
func exportLine(c domain.Command) (line []byte, whole bool, err error) {
	sealed := false
	c = domain.MapPersonal(c, func(_ domain.ID, p domain.Personal) domain.Personal {
		_, known := p.Value()
		sealed = sealed || !known
		return p.Sealed(p.Text())
	})
	if sealed {
		return nil, false, nil
	}
	line, err = json.Marshal(c)
	if err != nil {
		return nil, false, fmt.Errorf("httpapi: export %s: %w", domain.CommandName(c), err)
	}
	return line, true, nil
}
