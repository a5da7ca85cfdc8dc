package permissions

import (
	"slices"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas"
)

// queueTags puts rows whose tags changed into the table and queues them.
func (s *site) queueTags(put []unlock.Row) {
	before := s.table.Load()
	c := domain.SiteChange{Put: changed(before, put)}
	if len(c.Put) == 0 {
		return
	}
	head := s.org.position()
	after := s.change(head, before, &c)
	s.table.Store(after)
	s.org.enqueue(&entry{site: s, cause: schemas.CauseTags, head: head, put: c.Put, before: before, after: after})
}

// changed leaves out the rows that a table has.
func changed(t *unlock.Table, put []unlock.Row) []unlock.Row {
	return slices.DeleteFunc(put, func(r unlock.Row) bool {
		was, ok := t.Row(r.Key())
		return ok && same(was, r)
	})
}

// onlyTags reports whether a change of a table concerns tags alone, and could be
// a tag that was missing or one of another key.
func onlyTags(t *unlock.Table, c domain.SiteChange) bool {
	if len(c.Delete) > 0 {
		return false
	}
	rekeyed := slices.ContainsFunc(c.Put, func(r unlock.Row) bool { return r.Key().Kind == unlock.KindSite })
	for _, r := range c.Put {
		was, ok := t.Row(r.Key())
		if !ok || !same(withoutTag(was), withoutTag(r)) {
			return false
		}
		if cr, ok := was.(*unlock.Credential); ok && cr.Tag != (unlock.Tag{}) && !rekeyed {
			return false
		}
	}
	return true
}

// withoutTag is a row without what depends on the key of tags.
func withoutTag(r unlock.Row) unlock.Row {
	switch r := r.(type) {
	case *unlock.Credential:
		c := *r
		c.Tag = unlock.Tag{}
		return &c
	case *unlock.Site:
		c := *r
		c.TagKey = 0
		return &c
	}
	return r
}

// takeTags gives a table the tags that the published one has and it lacks, or all
// when they are of a newer key, and does the same for the site's present table.
// The org is locked.
func (s *site) takeTags(mine, pub *unlock.Table) *unlock.Table {
	theirs, ok := siteRow(pub, s.id)
	if !ok {
		return mine
	}
	newer := theirs.TagKey > s.tagVersion()
	if newer && s.key != nil && uint32(s.key.Version) < theirs.TagKey {
		s.key, s.tagger = nil, nil
		s.org.p.tagging.ask(s.org)
	}
	take := func(t *unlock.Table) *unlock.Table {
		var put []unlock.Row
		if own, ok := siteRow(t, s.id); ok && newer {
			copied := *own
			copied.TagKey = theirs.TagKey
			put = append(put, &copied)
		}
		for r := range pub.Rows(unlock.KindCredential) {
			was, ok := t.Row(r.Key())
			tag := r.(*unlock.Credential).Tag
			if !ok || tag == (unlock.Tag{}) || was.(*unlock.Credential).Tag != (unlock.Tag{}) && !newer {
				continue
			}
			copied := *was.(*unlock.Credential)
			copied.Tag = tag
			put = append(put, &copied)
			delete(s.untagged, copied.ID)
		}
		return s.change(headOf(t), t, &domain.SiteChange{Put: put})
	}
	s.table.Store(take(s.table.Load()))
	return take(mine)
}

// headOf is where a table stands, as far as it knows.
func headOf(t *unlock.Table) schemas.PermissionHead {
	head := schemas.PermissionHead{N: t.N(), At: t.At().Time(), Digest: t.Digest()}
	if at, err := schemas.ParsePosition(t.Position()); err == nil {
		head.Epoch = at.Epoch
	}
	return head
}

// offerTags queues the tags that the published table lacks, unless those that it
// has are of a newer key. The org is locked.
func (s *site) offerTags(pub *unlock.Table) {
	now := s.table.Load()
	var put []unlock.Row
	for r := range now.All() {
		was, ok := pub.Row(r.Key())
		if !ok || same(was, r) || !same(withoutTag(was), withoutTag(r)) {
			continue
		}
		if c, ok := r.(*unlock.Credential); ok && c.Tag == (unlock.Tag{}) {
			continue
		}
		put = append(put, r)
	}
	if len(put) > 0 {
		s.org.enqueue(&entry{site: s, cause: schemas.CauseTags, head: s.org.position(), put: put})
	}
}
