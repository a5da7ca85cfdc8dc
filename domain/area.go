package domain

// Area is a part of a site in which people are present.
type Area struct {
	ID   ID     `json:"id"`
	Site ID     `json:"site"`
	Name string `json:"name"`
	// Lockdown is the id of the command that shut its doors; none: it is not locked down.
	Lockdown string `json:"lockdown,omitempty"`
}

func (a *Area) keys() []string { return []string{"site:" + string(a.Site)} }

var areaWords = words{
	commands: []CommandType{
		command[CreateArea]("Makes an area of a site, in which people are present.", AreaCreated{}),
	},
	events: []EventType{event[AreaCreated](1)},
}

// CreateArea makes an area of a site.
type CreateArea struct {
	Area ID     `json:"area,omitempty"` // empty: an id is made
	Site ID     `json:"site"`
	Name string `json:"name"`
}

func (CreateArea) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c CreateArea) scope(*State) Scope { return atSites(c.Site) }
func (c CreateArea) decide(tx *Tx) *Refusal {
	if _, r := tx.Sites.find(c.Site, "site"); r != nil {
		return r
	}
	id := tx.idFor(c.Area, "area")
	if tx.Areas.Has(id) {
		return refuse("area_exists", "the area %s is there already", id).about(id)
	}
	if r := required("name", c.Name); r != nil {
		return r
	}
	tx.emit(AreaCreated{Area: id, Site: c.Site, Name: c.Name})
	return nil
}

// AreaCreated makes an area of a site.
type AreaCreated struct {
	Area ID     `json:"area"`
	Site ID     `json:"site"`
	Name string `json:"name"`
}

func (e AreaCreated) fold(s *State, _ Moment) {
	s.Areas.Put(e.Area, Area{ID: e.Area, Site: e.Site, Name: e.Name})
}
func (e AreaCreated) concerns(*State) []ID { return []ID{e.Site} }
