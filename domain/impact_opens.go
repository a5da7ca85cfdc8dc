package domain

import (
	"slices"
	"strings"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// choice are schedules that bound a right together; any choice of several opens.
type choice struct {
	schedules []string
	closed    []unlock.Window
}

// opens gives the doors of a grant with the schedules that bound each.
func (o *siteView) opens(g *unlock.Grant) map[string][]choice {
	var doors map[string][]choice
	if g.Right != "" {
		doors = o.right(g.Right, "")
	} else if b, ok := o.get(unlock.KindBooking, g.Booking).(*unlock.Booking); ok {
		doors = o.unit(b.Unit)
	}
	if g.Schedule == "" {
		return doors
	}
	narrowed := make(map[string][]choice, len(doors))
	for id, choices := range doors {
		for _, c := range choices {
			narrowed[id] = append(narrowed[id], o.and(c, g.Schedule))
		}
	}
	return narrowed
}

// and bounds a choice by one more schedule.
func (o *siteView) and(c choice, more string) choice {
	if more == "" {
		return c
	}
	c.schedules = append(slices.Clip(c.schedules), more)
	if s, ok := o.get(unlock.KindSchedule, more).(*unlock.Schedule); ok && len(s.Closed) > 0 {
		c.closed = slices.Concat(c.closed, s.Closed)
	}
	return c
}

func (o *siteView) right(id, narrower string) map[string][]choice {
	key := "right/" + id + "/" + narrower
	doors, known := o.opened[key]
	if known {
		return doors
	}
	doors = map[string][]choice{}
	if r, ok := o.get(unlock.KindRight, id).(*unlock.Right); ok {
		c := o.and(o.and(choice{}, r.Schedule), narrower)
		for _, d := range r.Doors {
			doors[d] = []choice{c}
		}
	}
	o.opened[key] = doors
	return doors
}

// unit gives the doors of what is mapped to a unit.
func (o *siteView) unit(id string) map[string][]choice {
	key := "unit/" + id
	doors, known := o.opened[key]
	if known {
		return doors
	}
	doors = map[string][]choice{}
	if u, ok := o.get(unlock.KindUnit, id).(*unlock.Unit); ok {
		for _, r := range u.Rights {
			for d, choices := range o.right(r.Right, r.Schedule) {
				doors[d] = append(doors[d], choices...)
			}
		}
	}
	o.opened[key] = doors
	return doors
}

// both gives what two grants of a chain open together.
func both(a, b map[string][]choice) map[string][]choice {
	out := map[string][]choice{}
	for d, choices := range a {
		for _, x := range choices {
			for _, y := range b[d] {
				out[d] = append(out[d], choice{slices.Concat(x.schedules, y.schedules), slices.Concat(x.closed, y.closed)})
			}
		}
	}
	return out
}

// join gives the key of the intersection of schedules. Empty means that it always
// holds.
func (o *siteView) join(ids ...string) string {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })
	slices.Sort(ids)
	ids = slices.Compact(ids)
	key := strings.Join(ids, " ")
	if _, known := o.times[key]; known {
		return key
	}
	held := always
	for i, id := range ids {
		var next schedule.Schedule // of a schedule that is not there: never
		if s, ok := o.get(unlock.KindSchedule, id).(*unlock.Schedule); ok {
			next = s.Schedule
		}
		if i == 0 {
			held = next
		} else {
			held = schedule.Intersect(held, next)
		}
	}
	o.times[key] = held
	return key
}
