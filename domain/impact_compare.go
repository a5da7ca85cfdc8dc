package domain

import (
	"maps"
	"slices"

	"gatehouse/domain/unlock"
)

// comparison compares what the people of a prospect can open by two states. The state
// is the one to come while it does.
type comparison struct {
	f            *impactBuilder
	p            *siteDiff
	forth, back  *scheduleDiff
	lost, gained *changeList
	doors        []foundDoor
}

func newComparison(f *impactBuilder, p *siteDiff) *comparison {
	forth := newScheduleDiff(p.before, p.after)
	back := forth.turned()
	return &comparison{f: f, p: p, forth: forth, back: back, doors: p.doorChanges(forth, back),
		lost: &changeList{to: &f.impact.Lost, people: f.losing, scheduleDiff: forth, before: p.before, after: p.after, effects: [2]Effect{EffectLost, EffectNarrowed},
			doors: map[string]bool{}, known: map[[2]shape]verdict{}},
		gained: &changeList{to: &f.impact.Gained, people: f.gaining, scheduleDiff: back, before: p.after, after: p.before, effects: [2]Effect{EffectGained, EffectWidened},
			doors: map[string]bool{}, known: map[[2]shape]verdict{}},
	}
}

// add adds people, at whom both outlooks look now. They come in the order of their ids.
func (c *comparison) add(people []ID) {
	for _, id := range people {
		if _, differs := c.p.people[id]; differs {
			c.hide(id)
			c.lost.person(c.p.site, id)
			c.gained.person(c.p.site, id)
			c.f.credentials(c.p, id, c.forth, c.back)
		}
	}
	for i := range c.doors {
		c.doors[i].who(c.p, people)
	}
}

// hide removes the ways of a person that the privacy of a unit hides from the sender.
// Gains and losses beside them are told as if the hidden ways did not exist. Otherwise,
// somebody who gains nothing at a door by a right that opens it would be known to pass
// it already.
func (c *comparison) hide(person ID) {
	hidden := map[string]bool{}
	for _, o := range []*siteView{c.p.after, c.p.before} {
		if a := o.people[person]; a != nil {
			maps.Copy(hidden, a.private) // as it was before, where it was there
		}
	}
	maps.DeleteFunc(hidden, func(_ string, is bool) bool { return !is })
	if len(hidden) == 0 {
		return
	}
	for _, o := range []*siteView{c.p.before, c.p.after} {
		if a := o.people[person]; a != nil {
			a.shown = map[string][]accessPath{}
			for door, list := range a.accessPaths {
				if left := slices.DeleteFunc(slices.Clone(list), func(w accessPath) bool { return hidden[w.grant] }); len(left) > 0 {
					a.shown[door] = left
				}
			}
		}
	}
}

// end adds what is known when everybody was there.
func (c *comparison) end() {
	for _, l := range []*changeList{c.lost, c.gained} {
		l.to.People = len(l.people)
		l.to.Doors += len(l.doors)
	}
	c.f.listDoors(c.doors)
}

// changeList collects what people lose. For what they gain before and after change
// places: to gain is to lose it the other way round.
type changeList struct {
	to            *AccessChanges
	scheduleDiff  *scheduleDiff
	before, after *siteView
	effects       [2]Effect   // all of it, some of it
	people        map[ID]bool // of all sites: somebody who loses at two is one
	doors         map[string]bool
	known         map[[2]shape]verdict
}

// shape is all of a passage that a verdict depends on. It covers the case of one
// accessPath at most, with nothing cut out of it. Many people have the same shape.
type shape struct {
	any             bool
	from, until     unlock.Instant
	times, fobTimes string
	kinds, may      uint8
	code            unlock.Code
}

func shapeOf(accessPaths []accessPath) (shape, bool) {
	if len(accessPaths) == 0 {
		return shape{}, true
	}
	w := accessPaths[0]
	return shape{true, w.from, w.until, w.times, w.fobTimes, w.kinds, w.may, w.code}, len(accessPaths) == 1 && len(w.closed) == 0
}

// verdict is an answer of changeList.difference.
type verdict struct {
	open bool
	less []aspect
}

// of gives the passages of a person by door.
func (o *siteView) of(person ID) map[string][]accessPath {
	if a := o.people[person]; a != nil {
		return a.accessPaths
	}
	return nil
}

// shownOf gives the passages of a person without those that privacy hides.
func (o *siteView) shownOf(person ID) map[string][]accessPath {
	if a := o.people[person]; a != nil && a.shown != nil {
		return a.shown
	}
	return o.of(person)
}

// person adds what one person loses: beside what privacy hides, else what it hides as a
// number.
func (l *changeList) person(site, id ID) {
	whole, left, any := l.before.of(id), l.after.of(id), false
	for _, door := range sortedKeysOf(whole) {
		before, after := l.before.shownOf(id), l.after.shownOf(id)
		open, closed := l.difference(before[door], after[door])
		if len(closed) == 0 {
			before, after = whole, left
			open, closed = l.difference(before[door], after[door])
		}
		if len(closed) == 0 {
			continue
		}
		any = true
		l.doors[door] = true
		l.to.Pairs++
		c := AccessChange{Person: id, Door: ID(door), Site: site, Effect: l.effects[1]}
		if !open {
			c.Effect = l.effects[0]
		}
		known := l.before.people[id].seen
		hidden := func(g string) bool { return !known[g] }
		through := l.through(before[door], after[door])
		c.Through = slices.DeleteFunc(slices.Clone(through), hidden)
		switch {
		case len(c.Through) == 0:
			l.to.Hidden++
		case len(l.to.List) < MaxImpact:
			l.describe(&c, before[door], after[door], closed)
			c.Remains = slices.DeleteFunc(l.remains(before[door], after[door], through), hidden)
			l.to.List = append(l.to.List, c)
		}
	}
	if any {
		l.people[id] = true
	}
}

// difference says whether anything is left of what a door opened, and which aspects
// of it are open less.
func (l *changeList) difference(before, after []accessPath) (open bool, less []aspect) {
	was, one := shapeOf(before)
	is, other := shapeOf(after)
	if !one || !other {
		return l.differ(before, after)
	}
	v, known := l.known[[2]shape{was, is}]
	if !known {
		v.open, v.less = l.differ(before, after)
		l.known[[2]shape{was, is}] = v
	}
	return v.open, v.less
}

// differ answers difference.
func (l *changeList) differ(before, after []accessPath) (open bool, less []aspect) {
	if l.alike(before, after) {
		return true, nil
	}
	for _, a := range aspects {
		was, is := a.intervals(before), a.intervals(after)
		if !l.scheduleDiff.within(was, is) {
			less = append(less, a)
		}
	}
	if len(less) > 0 {
		// Fobs and cards may follow a schedule of their own.
		open = !l.after.never(aspect{}.intervals(after)) || !l.after.never(aspect{kind: unlock.Fob}.intervals(after))
	}
	return open, less
}

// alike reports that passages are the same, at a glance.
func (l *changeList) alike(before, after []accessPath) bool {
	return slices.EqualFunc(before, after, func(a, b accessPath) bool {
		return a.grant == b.grant && a.code == b.code && a.kinds == b.kinds && a.may == b.may && a.from == b.from && a.until == b.until &&
			slices.Equal(a.closed, b.closed) && l.scheduleDiff.equal(a.times, b.times) && l.scheduleDiff.equal(a.fobTimes, b.fobTimes) &&
			l.scheduleDiff.steady(a.times) && l.scheduleDiff.steady(a.fobTimes)
	})
}

// through lists the grants by which less is open than before, at a door where less is.
func (l *changeList) through(before, after []accessPath) []string {
	if len(before) == 1 && (len(after) == 0 || len(after) == 1 && after[0].grant == before[0].grant) {
		return []string{before[0].grant}
	}
	var out []string
	for _, grant := range grantsIn(before) {
		was, is := ofGrant(before, grant), ofGrant(after, grant)
		if slices.ContainsFunc(aspects, func(a aspect) bool { return !l.scheduleDiff.within(a.intervals(was), a.intervals(is)) }) {
			out = append(out, grant)
		}
	}
	return out
}

// remains lists the grants that open something before and after, without those through
// which there is a change.
func (l *changeList) remains(before, after []accessPath, through []string) []string {
	var out []string
	for _, grant := range grantsIn(before) {
		if !slices.Contains(through, grant) && !l.before.never(aspect{}.intervals(ofGrant(before, grant))) &&
			!l.after.never(aspect{}.intervals(ofGrant(after, grant))) {
			out = append(out, grant)
		}
	}
	return out
}

func grantsIn(accessPaths []accessPath) []string {
	var out []string
	for _, w := range accessPaths {
		out = append(out, w.grant)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func ofGrant(accessPaths []accessPath, grant string) []accessPath {
	return slices.DeleteFunc(slices.Clone(accessPaths), func(w accessPath) bool { return w.grant != grant })
}

// describe says what is less. Of what is gained it says how it is then.
func (l *changeList) describe(c *AccessChange, before, after []accessPath, less []aspect) {
	if c.Effect == EffectLost {
		c.Code = furthest(after)
		return
	}
	o, then, past := l.after, after, before
	if l.effects[0] == EffectGained {
		o, then, past = l.before, before, after
	}
	if slices.Contains(less, aspect{}) {
		c.times(o, aspect{}.intervals(past), aspect{}.intervals(then))
		c.Calendar = len(l.scheduleDiff.changed) > 0 && l.scheduleDiff.withoutDays().within(aspect{}.intervals(before), aspect{}.intervals(after))
	}
	for _, a := range less {
		text := o.text(a.intervals(then))
		if text != c.Times && a != (aspect{}) || a.capability != 0 && c.Effect == EffectGained {
			c.Uses = append(c.Uses, UseChange{a.String(), text})
		}
	}
	if c.Effect != EffectGained {
		return
	}
	for _, a := range aspects {
		if a.capability == 0 && len(a.intervals(then)) == 0 {
			c.Uses = append(c.Uses, UseChange{a.String(), o.text(nil)})
		}
	}
}

// times says when a door opens next.
func (c *AccessChange) times(o *siteView, past, then []interval) {
	c.Times = o.text(then)
	from, until := extent(then)
	oldFrom, oldUntil := extent(past)
	if from > o.now && from != oldFrom {
		c.From = from.Time()
	}
	if until != forEver && until != oldUntil {
		c.Until = until.Time()
	}
}

// furthest is the denial of the passage that comes closest, as a gateway answers it.
func furthest(accessPaths []accessPath) unlock.Code {
	code := unlock.DenyNoAccessRight
	for i, w := range accessPaths {
		c := w.code
		if c == unlock.NoCode {
			c = unlock.DenyOutsideSchedule
		}
		if i == 0 || c > code {
			code = c
		}
	}
	return code
}

func credentialKindOf(k unlock.CredentialKind) CredentialKind { return CredentialKind(k.String()) }
