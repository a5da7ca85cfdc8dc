package unlock

import (
	"fmt"
	"slices"
)

// Code is the primary reason of an answer. Its text, with allow_ or deny_, is the
// wire form; the numbers are none. Denials stand in their order of precedence: of
// several reasons the first is the primary one. The table in meanings says what
// each one means.
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

// firstDenial is 128 as in BACnet, where denials are one range; it leaves room
// for 63 of them in Checks.
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

// meanings is the one table of codes: the text and what it means.
var meanings = map[Code][2]string{
	AllowFire:              {"allow_fire", "the fire input is on and the door is released by it, whoever comes"},
	AllowPostureUnlocked:   {"allow_posture_unlocked", "the door stands open to anybody"},
	AllowPostureFreeAccess: {"allow_posture_free_access", "the door opens for any live credential of an active person"},
	AllowCommand:           {"allow_command", "a remote unlock by a person whose grant and whose door permit it"},
	AllowGrant:             {"allow_grant", "a grant of the person, a booking of theirs, a group or a unit opens the door"},
	AllowShare:             {"allow_share", "a tenant shares what opens the door"},
	AllowStaff:             {"allow_staff", "the person opens the door as staff or vendor"},

	DenyUnknownAccessPoint: {"deny_unknown_access_point", "the table has no such door, or no site"},
	DenyPointDisabled:      {"deny_point_disabled", "the door is out of service"},
	DenyLocalBlock:         {"deny_local_block", "the door is blocked at the door itself"},
	DenyLockdown:           {"deny_lockdown", "the site or the door is locked down"},
	DenyLeaseEnded:         {"deny_lease_ended", "the gateway's lease has ended; side out and a door of the policy last_table are only marked"},
	DenyProjectionStale:    {"deny_projection_stale", "the lease ended longer ago than a door of the policy last_table may go on"},

	DenyWrongFacilityCode:          {"deny_wrong_facility_code", "the reader read a card of another facility"},
	DenyCardFormat:                 {"deny_card_format", "the reader could not read the card's format"},
	DenyUnknownCredential:          {"deny_unknown_credential", "no credential has this tag or id, or its person is not known, or nobody was named"},
	DenyCredentialDuplicate:        {"deny_credential_duplicate", "several live credentials have this tag: all are denied as unknown, and somebody must look"},
	DenyCredentialStolen:           {"deny_credential_stolen", "the credential was reported stolen"},
	DenyCredentialLost:             {"deny_credential_lost", "the credential was reported lost"},
	DenyCredentialRevoked:          {"deny_credential_revoked", "the credential was revoked or is on the deny list"},
	DenyCredentialDamaged:          {"deny_credential_damaged", "the credential was reported damaged"},
	DenyCredentialSuspended:        {"deny_credential_suspended", "the credential is suspended for now"},
	DenyCredentialExpired:          {"deny_credential_expired", "the credential's window is over"},
	DenyCredentialNotActive:        {"deny_credential_not_active", "the credential's window has not begun"},
	DenyCredentialTypeNotPermitted: {"deny_credential_type_not_permitted", "the person may pass, but not with this kind of credential or with one bound to another booking"},
	DenyOtherGateway:               {"deny_other_gateway", "the credential opens a number of times, and another gateway counts them"},
	DenyMaxUses:                    {"deny_max_uses", "the credential was used as often as it may be"},

	DenyPersonSuspended: {"deny_person_suspended", "the person is suspended"},
	DenyIdentityPending: {"deny_identity_pending", "the person's identity is not bound yet"},

	DenyBookingRevoked:    {"deny_booking_revoked", "the booking was revoked, or it or its unit is not known"},
	DenyBookingEnded:      {"deny_booking_ended", "the booking has ended"},
	DenyBookingNotStarted: {"deny_booking_not_started", "the booking has not begun"},
	DenyUnitToCheck:       {"deny_unit_to_check", "the unit is to be checked before anybody may use it"},
	DenyOverlock:          {"deny_overlock", "the booking is suspended: neither unit nor entries open"},
	DenyGatelock:          {"deny_gatelock", "the booking is suspended: entries do not open"},
	DenyBookingSuspended:  {"deny_booking_suspended", "the booking is suspended; those whose booking it is not are told no more, and no door says it"},

	DenyShareRevoked:             {"deny_share_revoked", "the share was revoked or suspended, or what it is a part of is, or that is not known"},
	DenyShareEnded:               {"deny_share_ended", "the share's window is over"},
	DenyShareNotStarted:          {"deny_share_not_started", "the share's window has not begun"},
	DenySharerSuspended:          {"deny_sharer_suspended", "whoever lets others use the booking, the tenant or who shared it on, is suspended, not bound yet or not known"},
	DenyNoAccessRight:            {"deny_no_access_right", "no grant in force opens this door"},
	DenyCapability:               {"deny_capability", "the door cannot be opened from afar in this way"},
	DenyRemoteUnlockNotPermitted: {"deny_remote_unlock_not_permitted", "the grant does not let its holder open the door from afar in this way"},

	DenyBlackout:        {"deny_blackout", "a blackout of the site, the door or the group holds"},
	DenyHoliday:         {"deny_holiday", "today is a special day; on an ordinary day the schedule would hold"},
	DenyOutsideSchedule: {"deny_outside_schedule", "a schedule of the right, the unit, the grant, a parent, the credential or of fobs does not hold, or is not known"},

	DenyFirstInPending: {"deny_first_in_pending", "nobody whose coming lets others in has come; side out is only marked"},
	DenyPassback:       {"deny_passback", "the person is on that side already; side out and a door that marks are only marked"},
	DenyOccupancyLimit: {"deny_occupancy_limit", "the area is full; side out and a door that marks are only marked"},
	DenyInterlock:      {"deny_interlock", "another door of the interlock stands open"},

	DenyLockout:              {"deny_lockout", "after wrong codes the reader takes no PIN for now; side out is only marked"},
	DenyInvalidPin:           {"deny_invalid_pin", "the PIN is nobody's, or not one of the person who showed the first credential"},
	DenySecondPersonRequired: {"deny_second_person_required", "the door asks for a second person who may pass"},
	DenyEscortRequired:       {"deny_escort_required", "the door asks for an escort among those who pass"},
}

// texts and codes are the table by code and by text.
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

// ParseCode reads the text of a code.
func ParseCode(text string) (Code, error) {
	c, ok := codeByText[text]
	if !ok {
		return NoCode, fmt.Errorf("%q is no code of a decision", text)
	}
	return c, nil
}

// Allows reports whether the code is an allowance.
func (c Code) Allows() bool { return c > NoCode && c < firstDenial }

// Meaning says in one sentence what the code means.
func (c Code) Meaning() string { return meanings[c][1] }

// String gives the text. It does not allocate.
func (c Code) String() string {
	if c < endOfDenials {
		return codeTexts[c]
	}
	return ""
}

// MarshalText gives the text; it refuses what is no code.
func (c Code) MarshalText() ([]byte, error) {
	if c.String() == "" {
		return nil, fmt.Errorf("%d is no code of a decision", uint8(c))
	}
	return []byte(c.String()), nil
}

// UnmarshalText reads the text.
func (c *Code) UnmarshalText(text []byte) error {
	read, err := ParseCode(string(text))
	*c = read
	return err
}
