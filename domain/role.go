package domain

// RoleAssignment gives a person a role at the org or at one site.
type RoleAssignment struct {
	Person ID   `json:"person"`
	Role   Role `json:"role"`
	Site   ID   `json:"site,omitempty"` // empty: at the org
}

// roleKey is the id of a person's role at a site, or at the org with no site.
func roleKey(person, site ID) ID { return person + "@" + site }

func (r *RoleAssignment) keys() []string {
	return []string{"person:" + string(r.Person), "site:" + string(r.Site)}
}

var roleWords = words{
	events: []EventType{event[RoleAssigned](1)},
}

// RoleAssigned gives a person a role, in place of the one held there.
type RoleAssigned struct {
	Person ID   `json:"person"`
	Role   Role `json:"role"`
	Site   ID   `json:"site,omitempty"`
}

func (e RoleAssigned) fold(s *State, _ Moment) {
	s.RoleAssignments.Put(roleKey(e.Person, e.Site), RoleAssignment(e))
}
func (e RoleAssigned) concerns(*State) []ID { return siteOrNone(e.Site) }

// siteOrNone is the list of one site, or none for the org.
func siteOrNone(site ID) []ID {
	if site == "" {
		return nil
	}
	return []ID{site}
}
