package domain

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Events and commands answer for themselves, by optional methods. Each type either has
// the method or is listed here with the reason why it needs none, so that a new one is
// thought of.

// notUrgent are the commands that take no access away and shut no door.
var notUrgent = map[string][]string{
	"it gives access, or more of it": {
		"AddDoorToGroup", "AddMember", "AssignFob", "AssignRole", "BindIdentity", "ChangeMemberRole", "ClearBlackout", "ClearGroupBlackout",
		"CreateBooking", "CreateGroup", "CreateUnitManager", "CreateUnitUser", "DefineAccessRight", "EnableDoor", "GrantAuctionAccess",
		"GrantRight", "IssueDuressPin", "IssueMobileKey", "IssueOneTimePin", "IssuePin", "IssueToken", "MoveIn", "ReinstateBooking",
		"ReinstateCredential", "ReinstatePerson", "ReleaseLockdown", "RemoteUnlock", "RemoveFromDenyList", "SchedulePosture",
		"SetGroupBusinessHours", "ShareAccess", "UnlockFor",
	},
	"it replaces what gave access by something that may give more": {
		"ChangeBookingWindow", "ChangeDoor", "ChangeShareWindow", "ChangeUnitUserAccess", "MapUnitAccess", "RotatePin", "SetHolidayCalendar",
		"SetSitePolicy", "SetZoneRules", "TransferBooking", "TransferGroupOwnership", "TransferOwnership",
	},
	"it makes, names or connects things that nobody opens by it": {
		"AddKeyStock", "AssignDoorToGateway", "ChangePerson", "ConnectSite", "CreateArea", "CreateDoor", "CreateOrg", "CreateSite", "CreateUnit",
		"DefineSchedule", "EnrolGateway", "RegisterGateway", "RegisterOrg", "RegisterPerson", "RenameArea", "RenameGroup", "RenameOrg", "RenameSite",
		"RotateGatewayKey", "SetNotification", "SetUnitPrivacy",
	},
	"it records what was done": {"AcknowledgeReview", "RecordOverride", "ReleaseUnit", "RestoreLedger", "SettleRemoteUnlock"},
}

func TestEveryCommandSaysWhetherItIsUrgent(t *testing.T) {
	var types, has []string
	for _, c := range Commands() {
		types = append(types, c.Name)
		if c.MayBeUrgent() {
			has = append(has, c.Name)
		}
	}
	answered(t, "urgent", types, has, notUrgent)
}

// fillNothing are the events that give no fob, card or PIN access to a door.
var fillNothing = map[string][]string{
	"it takes away, and what is suspended keeps its room": {
		"AccessRightRetired", "BlackoutSet", "BookingEnded", "BookingRevoked", "BookingSuspended", "CredentialDenied", "CredentialExpired",
		"CredentialReported", "CredentialRevoked", "CredentialSuspended", "DoorDisabled", "FobRemoved", "GatewayDoorRemoved", "GatewayRetired",
		"GroupBlackoutSet", "GroupDoorRemoved", "GroupEnded", "GroupMemberRemoved", "LockdownStarted", "PersonErased", "PersonSuspended",
		"PinLeaked", "PinRevoked", "RightRevoked", "RoleExpired", "RoleRevoked", "ShareEnded", "ShareRevoked", "TokenRevoked", "UnitMovedOut",
		"UnitUserRemoved",
	},
	"it gives back what kept its room": {
		"BlackoutCleared", "BookingReinstated", "CredentialDenialLifted", "CredentialReinstated", "DoorEnabled", "GroupBlackoutCleared",
		"IdentityBound", "LockdownReleased", "PersonReinstated", "UnitReleased",
	},
	"it changes when access holds, and access at any time takes room": {
		"BookingWindowChanged", "GroupBusinessHoursSet", "GroupScheduleSet", "HolidayCalendarSet", "PostureCleared", "PostureScheduled", "PostureSet",
		"ScheduleChanged", "ShareWindowChanged", "SitePolicySet", "ZoneRulesSet",
	},
	"it makes a thing that nobody has access by yet": {
		"AccessRightDefined", "AreaCreated", "CredentialStocked", "DoorCreated", "GatewayRegistered", "GroupCreated", "OrgCreated",
		"OrgRegistered", "PersonRegistered", "ScheduleDefined", "SiteCreated", "UnitCreated",
	},
	"roles give no access to doors by themselves, and members keep the doors of the group": {
		"GroupMemberRoleChanged", "GroupOptionSet", "GroupOwnershipTransferred", "OwnershipTransferred", "RoleAssigned", "TokenIssued",
	},
	"a mobile key takes no room":                 {"MobileKeyIssued"},
	"the tenant has access from the booking on":  {"UnitMovedIn"},
	"other digits take the room of the old ones": {"PinRotated"},
	"it says, names or records something": {
		"AreaRenamed", "CredentialNumberKept", "GatewayDoorAssigned", "GatewayEnrolled", "GatewayKeyRotated", "GroupRenamed", "LedgerRestored",
		"NotificationRequested", "NotificationSet", "OrgRenamed", "OverrideRecorded", "PersonChanged", "RemoteUnlockExecuted", "RemoteUnlockFailed",
		"RemoteUnlockRequested", "ReviewAcknowledged", "ReviewRequired", "SiteConnected", "SiteRenamed", "UnitPrivacySet",
	},
}

func TestEveryEventSaysWhatItFills(t *testing.T) {
	var types, has []string
	for _, e := range Events() {
		types = append(types, e.GoName)
		if e.typ.Implements(reflect.TypeFor[filler]()) {
			has = append(has, e.GoName)
		}
	}
	answered(t, "fills", types, has, fillNothing)
}

// answered: each type has the method, or is exempt with one reason.
func answered(t *testing.T, method string, types, has []string, exempt map[string][]string) {
	reasons := map[string]string{}
	for reason, names := range exempt {
		for _, name := range names {
			assert.Contains(t, types, name, "an exemption of what does not exist")
			assert.Empty(t, reasons[name], "%s is exempt twice", name)
			reasons[name] = reason
		}
	}
	for _, name := range types {
		assert.NotEqual(t, slices.Contains(has, name), reasons[name] != "", "%s needs the method %s, or a reason why not", name, method)
	}
}

// Answers leave out consequences for people whom the sender of the command may not see.
func TestWhatIsSettledIsAConsequence(t *testing.T) {
	settle, _ := CommandNamed("SettleConsequences")
	for _, e := range Events() {
		assert.Equal(t, slices.Contains(settle.Causes, e.Name), e.typ.Implements(reflect.TypeFor[consequence]()), e.GoName)
	}
}

// tellOfNobody are the fields of events with ids that lead to no user of a unit.
var tellOfNobody = map[string][]string{
	"a place, or what belongs to one": {
		"Added", "Area", "Blackout", "Door", "Doors", "Gateway", "Group", "Home", "In", "Org", "Out", "Removed", "Right", "Schedule",
		"Site", "Sites", "Unit",
	},
	"its tenant or holder, whom the staff knows by it": {"Booking", "Grant"},
	"members of groups, or owners of the org":          {"From", "To"},
	"it belongs to what the event names besides":       {"DuressOf", "Parent", "Secret"},
	"a token, without whose it is":                     {"Issuer", "Token"},
	"no id of a thing":                                 {"Cause", "ConsentRef", "ID"},
}

func TestEveryEventSaysOfWhomItTells(t *testing.T) {
	known := []string{"Credential", "Share", "Review", "Person"}
	for _, fields := range tellOfNobody {
		known = append(known, fields...)
	}
	for _, e := range Events() {
		if e.typ.Implements(reflect.TypeFor[teller]()) {
			continue
		}
		for _, f := range reflect.VisibleFields(e.typ) {
			id := f.Type == reflect.TypeFor[ID]() || f.Type == reflect.TypeFor[[]ID]()
			assert.True(t, !id || slices.Contains(known, f.Name), "%s needs the method tells, or a reason why its field %s tells of nobody", e.GoName, f.Name)
		}
	}
}
