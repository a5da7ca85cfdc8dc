package httpapi

import (
	"slices"

	"gatehouse/domain"
)

// personView is a person with what may be seen of them.
type personView struct {
	domain.Person
	Name   *string    `json:"name" doc:"null: not known here, sealed or erased"`
	Email  *string    `json:"email"`
	Phone  *string    `json:"phone"`
	Fenced *string    `json:"fenced,omitempty" hidden:"true"` // the ids of destroyed keys are of no use to anybody
	Roles  []roleView `json:"roles" doc:"of the person, at the org and at sites"`
}

type peopleInput struct {
	List
	State string `query:"state" enum:"active,pending,suspended,erased"`
}

func (in *peopleInput) filters() []filter[domain.Person] {
	return []filter[domain.Person]{
		{0, in.State, func(r *domain.Person) bool { return string(r.State) == in.State }},
	}
}

// roleView is a role that a person holds.
type roleView struct {
	ID domain.ID `json:"id" doc:"the person and the site, as anna@berlin; without a site the role is at the org"`
	domain.RoleAssignment
	PersonName *string `json:"person_name" doc:"null: the caller may not see it, or it is not known"`
}

type rolesInput struct {
	List
	Person string `query:"person"`
	Site   string `query:"site"`
	Role   string `query:"role" enum:"owner,system_manager,staff,guest"`
}

func (in *rolesInput) filters() []filter[domain.RoleAssignment] {
	return []filter[domain.RoleAssignment]{
		{domain.RoleByPerson, in.Person, func(r *domain.RoleAssignment) bool { return string(r.Person) == in.Person }},
		{domain.RoleBySite, in.Site, func(r *domain.RoleAssignment) bool { return string(r.Site) == in.Site }},
		{0, in.Role, func(r *domain.RoleAssignment) bool { return string(r.Role) == in.Role }},
	}
}

// tokenView is a token without its hash.
type tokenView struct {
	domain.Token
	Hash       *string `json:"hash,omitempty" hidden:"true"`
	PersonName *string `json:"person_name"`
}

type tokensInput struct {
	List
	Person string `query:"person"`
}

func (in *tokensInput) filters() []filter[domain.Token] {
	return []filter[domain.Token]{{domain.TokenByPerson, in.Person, func(r *domain.Token) bool { return string(r.Person) == in.Person }}}
}

// credentialView is a credential with what may be seen of it.
type credentialView struct {
	domain.Credential
	Number     *string `json:"number" doc:"null: not known here, sealed or erased; of a PIN always"`
	Device     *string `json:"device" doc:"of a mobile key"`
	Subject    *string `json:"subject,omitempty" hidden:"true"` // only says which key seals the number
	PersonName *string `json:"person_name"`
}

type credentialsInput struct {
	List
	Person  string `query:"person"`
	Booking string `query:"booking"`
	Unit    string `query:"unit" doc:"the stock of a unit and what its users hold"`
	Site    string `query:"site"`
	Kind    string `query:"kind" enum:"fob,card,pin,mobile_key"`
	Leaked  string `query:"leaked" doc:"the stolen gateway with which PINs ended: their holders need others"`
}

func (in *credentialsInput) filters() []filter[domain.Credential] {
	return []filter[domain.Credential]{
		{domain.CredentialByPerson, in.Person, func(r *domain.Credential) bool { return string(r.Person) == in.Person }},
		{domain.CredentialByBooking, in.Booking, func(r *domain.Credential) bool { return string(r.Booking) == in.Booking }},
		{domain.CredentialByUnit, in.Unit, func(r *domain.Credential) bool { return string(r.Unit) == in.Unit }},
		{domain.CredentialBySite, in.Site, func(r *domain.Credential) bool { return slices.Contains(r.Sites, domain.ID(in.Site)) }},
		{0, in.Kind, func(r *domain.Credential) bool { return string(r.Kind) == in.Kind }},
		{0, in.Leaked, func(r *domain.Credential) bool { return string(r.Leaked) == in.Leaked }},
	}
}

func (a *API) registerPeople() {
	registerNoun[domain.Person, personView, peopleInput](a, noun[domain.Person, personView]{
		name: "person", path: "people", tag: "People", many: "the people",
		table: func(s *domain.State) table[domain.Person] { return s.People },
		view:  viewPerson,
	})
	registerNoun[domain.RoleAssignment, roleView, rolesInput](a, noun[domain.RoleAssignment, roleView]{
		name: "role", path: "roles", tag: "Roles", many: "the roles",
		table: func(s *domain.State) table[domain.RoleAssignment] { return s.RoleAssignments },
		view: func(v *viewer, id domain.ID, r *domain.RoleAssignment) roleView {
			return roleView{id, *r, v.name(r.Person)}
		},
	})
	registerNoun[domain.Token, tokenView, tokensInput](a, noun[domain.Token, tokenView]{
		name: "token", path: "tokens", tag: "Tokens", many: "the tokens, without their secrets or hashes,",
		table: func(s *domain.State) table[domain.Token] { return s.Tokens },
		view: func(v *viewer, _ domain.ID, r *domain.Token) tokenView {
			return tokenView{Token: *r, PersonName: v.name(r.Person)}
		},
	})
	registerNoun[domain.Credential, credentialView, credentialsInput](a, noun[domain.Credential, credentialView]{
		name: "credential", path: "credentials", tag: "Credentials", many: "the credentials",
		table: func(s *domain.State) table[domain.Credential] { return s.Credentials },
		view: func(v *viewer, _ domain.ID, r *domain.Credential) credentialView {
			out := credentialView{Credential: *r, Number: clearValue(r.Number), Device: clearValue(r.Device), PersonName: v.name(r.Person)}
			if r.Kind == domain.KindPin {
				out.Number = nil
			}
			return out
		},
	})
}

func viewPerson(v *viewer, id domain.ID, r *domain.Person) personView {
	out := personView{Person: *r, Name: clearValue(r.Name), Email: clearValue(r.Email), Phone: clearValue(r.Phone), Roles: []roleView{}}
	for key, role := range v.state.RoleAssignments.Each(domain.RoleByPerson, id) {
		if v.sees(role) {
			out.Roles = append(out.Roles, roleView{key, *role, out.Name})
		}
	}
	return out
}
