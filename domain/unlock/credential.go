package unlock

// credential is the row of a credential in a form that is quick to query. It does not
// refer to its holder, so that one more costs the same however many its holder has.
type credential struct {
	tag            key
	person         key
	booking        key     // zero means none
	from, until    Instant // never zero
	suspendedUntil Instant // never zero; the first instant when not suspended
	fixed          Checks  // denials at every instant
	row            *Credential
	maxUses        uint32
	kind           CredentialKind
	marks          credentialMarks
}

// credentialMarks are bits.
type credentialMarks uint8

const (
	takesNumber credentialMarks = 1 << iota // nobody else may have the tag in the meantime
	scheduled                               // it has a schedule of its own, which its row names
)

func compileCredential(r *Credential) *credential {
	c := &credential{
		tag: keyOf(r.Tag), person: keyOf(IDOf(r.Person)), booking: keyOf(IDOf(r.Booking)),
		from: begin(r.Window.From), until: end(r.Window.Until), suspendedUntil: begin(0),
		row: r, maxUses: r.MaxUses, kind: r.Kind, marks: takesNumber,
	}
	if r.State == CredentialSuspended {
		c.suspendedUntil = end(r.SuspendedUntil)
	} else {
		c.fixed = denial(r.State.Denial())
	}
	if r.State == CredentialExpired || r.State == CredentialRevoked {
		c.marks = 0
	}
	if r.Schedule != "" {
		c.marks |= scheduled
	}
	if r.DenyListed {
		c.fixed |= check(DenyCredentialRevoked)
	}
	return c
}

func (c *credential) source() Row { return c.row }
