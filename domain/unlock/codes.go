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

// meanings is the one table of codes: the text, and one short sentence for people.
// Everything else about a code is documented at the code that decides it.
var meanings = map[Code][2]string{
	AllowFire:              {"allow_fire", "the fire alarm releases the door"},
	AllowPostureUnlocked:   {"allow_posture_unlocked", "the door stands open to anybody"},
	AllowPostureFreeAccess: {"allow_posture_free_access", "any active credential opens the door"},
	AllowCommand:           {"allow_command", "a remote unlock is permitted here"},
	AllowGrant:             {"allow_grant", "the person has access to this door"},
	AllowShare:             {"allow_share", "a tenant shares access to this door"},
	AllowStaff:             {"allow_staff", "staff and vendors may open this door"},

	DenyUnknownAccessPoint: {"deny_unknown_access_point", "the door is unknown"},
	DenyPointDisabled:      {"deny_point_disabled", "the door is out of service"},
	DenyLocalBlock:         {"deny_local_block", "the door is blocked on the spot"},
	DenyLockdown:           {"deny_lockdown", "a lockdown is in force"},
	DenyLeaseEnded:         {"deny_lease_ended", "the gateway lost contact with the service"},
	DenyProjectionStale:    {"deny_projection_stale", "the gateway was offline for too long"},

	DenyWrongFacilityCode:          {"deny_wrong_facility_code", "the card is from another facility"},
	DenyCardFormat:                 {"deny_card_format", "the card has an unknown format"},
	DenyUnknownCredential:          {"deny_unknown_credential", "the credential or person is unknown here"},
	DenyCredentialDuplicate:        {"deny_credential_duplicate", "several credentials have the same number"},
	DenyCredentialStolen:           {"deny_credential_stolen", "the credential is reported stolen"},
	DenyCredentialLost:             {"deny_credential_lost", "the credential is reported lost"},
	DenyCredentialRevoked:          {"deny_credential_revoked", "the credential was revoked"},
	DenyCredentialDamaged:          {"deny_credential_damaged", "the credential is reported damaged"},
	DenyCredentialSuspended:        {"deny_credential_suspended", "the credential is suspended"},
	DenyCredentialExpired:          {"deny_credential_expired", "the credential has expired"},
	DenyCredentialNotActive:        {"deny_credential_not_active", "the credential is not valid yet"},
	DenyCredentialTypeNotPermitted: {"deny_credential_type_not_permitted", "this credential is not accepted for the access"},
	DenyOtherGateway:               {"deny_other_gateway", "the credential belongs to another gateway's doors"},
	DenyMaxUses:                    {"deny_max_uses", "the credential has no uses left"},

	DenyPersonSuspended: {"deny_person_suspended", "the person is suspended"},
	DenyIdentityPending: {"deny_identity_pending", "the person has not been identified yet"},

	DenyBookingRevoked:    {"deny_booking_revoked", "the booking was revoked"},
	DenyBookingEnded:      {"deny_booking_ended", "the booking has ended"},
	DenyBookingNotStarted: {"deny_booking_not_started", "the booking has not begun"},
	DenyUnitToCheck:       {"deny_unit_to_check", "the unit waits for its inspection"},
	DenyOverlock:          {"deny_overlock", "the booking is suspended with an overlock"},
	DenyGatelock:          {"deny_gatelock", "the booking is suspended at the entrances"},
	DenyBookingSuspended:  {"deny_booking_suspended", "the booking is suspended"},

	DenyShareRevoked:             {"deny_share_revoked", "the share was revoked"},
	DenyShareEnded:               {"deny_share_ended", "the share has ended"},
	DenyShareNotStarted:          {"deny_share_not_started", "the share has not begun"},
	DenySharerSuspended:          {"deny_sharer_suspended", "the person who shares access is suspended"},
	DenyNoAccessRight:            {"deny_no_access_right", "no access to this door"},
	DenyCapability:               {"deny_capability", "the door has no such remote function"},
	DenyRemoteUnlockNotPermitted: {"deny_remote_unlock_not_permitted", "the person may not open it remotely"},

	DenyBlackout:        {"deny_blackout", "a blackout is in force"},
	DenyHoliday:         {"deny_holiday", "closed for a holiday"},
	DenyOutsideSchedule: {"deny_outside_schedule", "outside the permitted hours"},

	DenyFirstInPending: {"deny_first_in_pending", "the first authorised person has not arrived"},
	DenyPassback:       {"deny_passback", "the person is already on that side"},
	DenyOccupancyLimit: {"deny_occupancy_limit", "the area is full"},
	DenyInterlock:      {"deny_interlock", "another door of the interlock is open"},

	DenyLockout:              {"deny_lockout", "too many wrong codes, try again later"},
	DenyInvalidPin:           {"deny_invalid_pin", "the PIN is wrong"},
	DenySecondPersonRequired: {"deny_second_person_required", "a second authorised person is required"},
	DenyEscortRequired:       {"deny_escort_required", "an escort is required"},
}

// codeTexts and codeByText hold the texts by code and the codes by text.
var (
	codeTexts  [endOfDenials]string
	codeByText = map[string]Code{}
)

func init() {
	for c, m := range meanings {
		codeTexts[c] = m[0]
		codeByText[m[0]] = c
	}
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
func (c Code) Meaning() string { return meanings[c][1] }

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
