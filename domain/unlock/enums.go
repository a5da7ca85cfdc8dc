package unlock

import (
	"fmt"
	"slices"
)

// The enumerations of the rows are small integers, each with a text that is its wire
// form. If the zero value is a default, it is the one that permits least. A state has
// no default, so that a missing state is refused.

// Kind is the kind of a row.
type Kind uint8

// The kinds of row, in the order in which bases list them.
const (
	KindSite Kind = iota + 1
	KindDoor
	KindRight
	KindSchedule
	KindPerson
	KindUnit
	KindBooking
	KindCredential
	KindGrant
)

// Kinds lists every kind in the order in which bases list them.
func Kinds() []Kind {
	return []Kind{KindSite, KindDoor, KindRight, KindSchedule, KindPerson, KindUnit, KindBooking, KindCredential, KindGrant}
}

// Posture overrides how a door, or every door of a site, treats credentials.
type Posture uint8

// The postures.
const (
	Normal     Posture = iota // credentials decide
	Unlocked                  // the door stands open to anybody
	FreeAccess                // any live credential of an active person opens
	Lockdown                  // no credential opens
	Secured                   // credentials decide, also during business hours
)

// DoorClass selects how long the lease of a gateway runs for a door.
type DoorClass uint8

// The classes of door.
const (
	Standard DoorClass = iota
	Critical
)

// AfterLease is the policy of a door when the lease has ended.
type AfterLease uint8

// The policies after the lease. There is no "open".
const (
	AfterLeaseDeny AfterLease = iota
	LastTable                 // decide by the last table for LastTableCeiling longer
)

// Factor is the second factor that a door requires beside the first credential.
type Factor uint8

// The second factors.
const (
	NoFactor     Factor = iota
	PinFactor           // a live PIN of the same person
	PersonFactor        // a second person who may pass as well
	EscortFactor        // one of the persons who pass must be an escort
)

// Presence is how a door treats passback and occupancy.
type Presence uint8

// The ways to treat passback and occupancy. PresenceDeny is right only if one gateway
// serves every door of the area, because any other gateway sees only a part of the
// passages.
const (
	PresenceOff Presence = iota
	PresenceMark
	PresenceDeny
)

// PersonState is the state of a person. Nothing opens for a person who is not active.
type PersonState uint8

// The states of a person.
const (
	PersonActive    PersonState = iota + 1
	PersonSuspended             // nothing opens
	PersonPending               // identity not bound yet: nothing opens
)

// UnitState is the state of a unit between two tenants.
type UnitState uint8

// The states of a unit.
const (
	UnitVacant   UnitState = iota + 1
	UnitOccupied           // moved in
	UnitToCheck            // moved out, not yet released: no booking opens it
)

// BookingState is how far a booking still gives access.
type BookingState uint8

// The states of a booking. Ended and revoked are final.
const (
	BookingActive   BookingState = iota + 1
	BookingGatelock              // suspended: shut out of every door with Entry
	BookingOverlock              // suspended: shut out of every door
	BookingEnded
	BookingRevoked
)

// CredentialKind is the kind of a credential.
type CredentialKind uint8

// The kinds of credential. AnyKind is not the kind of a row: a request with it asks
// about any credential that the person may carry.
const (
	AnyKind CredentialKind = iota
	Fob
	Card // cards and wristbands
	Pin
	MobileKey
)

// CredentialState is the state of a credential.
type CredentialState uint8

// The states of a credential. Revoked and expired are final, because the number may
// belong to another credential by now.
const (
	CredentialActive CredentialState = iota + 1
	CredentialSuspended
	CredentialLost
	CredentialStolen
	CredentialDamaged
	CredentialRevoked
	CredentialExpired
)

// Capability is an ability of a lock, or one that a grant gives to its holder. It comes
// beside opening for a credential at the door.
type Capability uint8

// The capabilities. Doors have the first two only.
const (
	RemoteUnlock Capability = iota + 1 // open remotely
	UnlockFor                          // keep open for a while, remotely
	FirstIn                            // be the first person, whose arrival lets others in
	Escort                             // accompany people who need an escort
)

// Source is the origin of a grant. It selects the code of an allowance.
type Source uint8

// The sources of a grant.
const (
	SourceGrant    Source = iota + 1 // given to the person explicitly
	SourceBooking                    // the primary tenant's own
	SourceShare                      // shared by a tenant
	SourceUnitUser                   // a unit user or unit manager
	SourceGroup                      // a member of a group
	SourceStaff                      // staff and vendors of the operator
)

// GrantState says whether a grant is in force.
type GrantState uint8

// The states of a grant. Revoked is final.
const (
	GrantActive GrantState = iota + 1
	GrantSuspended
	GrantRevoked
	GrantEnded
)

// Side is the direction in which a door is passed.
type Side uint8

// The sides. NoSide means that the side of a person is not known; a request has In or
// Out.
const (
	NoSide Side = iota
	In
	Out
)

var (
	kindTexts            = []string{"", "site", "door", "right", "schedule", "person", "unit", "booking", "credential", "grant"}
	postureTexts         = []string{"normal", "unlocked", "free_access", "lockdown", "secured"}
	doorClassTexts       = []string{"standard", "critical"}
	afterLeaseTexts      = []string{"deny", "last_table"}
	factorTexts          = []string{"none", "pin", "person", "escort"}
	presenceTexts        = []string{"off", "mark", "deny"}
	personStateTexts     = []string{"", "active", "suspended", "pending"}
	unitStateTexts       = []string{"", "vacant", "occupied", "to_check"}
	bookingStateTexts    = []string{"", "active", "gatelock", "overlock", "ended", "revoked"}
	credentialKindTexts  = []string{"any", "fob", "card", "pin", "mobile_key"}
	credentialStateTexts = []string{"", "active", "suspended", "lost", "stolen", "damaged", "revoked", "expired"}
	capabilityTexts      = []string{"", "remote_unlock", "unlock_for", "first_in", "escort"}
	sourceTexts          = []string{"", "grant", "booking", "share", "unit_user", "group", "staff"}
	grantStateTexts      = []string{"", "active", "suspended", "revoked", "ended"}
	sideTexts            = []string{"", "in", "out"}
)

func enumString[E ~uint8](texts []string, e E) string {
	if int(e) < len(texts) {
		return texts[e]
	}
	return fmt.Sprintf("%d", uint8(e))
}

func writeEnum[E ~uint8](texts []string, what string, e E) ([]byte, error) {
	if !known(texts, e) {
		return nil, fmt.Errorf("%d is no %s", uint8(e), what)
	}
	return []byte(texts[e]), nil
}

func readEnum[E ~uint8](texts []string, what string, e *E, text []byte) error {
	i := slices.Index(texts, string(text))
	if i < 0 || len(text) == 0 {
		return fmt.Errorf("%q is no %s: they are %q", text, what, enumTexts(texts))
	}
	*e = E(i)
	return nil
}

// known reports whether e is a value with a text.
func known[E ~uint8](texts []string, e E) bool { return int(e) < len(texts) && texts[e] != "" }

// enumTexts leaves out the text of a zero value that is not a value.
func enumTexts(texts []string) []string {
	if texts[0] == "" {
		return slices.Clone(texts[1:])
	}
	return slices.Clone(texts)
}
