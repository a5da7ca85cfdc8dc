package domain

// AddToDenyList denies a credential whatever becomes of it, also after it ended:
// its number is given to nobody. It is for gateways that may still hold what they
// last heard of it.
type AddToDenyList struct {
	Credential ID `json:"credential"`
}

func (AddToDenyList) permit() Permit         { return Permit{Role: RoleStaff} }
func (c AddToDenyList) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c AddToDenyList) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	if r == nil && !cr.Denied {
		tx.emit(CredentialDenied(c))
	}
	return r
}

// CredentialDenied puts a credential on the deny list.
type CredentialDenied struct {
	Credential ID `json:"credential"`
}

func (e CredentialDenied) fold(s *State, _ Moment) {
	s.setCredential(e.Credential, func(c *Credential) { c.Denied = true })
}
func (e CredentialDenied) concerns(s *State) []ID { return s.sitesOfCredential(e.Credential) }

// RemoveFromDenyList takes a credential off the deny list; what it opens follows
// from its state again.
type RemoveFromDenyList struct {
	Credential ID `json:"credential"`
}

func (RemoveFromDenyList) permit() Permit         { return Permit{Role: RoleStaff} }
func (c RemoveFromDenyList) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c RemoveFromDenyList) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	if r != nil || !cr.Denied {
		return r
	}
	if r := cr.followsPin(); r != nil {
		return r
	}
	tx.emit(CredentialDenialLifted(c))
	return nil
}

// CredentialDenialLifted takes a credential off the deny list.
type CredentialDenialLifted struct {
	Credential ID `json:"credential"`
}

func (e CredentialDenialLifted) fold(s *State, _ Moment) {
	s.setCredential(e.Credential, func(c *Credential) { c.Denied = false })
}
func (e CredentialDenialLifted) concerns(s *State) []ID { return s.sitesOfCredential(e.Credential) }
