package unlock

// holder is all about one person: the person, what they hold and what lets them
// through, with bookings, units and parents resolved, so that a decision finds
// them in one place of memory. It is made anew when one of these changes. Rights,
// schedules and the site are not resolved here, for half a site may hang on one.
type holder struct {
	person *Person // nil: credentials or grants are somebody's who is not known
	fixed  Checks  // of the person
	// Most people have one credential, one grant and one booking at most: the first
	// of each lies here, the others in more.
	more        *further
	credentials uint32
	links       uint32
	booking1    booking
	credential1 credential
	link1       link
}

// further are the credentials, links and bookings of a holder from the second on.
type further struct {
	credentials []credential
	links       []link
	bookings    []booking
}

// credential is the row of a credential made quick to ask.
type credential struct {
	tag            key
	from, until    Instant // never zero
	suspendedUntil Instant // never zero; the first instant when not suspended
	fixed          Checks  // at every instant
	row            *Credential
	maxUses        uint32
	booking        uint16 // by number; 0: none
	kind           CredentialKind
	marks          credentialMarks
}

// credentialMarks are bits, so that a credential fills one line of memory.
type credentialMarks uint8

const (
	takesNumber credentialMarks = 1 << iota // nobody else may have the tag meanwhile
	scheduled                               // it has a schedule of its own, which its row names
)

// booking is the row of a booking, with its unit, made quick to ask.
type booking struct {
	from, until Instant // never zero
	fixed       Checks  // at every instant
	gatelocked  bool
}

// link is one grant of a chain: that of the holder, or a parent that adds
// something to the link before.
type link struct {
	from, until  Instant // never zero
	fixed        Checks  // at every instant
	right        key     // zero: none
	grant        *Grant
	narrow       *narrow // nil: nothing
	booking      uint16  // by number; 0: none
	source       Source  // of the grant with which the chain begins
	kinds        uint8   // every bit when none is named
	capabilities uint8
	parent       bool // of the link before
}

// narrow is what many links do not have.
type narrow struct {
	schedule key      // of the grant; zero: none
	mapped   key      // schedule for the right within the unit; zero: none
	others   []mapped // what else the unit has mapped
}

// mapped is a right with the schedule that narrows it; zero: none.
type mapped struct{ right, schedule key }

// Things are counted from 1, as 0 is none.

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

// rows gives the rows of which the holder was made.
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
