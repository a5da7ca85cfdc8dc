package domain

// A PIN may have a second one beside it that its holder types when forced to: it
// opens as the PIN does, and the gateway raises the alarm without a sign at the
// door.
//
// # Why it follows its PIN
//
// Whoever takes a PIN away need not know of the other. So whatever is said of a PIN
// holds for both by the fold alone: its end, its suspension, its loss. The other has
// no terms of its own, and comes back with its PIN only.
//
// # Why few see it
//
// Who forces somebody may be the tenant who shares the unit with them. Only the
// holder and those who work at its sites see the other PIN or may send anything
// about it.

var duressMessages = messages{
	commands: []CommandType{
		command[IssueDuressPin]("Issues a duress PIN: it opens what another PIN opens and silently calls for help. Its digits are shown once, in the answer.", PinIssued{}),
	},
}

// IssueDuressPin makes the PIN for duress of a PIN. Nothing leads from one to the
// other: its digits are made as those of any PIN, and are neither near those of the
// other nor the same backwards.
type IssueDuressPin struct {
	Credential ID `json:"credential,omitempty"` // empty: an id is made
	Pin        ID `json:"pin"`                  // that it goes with
	madeDigits
}

func (IssueDuressPin) permit() Permit { return Permit{Role: RoleStaff, Self: true} }
func (c IssueDuressPin) scope(s *State) Scope {
	return s.credentialScope(c.Pin)
}

func (c IssueDuressPin) decide(tx *Tx) *Refusal {
	pin, r := tx.livePin(c.Pin)
	switch {
	case r != nil:
		return r
	case pin.DuressOf != "":
		return refuse("not_a_pin", "PIN %s is itself a PIN for duress; name an ordinary PIN", pin.ID).about(pin.ID)
	case tx.Credentials.HasBy(pinForDuress, pin.ID):
		return refuse("duress_pin_exists", "PIN %s has one for duress already; to change its digits, send RotatePin", pin.ID).about(pin.ID)
	case pin.MaxUses > 0:
		return refuse("duress_pin_uses", "PIN %s opens a number of times only, and one beside it would open as often again", pin.ID).about(pin.ID)
	case tx.Credentials.Has(c.Credential):
		return refuse("credential_exists", "credential %s already exists", c.Credential).about(c.Credential)
	}
	if r := tx.mayRotate(pin); r != nil {
		return r
	}
	number, r := tx.freePin(pin.Sites, c.digits, pin.Number)
	if r != nil {
		return r
	}
	tx.emit(PinIssued{Credential: tx.idFor(c.Credential, "credential"), Number: number, Secret: tx.idFor("", "secret"), Person: pin.Person,
		Booking: pin.Booking, Unit: pin.Unit, Sites: pin.Sites, From: pin.From, Until: pin.Until, Times: pin.Times, DuressOf: pin.ID})
	return nil
}

// besides lists the digits from which those of a PIN must be far: those for duress,
// or of what it is for duress of.
func (s *State) besides(c *Credential) (numbers []Personal) {
	for _, id := range append(s.Credentials.IDs(pinForDuress, c.ID), c.DuressOf) {
		if other, ok := s.Credentials.Get(id); ok {
			numbers = append(numbers, other.Number)
		}
	}
	return numbers
}

// nearPin reports whether digits can be told from those of another PIN, or be
// typed for them by mistake: they differ in fewer than three places, or by less
// than 1,000 as numbers, or are the same backwards.
func nearPin(pin, other string) bool {
	differ, backwards := 0, len(pin) == len(other)
	far := false
	difference := 0
	for i := range min(len(pin), len(other)) {
		if pin[i] != other[i] {
			differ++
		}
		backwards = backwards && pin[i] == other[len(other)-1-i]
		difference = difference*10 + int(pin[i]) - int(other[i])
		far = far || difference >= 1000 || difference <= -1000
	}
	return differ < 3 || backwards || !far
}

// followsPin refuses to bring back by itself what goes with a PIN.
func (c *Credential) followsPin() *Refusal {
	if c.DuressOf == "" {
		return nil
	}
	return refuse("duress_pin_follows", "credential %s goes with PIN %s, and comes back with it", c.ID, c.DuressOf).about(c.ID)
}
