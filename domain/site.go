package domain

import (
	"slices"

	"gatehouse/domain/schedule"
)

// Site is a place with doors and one time zone.
type Site struct {
	ID            ID                 `json:"id"`
	Name          string             `json:"name"`
	Zone          string             `json:"zone"`  // IANA name, as Europe/Berlin
	Rules         schedule.ZoneRules `json:"rules"` // of the zone, as data
	Calendar      schedule.Calendar  `json:"calendar"`
	Blackouts     []SiteBlackout     `json:"blackouts,omitempty"`     // sorted by id
	LockSystem    string             `json:"lock_system,omitempty"`   // set by ConnectSite; empty: not connected (rule B1)
	Notifications []NotificationKind `json:"notifications,omitempty"` // that are set up, sorted (rule B2)
	Policy        Policy             `json:"policy"`
	Posture       DoorPosture        `json:"posture,omitzero"`      // of its doors, but those of units
	Lockdown      string             `json:"lockdown,omitempty"`    // id of the command that shut all doors; none: it is not locked down
	StolenKeys    uint32             `json:"stolen_keys,omitempty"` // how many keys of its tags are not good any more, see [GatewayRetired] and [LedgerRestored]
}

// Closures are the site's blackouts without their ids.
func (s *Site) Closures() schedule.Blackouts {
	var all schedule.Blackouts
	for _, b := range s.Blackouts {
		all = append(all, b.Blackout)
	}
	return all
}

func (s *Site) keys() []key[Site] {
	if s.Policy.FobSchedule == "" {
		return nil
	}
	return []key[Site]{{siteBySchedule, s.Policy.FobSchedule}}
}

// NotificationKind names a message that a site sends to people.
type NotificationKind string

// NotificationSharedAccess tells a person that access was shared with them (rule B2).
const NotificationSharedAccess NotificationKind = "shared_access"

func (k NotificationKind) check() error { return oneOf(k, NotificationSharedAccess) }

var siteMessages = messages{
	commands: []CommandType{
		command[CreateSite]("Creates a site in a time zone.", SiteCreated{}, ZoneRulesSet{}),
		command[RenameSite]("Renames a site.", SiteRenamed{}),
		command[SetZoneRules]("Takes over the zone rules of a newer time zone database.", ZoneRulesSet{}),
		command[ConnectSite]("Connects a site to its lock system, so that access can be shared there.", SiteConnected{}),
		command[SetNotification]("Records whether a notification of a site is set up.", NotificationSet{}),
	},
	events: []EventType{
		event[SiteCreated](1), event[SiteRenamed](1), event[ZoneRulesSet](1), event[SiteConnected](1),
		event[NotificationSet](1),
	},
}

// CreateSite makes a site.
type CreateSite struct {
	Site ID     `json:"site,omitempty"` // empty: an id is made
	Name string `json:"name"`
	Zone string `json:"zone"` // IANA name
}

func (CreateSite) permit() Permit     { return Permit{Role: RoleSystemManager} }
func (CreateSite) scope(*State) Scope { return Scope{} }
func (c CreateSite) decide(tx *Tx) *Refusal {
	id := tx.idFor(c.Site, "site")
	if tx.Sites.Has(id) {
		return refuse("site_exists", "site %s already exists", id).about(id)
	}
	if r := required("name", c.Name); r != nil {
		return r
	}
	if c.Zone == schedule.UnsetZone {
		return invalid("unknown_zone", "zone %s is a placeholder; give a real one, like Europe/Berlin", c.Zone)
	}
	rules, err := schedule.LoadRules(c.Zone)
	if err != nil {
		return invalid("unknown_zone", "%v", err)
	}
	tx.emit(SiteCreated{Site: id, Name: c.Name, Zone: c.Zone})
	tx.emit(ZoneRulesSet{Site: id, Rules: rules})
	return nil
}

// SiteCreated makes a site; the rules of its zone come next.
type SiteCreated struct {
	Site ID     `json:"site"`
	Name string `json:"name"`
	Zone string `json:"zone"`
}

func (e SiteCreated) fold(s *State, _ Moment) {
	s.Sites.Put(e.Site, Site{ID: e.Site, Name: e.Name, Zone: e.Zone})
}
func (e SiteCreated) affectedSites(*State) []ID { return []ID{e.Site} }

// SetZoneRules takes over the rules of the site's zone from the embedded time zone
// database. It changes nothing unless the database is newer and the clock differs.
type SetZoneRules struct {
	Site ID `json:"site"`
}

func (SetZoneRules) permit() Permit       { return Permit{Service: true} }
func (c SetZoneRules) scope(*State) Scope { return atSites(c.Site) }
func (c SetZoneRules) decide(tx *Tx) *Refusal {
	site, r := tx.Sites.find(c.Site, "site")
	if r != nil {
		return r
	}
	rules, err := schedule.LoadRules(site.Zone)
	if err != nil {
		return invalid("unknown_zone", "%v", err).about(c.Site)
	}
	// An instance with an older database does not undo what a newer one set.
	if rules.TZData <= site.Rules.TZData || rules.Compile().SameClock(tx.zone(c.Site)) {
		return nil
	}
	tx.emit(ZoneRulesSet{Site: c.Site, Rules: rules})
	return nil
}

// ZoneRulesSet gives a site the rules of its zone. All that is decided afterwards
// follows them, in a replay too.
type ZoneRulesSet struct {
	Site  ID                 `json:"site"`
	Rules schedule.ZoneRules `json:"rules"`
}

func (e ZoneRulesSet) fold(s *State, _ Moment) {
	s.Sites.Update(e.Site, func(site *Site) { site.Rules = e.Rules })
}
func (e ZoneRulesSet) affectedSites(*State) []ID { return []ID{e.Site} }

// RenameSite gives a site another name.
type RenameSite struct {
	Site ID     `json:"site"`
	Name string `json:"name"`
}

func (RenameSite) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c RenameSite) scope(*State) Scope { return atSites(c.Site) }
func (c RenameSite) decide(tx *Tx) *Refusal {
	site, r := tx.Sites.find(c.Site, "site")
	if r != nil {
		return r
	}
	if r := required("name", c.Name); r != nil {
		return r
	}
	if site.Name != c.Name {
		tx.emit(SiteRenamed(c))
	}
	return nil
}

// SiteRenamed gives a site another name.
type SiteRenamed struct {
	Site ID     `json:"site"`
	Name string `json:"name"`
}

func (e SiteRenamed) fold(s *State, _ Moment) {
	s.Sites.Update(e.Site, func(site *Site) { site.Name = e.Name })
}
func (e SiteRenamed) affectedSites(*State) []ID { return []ID{e.Site} }

// ConnectSite says which lock system serves a site (rule B1).
type ConnectSite struct {
	Site       ID     `json:"site"`
	LockSystem string `json:"lock_system"` // its name, as gatehouse
}

func (ConnectSite) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c ConnectSite) scope(*State) Scope { return atSites(c.Site) }
func (c ConnectSite) decide(tx *Tx) *Refusal {
	site, r := tx.Sites.find(c.Site, "site")
	if r != nil {
		return r
	}
	if r := required("lock_system", c.LockSystem); r != nil {
		return r
	}
	if site.LockSystem != c.LockSystem {
		tx.emit(SiteConnected(c))
	}
	return nil
}

// SiteConnected says which lock system serves a site.
type SiteConnected struct {
	Site       ID     `json:"site"`
	LockSystem string `json:"lock_system"`
}

func (e SiteConnected) fold(s *State, _ Moment) {
	s.Sites.Update(e.Site, func(site *Site) { site.LockSystem = e.LockSystem })
}
func (e SiteConnected) affectedSites(*State) []ID { return []ID{e.Site} }

// SetNotification says whether a message is set up in the system that sends the site's
// messages (rule B2). That system has its text and sender.
type SetNotification struct {
	Site    ID               `json:"site"`
	Kind    NotificationKind `json:"kind"`
	Enabled bool             `json:"enabled"`
}

func (SetNotification) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c SetNotification) scope(*State) Scope { return atSites(c.Site) }
func (c SetNotification) decide(tx *Tx) *Refusal {
	site, r := tx.Sites.find(c.Site, "site")
	if r != nil {
		return r
	}
	if r := required("kind", string(c.Kind)); r != nil {
		return r
	}
	if slices.Contains(site.Notifications, c.Kind) != c.Enabled {
		tx.emit(NotificationSet(c))
	}
	return nil
}

// NotificationSet says whether a message of a site is set up.
type NotificationSet struct {
	Site    ID               `json:"site"`
	Kind    NotificationKind `json:"kind"`
	Enabled bool             `json:"enabled"`
}

func (e NotificationSet) fold(s *State, _ Moment) {
	s.Sites.Update(e.Site, func(site *Site) {
		kinds := slices.DeleteFunc(slices.Clone(site.Notifications), func(k NotificationKind) bool { return k == e.Kind })
		if e.Enabled {
			kinds = append(kinds, e.Kind)
			slices.Sort(kinds)
		}
		site.Notifications = kinds
	})
}
func (e NotificationSet) affectedSites(*State) []ID { return []ID{e.Site} }
