package domain

import (
	"slices"
	"strings"

	"gatehouse/domain/unlock"
)

// ToldTo gives an explanation as the viewer may read it, who asked it of the state seen.
// Of a booking that is not theirs, those with whom it is shared and the users of its unit
// learn that it is suspended and nothing else of that: no level, no cause. Through a share
// or a place that is over they learn nothing of booking and unit at all.
func (s *State) ToldTo(viewer ID, e Explanation) Explanation {
	if s.WorksAt(viewer, e.Site) {
		return e
	}
	e.Ways = slices.Clone(e.Ways)
	for i, w := range e.Ways {
		if s.seesBookingOf(viewer, w.Grant) {
			continue
		}
		e.Ways[i].Steps = veiled(w.Steps)
		if w.Grant == e.Grant {
			e.judge(e.Ways[i])
		}
	}
	return e
}

// WorksAt reports whether a person has a role from staff upwards at a site now.
func (s *State) WorksAt(person, site ID) bool { return s.RoleAt(person, site).AtLeast(RoleStaff) }

// seesBookingOf reports whether a viewer may read the booking of a grant; where it has
// none there is nothing to hide.
func (s *State) seesBookingOf(viewer ID, grant string) bool {
	booking := ID("")
	if id, ok := strings.CutPrefix(grant, sharePrefix); ok {
		if sh, ok := s.Shares.Get(ID(id)); ok {
			booking = sh.Booking
		}
	} else if id, ok := strings.CutPrefix(grant, unitUserPrefix); ok {
		if u, ok := s.UnitUsers.Get(ID(id[:max(0, strings.LastIndexByte(id, '/'))])); ok {
			booking = u.Booking
		}
	}
	b, ok := s.Bookings.Get(booking)
	return !ok || Visible(s, viewer, RecordOf(s, b))
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

// CodeToldTo gives the code of a denial through a grant as the viewer may read it: of a
// booking that is not theirs they learn that it is suspended, and not how far.
func (s *State) CodeToldTo(viewer, site ID, grant string, code RefusalCode) RefusalCode {
	if code != RefusalCode(unlock.DenyOverlock.String()) && code != RefusalCode(unlock.DenyGatelock.String()) {
		return code
	}
	if grant == "" || s.WorksAt(viewer, site) || s.seesBookingOf(viewer, grant) {
		return code
	}
	return RefusalCode(unlock.DenyBookingSuspended.String())
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
