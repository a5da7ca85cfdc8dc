package explain

import (
	"slices"
	"strings"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
)

// ToldTo gives an explanation as the viewer may read it, who asked it of the state seen.
// Of a booking that is not theirs, those with whom it is shared and the users of its unit
// learn that it is suspended and nothing else of that: no level, no cause. Through a share
// or a place that is over they learn nothing of booking and unit at all.
func ToldTo(s domain.View, viewer domain.ID, e Explanation) Explanation {
	if s.WorksAt(viewer, e.Site) {
		return e
	}
	e.Ways = slices.Clone(e.Ways)
	for i, w := range e.Ways {
		if s.SeesBookingOf(viewer, w.Grant) {
			continue
		}
		e.Ways[i].Steps = veiled(w.Steps)
		if w.Grant == e.Grant {
			e.judge(e.Ways[i])
		}
	}
	return e
}

// overCodes fail of a share or a place in a unit that will not come back.
var overCodes = []unlock.Code{unlock.DenyShareRevoked, unlock.DenyShareEnded, unlock.DenyNoAccessRight}

// veiled are the steps of a way as those read them whose booking it is not.
func veiled(steps []Step) []Step {
	var over []unlock.Code
	for _, step := range steps {
		if step.Kind != "share" && step.Kind != "unit_user" {
			continue
		}
		for _, code := range step.Failed {
			if slices.Contains(overCodes, code) && !slices.Contains(over, code) {
				over = append(over, code)
			}
		}
	}
	if len(over) > 0 {
		first := steps[0]
		first.Failed, first.because = over, nil
		return []Step{first}
	}
	steps = slices.Clone(steps)
	for i := range steps {
		if step := &steps[i]; step.Kind == "booking" {
			step.Says, _, _ = strings.Cut(step.Says, ",")
			if strings.HasPrefix(step.Says, "suspended") {
				step.Says = "suspended"
			}
			step.Commits, step.Failed, step.because = nil, toldCodes(step.Failed), nil
		}
	}
	return steps
}

// toldCodes leave out how far a booking is suspended.
func toldCodes(codes []unlock.Code) (out []unlock.Code) {
	for _, code := range codes {
		if code == unlock.DenyOverlock || code == unlock.DenyGatelock {
			code = unlock.DenyBookingSuspended
		}
		if !slices.Contains(out, code) {
			out = append(out, code)
		}
	}
	return out
}

// judge makes the answer follow from the steps that are told of the way that came
// closest.
func (e *Explanation) judge(w Way) {
	e.Failed = 0
	for _, step := range slices.Concat(e.Steps, w.Steps) {
		for _, code := range step.Failed {
			e.Failed = e.Failed.With(code)
		}
	}
	instead := firstFailure(w.Steps)
	if !e.Allowed && !e.Failed.Has(e.Code) {
		e.Code, e.Meaning = instead, instead.Meaning()
	}
	e.Because = e.firstFailed()
	e.Credentials = slices.Clone(e.Credentials)
	for i := range e.Credentials {
		if c := &e.Credentials[i]; !c.Allowed && !e.Failed.Has(c.Code) && c.Code >= unlock.DenyBookingRevoked {
			c.Code = instead
		}
	}
}
