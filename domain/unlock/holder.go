package unlock

// holder is the compiled access of one person: the person, their credentials and their
// grants, with bookings, units and parents resolved, so that a decision finds them in
// one place of memory. It is recompiled when one of these changes. Rights, schedules
// and the site are not resolved here, because half a site may depend on one of them.
type holder struct {
	person *Person // nil if the person of credentials or grants is not known
	fixed  Checks  // denials because of the person
	// Most people have at most one credential, one grant and one booking: the first of
	// each is stored here, the others in more.
	more        *further
	credentials uint32
	links       uint32
	booking1    booking
	credential1 credential
	link1       link
}

// further are the credentials, links and bookings of a holder after the first of each.
type further struct {
	credentials []credential
	links       []link
	bookings    []booking
}

// credential is the row of a credential in a form that is quick to query.
type credential struct {
	tag            key
	from, until    Instant // never zero
	suspendedUntil Instant // never zero; the first instant when not suspended
	fixed          Checks  // denials at every instant
	row            *Credential
	maxUses        uint32
	booking        uint16 // by number; 0 means none
	kind           CredentialKind
	marks          credentialMarks
}

// credentialMarks are bits, so that a credential fills one cache line.
type credentialMarks uint8

const (
	takesNumber credentialMarks = 1 << iota // nobody else may have the tag in the meantime
	scheduled                               // it has a schedule of its own, which its row names
)

// booking is the row of a booking, with its unit, in a form that is quick to query.
type booking struct {
	from, until Instant // never zero
	fixed       Checks  // denials at every instant
	gatelocked  bool
}

// link is one grant of a chain: that of the holder, or a parent that restricts the link
// before.
type link struct {
	from, until  Instant // never zero
	fixed        Checks  // denials at every instant
	right        key     // zero means none
	grant        *Grant
	narrow       *narrow // nil means no further restriction
	booking      uint16  // by number; 0 means none
	source       Source  // of the grant with which the chain begins
	kinds        uint8   // every bit when none is named
	capabilities uint8
	parent       bool // of the link before
}

// narrow holds the restrictions that many links do not have.
type narrow struct {
	schedule key      // of the grant; zero means none
	mapped   key      // schedule for the right within the unit; zero means none
	others   []mapped // further rights mapped to the unit
}

// mapped is a right with the schedule that restricts it; zero means none.
type mapped struct{ right, schedule key }

// Numbers start at 1, because 0 means none.

func (h *holder) credential(n uint32) *credential {
	if n == 1 {
		return &h.credential1
	}
	return &h.more.credentials[n-2]
}

func (h *holder) link(n uint32) *link {
	if n == 1 {
		return &h.link1
	}
	return &h.more.links[n-2]
}

func (h *holder) booking(n uint16) *booking {
	if n == 1 {
		return &h.booking1
	}
	return &h.more.bookings[n-2]
}

// personID gives the id of the person, whose row may be missing.
func (h *holder) personID() string {
	switch {
	case h.person != nil:
		return h.person.ID
	case h.credentials > 0:
		return h.credential1.row.Person
	}
	return h.link1.grant.Person
}

// rows gives the rows from which the holder was compiled.
func (h *holder) rows() (credentials []*Credential, grants []*Grant) {
	if h == nil {
		return nil, nil
	}
	for n := range h.credentials {
		credentials = append(credentials, h.credential(n+1).row)
	}
	for n := range h.links {
		if l := h.link(n + 1); !l.parent {
			grants = append(grants, l.grant)
		}
	}
	return credentials, grants
}

// tags gives the tags under which the holder is found, each once.
func (h *holder) tags() []key {
	if h == nil {
		return nil
	}
	var tags []key
	for n := range h.credentials {
		tag := h.credential(n + 1).tag
		if tag != (key{}) && !contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

func contains(keys []key, k key) bool {
	for _, other := range keys {
		if other == k {
			return true
		}
	}
	return false
}
