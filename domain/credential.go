package domain

import "time"

// Credential is what a person shows at a door. Its number is personal: it stands
// nowhere in clear.
type Credential struct {
	ID       ID              `json:"id"`
	Kind     CredentialKind  `json:"kind"`
	Format   string          `json:"format,omitempty"` // of the number: raw (default), wiegand26 …
	Number   Personal        `json:"number,omitzero" personal:"Subject"`
	Subject  ID              `json:"subject"`           // whose key seals the number: the person, or org while in stock
	Person   ID              `json:"person,omitempty"`  // the holder; empty: in stock
	Booking  ID              `json:"booking,omitempty"` // it opens what this booking opens; empty: staff, vendors, mobile keys
	Unit     ID              `json:"unit,omitempty"`    // stock of a unit, or held as a unit user
	Sites    []ID            `json:"sites,omitempty"`   // at which it is known, sorted; none: at all (mobile keys)
	State    CredentialState `json:"state"`
	Denied   bool            `json:"denied,omitzero"` // on the deny list, whatever the state
	Reason   string          `json:"reason,omitempty"`
	From     time.Time       `json:"from,omitzero"`
	Until    time.Time       `json:"until,omitzero"` // exclusive
	Consent  string          `json:"consent_ref,omitempty"`
	SharedBy Actor           `json:"shared_by"` // who gave it (rule U11)
}

// CredentialKind is the kind of thing that is shown.
type CredentialKind string

// The kinds of credential.
const (
	KindFob       CredentialKind = "fob"
	KindCard      CredentialKind = "card" // cards and wristbands
	KindPin       CredentialKind = "pin"
	KindMobileKey CredentialKind = "mobile_key"
)

// CredentialState says whether a credential opens anything.
type CredentialState string

// The states of a credential. Removed, revoked and expired are final: the number
// may be given anew.
const (
	CredentialStock     CredentialState = "stock" // known, with nobody
	CredentialActive    CredentialState = "active"
	CredentialSuspended CredentialState = "suspended"
	CredentialLost      CredentialState = "lost"
	CredentialStolen    CredentialState = "stolen"
	CredentialDamaged   CredentialState = "damaged"
	CredentialRevoked   CredentialState = "revoked"
	CredentialRemoved   CredentialState = "removed"
	CredentialExpired   CredentialState = "expired"
)

// live reports whether the number is taken.
func (c *Credential) live() bool {
	switch c.State {
	case CredentialRevoked, CredentialRemoved, CredentialExpired:
		return false
	}
	return true
}

func (c *Credential) keys() []string {
	var k []string
	if c.Person != "" {
		k = append(k, "person:"+string(c.Person))
	}
	if c.Booking != "" {
		k = append(k, "booking:"+string(c.Booking))
	}
	if c.Unit != "" {
		k = append(k, "unit:"+string(c.Unit))
	}
	for _, s := range c.Sites {
		k = append(k, "site:"+string(s))
	}
	if n := c.Number.Text(); n != "" && c.live() {
		for _, s := range c.Sites {
			k = append(k, numberKey(s, c.Format, n))
		}
	}
	return k
}

// numberKey finds the live credential of a number at a site.
func numberKey(site ID, format, number string) string {
	return "number:" + string(site) + ":" + format + ":" + number
}

var credentialWords = words{}
