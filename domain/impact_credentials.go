package domain

import (
	"cmp"
	"slices"
	"strings"

	"gatehouse/domain/unlock"
)

// credentialView is a credential with what bounds it beside the grants of its holder.
type credentialView struct {
	row    *unlock.Credential
	from   unlock.Instant
	until  unlock.Instant // exclusive
	code   unlock.Code
	gate   bool // its booking is shut out of gates
	seen   bool // the sender may read it
	duress bool // it is for duress
}

func (o *siteView) credentialView(c *unlock.Credential) *credentialView {
	t := &credentialView{row: c, from: max(o.now, c.Window.From), until: bound(c.Window.Until)}
	o.get(unlock.KindSchedule, c.Schedule) // by this state: it is asked for when the other one holds
	if t.until <= o.now {
		t.code = unlock.DenyCredentialExpired
	}
	if c.State == unlock.CredentialSuspended && c.SuspendedUntil != 0 {
		t.from = max(t.from, c.SuspendedUntil)
	} else {
		t.code = first(t.code, c.State.Denial())
	}
	if c.DenyListed {
		t.code = first(t.code, unlock.DenyCredentialRevoked)
	}
	if c.Booking != "" {
		code, window, gate := o.booking(c.Booking)
		t.code, t.gate = first(t.code, code), gate
		t.from, t.until = max(t.from, window.From), min(t.until, bound(window.Until))
		if bound(window.Until) <= o.now {
			t.code = first(t.code, unlock.DenyBookingEnded)
		}
	}
	return t
}

// intervals are when the credential opens a door by passages of its holder.
func (o *siteView) intervals(t *credentialView, door string, accessPaths []accessPath) []interval {
	if t == nil || t.code != unlock.NoCode || t.gate && o.door(door).Entry || t.row.Home != "" && o.door(door).Gateway != t.row.Home {
		return nil
	}
	var fit []accessPath
	for _, w := range accessPaths {
		if t.row.Booking != "" && t.row.Booking != w.booking && !w.free {
			continue
		}
		w.from, w.until = max(w.from, t.from), min(w.until, t.until)
		fit = append(fit, w)
	}
	out := aspect{kind: t.row.Kind}.intervals(fit)
	for i := range out {
		out[i].times = o.joined(out[i].times, t.row.Schedule)
	}
	return out
}

// credentialOf finds a credential among those of a person.
func (o *siteView) credentialOf(person ID, id string) *credentialView {
	if a := o.people[person]; a != nil {
		if i, ok := slices.BinarySearchFunc(a.credentials, id, func(t *credentialView, id string) int { return cmp.Compare(t.row.ID, id) }); ok {
			return a.credentials[i]
		}
	}
	return nil
}

// joined is join of a key with one more schedule.
func (o *siteView) joined(key, more string) string {
	if more == "" {
		return key
	}
	return o.join(append(strings.Split(key, " "), more)...)
}

// ofCredential gives the passages of a person that count for a credential. For a credential
// that the sender may read, those that privacy hides are left out.
func (o *siteView) ofCredential(t *credentialView, person ID) map[string][]accessPath {
	if t != nil && t.seen {
		return o.shownOf(person)
	}
	return o.of(person)
}

// works reports whether a credential opens any door of the site, now or later.
func (o *siteView) works(t *credentialView, person ID) bool {
	for door, accessPaths := range o.ofCredential(t, person) {
		if !o.never(o.intervals(t, door, accessPaths)) {
			return true
		}
	}
	return false
}

// credentials adds the changes of the credentials of one person. These stop or begin to
// work, get another number, or open less or more at a door where their holder does not.
func (f *impactBuilder) credentials(p *siteDiff, person ID, forth, back *scheduleDiff) {
	var ids []string
	for _, o := range []*siteView{p.before, p.after} {
		if a := o.people[person]; a != nil {
			for _, t := range a.credentials {
				ids = append(ids, t.row.ID)
			}
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		was, is := p.before.credentialOf(person, id), p.after.credentialOf(person, id)
		worked, works := p.before.works(was, person), p.after.works(is, person)
		renumbered := was != nil && is != nil && was.row.Tag != is.row.Tag && was.row.Tag != unlock.Tag{}
		less, alone := fewer(p.before, p.after, forth, person, was, is)
		switch {
		case worked && !works:
			f.credential(p, person, was, EffectStops, less, renumbered)
		case alone || worked && renumbered:
			f.credential(p, person, was, EffectNarrowed, less, renumbered)
		}
		more, alone := fewer(p.after, p.before, back, person, is, was)
		switch {
		case works && !worked:
			f.credential(p, person, is, EffectWorks, more, false)
		case alone:
			f.credential(p, person, is, EffectWidened, more, false)
		}
	}
}

// fewer lists the doors at which a credential opens less than before. It also reports
// whether, at one of them, the credential alone is the cause and not what its holder
// may do with a credential of its kind.
func fewer(before, after *siteView, c *scheduleDiff, person ID, was, is *credentialView) (doors []ID, alone bool) {
	if was == nil {
		return nil, false
	}
	own := aspect{kind: was.row.Kind}
	old, now := before.ofCredential(was, person), after.ofCredential(was, person)
	for _, door := range sortedKeysOf(old) {
		if c.within(before.intervals(was, door, old[door]), after.intervals(is, door, now[door])) {
			continue
		}
		doors = append(doors, ID(door))
		alone = alone || c.within(own.intervals(old[door]), own.intervals(now[door]))
	}
	return doors, alone
}

// credential adds one change. A PIN for duress is not even counted for those who
// may not read it: the number would tell of it.
func (f *impactBuilder) credential(p *siteDiff, person ID, t *credentialView, effect Effect, doors []ID, renumbered bool) {
	if t.duress && !t.seen {
		return
	}
	to := &f.impact.Credentials
	to.Count++
	switch {
	case !t.seen:
		to.Hidden++
	case len(to.List) < MaxImpact:
		to.List = append(to.List, CredentialChange{
			Credential: ID(t.row.ID), Kind: credentialKindOf(t.row.Kind), Person: person, Site: p.site, Effect: effect,
			Doors: append([]ID{}, doors[:min(len(doors), maxNamed)]...), DoorCount: len(doors), NewNumber: renumbered, Beside: p.after.beside(person, t),
		})
	}
}

// beside lists the kinds of the person's other credentials that still work. It includes
// only those that the sender may read.
func (o *siteView) beside(person ID, t *credentialView) []CredentialKind {
	var kinds []CredentialKind
	if a := o.people[person]; a != nil {
		for _, other := range a.credentials {
			if kind := credentialKindOf(other.row.Kind); other.seen && other.row.ID != t.row.ID && !slices.Contains(kinds, kind) && o.works(other, person) {
				kinds = append(kinds, kind)
			}
		}
	}
	slices.Sort(kinds)
	return kinds
}
