package permissions

import (
	"slices"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
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
	s.org.enqueue(&entry{site: s, cause: wire.CauseTags, head: head, put: c.Put, before: before, after: after})
}

// changed leaves out the rows that a table already has.
func changed(t *unlock.Table, put []unlock.Row) []unlock.Row {
	return slices.DeleteFunc(put, func(r unlock.Row) bool {
		was, ok := t.Row(r.Key())
		return ok && same(was, r)
	})
}

// onlyTags reports whether a change of a table concerns tags alone. The changed tags
// must have been missing, or the key must change.
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

// withoutTag is a row without the parts that depend on the tag key.
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

// takeTags copies the tags that a table lacks from the published one. It copies all
// tags if they belong to a later key. It does the same for the site's present table.
// The caller holds the org's lock.
func (s *site) takeTags(mine, pub *unlock.Table) *unlock.Table {
	now := s.takeInto(s.table.Load(), pub)
	for r := range now.Rows(unlock.KindCredential) {
		if r.(*unlock.Credential).Tag == (unlock.Tag{}) {
			s.untagged[r.Key().ID] = struct{}{} // until it is found to have no number
		} else {
			delete(s.untagged, r.Key().ID)
		}
	}
	s.table.Store(now)
	s.org.p.tagging.ask(s.org)
	return s.takeInto(mine, pub)
}

func (s *site) takeInto(t, pub *unlock.Table) *unlock.Table {
	later := pub.TagKey() > t.TagKey()
	var put []unlock.Row
	if own, ok := siteRow(t, s.id); ok && later {
		put = append(put, withTagOf(own, nil, pub.TagKey()))
	}
	for r := range t.Rows(unlock.KindCredential) {
		theirs, _ := pub.Row(r.Key())
		if later || r.(*unlock.Credential).Tag == (unlock.Tag{}) && theirs != nil {
			put = append(put, withTagOf(r, theirs, 0))
		}
	}
	return s.change(headOf(t), t, &domain.SiteChange{Put: changed(t, put)})
}

// headOf is the head of a table, without the fields that the table does not have.
func headOf(t *unlock.Table) wire.PermissionHead {
	head := wire.PermissionHead{N: t.N(), At: t.At().Time(), Digest: t.Digest()}
	if at, err := wire.ParsePosition(t.Position()); err == nil {
		head.Epoch = at.Epoch
	}
	return head
}

// offerTags queues the tags that the published table lacks, unless its tags belong to a
// newer key. The caller holds the org's lock.
func (s *site) offerTags(pub *unlock.Table) {
	now := s.table.Load()
	if now.TagKey() < pub.TagKey() {
		return
	}
	later := now.TagKey() > pub.TagKey()
	var put []unlock.Row
	for r := range now.All() {
		was, ok := pub.Row(r.Key())
		if !ok || same(was, r) || !same(withoutTag(was), withoutTag(r)) {
			continue
		}
		if c, ok := r.(*unlock.Credential); ok && c.Tag == (unlock.Tag{}) && !later {
			continue
		}
		put = append(put, r)
	}
	if len(put) > 0 {
		s.org.enqueue(&entry{site: s, cause: wire.CauseTags, head: s.org.position(), put: put})
	}
}
