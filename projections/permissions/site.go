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

// site is what the projector holds of one site. The org's lock guards what has no
// other line.
type site struct {
	id  domain.ID
	org *org

	table atomic.Pointer[unlock.Table] // at the org's head; written under the org's lock

	wanted   uint32        // version of the key that the ledger wants tags to be made with
	since    time.Time     // when another one came to be wanted
	key      *vault.TagKey // nil: not had yet
	tagger   *vault.Tagger // of key; for Begin and Applied alone
	before   *vault.TagKey // for reads, until all tags are made with key; nil: none
	keyed    time.Time     // since when key is there
	untagged map[string]struct{}
	diverged uint64 // since which commit other rows are published; 0: none

	began     wire.PermissionHead // where the org stood when its rows were first made here; zero: before the site was there
	known     bool                // something is published
	published publishedSite       // of the turn, but for table, which is read when tags are looked for
	mine      *unlock.Table       // of the turn: the table before the site's first waiting delta
	ahead     bool                // of the turn: published at a later commit than mine, and not compared yet
	frozen    bool                // of the turn: later code published, which this code cannot read
	sinceBase int                 // of the turn: bytes of deltas behind the last base
	baseSize  atomic.Int64        // bytes of the last base
	basing    atomic.Bool         // a base is being written
}

// begin takes all rows of the site as the state has them. The org is locked.
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

// appear begins a site that the commit which is being applied has made. What is
// published of it already came from that commit or later ones.
func (s *site) appear() {
	s.ahead = s.known
	s.unreadable()
	s.mine = s.published.table
	if s.ahead {
		s.mine = new(unlock.Table)
	}
	s.table.Store(s.mine)
}

// unreadable begins anew where what is published cannot be read.
func (s *site) unreadable() {
	pub := &s.published
	if !pub.broken && !pub.tooNew {
		return
	}
	s.frozen, s.ahead = pub.tooNew, false
	pub.table, pub.head = new(unlock.Table), wire.PermissionHead{}
	s.sinceBase = math.MaxInt32 // a reader begins behind the damage
	if s.frozen {
		s.diverged = max(s.org.head.N, 1)
	}
}

// compareAll compares the rows of the state with the published ones of the same
// commit, and queues what differs.
func (s *site) compareAll(c domain.SiteChange) {
	o, pub := s.org, &s.published
	c.Put, c.Delete = differing(pub.table, c.Put, everyKey(pub.table, c.Put), s.tagVersion())
	if len(c.Put)+len(c.Delete) == 0 {
		s.table.Store(pub.table)
		return
	}
	e := &entry{site: s, cause: wire.CauseBegin, head: o.position(), before: pub.table}
	switch {
	case s.known && !onlyTags(pub.table, c):
		e.cause = wire.CauseRebuilt
		s.report("the permissions made from the ledger differ from the published ones, and are published anew", e.head, c)
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

// apply takes what a commit changed. The org is locked.
func (s *site) apply(c domain.SiteChange) {
	c = s.complete(c)
	before := s.table.Load()
	c.Put, c.Delete = differing(before, c.Put, c.Delete, s.tagVersion())
	if len(c.Put)+len(c.Delete) == 0 {
		return
	}
	head := s.org.position()
	after := s.change(head, before, &c)
	s.table.Store(after)
	cause := wire.CauseCommit
	if !s.known && before.Len() == 0 {
		cause = wire.CauseBegin
	}
	s.org.enqueue(&entry{site: s, cause: cause, head: head, put: c.Put, gone: c.Delete, before: before, after: after})
}

// complete sets what the state does not know of rows: the version of the key that
// the tags were made with, and tags that cannot be made now but were published. It
// notes which credentials have none, and which key is wanted. The rows are those of
// the change alone.
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

// lastTag is the tag that a credential has in the table, or in the published one.
func (s *site) lastTag(k unlock.Key) unlock.Tag {
	for _, t := range []*unlock.Table{s.table.Load(), s.published.table} {
		if r, ok := t.Row(k); ok && r.(*unlock.Credential).Tag != (unlock.Tag{}) {
			return r.(*unlock.Credential).Tag
		}
	}
	return unlock.Tag{}
}

// tagVersion is the version of the key that the tags in the table were made with;
// while there is no table, the one that is wanted.
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

// change makes the table after a change of rows. A row that no table can take is
// a fault of this code: it is left out and deleted, since no row's absence ever
// allows, and reported.
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

// differing leaves out what a table has already. The tags of the rows were made with
// the key of a version. Where the table has those of another, its own stay, unless the
// rows replace them all: rows of two keys fit on no reader. A tag that is not known
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

// replacesTags reports whether a change leaves no tag of a table as it is.
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

// keepTag gives a credential without a tag the one that it had.
func keepTag(r, was unlock.Row) unlock.Row {
	if c, ok := r.(*unlock.Credential); ok && c.Tag == (unlock.Tag{}) {
		return withTagOf(r, was, 0)
	}
	return r
}

// withTagOf gives a credential the tag that its row had before, none without one, and
// the row of a site the version of the key.
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

// same reports whether two rows are one on the wire, where an empty list and none
// may be the same.
func same(a, b unlock.Row) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, err1 := unlock.Encode(a)
	y, err2 := unlock.Encode(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
