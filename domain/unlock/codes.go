package unlock

import (
	"fmt"
	"slices"
)

// Code is the primary reason of an answer. Its text, with the prefix allow_ or deny_,
// is the wire form; the numbers are not. Denials are listed in order of precedence: if
// several apply, the first is the primary reason. The table meanings explains each
// code.
type Code uint8

// The allowances.
const (
	NoCode Code = iota
	AllowFire
	AllowPostureUnlocked
	AllowPostureFreeAccess
	AllowCommand
	AllowGrant
	AllowShare
	AllowStaff
)

// firstDenial is 128 as in BACnet, where denials are one range. It leaves room for 63
// of them in Checks.
const firstDenial = 128

// The denials, in order of precedence.
const (
	DenyUnknownAccessPoint Code = iota + firstDenial
	DenyPointDisabled
	DenyLocalBlock
	DenyLockdown
	DenyLeaseEnded
	DenyProjectionStale
	DenyClockUnsure

	DenyWrongFacilityCode
	DenyCardFormat
	DenyUnknownCredential
	DenyCredentialDuplicate
	DenyCredentialStolen
	DenyCredentialLost
	DenyCredentialRevoked
	DenyCredentialDamaged
	DenyCredentialSuspended
	DenyCredentialExpired
	DenyCredentialNotActive
	DenyCredentialTypeNotPermitted
	DenyOtherGateway
	DenyMaxUses

	DenyPersonSuspended
	DenyIdentityPending

	DenyBookingRevoked
	DenyBookingEnded
	DenyBookingNotStarted
	DenyUnitToCheck
	DenyOverlock
	DenyGatelock
	DenyBookingSuspended

	DenyShareRevoked
	DenyShareEnded
	DenyShareNotStarted
	DenySharerSuspended
	DenyNoAccessRight
	DenyCapability
	DenyRemoteUnlockNotPermitted

	DenyBlackout
	DenyHoliday
	DenyOutsideSchedule

	DenyFirstInPending
	DenyPassback
	DenyOccupancyLimit
	DenyInterlock

	DenyLockout
	DenyInvalidPin
	DenySecondPersonRequired
	DenyEscortRequired

	endOfDenials
)

// meaning says what a code is to people and to rows.
type meaning struct {
	text     string
	sentence string // short, for people
	states   []any  // of rows, which the code denies
}

func says(text, sentence string, states ...any) meaning { return meaning{text, sentence, states} }

// meanings is the one table of codes: the text, one short sentence for people, and the
// states that it denies. A denial that follows from more than a state is documented at
// the code that decides it.
var meanings = map[Code]meaning{
	AllowFire:              says("allow_fire", "the fire alarm releases the door"),
	AllowPostureUnlocked:   says("allow_posture_unlocked", "the door stands open to anybody"),
	AllowPostureFreeAccess: says("allow_posture_free_access", "any active credential opens the door"),
	AllowCommand:           says("allow_command", "a remote unlock is permitted here"),
	AllowGrant:             says("allow_grant", "the person has access to this door"),
	AllowShare:             says("allow_share", "a tenant shares access to this door"),
	AllowStaff:             says("allow_staff", "staff and vendors may open this door"),

	DenyUnknownAccessPoint: says("deny_unknown_access_point", "the door is unknown"),
	DenyPointDisabled:      says("deny_point_disabled", "the door is out of service"),
	DenyLocalBlock:         says("deny_local_block", "the door is blocked on the spot"),
	DenyLockdown:           says("deny_lockdown", "a lockdown is in force"),
	DenyLeaseEnded:         says("deny_lease_ended", "the gateway lost contact with the service"),
	DenyProjectionStale:    says("deny_projection_stale", "the gateway was offline for too long"),
	DenyClockUnsure:        says("deny_clock_unsure", "the gateway started offline without a sure clock"),

	DenyWrongFacilityCode:          says("deny_wrong_facility_code", "the card is from another facility"),
	DenyCardFormat:                 says("deny_card_format", "the card has an unknown format"),
	DenyUnknownCredential:          says("deny_unknown_credential", "the credential or person is unknown here"),
	DenyCredentialDuplicate:        says("deny_credential_duplicate", "several credentials have the same number"),
	DenyCredentialStolen:           says("deny_credential_stolen", "the credential is reported stolen", CredentialStolen),
	DenyCredentialLost:             says("deny_credential_lost", "the credential is reported lost", CredentialLost),
	DenyCredentialRevoked:          says("deny_credential_revoked", "the credential was revoked", CredentialRevoked),
	DenyCredentialDamaged:          says("deny_credential_damaged", "the credential is reported damaged", CredentialDamaged),
	DenyCredentialSuspended:        says("deny_credential_suspended", "the credential is suspended", CredentialSuspended),
	DenyCredentialExpired:          says("deny_credential_expired", "the credential has expired", CredentialExpired),
	DenyCredentialNotActive:        says("deny_credential_not_active", "the credential is not valid yet"),
	DenyCredentialTypeNotPermitted: says("deny_credential_type_not_permitted", "this credential is not accepted for the access"),
	DenyOtherGateway:               says("deny_other_gateway", "the credential belongs to another gateway's doors"),
	DenyMaxUses:                    says("deny_max_uses", "the credential has no uses left"),

	DenyPersonSuspended: says("deny_person_suspended", "the person is suspended", PersonSuspended),
	DenyIdentityPending: says("deny_identity_pending", "the person has not been identified yet", PersonPending),

	DenyBookingRevoked:    says("deny_booking_revoked", "the booking was revoked", BookingRevoked),
	DenyBookingEnded:      says("deny_booking_ended", "the booking has ended", BookingEnded),
	DenyBookingNotStarted: says("deny_booking_not_started", "the booking has not begun"),
	DenyUnitToCheck:       says("deny_unit_to_check", "the unit waits for its inspection", UnitToCheck),
	DenyOverlock:          says("deny_overlock", "the booking is suspended with an overlock", BookingOverlock),
	DenyGatelock:          says("deny_gatelock", "the booking is suspended at the entrances", BookingGatelock),
	DenyBookingSuspended:  says("deny_booking_suspended", "the booking is suspended"),

	DenyShareRevoked:             says("deny_share_revoked", "the share was revoked", GrantRevoked, GrantSuspended),
	DenyShareEnded:               says("deny_share_ended", "the share has ended", GrantEnded),
	DenyShareNotStarted:          says("deny_share_not_started", "the share has not begun"),
	DenySharerSuspended:          says("deny_sharer_suspended", "the person who shares access is suspended"),
	DenyNoAccessRight:            says("deny_no_access_right", "no access to this door"),
	DenyCapability:               says("deny_capability", "the door has no such remote function"),
	DenyRemoteUnlockNotPermitted: says("deny_remote_unlock_not_permitted", "the person may not open it remotely"),

	DenyBlackout:        says("deny_blackout", "a blackout is in force"),
	DenyHoliday:         says("deny_holiday", "closed for a holiday"),
	DenyOutsideSchedule: says("deny_outside_schedule", "outside the permitted hours"),

	DenyFirstInPending: says("deny_first_in_pending", "the first authorised person has not arrived"),
	DenyPassback:       says("deny_passback", "the person is already on that side"),
	DenyOccupancyLimit: says("deny_occupancy_limit", "the area is full"),
	DenyInterlock:      says("deny_interlock", "another door of the interlock is open"),

	DenyLockout:              says("deny_lockout", "too many wrong codes, try again later"),
	DenyInvalidPin:           says("deny_invalid_pin", "the PIN is wrong"),
	DenySecondPersonRequired: says("deny_second_person_required", "a second authorised person is required"),
	DenyEscortRequired:       says("deny_escort_required", "an escort is required"),
}

// These hold the texts by code, the codes by text, and the denials by state.
var (
	codeTexts  [endOfDenials]string
	codeByText = map[string]Code{}
	denials    = map[any]Code{}
)

func init() {
	for c, m := range meanings {
		codeTexts[c] = m.text
		codeByText[m.text] = c
		for _, state := range m.states {
			denials[state] = c
		}
	}
}

// Denial returns the code that denies a person in the state; NoCode means none.
func (s PersonState) Denial() Code { return denials[s] }

// Denial returns the code that denies access by a unit in the state; NoCode means none.
func (s UnitState) Denial() Code { return denials[s] }

// Denial returns the code that denies access by a booking in the state; NoCode means
// none. A gatelock denies at doors with Entry alone.
func (s BookingState) Denial() Code { return denials[s] }

// Denial returns the code that denies a credential in the state; NoCode means none. A
// suspension may end by itself.
func (s CredentialState) Denial() Code { return denials[s] }

// Denial returns the code that denies a grant in the state; NoCode means none. The source
// is that of the grant with which the chain begins: only shares have codes of their own.
func (s GrantState) Denial(of Source) Code {
	if s != GrantActive && of != SourceShare {
		return DenyNoAccessRight
	}
	return denials[s]
}

// Codes lists every code, denials in order of precedence.
func Codes() []Code {
	var all []Code
	for c := range meanings {
		all = append(all, c)
	}
	slices.Sort(all)
	return all
}

// ParseCode parses the text of a code.
func ParseCode(text string) (Code, error) {
	c, ok := codeByText[text]
	if !ok {
		return NoCode, fmt.Errorf("%q is no code of a decision", text)
	}
	return c, nil
}

// Allows reports whether the code is an allowance.
func (c Code) Allows() bool { return c > NoCode && c < firstDenial }

// Meaning explains the code in at most eight plain words.
func (c Code) Meaning() string { return meanings[c].sentence }

// String gives the text. It does not allocate.
func (c Code) String() string {
	if c < endOfDenials {
		return codeTexts[c]
	}
	return ""
}

// MarshalText gives the text; it refuses a number without a code.
func (c Code) MarshalText() ([]byte, error) {
	if c.String() == "" {
		return nil, fmt.Errorf("%d is no code of a decision", uint8(c))
	}
	return []byte(c.String()), nil
}

// UnmarshalText parses the text.
func (c *Code) UnmarshalText(text []byte) error {
	read, err := ParseCode(string(text))
	*c = read
	return err
}
