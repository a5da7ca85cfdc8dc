package domain

// AddToDenyList denies a credential whatever becomes of it, also after it ended:
// its number is given to nobody, not even when its holder was erased. It is for
// gateways that may still hold what they last heard of it, and for copies of it.
type AddToDenyList struct {
	Credential ID `json:"credential"`
}

func (AddToDenyList) urgent() bool           { return true }
func (AddToDenyList) permit() Permit         { return Permit{Role: RoleStaff} }
func (c AddToDenyList) scope(s *State) Scope { return s.credentialScope(c.Credential) }
func (c AddToDenyList) decide(tx *Tx) *Refusal {
	cr, r := tx.Credentials.find(c.Credential, "credential")
	if r != nil || cr.Denied {
		return r
	}
	if r := tx.checkNumberNotReused(c.Credential, cr); r != nil {
		return r
	}
	tx.emit(CredentialDenied(c))
	return nil
}

// checkNumberNotReused refuses to deny a credential whose number another one has by
// now. The other would go on opening, and the sender would not expect that.
func (tx *Tx) checkNumberNotReused(id ID, c *Credential) *Refusal {
	for _, site := range c.Sites {
		for other, o := range tx.Credentials.Each(credentialByNumber, numberAt(site, c.Format, c.Number.Text())) {
			if other != id && o.live() && !o.Denied {
				return refuse("number_in_use", "the number of %s is now that of credential %s at site %s; put that on the deny list", id, other, site).about(other, site)
			}
		}
	}
	return nil
}

// CredentialDenied puts a credential on the deny list.
type CredentialDenied struct {
	Credential ID `json:"credential"`
}

func (e CredentialDenied) fold(s *State, _ Moment) {
	s.setCredential(e.Credential, func(c *Credential) { c.Denied = true })
}
func (e CredentialDenied) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }

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
	s.setCredential(e.Credential, func(c *Credential) {
		c.Denied = false
		if p, ok := s.People.Get(c.Person); ok && p.State == PersonStateErased {
			c.Number = Personal{}
		}
	})
}
func (e CredentialDenialLifted) affectedSites(s *State) []ID {
	return s.sitesOfCredential(e.Credential)
}

// keepDenied emits the numbers of a person's credentials that stay on the deny list.
// They would be lost with the key that seals them when the person is erased. They are
// the numbers of things, so they may stay.
func (tx *Tx) keepDenied(person ID) {
	for id, c := range tx.Credentials.Each(CredentialByPerson, person) {
		if c.keepsNumber() && c.Subject != OrgSubject && !c.Number.Empty() {
			tx.emit(CredentialNumberKept{Credential: id, Number: Clear(c.Number.Text())})
		}
	}
}

// keepsNumber reports whether the number stays known whatever becomes of the
// holder.
func (c *Credential) keepsNumber() bool { return c.Denied && c.Kind != KindPin }

// CredentialNumberKept seals a number on the deny list as what belongs to the org.
type CredentialNumberKept struct {
	Credential ID       `json:"credential"`
	Number     Personal `json:"number" personal:"org"`
}

func (e CredentialNumberKept) fold(s *State, _ Moment) {
	s.Credentials.Update(e.Credential, func(c *Credential) { c.Number, c.Subject = e.Number, OrgSubject })
}
func (e CredentialNumberKept) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }
