package unlock

import "slices"

// dirtyHolder is one reason to make the holder of a person again. It is a changed row of theirs,
// or, without one, a change of a row on which they depend.
type dirtyHolder struct {
	person                    key
	id                        string // of the person; empty without a row of theirs
	oldCredential, credential *credential
	oldGrant, grant           *Grant
}

// recompile makes the holders again that the changes affect, and updates the indexes of
// them.
func (e *edit) recompile() {
	dirty := e.dirty()
	slices.SortFunc(dirty, func(a, b dirtyHolder) int { return a.person.compare(b.person) })
	var (
		holders       []change[holder]
		tags          = e.retags()
		needs         = e.ofUnits()
		before, after = maker{table: e.before}, maker{table: e.after}
	)
	for len(dirty) > 0 {
		k, n := dirty[0].person, 1
		for n < len(dirty) && dirty[n].person == k {
			n++
		}
		of := dirty[:n]
		dirty = dirty[n:]
		old := e.before.holders.get(k)
		var made holder
		if old != nil {
			made = *old
		}
		relinked := old == nil || slices.ContainsFunc(of, dirtyHolder.relinks)
		if relinked {
			grants := old.grants()
			// The old grants are compiled again to find their dependencies. That is
			// cheaper than to keep them for everybody.
			before.chains(grants)
			after.relink(&made, e.after.persons.get(k), grantsAfter(grants, of))
			needs = reneed(needs, k, before.needs, after.needs)
		}
		made.count(of)
		if c := made.only; relinked && old != nil && c != nil && c == old.only && c.tag != (key{}) {
			tags = append(tags, retagged{c.tag, c, c})
		}
		c := change[holder]{key: k, old: old}
		if made.person != nil || made.credentials > 0 || made.links > 0 {
			c.new = &made
		}
		if c.old != nil || c.new != nil {
			holders = append(holders, c)
		}
	}
	e.after.holders = e.after.holders.with(holders)
	e.after.tags = e.after.tags.with(e.retag(tags))
	e.after.dependants = depend(e.after.dependants, needs)
}

// relinks reports whether the person or the links of a holder may change.
func (s dirtyHolder) relinks() bool { return s.oldCredential == nil && s.credential == nil }

// count counts the credentials that a person gains and loses.
func (h *holder) count(dirty []dirtyHolder) {
	for _, s := range dirty {
		if s.oldCredential != nil {
			h.credentials--
			if h.only == s.oldCredential {
				h.only = nil
			}
		}
		if s.credential != nil {
			h.credentials++
		}
		if s.id != "" {
			h.id = s.id
		}
	}
	if h.only != nil {
		return
	}
	for _, s := range dirty {
		if s.credential != nil && (h.only == nil || s.credential.text(credentialID) < h.only.text(credentialID)) {
			h.only = s.credential
		}
	}
}

// dirty collects the changes that affect holders.
func (e *edit) dirty() []dirtyHolder {
	dirty := make([]dirtyHolder, 0, len(e.persons)+len(e.credentials)+len(e.grants))
	for _, c := range e.persons {
		s := dirtyHolder{person: c.key}
		if c.new != nil {
			s.id = c.new.ID
		}
		dirty = append(dirty, s)
		dirty = e.dependentsOf(dirty, KindPerson, c.key)
	}
	for _, c := range e.credentials {
		if c.old != nil {
			dirty = append(dirty, dirtyHolder{person: c.old.person, oldCredential: c.old})
		}
		if c.new != nil {
			dirty = append(dirty, dirtyHolder{person: c.new.person, id: c.new.text(credentialPerson), credential: c.new})
		}
	}
	for _, c := range e.grants {
		if c.old != nil {
			dirty = append(dirty, dirtyHolder{person: keyOf(IDOf(c.old.Person)), id: c.old.Person, oldGrant: c.old})
		}
		if c.new != nil {
			dirty = append(dirty, dirtyHolder{person: keyOf(IDOf(c.new.Person)), id: c.new.Person, grant: c.new})
		}
		dirty = e.dependentsOf(dirty, KindGrant, c.key)
	}
	for _, c := range e.bookings {
		dirty = e.dependentsOf(dirty, KindBooking, c.key)
	}
	return dirty
}

// dependentsOf appends the persons whose holders depend on a row.
func (e *edit) dependentsOf(dirty []dirtyHolder, kind Kind, k key) []dirtyHolder {
	if d := e.before.dependants.get(dependency(kind, k)); d != nil {
		for _, person := range *d {
			dirty = append(dirty, dirtyHolder{person: person})
		}
	}
	return dirty
}

// grantsAfter gives the grants of a holder after the changes, sorted.
func grantsAfter(grants []*Grant, dirty []dirtyHolder) []*Grant {
	for _, s := range dirty {
		if s.oldGrant != nil {
			i := slices.Index(grants, s.oldGrant)
			grants = slices.Delete(grants, i, i+1)
		}
		if s.grant != nil {
			grants = append(grants, s.grant)
		}
	}
	slices.SortFunc(grants, byID[*Grant])
	return grants
}

// ofUnits gives the units that bookings begin and cease to depend on.
func (e *edit) ofUnits() (needs []need) {
	unit := func(b *booking) key {
		if b == nil {
			return key{}
		}
		return keyOf(IDOf(b.row.Unit))
	}
	for _, c := range e.bookings {
		old, now := unit(c.old), unit(c.new)
		if old == now {
			continue
		}
		if c.old != nil {
			needs = append(needs, need{dependency(KindUnit, old), c.key, true})
		}
		if c.new != nil {
			needs = append(needs, need{dependency(KindUnit, now), c.key, false})
		}
	}
	return needs
}

// retagged is one tag of a credential that changed, or of one whose holder did. A nil
// credential means that the tag was nobody's before, or is nobody's after.
type retagged struct {
	tag       key
	old, made *credential
}

// retags lists the tags of the credentials that changed.
func (e *edit) retags() []retagged {
	all := make([]retagged, 0, len(e.credentials)+len(e.persons))
	add := func(tag key, old, made *credential) {
		if tag != (key{}) {
			all = append(all, retagged{tag, old, made})
		}
	}
	for _, c := range e.credentials {
		switch {
		case c.old == nil:
			add(c.new.tag, nil, c.new)
		case c.new == nil:
			add(c.old.tag, c.old, nil)
		case c.old.tag == c.new.tag:
			add(c.new.tag, c.old, c.new)
		default:
			add(c.old.tag, c.old, nil)
			add(c.new.tag, nil, c.new)
		}
	}
	return all
}

// retag gives the updates of the index of tags, and sorts its argument. A tag gets a
// gist only if one credential alone has it, so that a look-up need not search for others.
func (e *edit) retag(all []retagged) []update[credential, gist] {
	slices.SortFunc(all, func(a, b retagged) int { return a.tag.compare(b.tag) })
	updates := make([]update[credential, gist], 0, len(all))
	for len(all) > 0 {
		tag, n := all[0].tag, 1
		for n < len(all) && all[n].tag == tag {
			n++
		}
		first := len(updates)
		for _, r := range all[:n] {
			u := update[credential, gist]{key: tag, old: r.old, new: r.made}
			if r.made != nil {
				u.extra = noGist(r.made)
			}
			updates = append(updates, u)
		}
		for _, c := range e.before.tags.list(tag) {
			if !slices.ContainsFunc(all[:n], func(r retagged) bool { return r.old == c }) {
				updates = append(updates, update[credential, gist]{tag, c, c, noGist(c)})
			}
		}
		has := func(u update[credential, gist]) bool { return u.new != nil }
		if i := slices.IndexFunc(updates[first:], has); i >= 0 && !slices.ContainsFunc(updates[first+i+1:], has) {
			alone := &updates[first+i]
			alone.extra = e.after.holders.get(alone.new.person).gist(alone.new)
		}
		all = all[n:]
	}
	return updates
}

// need says that something begins or ceases to depend on a row: the holder of a person,
// or a booking.
type need struct {
	on, by key
	gone   bool
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
		var by []key
		if c.old != nil {
			by = *c.old
		}
		if by = withNeeds(by, needs[:n]); len(by) > 0 {
			c.new = &by
		}
		changes = append(changes, c)
		needs = needs[n:]
	}
	return x.with(changes)
}

// withNeeds gives the sorted list of what depends on a row after its needs.
func withNeeds(by []key, needs []need) []key {
	slices.SortFunc(needs, func(a, b need) int { return a.by.compare(b.by) })
	out := make([]key, 0, len(by)+len(needs))
	for _, n := range needs {
		i, found := slices.BinarySearchFunc(by, n.by, key.compare)
		out = append(out, by[:i]...)
		by = by[i:]
		if found {
			by = by[1:]
		}
		if !n.gone {
			out = append(out, n.by)
		}
	}
	return append(out, by...)
}
