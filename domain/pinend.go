package domain

import "slices"

// PinRevoked takes a PIN away for good, and orders the key of its digits to be
// destroyed; they may be given anew.
type PinRevoked struct {
	Credential ID       `json:"credential"`
	Cause      string   `json:"cause,omitempty"`
	Keys       []string `json:"keys"`
}

func (e PinRevoked) endedKeys() []string { return e.Keys }
func (e PinRevoked) fold(s *State, _ Moment) {
	s.endSecrets(e.Credential)
	s.setCredential(e.Credential, func(c *Credential) { c.State, c.Reason = CredentialStateRevoked, e.Cause })
}
func (e PinRevoked) affectedSites(s *State) []ID { return s.sitesOfCredential(e.Credential) }

// revocation is the event that takes a credential away for good.
func (s *State) revocation(c *Credential, cause string) Event {
	if c.Kind == KindPin {
		return PinRevoked{Credential: c.ID, Cause: cause, Keys: s.keysOfPins(s.withDuress(c.ID)...)}
	}
	return CredentialRevoked{Credential: c.ID, Cause: cause}
}

// keysOfPins lists the keys that seal the digits of PINs, sorted; of other
// credentials none.
func (s *State) keysOfPins(ids ...ID) (keys []string) {
	for _, id := range ids {
		if c, ok := s.Credentials.Get(id); ok && c.Kind == KindPin {
			keys = append(keys, s.KeyOf(c.Subject))
		}
	}
	slices.Sort(keys)
	return slices.DeleteFunc(keys, func(k string) bool { return k == "" })
}

// withDuress gives a credential with the live one for duress that follows it.
func (s *State) withDuress(id ID) []ID { return append([]ID{id}, s.Credentials.By(duressKey(id))...) }

// endSecrets forgets the digits of a PIN and of what follows it, and which keys
// sealed them.
func (s *State) endSecrets(id ID) {
	for _, id := range s.withDuress(id) {
		s.endSecret(id)
	}
}

// endSecret forgets the digits of a PIN and which key sealed them.
func (s *State) endSecret(id ID) {
	c, ok := s.Credentials.Get(id)
	if !ok || c.Kind != KindPin {
		return
	}
	s.Keys.Delete(c.Subject)
	s.Credentials.Update(id, func(c *Credential) { c.Number = Personal{} })
}
