package domain

import "fmt"

// Policy is what an operator decides about a site; the zero value is the default
// of the rules.
type Policy struct {
	// FobHolders says who may hold a fob or card beside staff: "primary_tenant"
	// (default, rule F6) or "anyone", which lets shared users hold one.
	FobHolders string `json:"fob_holders,omitempty"`
	// ServiceFobs lets vendors and staff without a booking be given fobs: "allowed"
	// (default) or "forbidden". It is about giving: those that are out go on, since to
	// end them would shut out all who work there at once; who forbids is told of them.
	ServiceFobs string `json:"service_fobs,omitempty"`
	// FobSchedule is empty when fobs follow the schedule of their user, else the
	// id of the one schedule that all fobs follow, and cards with them as in all rules
	// of fobs: what counts is that they pass from hand to hand unseen.
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
	// MembershipOverlap says whether users and admins may have a door of the site
	// from several groups: "forbid" (default, rules G8 and G9) or "union".
	MembershipOverlap string `json:"membership_overlap,omitempty"`
	// Uses says whether PINs may have a number of uses where several gateways may
	// open for them: "one_gateway" (default), or "per_gateway", where each counts for
	// itself and a one-time PIN may open once at each.
	Uses string `json:"uses,omitempty"`
	// LockdownEgress says what a lockdown does to the way out: "free" (default), which
	// lets out who may open the door at other times, or "shut". A door that is released
	// by fire opens whatever it says.
	LockdownEgress string `json:"lockdown_egress,omitempty"`
}

// maxShareDepth bounds Policy.ShareDepth: every further link of a chain of shares
// is one more parent to look up at each unlock.
const maxShareDepth = 3

func (p Policy) check() error {
	for _, f := range []struct {
		name, value string
		values      []string
	}{
		{"fob_holders", p.FobHolders, []string{"primary_tenant", "anyone"}},
		{"service_fobs", p.ServiceFobs, []string{"allowed", "forbidden"}},
		{"consent", p.Consent, []string{"optional", "required"}},
		{"missing_notification", p.MissingNotification, []string{"warn", "refuse"}},
		{"unit_manager_keys", p.UnitManagerKeys, []string{"allowed", "forbidden"}},
		{"manager_shares", p.ManagerShares, []string{"allowed", "forbidden"}},
		{"membership_overlap", p.MembershipOverlap, []string{"forbid", "union"}},
		{"uses", p.Uses, []string{"one_gateway", "per_gateway"}},
		{"lockdown_egress", p.LockdownEgress, []string{"free", "shut"}},
	} {
		if err := oneOf(f.value, f.values...); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if p.ShareDepth < 0 || p.ShareDepth > maxShareDepth {
		return fmt.Errorf("share_depth: must be 1 to %d", maxShareDepth)
	}
	return nil
}

var sitePolicyMessages = messages{
	commands: []CommandType{
		command[SetSitePolicy]("Changes the policy of a site; fields that are left out stay, null sets the default.", SitePolicySet{}),
	},
	events: []EventType{event[SitePolicySet](1)},
}

// SetSitePolicy changes what the operator decides about a site. Settings that are not
// named stay, and null sets the default.
type SetSitePolicy struct {
	Site   ID            `json:"site"`
	Policy Patch[Policy] `json:"policy"`
}

func (SetSitePolicy) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c SetSitePolicy) scope(*State) Scope { return atSites(c.Site) }
func (c SetSitePolicy) decide(tx *Tx) *Refusal {
	site, r := tx.Sites.find(c.Site, "site")
	if r != nil {
		return r
	}
	old, now := site.Policy, c.Policy.on(site.Policy)
	if now.FobSchedule != "" && now.FobSchedule != old.FobSchedule {
		if _, r := tx.Schedules.find(now.FobSchedule, "schedule"); r != nil {
			return r
		}
	}
	if old.MembershipOverlap == "union" && now.MembershipOverlap != "union" {
		if r := refuseOverlaps(tx.overlapsAt(c.Site)); r != nil {
			return r
		}
	}
	if old.countsPerGateway() && !now.countsPerGateway() {
		if r := tx.refuseHomeless(c.Site); r != nil {
			return r
		}
	}
	if old == now {
		return nil
	}
	tx.warnOfPolicy(site, now)
	tx.emit(SitePolicySet{Site: c.Site, Policy: now})
	return nil
}

// warnOfPolicy names what a narrower policy stops, and what stays.
func (tx *Tx) warnOfPolicy(site *Site, now Policy) {
	old := site.Policy
	if old.FobHolders == "anyone" && now.FobHolders != "anyone" {
		tx.warnOf(tx.sharedUserFobs(site.ID), "fobs_stop", "shared users hold no fobs at the site %s any more; of theirs these open nothing from now on", site.ID)
	}
	if now.ServiceFobs == "forbidden" && old.ServiceFobs != "forbidden" {
		tx.warnOf(tx.serviceFobs(site.ID), "service_fobs_stay", "fobs and cards of staff and vendors stay in use at the site %s; RemoveFob ends one", site.ID)
	}
	if now.ManagerShares == "forbidden" && old.ManagerShares != "forbidden" {
		tx.warnOf(tx.sharesAt(site.ID, func(sh *Share) bool { return tx.worksAt(sh.Person, site.ID) }),
			"shares_stand", "shares with staff of the site %s stand; RevokeShare ends one", site.ID)
	}
	if max(1, now.ShareDepth) < max(1, old.ShareDepth) {
		tx.warnOf(tx.sharesAt(site.ID, func(sh *Share) bool { return tx.shareDepth(sh) > max(1, now.ShareDepth) }),
			"shares_stand", "shares that were shared on deeper than the site %s now lets stand; RevokeShare ends one", site.ID)
	}
}

// serviceFobs are the fobs and cards of staff and vendors that are out, sorted.
func (s *State) serviceFobs(site ID) []ID {
	return s.fobsAt(site, func(c *Credential) bool { return c.Booking == "" && c.Unit == "" })
}

// sharedUserFobs are the fobs and cards of those who hold one for a booking of somebody
// else, sorted.
func (s *State) sharedUserFobs(site ID) []ID {
	return s.fobsAt(site, func(c *Credential) bool {
		b, ok := s.Bookings.Get(c.Booking)
		return ok && b.Person != c.Person && c.Unit == "" || c.Booking == "" && c.Unit == "" && !s.servesAt(c.Person, site)
	})
}

func (s *State) fobsAt(site ID, which func(*Credential) bool) []ID {
	var out []ID
	for id, c := range s.Credentials.Each(CredentialBySite, site) {
		if (c.Kind == KindFob || c.Kind == KindCard) && c.live() && c.Person != "" && which(c) {
			out = append(out, id)
		}
	}
	return sortedIDs(out)
}

// sharesAt are the active shares of a site, sorted.
func (s *State) sharesAt(site ID, which func(*Share) bool) []ID {
	var out []ID
	for id, sh := range s.Shares.All() {
		if sh.Site == site && sh.State == ShareStateActive && which(sh) {
			out = append(out, id)
		}
	}
	return sortedIDs(out)
}

// shareDepth is how often access was shared on to come to a share: 1 is from the tenant.
func (s *State) shareDepth(sh *Share) int {
	depth := 1
	for parent, ok := s.Shares.Get(sh.Parent); ok && depth <= maxShareDepth; parent, ok = s.Shares.Get(parent.Parent) {
		depth++
	}
	return depth
}

// SitePolicySet sets a site's policy as a whole.
type SitePolicySet struct {
	Site   ID     `json:"site"`
	Policy Policy `json:"policy"`
}

func (e SitePolicySet) fold(s *State, _ Moment) {
	s.Sites.Update(e.Site, func(site *Site) { site.Policy = e.Policy })
}
func (e SitePolicySet) affectedSites(*State) []ID { return []ID{e.Site} }
