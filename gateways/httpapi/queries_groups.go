package httpapi

import (
	"slices"

	"gatehouse/domain"
)

// groupView is a group with its name and times in words.
type groupView struct {
	domain.Group
	Name      *string               `json:"name" doc:"null: it is not known now"`
	Doors     []domain.ID           `json:"doors" doc:"of the group; none: it opens nothing"`
	Sites     []domain.ID           `json:"sites" doc:"of the doors"`
	Options   []domain.GroupOption  `json:"options" doc:"that are on"`
	Blackouts []domain.SiteBlackout `json:"blackouts"`
	Text      string                `json:"text" doc:"when its members pass, as Monday to Friday, 08:30 - 17:30"`
	HoursText string                `json:"business_hours_text,omitempty" doc:"when its doors stand open"`
}

type groupsInput struct {
	List
	Site string `query:"site"`
	Door string `query:"door"`
}

func (in *groupsInput) filters() []filter[domain.Group] {
	return []filter[domain.Group]{
		{domain.GroupByDoor, in.Door, func(r *domain.Group) bool { return slices.Contains(r.Doors, domain.ID(in.Door)) }},
		{domain.GroupBySite, in.Site, func(r *domain.Group) bool { return slices.Contains(r.Sites, domain.ID(in.Site)) }},
	}
}

// memberView is a member of a group with the person's name.
type memberView struct {
	ID domain.ID `json:"id" doc:"the group and the person, as crew/anna; in a path the slash is written %2F"`
	domain.GroupMember
	PersonName *string `json:"person_name"`
}

type membersInput struct {
	List
	Group  string `query:"group"`
	Person string `query:"person"`
	Role   string `query:"role" enum:"owner,admin,user"`
}

func (in *membersInput) filters() []filter[domain.GroupMember] {
	return []filter[domain.GroupMember]{
		{domain.MemberByGroup, in.Group, func(r *domain.GroupMember) bool { return string(r.Group) == in.Group }},
		{domain.MemberByPerson, in.Person, func(r *domain.GroupMember) bool { return string(r.Person) == in.Person }},
		{0, in.Role, func(r *domain.GroupMember) bool { return string(r.Role) == in.Role }},
	}
}

func (a *API) registerGroups() {
	registerNoun[domain.Group, groupView, groupsInput](a, noun[domain.Group, groupView]{
		name: "group", path: "groups", tag: "Groups", many: "the groups",
		table: func(s *domain.State) table[domain.Group] { return s.Groups },
		view: func(_ *viewer, _ domain.ID, r *domain.Group) groupView {
			out := groupView{Group: *r, Name: clearValue(r.Name), Doors: orEmpty(r.Doors), Sites: orEmpty(r.Sites), Options: orEmpty(r.Options),
				Blackouts: orEmpty(r.Blackouts), Text: r.Times.String()}
			if r.Hours != nil {
				out.HoursText = r.Hours.Times.String()
			}
			return out
		},
	})
	registerNoun[domain.GroupMember, memberView, membersInput](a, noun[domain.GroupMember, memberView]{
		name: "group_member", path: "group-members", tag: "GroupMembers", many: "the members of groups",
		table: func(s *domain.State) table[domain.GroupMember] { return s.GroupMembers },
		view: func(v *viewer, id domain.ID, r *domain.GroupMember) memberView {
			return memberView{id, *r, v.name(r.Person)}
		},
	})
}
