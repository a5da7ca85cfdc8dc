package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/schemas"
)

// Event is a fact as the API shows it: as the ledger holds it in its present
// version, with personal values in clear, or null where the caller may not see
// them or they were erased.
type Event struct {
	Type    string         `json:"type" doc:"wire name, as fob.assigned"`
	Version int            `json:"version"`
	Sites   []domain.ID    `json:"sites" doc:"that it concerns; none: the whole org"`
	Data    map[string]any `json:"data" doc:"as schemas/events describes it"`
}

// events makes stored events fit for the caller's eyes.
func (a *API) events(ctx context.Context, stored []schemas.Event) ([]Event, error) {
	opened, err := a.open(ctx, stored)
	if err != nil {
		return nil, err
	}
	return a.show(ctx, stored, opened, seesSubject)
}

// open reads stored events, and opens what of them is personal.
func (a *API) open(ctx context.Context, stored []schemas.Event) ([]domain.Event, error) {
	decoded := make([]domain.Event, len(stored))
	for i, e := range stored {
		var err error
		if decoded[i], err = e.Decode(); err != nil {
			return nil, fmt.Errorf("httpapi: show an event: %w", err)
		}
	}
	return a.cfg.Open(ctx, callerOf(ctx).org, decoded)
}

// sees says of whom a viewer may see personal values.
type sees func(s domain.View, viewer, subject domain.ID) bool

// show makes events, as stored and opened, fit for the caller's eyes, who sees the
// personal values of some subjects.
func (a *API) show(ctx context.Context, stored []schemas.Event, opened []domain.Event, sees sees) ([]Event, error) {
	out := make([]Event, len(stored))
	_, err := a.viewAfter(ctx, func(s domain.View, _ eventstore.Head) error {
		for i, e := range opened {
			data, err := shown(s, callerOf(ctx).person, e, sees)
			if err != nil {
				return err
			}
			typ, _ := domain.EventNamed(stored[i].Type)
			out[i] = Event{stored[i].Type, typ.Version, orEmpty(stored[i].Sites), data}
		}
		return nil
	})
	return out, err
}

// shown gives the data of an event with every box replaced: by the clear value
// where it is known and the viewer may see it, else by null. Boxes are random, so
// no other text of the event can be taken for one.
func shown(s domain.View, viewer domain.ID, e domain.Event, sees sees) (map[string]any, error) {
	boxes := map[string]any{}
	domain.MapPersonal(e, func(subject domain.ID, p domain.Personal) domain.Personal {
		boxes[p.Box()] = nil
		if text, known := p.Value(); known && p.Box() != "" && sees(s, viewer, subject) {
			boxes[p.Box()] = text
		}
		return p
	})
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("httpapi: show %s: %w", domain.EventName(e), err)
	}
	var data map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&data); err != nil {
		return nil, fmt.Errorf("httpapi: show %s: %w", domain.EventName(e), err)
	}
	if len(boxes) > 0 {
		replaceBoxes(data, boxes)
	}
	if domain.EndedKeys(e) != nil {
		delete(data, "keys") // an order to the vault; their number would tell of a PIN for duress
	}
	return data, nil
}

// replaceBoxes puts what may be shown in the place of each box below v.
func replaceBoxes(v any, boxes map[string]any) {
	shown := func(x any) any {
		if text, ok := x.(string); ok {
			if clear, is := boxes[text]; is {
				return clear
			}
		} else {
			replaceBoxes(x, boxes)
		}
		return x
	}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = shown(x)
		}
	case []any:
		for i, x := range v {
			v[i] = shown(x)
		}
	}
}

// seesSubject reports whether the personal values of a subject may be shown: of a
// person, of a credential, or of the org, which are texts about nobody. The digits
// of a PIN are of none of these.
func seesSubject(s domain.View, viewer, subject domain.ID) bool {
	if subject == domain.OrgSubject {
		return s.HighestRole(viewer).AtLeast(domain.RoleStaff)
	}
	if p, ok := s.People.Get(subject); ok {
		return domain.Visible(s, viewer, domain.RecordOf(s.State, p))
	}
	if c, ok := s.Credentials.Get(subject); ok {
		return domain.Visible(s, viewer, domain.RecordOf(s.State, c))
	}
	return false
}

// clearValue gives a personal value of a row that the viewer may see: null when it is
// not known, because it is sealed or erased.
func clearValue(p domain.Personal) *string {
	if text, known := p.Value(); known && text != "" {
		return &text
	}
	return nil
}

// name gives the name of a person to those who may see the person, else null.
func (v *viewer) name(person domain.ID) *string {
	p, ok := v.state.People.Get(person)
	if !ok || !domain.Visible(v.state, v.person, domain.RecordOf(v.state.State, p)) {
		return nil
	}
	return clearValue(p.Name)
}

// viewer is a state and who looks at it.
type viewer struct {
	state  domain.View
	person domain.ID
}

func (v *viewer) sees(row any) bool {
	return domain.Visible(v.state, v.person, domain.RecordOf(v.state.State, row))
}
