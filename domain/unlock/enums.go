package unlock

import (
	"fmt"
	"slices"
)

// The enumerations of the rows are small integers with a text each; the text is
// their wire form. Where the zero value is a default it is the one that gives
// least; a state has no default, so that a state that was left out is refused.

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

// Posture overrides what a door, or every door of a site, does with credentials.
type Posture uint8

// The postures.
const (
	Normal     Posture = iota // credentials decide
	Unlocked                  // the door stands open to anybody
	FreeAccess                // any live credential of an active person opens
	Lockdown                  // no credential opens
	Secured                   // credentials decide, also in business hours
)

// DoorClass sets how long the lease of a gateway runs for a door.
type DoorClass uint8

// The classes of door.
const (
	Standard DoorClass = iota
	Critical
)

// AfterLease is what a door does when the lease has ended.
type AfterLease uint8

// What a door may do after its lease. There is no "open".
const (
	AfterLeaseDeny AfterLease = iota
	LastTable                 // decide by the last table for LastTableCeiling more
)

// Factor is what a door asks for beside the first credential.
type Factor uint8

// The second factors.
const (
	NoFactor     Factor = iota
	PinFactor           // a live PIN of the same person
	PersonFactor        // a second person who may pass as well
	EscortFactor        // one of the persons who pass must be an escort
)

// Presence is what a door does about passback and occupancy.
type Presence uint8

// The ways to treat passback and occupancy. To deny is right only where one
// gateway serves every door of the area: another sees half of what happens.
const (
	PresenceOff Presence = iota
	PresenceMark
	PresenceDeny
)

// PersonState says whether anything opens for a person.
type PersonState uint8

// The states of a person.
const (
	PersonActive    PersonState = iota + 1
	PersonSuspended             // nothing opens
	PersonPending               // identity not bound yet: nothing opens
)

// UnitState is where a unit is between two tenants.
type UnitState uint8

// The states of a unit.
const (
	UnitVacant   UnitState = iota + 1
	UnitOccupied           // moved in
	UnitToCheck            // moved out, not yet released: no booking opens it
)

// BookingState says how far a booking still gives access.
type BookingState uint8

// The states of a booking. Ended and revoked are final.
const (
	BookingActive   BookingState = iota + 1
	BookingGatelock              // suspended: shut out of every door with Entry
	BookingOverlock              // suspended: shut out of every door
	BookingEnded
	BookingRevoked
)

// CredentialKind is what kind of thing a person shows.
type CredentialKind uint8

// The kinds of credential. AnyKind is no kind of a row: a request says with it
// that the question holds for whatever the person may carry.
const (
	AnyKind CredentialKind = iota
	Fob
	Card // cards and wristbands
	Pin
	MobileKey
)

// CredentialState says whether a credential opens anything.
type CredentialState uint8

// The states of a credential. Revoked and expired are final: the number may
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

// Capability is what a lock can do, or a grant lets its holder do, beside opening
// for a credential at the door.
type Capability uint8

// The capabilities. Doors have the first two only.
const (
	RemoteUnlock Capability = iota + 1 // open from afar
	UnlockFor                          // keep open for a while, from afar
	FirstIn                            // be the one whose coming lets others in
	Escort                             // take along who needs an escort
)

// Source is what a grant comes from. It selects the code of an allowance.
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

// The sides. NoSide is for what is not known of a person; a request has In or Out.
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

// enumTexts leaves out the text of a zero value that is no value.
func enumTexts(texts []string) []string {
	if texts[0] == "" {
		return slices.Clone(texts[1:])
	}
	return slices.Clone(texts)
}
