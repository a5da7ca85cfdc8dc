package permissions

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/eventstore/vault"
	"gatehouse/schemas/wire"
)

// site is the projector's data of one site. The org's lock guards the fields that do
// not say otherwise.
type site struct {
	id  domain.ID
	org *org

	table atomic.Pointer[unlock.Table] // at the org's head; written under the org's lock

	wanted   uint32        // version of the key that the ledger wants for tags
	since    time.Time     // when wanted last changed
	key      *vault.TagKey // nil means not received yet
	tagger   *wire.Tagger  // of key; for Begin and Applied alone
	before   *vault.TagKey // for reads, until all tags are made with key; nil means none
	keyed    time.Time     // when key was received
	untagged map[string]struct{}
	diverged uint64 // the commit since which other rows are published; 0 means none

	began     wire.PermissionHead // the org's position when its rows were first made here; zero means before the site existed
	known     bool                // something is published
	published publishedSite       // used by the turn, but for table, which the look-up of tags reads
	mine      *unlock.Table       // used by the turn: the table before the site's first waiting delta
	ahead     bool                // used by the turn: published at a later commit than mine, and not compared yet
	frozen    bool                // used by the turn: later code published, which this code cannot read
	sinceBase int                 // used by the turn: bytes of deltas after the last base
	baseSize  atomic.Int64        // bytes of the last base
	basing    atomic.Bool         // a base is being written
}

// begin takes all rows of the site from the state. The caller holds the org's lock.
func (s *site) begin(rows []unlock.Row, untagged []domain.ID) {
	s.began = s.org.position()
	s.ahead = s.known && s.org.position().Before(s.published.head)
	s.unreadable()
	change := s.complete(domain.SiteChange{Put: rows, Untagged: untagged})
	if !s.ahead {
		s.mine = s.published.table
		s.compareAll(change)
		return
	}
	s.mine = s.change(s.org.position(), new(unlock.Table), &change)
	s.table.Store(s.mine)
}

// appear begins a site that the present commit has made. Its published rows, if any,
// belong to that commit or later ones.
func (s *site) appear() {
	s.ahead = s.known
	s.unreadable()
	s.mine = s.published.table
	if s.ahead {
		s.mine = new(unlock.Table)
	}
	s.table.Store(s.mine)
}

// unreadable starts again if the published messages cannot be read.
func (s *site) unreadable() {
	pub := &s.published
	if !pub.broken && !pub.tooNew {
		return
	}
	s.frozen, s.ahead = pub.tooNew, false
	pub.table, pub.head = new(unlock.Table), wire.PermissionHead{}
	s.sinceBase = math.MaxInt32 // a reader begins after the damage
	if s.frozen {
		s.diverged = max(s.org.head.N, 1)
	}
}

// compareAll compares the rows of the state with the published ones of the same commit,
// and queues the difference.
func (s *site) compareAll(c domain.SiteChange) {
	o, pub := s.org, &s.published
	c.Put, c.Delete = differing(pub.table, c.Put, everyKey(pub.table, c.Put), s.tagVersion())
	if len(c.Put)+len(c.Delete) == 0 {
		s.table.Store(pub.table)
		if s.known && !pub.signed {
			o.enqueue(&entry{site: s, cause: wire.CauseSigned, head: o.position(), before: pub.table, after: pub.table})
		}
		return
	}
	e := &entry{site: s, cause: wire.CauseBegin, head: o.position(), before: pub.table}
	switch {
	case s.known && !onlyTags(pub.table, c):
		e.cause = wire.CauseRebuilt
		s.report("the permissions made from the ledger differ from the published ones, and are published again", e.head, c)
	case s.known:
		e.cause = wire.CauseTags
	}
	e.after = s.change(e.head, pub.table, &c)
	e.put, e.gone = c.Put, c.Delete
	s.table.Store(e.after)
	o.enqueue(e)
}

// everyKey lists the keys of a table that are not among rows.
func everyKey(t *unlock.Table, rows []unlock.Row) []unlock.Key {
	have := make(map[unlock.Key]struct{}, len(rows))
	for _, r := range rows {
		have[r.Key()] = struct{}{}
	}
	var gone []unlock.Key
	for r := range t.All() {
		if _, ok := have[r.Key()]; !ok {
			gone = append(gone, r.Key())
		}
	}
	return gone
}

// apply applies the changes of a commit, and reports whether any row changed. The caller
// holds the org's lock.
func (s *site) apply(c domain.SiteChange) bool {
	c = s.complete(c)
	before := s.table.Load()
	c.Put, c.Delete = differing(before, c.Put, c.Delete, s.tagVersion())
	if len(c.Put)+len(c.Delete) == 0 {
		return false
	}
	head := s.org.position()
	after := s.change(head, before, &c)
	s.table.Store(after)
	cause := wire.CauseCommit
	if !s.known && before.Len() == 0 {
		cause = wire.CauseBegin
	}
	s.org.enqueue(&entry{site: s, cause: cause, head: head, put: c.Put, gone: c.Delete, before: before, after: after})
	return true
}

// complete sets the fields of rows that the state does not have: the version of the tag
// key, and published tags that cannot be made now. It notes which credentials have no
// tag, and which key is wanted. The rows belong to the change alone.
func (s *site) complete(c domain.SiteChange) domain.SiteChange {
	for _, r := range c.Put {
		switch r := r.(type) {
		case *unlock.Site:
			s.want(r.TagKey)
			r.TagKey = s.tagVersion()
		case *unlock.Credential:
			_, missing := slices.BinarySearch(c.Untagged, domain.ID(r.ID))
			if missing {
				r.Tag = s.lastTag(r.Key())
				missing = r.Tag == unlock.Tag{}
			}
			if missing {
				s.untagged[r.ID] = struct{}{}
			} else {
				delete(s.untagged, r.ID)
			}
		}
	}
	for _, k := range c.Delete {
		if k.Kind == unlock.KindCredential {
			delete(s.untagged, k.ID)
		}
	}
	return c
}

func (s *site) want(version uint32) {
	if version > s.wanted {
		s.wanted, s.since = version, s.org.p.cfg.Now()
	}
}

// lastTag is the tag of a credential in the table, or in the published one.
func (s *site) lastTag(k unlock.Key) unlock.Tag {
	for _, t := range []*unlock.Table{s.table.Load(), s.published.table} {
		if r, ok := t.Row(k); ok && r.(*unlock.Credential).Tag != (unlock.Tag{}) {
			return r.(*unlock.Credential).Tag
		}
	}
	return unlock.Tag{}
}

// tagVersion is the version of the key of the tags in the table. While there is no
// table, it is the version that is wanted.
func (s *site) tagVersion() uint32 {
	for _, t := range []*unlock.Table{s.table.Load(), s.published.table} {
		if v := t.TagKey(); v > 0 {
			return v
		}
	}
	return max(s.wanted, 1)
}

func siteRow(t *unlock.Table, id domain.ID) (*unlock.Site, bool) {
	r, ok := t.Row(unlock.Key{Kind: unlock.KindSite, ID: string(id)})
	if !ok {
		return nil, false
	}
	return r.(*unlock.Site), true
}

// change returns the table after a change of rows. A row that no table can hold is a
// fault of this code. It is reported, left out and deleted, since the absence of a row
// never allows anything.
func (s *site) change(head wire.PermissionHead, t *unlock.Table, c *domain.SiteChange) *unlock.Table {
	after, err := t.Apply(head.Delta(c.Put, c.Delete))
	if err == nil {
		return after
	}
	var put []unlock.Row
	for _, r := range c.Put {
		if _, bad := unlock.NewTable(r); bad == nil {
			put = append(put, r)
			continue
		}
		if _, there := t.Row(r.Key()); there {
			c.Delete = append(c.Delete, r.Key())
		}
	}
	c.Put = put
	s.report("a row of permissions cannot stand in a table and is left out: "+err.Error(), head, *c)
	after, err = t.Apply(head.Delta(c.Put, c.Delete))
	if err != nil {
		s.report("permissions cannot be applied; the site keeps its table: "+err.Error(), head, *c)
		c.Put, c.Delete = nil, nil
		return t
	}
	return after
}

// differing leaves out the rows that a table already has. The tags of the rows were
// made with the key of a version. If the table has tags of another version, it keeps
// them, unless the rows replace them all: a reader has one key alone. An unknown tag
// replaces none of the same key.
func differing(t *unlock.Table, put []unlock.Row, gone []unlock.Key, key uint32) ([]unlock.Row, []unlock.Key) {
	var rows []unlock.Row
	other := key < t.TagKey() || key > t.TagKey() && t.TagKey() > 0 && !replacesTags(t, put, gone)
	for _, r := range put {
		was, ok := t.Row(r.Key())
		switch {
		case other:
			r = withTagOf(r, was, t.TagKey())
		case ok && key == t.TagKey():
			r = keepTag(r, was)
		}
		if !ok || !same(was, r) {
			rows = append(rows, r)
		}
	}
	var keys []unlock.Key
	for _, k := range gone {
		if _, ok := t.Row(k); ok {
			keys = append(keys, k)
		}
	}
	return rows, keys
}

// replacesTags reports whether a change replaces or deletes every tag of a table.
func replacesTags(t *unlock.Table, put []unlock.Row, gone []unlock.Key) bool {
	changes, site := make(map[string]struct{}, len(put)), false
	for _, r := range put {
		switch r := r.(type) {
		case *unlock.Site:
			site = true
		case *unlock.Credential:
			changes[r.ID] = struct{}{}
		}
	}
	for _, k := range gone {
		if k.Kind == unlock.KindCredential {
			changes[k.ID] = struct{}{}
		}
	}
	for r := range t.Rows(unlock.KindCredential) {
		c := r.(*unlock.Credential)
		if _, ok := changes[c.ID]; !ok && c.Tag != (unlock.Tag{}) || !site {
			return false
		}
	}
	return site
}

// keepTag copies the former tag to a credential that has none.
func keepTag(r, was unlock.Row) unlock.Row {
	if c, ok := r.(*unlock.Credential); ok && c.Tag == (unlock.Tag{}) {
		return withTagOf(r, was, 0)
	}
	return r
}

// withTagOf gives a credential the tag of its former row, or none if was is nil. It
// gives the row of a site the version of the key.
func withTagOf(r, was unlock.Row, key uint32) unlock.Row {
	switch r := r.(type) {
	case *unlock.Site:
		copied := *r
		copied.TagKey = key
		return &copied
	case *unlock.Credential:
		var tag unlock.Tag
		if c, ok := was.(*unlock.Credential); ok {
			tag = c.Tag
		}
		if r.Tag == tag {
			return r
		}
		copied := *r
		copied.Tag = tag
		return &copied
	}
	return r
}

// same reports whether two rows have the same encoding. An empty list and nil may be
// the same.
func same(a, b unlock.Row) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, err1 := unlock.Encode(a)
	y, err2 := unlock.Encode(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
