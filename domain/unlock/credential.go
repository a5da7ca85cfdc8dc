package unlock

// credential is the row of a credential in a form that is small and quick to query. It
// does not refer to its holder, so that one more costs the same however many its holder
// has.
type credential struct {
	tag            key
	person         key
	booking        key // zero means none
	window         Window
	suspendedUntil Instant
	texts          packed // by credentialText
	maxUses        uint32
	kind           CredentialKind
	state          CredentialState
	marks          credentialMarks
}

// credentialMarks are bits.
type credentialMarks uint8

const (
	takesNumber credentialMarks = 1 << iota // nobody else may have the tag in the meantime
	scheduled                               // it has a schedule of its own, which its texts name
	denyListed
	duress
)

// credentialText names a text of a credential.
type credentialText int

const (
	credentialID credentialText = iota
	credentialPerson
	credentialBooking
	credentialFormat
	credentialSchedule
	credentialHome
	credentialTexts
)

func compileCredential(r *Credential) *credential {
	c := &credential{
		tag: keyOf(r.Tag), person: keyOf(IDOf(r.Person)), booking: keyOf(IDOf(r.Booking)),
		window: r.Window, suspendedUntil: r.SuspendedUntil,
		texts:   pack(r.ID, r.Person, r.Booking, r.Format, r.Schedule, r.Home),
		maxUses: r.MaxUses, kind: r.Kind, state: r.State,
	}
	if r.State != CredentialExpired && r.State != CredentialRevoked {
		c.marks = takesNumber
	}
	if r.Schedule != "" {
		c.marks |= scheduled
	}
	if r.DenyListed {
		c.marks |= denyListed
	}
	if r.Duress {
		c.marks |= duress
	}
	return c
}

// row gives the row that the credential was compiled from.
func (c *credential) row() *Credential {
	return &Credential{
		ID: c.text(credentialID), Tag: c.tag.tag(), Kind: c.kind, Format: c.text(credentialFormat),
		Person: c.text(credentialPerson), Booking: c.text(credentialBooking), Window: c.window,
		Schedule: c.text(credentialSchedule), State: c.state, SuspendedUntil: c.suspendedUntil,
		MaxUses: c.maxUses, Home: c.text(credentialHome),
		DenyListed: c.marks&denyListed != 0, Duress: c.marks&duress != 0,
	}
}

func (c *credential) source() Row { return c.row() }

func (c *credential) text(of credentialText) string {
	return c.texts.text(int(of), int(credentialTexts))
}

func (c *credential) from() Instant  { return begin(c.window.From) }
func (c *credential) until() Instant { return end(c.window.Until) }

// suspendedAt reports whether a suspension holds.
func (c *credential) suspendedAt(at Instant) bool {
	return c.state == CredentialSuspended && at < end(c.suspendedUntil)
}

// fixed gives the denials at every instant.
func (c *credential) fixed() (failed Checks) {
	if c.state != CredentialSuspended {
		failed = denial(c.state.Denial())
	}
	if c.marks&denyListed != 0 {
		failed |= check(DenyCredentialRevoked)
	}
	return failed
}
