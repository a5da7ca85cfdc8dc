package domain

import "slices"

// memberships are the groups by which the person has the door (rules G2 to G7).
func (o *oracle) memberships() (ways []way) {
	for _, m := range o.s.GroupMembers.All() {
		g, ok := o.s.Groups.Get(m.Group)
		if !ok || g.Ended || m.Person != o.person || !slices.Contains(g.Doors, o.Door) {
			continue
		}
		w := way{id: "group:" + string(m.Group) + "/" + string(m.Person), source: "group"}
		w.add(m.Removed, "no_access_right")
		switch {
		case o.closed(g):
			w.add(true, "blackout")
		case !o.fobSchedule():
			w.reasons = append(w.reasons, o.holds(g.Times)...)
		}
		may := []DoorCapability{CapabilityRemoteUnlock}
		if m.Role == GroupUser && !slices.Contains(g.Options, OptionRemoteUnlock) {
			may = nil
		}
		w.reasons = append(w.reasons, o.carries(nil, may, "", false)...)
		ways = append(ways, w)
	}
	return ways
}

// closed says whether a blackout of the group holds.
func (o *oracle) closed(g *Group) bool {
	z, at := o.s.zone(o.Site), o.At.UnixNano()
	return slices.ContainsFunc(g.Blackouts, func(b SiteBlackout) bool {
		return z.Instant(b.From) <= at && at < z.Instant(b.To)
	})
}

// standsOpen says whether business hours of a group hold that wait for nobody: it
// is not known here who has come.
func (o *oracle) standsOpen() bool {
	for _, g := range o.s.Groups.All() {
		if slices.Contains(g.Doors, o.Door) && g.Hours != nil && !g.Hours.FirstIn && !o.closed(g) && o.holds(g.Hours.Times) == nil {
			return true
		}
	}
	return false
}
