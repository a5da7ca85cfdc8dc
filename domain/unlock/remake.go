package unlock

import "slices"

// stir is one reason to recompile the holder of a person. It is a changed row of
// theirs, or, without one, a change of a row on which they depend.
type stir struct {
	person                    key
	oldCredential, credential *Credential
	oldGrant, grant           *Grant
}

// recompile recompiles the holders that the changes affect, and updates the indexes of
// them.
func (e *edit) recompile() {
	stirs := e.stirs()
	slices.SortFunc(stirs, func(a, b stir) int { return a.person.compare(b.person) })
	var (
		holders       []change[holder]
		tags          []retagged
		needs         []need
		before, after = maker{table: e.before}, maker{table: e.after}
	)
	for len(stirs) > 0 {
		k, n := stirs[0].person, 1
		for n < len(stirs) && stirs[n].person == k {
			n++
		}
		old := e.before.holders.get(k)
		credentials, grants := old.rows()
		// The old holder is compiled again to find its dependencies. That is cheaper
		// than to keep them for everybody.
		before.holder(e.before.persons.get(k), credentials, grants)
		credentials, grants = stirred(credentials, grants, stirs[:n])
		made := after.holder(e.after.persons.get(k), credentials, grants)
		stirs = stirs[n:]
		if old == nil && made == nil {
			continue
		}
		holders = append(holders, change[holder]{key: k, old: old, new: made})
		tags = append(tags, retags(old, made)...)
		needs = reneed(needs, k, before.needs, after.needs)
	}
	e.after.holders = e.after.holders.with(holders)
	e.after.tags = e.after.tags.with(e.before.retag(tags))
	e.after.dependants = depend(e.after.dependants, needs)
}

// stirs collects the changes that affect holders.
func (e *edit) stirs() []stir {
	stirs := make([]stir, 0, len(e.persons)+len(e.credentials)+len(e.grants))
	for _, c := range e.persons {
		stirs = append(stirs, stir{person: c.key})
		stirs = e.dependentsOf(stirs, KindPerson, c.key)
	}
	for _, c := range e.credentials {
		if c.old != nil {
			stirs = append(stirs, stir{person: keyOf(IDOf(c.old.Person)), oldCredential: c.old})
		}
		if c.new != nil {
			stirs = append(stirs, stir{person: keyOf(IDOf(c.new.Person)), credential: c.new})
		}
	}
	for _, c := range e.grants {
		if c.old != nil {
			stirs = append(stirs, stir{person: keyOf(IDOf(c.old.Person)), oldGrant: c.old})
		}
		if c.new != nil {
			stirs = append(stirs, stir{person: keyOf(IDOf(c.new.Person)), grant: c.new})
		}
		stirs = e.dependentsOf(stirs, KindGrant, c.key)
	}
	for _, c := range e.bookings {
		stirs = e.dependentsOf(stirs, KindBooking, c.key)
	}
	for _, c := range e.units {
		stirs = e.dependentsOf(stirs, KindUnit, c.key)
	}
	return stirs
}

// dependentsOf appends the holders that depend on a row.
func (e *edit) dependentsOf(stirs []stir, kind Kind, k key) []stir {
	if d := e.before.dependants.get(dependency(kind, k)); d != nil {
		for _, person := range *d {
			stirs = append(stirs, stir{person: person})
		}
	}
	return stirs
}

// stirred gives the rows of a holder after the changes, sorted.
func stirred(credentials []*Credential, grants []*Grant, stirs []stir) ([]*Credential, []*Grant) {
	for _, s := range stirs {
		credentials = swap(credentials, s.oldCredential, s.credential)
		grants = swap(grants, s.oldGrant, s.grant)
	}
	slices.SortFunc(credentials, byID[*Credential])
	slices.SortFunc(grants, byID[*Grant])
	return credentials, grants
}

func swap[R any](rows []*R, old, new *R) []*R {
	if old != nil {
		i := slices.Index(rows, old)
		rows = slices.Delete(rows, i, i+1)
	}
	if new != nil {
		rows = append(rows, new)
	}
	return rows
}

// retagged is one tag of a recompiled holder. A nil holder means that the tag was not
// theirs before, or is not theirs after.
type retagged struct {
	tag       key
	old, made *holder
}

// retags lists the tags that a holder had and has.
func retags(old, made *holder) []retagged {
	had, has := old.tags(), made.tags()
	all := make([]retagged, 0, len(had)+len(has))
	for _, tag := range has {
		r := retagged{tag, nil, made}
		if contains(had, tag) {
			r.old = old
		}
		all = append(all, r)
	}
	for _, tag := range had {
		if !contains(has, tag) {
			all = append(all, retagged{tag, old, nil})
		}
	}
	return all
}

// retag gives the updates of the index of tags, and sorts its argument. A tag gets a
// gist only if one holder alone has it, so that a look-up need not search for others.
func (t *Table) retag(all []retagged) []update[holder, gist] {
	slices.SortFunc(all, func(a, b retagged) int { return a.tag.compare(b.tag) })
	updates := make([]update[holder, gist], 0, len(all))
	for len(all) > 0 {
		tag, n := all[0].tag, 1
		for n < len(all) && all[n].tag == tag {
			n++
		}
		first := len(updates)
		for _, r := range all[:n] {
			updates = append(updates, update[holder, gist]{key: tag, old: r.old, new: r.made})
		}
		for _, h := range t.tags.list(tag) {
			if !slices.ContainsFunc(all[:n], func(r retagged) bool { return r.old == h }) {
				updates = append(updates, update[holder, gist]{key: tag, old: h, new: h})
			}
		}
		alone := -1
		for i := first; i < len(updates); i++ {
			if updates[i].new != nil {
				if alone >= 0 {
					alone = -1
					break
				}
				alone = i
			}
		}
		if alone >= 0 {
			updates[alone].extra = updates[alone].new.gist()
		}
		all = all[n:]
	}
	return updates
}

// need says that a holder begins or ceases to depend on a row.
type need struct {
	on, person key
	gone       bool
}

// reneed appends the dependencies that a holder gained and lost. It sorts both lists.
func reneed(needs []need, person key, before, after []key) []need {
	slices.SortFunc(before, key.compare)
	slices.SortFunc(after, key.compare)
	for i, k := range before {
		if i > 0 && before[i-1] == k {
			continue
		}
		if _, still := slices.BinarySearchFunc(after, k, key.compare); !still {
			needs = append(needs, need{k, person, true})
		}
	}
	for i, k := range after {
		if i > 0 && after[i-1] == k {
			continue
		}
		if _, had := slices.BinarySearchFunc(before, k, key.compare); !had {
			needs = append(needs, need{k, person, false})
		}
	}
	return needs
}

// depend gives the index of dependants after the needs, which it sorts.
func depend(x index[[]key], needs []need) index[[]key] {
	slices.SortFunc(needs, func(a, b need) int { return a.on.compare(b.on) })
	var changes []change[[]key]
	for len(needs) > 0 {
		on, n := needs[0].on, 1
		for n < len(needs) && needs[n].on == on {
			n++
		}
		c := change[[]key]{key: on, old: x.get(on)}
		var persons []key
		if c.old != nil {
			persons = *c.old
		}
		if persons = withNeeds(persons, needs[:n]); len(persons) > 0 {
			c.new = &persons
		}
		changes = append(changes, c)
		needs = needs[n:]
	}
	return x.with(changes)
}

// withNeeds gives a sorted list of persons after the needs of one row.
func withNeeds(persons []key, needs []need) []key {
	slices.SortFunc(needs, func(a, b need) int { return a.person.compare(b.person) })
	out := make([]key, 0, len(persons)+len(needs))
	for _, n := range needs {
		i, found := slices.BinarySearchFunc(persons, n.person, key.compare)
		out = append(out, persons[:i]...)
		persons = persons[i:]
		if found {
			persons = persons[1:]
		}
		if !n.gone {
			out = append(out, n.person)
		}
	}
	return append(out, persons...)
}
