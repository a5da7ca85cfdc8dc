package unlock

// gist caches the decision inputs of a tag with one credential, whose holder has one
// grant. It lies beside the tag in the index. It exists only if no other credential has
// the tag, if it is the one that the holder names, and if only the right and its schedule can fail between two
// instants. A decision with a gist need not read the holder.
type gist struct {
	right key // without a gist the person, whom one then looks up beside the credential
	times gistTimes
}

// gistTimes pack the window and the kinds of a gist. From the highest bit on they are:
// 28 bits from and 28 bits until, in units since 1970, inclusive and exclusive; three
// bits of kind; three of source; a bit that is zero; and one that is set if there is a
// gist.
type gistTimes uint64

const (
	gistUnit  = 16_000_000_000 // in nanoseconds: 28 bits last until 2106
	gistUnits = 1<<28 - 1
)

// noGist is what lies beside a tag without a gist.
func noGist(c *credential) gist { return gist{right: c.person} }

// gist gives the gist of a holder's credential, which need not have one.
func (h *holder) gist(c *credential) gist {
	l := &h.link1
	switch {
	case h.only != c, h.links != 1,
		h.fixed|c.fixed()|l.fixed != 0, c.state == CredentialSuspended, c.maxUses > 0, c.marks&scheduled != 0,
		l.narrow != nil, l.kinds&(1<<c.kind) == 0, c.boundElsewhere(l),
		physical(c.kind) && l.source == SourceShare:
		return noGist(c)
	}
	from, until := max(c.from(), l.from), min(c.until(), l.until)
	if b := l.booking; b != nil {
		if b.fixed != 0 || b.gatelocked {
			return noGist(c)
		}
		from, until = max(from, b.from), min(until, b.until)
	}
	// The window is rounded inwards: the full rules decide about the rest of a unit.
	first, last := (max(from, 1)-1)/gistUnit+1, min(max(until, 0)/gistUnit, gistUnits)
	if first >= last {
		return noGist(c)
	}
	return gist{l.right, gistTimes(uint64(first)<<36 | uint64(last)<<8 | uint64(c.kind)<<5 | uint64(l.source)<<2 | 1)}
}

// holds reports whether there is a gist and its window contains the instant.
func (t gistTimes) holds(at Instant) bool {
	unit := gistTimes(uint64(at) / gistUnit) // beyond every bound before 1970
	return t&1 != 0 && unit >= t>>36 && unit < t>>8&gistUnits
}

func (t gistTimes) kind() CredentialKind { return CredentialKind(t >> 5 & 7) }

func (t gistTimes) source() Source { return Source(t >> 2 & 7) }

// timesAt gives the times of the gist at a place of a leaf.
func timesAt(l leaf[credential, gist], place int) gistTimes {
	if len(l) == 0 {
		return 0
	}
	return l[place].extra.times
}

// plainly finds the gist of a tag that is enough to decide the request. It gives the
// place of the tag and the right that the gist names, or nil if the full rules are
// needed: when the gist, the request, the door or the instant is special in any way.
// The answer is the same as by who and granted, only sooner. The search begins at place
// i of the leaf. Its times were read before, so that they came from memory while the
// door was looked up; most searches end where they begin.
func (q *question) plainly(r *Request, tag key, l leaf[credential, gist], i int, times gistTimes) (*entry[credential, gist], *right) {
	if len(l) == 0 || r.Fault != NoFault || q.command != NoCommand || q.door.factor != NoFactor || q.local.FirstInPending {
		return nil, nil
	}
	for l[i].key != tag {
		if l[i].value == nil {
			return nil, nil
		}
		i = (i + 1) & (len(l) - 1)
		times = l[i].extra.times
	}
	if !times.holds(q.at) || q.fobHours(times.kind()) || q.local.Keypad.LockedOut(q.at) && times.kind() == Pin {
		return nil, nil
	}
	return &l[i], q.table.rights.get(l[i].extra.right)
}

// plain checks the conditions of a gist that names the right. A link of 0 means that no
// grant is for the door.
func (q *question) plain(r *right) (link uint32, failed Checks) {
	if r == nil || !r.has(q.door.key) {
		return 0, check(DenyNoAccessRight)
	}
	q.read()
	return 1, q.times(r.schedule) | q.blackout()
}
