package domain

// Area is a part of a site in which people are present.
type Area struct {
	ID   ID     `json:"id"`
	Site ID     `json:"site"`
	Name string `json:"name"`
	// Lockdown is the id of the command that shut its doors; none: it is not locked down.
	Lockdown string `json:"lockdown,omitempty"`
}

func (a *Area) keys() []key[Area] { return []key[Area]{{AreaBySite, a.Site}} }

var areaMessages = messages{
	commands: []CommandType{
		command[CreateArea]("Creates an area of a site, in which people are present.", AreaCreated{}),
		command[RenameArea]("Renames an area.", AreaRenamed{}),
	},
	events: []EventType{event[AreaCreated](1), event[AreaRenamed](1)},
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
		return refuse("area_exists", "area %s already exists", id).about(id)
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
func (e AreaCreated) affectedSites(*State) []ID { return []ID{e.Site} }

// RenameArea gives an area another name.
type RenameArea struct {
	Area ID     `json:"area"`
	Name string `json:"name"`
}

func (RenameArea) permit() Permit { return Permit{Role: RoleSystemManager} }
func (c RenameArea) scope(s *State) Scope {
	a, unknown := s.Areas.find(c.Area, "area")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	return atSites(a.Site)
}
func (c RenameArea) decide(tx *Tx) *Refusal {
	a, r := tx.Areas.find(c.Area, "area")
	if r != nil {
		return r
	}
	if r := required("name", c.Name); r != nil {
		return r
	}
	if a.Name != c.Name {
		tx.emit(AreaRenamed(c))
	}
	return nil
}

// AreaRenamed gives an area another name.
type AreaRenamed struct {
	Area ID     `json:"area"`
	Name string `json:"name"`
}

func (e AreaRenamed) fold(s *State, _ Moment) {
	s.Areas.Update(e.Area, func(a *Area) { a.Name = e.Name })
}
func (e AreaRenamed) affectedSites(s *State) []ID {
	if a, ok := s.Areas.Get(e.Area); ok {
		return []ID{a.Site}
	}
	return nil
}
