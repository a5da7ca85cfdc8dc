package unlock

// Every enumeration has the same four methods: its text, its wire form both ways, and
// the list of its texts for descriptions of the wire form.

// String gives the text.
func (k Kind) String() string { return enumString(kindTexts, k) }

// MarshalText gives the text; it refuses what has none.
func (k Kind) MarshalText() ([]byte, error) { return writeEnum(kindTexts, "kind of row", k) }

// UnmarshalText reads the text.
func (k *Kind) UnmarshalText(text []byte) error { return readEnum(kindTexts, "kind of row", k, text) }

// Texts lists the texts of all values.
func (Kind) Texts() []string { return enumTexts(kindTexts) }

// String gives the text.
func (p Posture) String() string { return enumString(postureTexts, p) }

// MarshalText gives the text; it refuses what has none.
func (p Posture) MarshalText() ([]byte, error) { return writeEnum(postureTexts, "posture", p) }

// UnmarshalText reads the text.
func (p *Posture) UnmarshalText(text []byte) error { return readEnum(postureTexts, "posture", p, text) }

// Texts lists the texts of all values.
func (Posture) Texts() []string { return enumTexts(postureTexts) }

// String gives the text.
func (d DoorClass) String() string { return enumString(doorClassTexts, d) }

// MarshalText gives the text; it refuses what has none.
func (d DoorClass) MarshalText() ([]byte, error) {
	return writeEnum(doorClassTexts, "class of door", d)
}

// UnmarshalText reads the text.
func (d *DoorClass) UnmarshalText(text []byte) error {
	return readEnum(doorClassTexts, "class of door", d, text)
}

// Texts lists the texts of all values.
func (DoorClass) Texts() []string { return enumTexts(doorClassTexts) }

// String gives the text.
func (a AfterLease) String() string { return enumString(afterLeaseTexts, a) }

// MarshalText gives the text; it refuses what has none.
func (a AfterLease) MarshalText() ([]byte, error) {
	return writeEnum(afterLeaseTexts, "policy after a lease", a)
}

// UnmarshalText reads the text.
func (a *AfterLease) UnmarshalText(text []byte) error {
	return readEnum(afterLeaseTexts, "policy after a lease", a, text)
}

// Texts lists the texts of all values.
func (AfterLease) Texts() []string { return enumTexts(afterLeaseTexts) }

// String gives the text.
func (f Factor) String() string { return enumString(factorTexts, f) }

// MarshalText gives the text; it refuses what has none.
func (f Factor) MarshalText() ([]byte, error) { return writeEnum(factorTexts, "second factor", f) }

// UnmarshalText reads the text.
func (f *Factor) UnmarshalText(text []byte) error {
	return readEnum(factorTexts, "second factor", f, text)
}

// Texts lists the texts of all values.
func (Factor) Texts() []string { return enumTexts(factorTexts) }

// String gives the text.
func (p Presence) String() string { return enumString(presenceTexts, p) }

// MarshalText gives the text; it refuses what has none.
func (p Presence) MarshalText() ([]byte, error) { return writeEnum(presenceTexts, "presence rule", p) }

// UnmarshalText reads the text.
func (p *Presence) UnmarshalText(text []byte) error {
	return readEnum(presenceTexts, "presence rule", p, text)
}

// Texts lists the texts of all values.
func (Presence) Texts() []string { return enumTexts(presenceTexts) }

// String gives the text.
func (p PersonState) String() string { return enumString(personStateTexts, p) }

// MarshalText gives the text; it refuses what has none.
func (p PersonState) MarshalText() ([]byte, error) {
	return writeEnum(personStateTexts, "state of a person", p)
}

// UnmarshalText reads the text.
func (p *PersonState) UnmarshalText(text []byte) error {
	return readEnum(personStateTexts, "state of a person", p, text)
}

// Texts lists the texts of all values.
func (PersonState) Texts() []string { return enumTexts(personStateTexts) }

// String gives the text.
func (u UnitState) String() string { return enumString(unitStateTexts, u) }

// MarshalText gives the text; it refuses what has none.
func (u UnitState) MarshalText() ([]byte, error) {
	return writeEnum(unitStateTexts, "state of a unit", u)
}

// UnmarshalText reads the text.
func (u *UnitState) UnmarshalText(text []byte) error {
	return readEnum(unitStateTexts, "state of a unit", u, text)
}

// Texts lists the texts of all values.
func (UnitState) Texts() []string { return enumTexts(unitStateTexts) }

// String gives the text.
func (b BookingState) String() string { return enumString(bookingStateTexts, b) }

// MarshalText gives the text; it refuses what has none.
func (b BookingState) MarshalText() ([]byte, error) {
	return writeEnum(bookingStateTexts, "state of a booking", b)
}

// UnmarshalText reads the text.
func (b *BookingState) UnmarshalText(text []byte) error {
	return readEnum(bookingStateTexts, "state of a booking", b, text)
}

// Texts lists the texts of all values.
func (BookingState) Texts() []string { return enumTexts(bookingStateTexts) }

// String gives the text.
func (c CredentialKind) String() string { return enumString(credentialKindTexts, c) }

// MarshalText gives the text; it refuses what has none.
func (c CredentialKind) MarshalText() ([]byte, error) {
	return writeEnum(credentialKindTexts, "kind of credential", c)
}

// UnmarshalText reads the text.
func (c *CredentialKind) UnmarshalText(text []byte) error {
	return readEnum(credentialKindTexts, "kind of credential", c, text)
}

// Texts lists the texts of all values.
func (CredentialKind) Texts() []string { return enumTexts(credentialKindTexts) }

// String gives the text.
func (c CredentialState) String() string { return enumString(credentialStateTexts, c) }

// MarshalText gives the text; it refuses what has none.
func (c CredentialState) MarshalText() ([]byte, error) {
	return writeEnum(credentialStateTexts, "state of a credential", c)
}

// UnmarshalText reads the text.
func (c *CredentialState) UnmarshalText(text []byte) error {
	return readEnum(credentialStateTexts, "state of a credential", c, text)
}

// Texts lists the texts of all values.
func (CredentialState) Texts() []string { return enumTexts(credentialStateTexts) }

// String gives the text.
func (c Capability) String() string { return enumString(capabilityTexts, c) }

// MarshalText gives the text; it refuses what has none.
func (c Capability) MarshalText() ([]byte, error) { return writeEnum(capabilityTexts, "capability", c) }

// UnmarshalText reads the text.
func (c *Capability) UnmarshalText(text []byte) error {
	return readEnum(capabilityTexts, "capability", c, text)
}

// Texts lists the texts of all values.
func (Capability) Texts() []string { return enumTexts(capabilityTexts) }

// String gives the text.
func (s Source) String() string { return enumString(sourceTexts, s) }

// MarshalText gives the text; it refuses what has none.
func (s Source) MarshalText() ([]byte, error) { return writeEnum(sourceTexts, "source of a grant", s) }

// UnmarshalText reads the text.
func (s *Source) UnmarshalText(text []byte) error {
	return readEnum(sourceTexts, "source of a grant", s, text)
}

// Texts lists the texts of all values.
func (Source) Texts() []string { return enumTexts(sourceTexts) }

// String gives the text.
func (g GrantState) String() string { return enumString(grantStateTexts, g) }

// MarshalText gives the text; it refuses what has none.
func (g GrantState) MarshalText() ([]byte, error) {
	return writeEnum(grantStateTexts, "state of a grant", g)
}

// UnmarshalText reads the text.
func (g *GrantState) UnmarshalText(text []byte) error {
	return readEnum(grantStateTexts, "state of a grant", g, text)
}

// Texts lists the texts of all values.
func (GrantState) Texts() []string { return enumTexts(grantStateTexts) }

// String gives the text.
func (s Side) String() string { return enumString(sideTexts, s) }

// MarshalText gives the text; it refuses what has none.
func (s Side) MarshalText() ([]byte, error) { return writeEnum(sideTexts, "side of a door", s) }

// UnmarshalText reads the text.
func (s *Side) UnmarshalText(text []byte) error {
	return readEnum(sideTexts, "side of a door", s, text)
}

// Texts lists the texts of all values.
func (Side) Texts() []string { return enumTexts(sideTexts) }
