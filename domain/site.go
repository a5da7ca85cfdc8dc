package domain

import "gatehouse/domain/schedule"

// Site is a place with doors and one time zone.
type Site struct {
	ID            ID                  `json:"id"`
	Name          string              `json:"name"`
	Zone          string              `json:"zone"`  // IANA name, as Europe/Berlin
	Rules         schedule.ZoneRules  `json:"rules"` // of the zone, as data
	Calendar      schedule.Calendar   `json:"calendar"`
	Blackouts     []schedule.Blackout `json:"blackouts,omitempty"`
	LockSystem    string              `json:"lock_system,omitempty"`   // set by ConnectSite; empty: not connected (rule B1)
	Notifications []NotificationKind  `json:"notifications,omitempty"` // that are set up, sorted (rule B2)
	Policy        Policy              `json:"policy"`
}

// NotificationKind names a message that a site sends to people.
type NotificationKind string

// NotificationSharedAccess tells a person that access was shared with them (rule B2).
const NotificationSharedAccess NotificationKind = "shared_access"

// Policy is what an operator decides about a site; the zero value is the default
// of the rules.
type Policy struct {
	// FobHolders says who may hold a fob or card beside staff: "primary_tenant"
	// (default, rule F6) or "anyone", which lets shared users hold one.
	FobHolders string `json:"fob_holders,omitempty"`
	// ServiceFobs lets vendors and staff without a booking hold fobs: "allowed"
	// (default) or "forbidden".
	ServiceFobs string `json:"service_fobs,omitempty"`
	// FobSchedule is empty when fobs follow the schedule of their user, else the
	// id of the one schedule that all fobs follow.
	FobSchedule ID `json:"fob_schedule,omitempty"`
	// Consent says whether AssignFob for a tenant needs a consent_ref: "optional"
	// (default) or "required".
	Consent string `json:"consent,omitempty"`
	// MissingNotification says what sharing does when the message is not set up:
	// "warn" (default, rule B2) or "refuse".
	MissingNotification string `json:"missing_notification,omitempty"`
	// ShareDepth is how often access may be shared on: 1 (0 means 1) to 3.
	ShareDepth int `json:"share_depth,omitempty"`
	// UnitManagerKeys says whether unit managers assign physical keys (rule U10):
	// "allowed" (default) or "forbidden".
	UnitManagerKeys string `json:"unit_manager_keys,omitempty"`
	// ManagerShares says whether tenants may share with staff of the site:
	// "allowed" (default) or "forbidden".
	ManagerShares string `json:"manager_shares,omitempty"`
}

func (s *Site) keys() []string {
	if s.Policy.FobSchedule == "" {
		return nil
	}
	return []string{"schedule:" + string(s.Policy.FobSchedule)}
}

var siteWords = words{}
