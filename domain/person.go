package domain

import "time"

// Person is somebody with access, a role or both. A pending person is known by
// e-mail or phone alone; nothing opens for them until their identity is bound.
type Person struct {
	ID        ID          `json:"id"`
	Name      Personal    `json:"name,omitzero" personal:"ID"`
	Email     Personal    `json:"email,omitzero" personal:"ID"`
	Phone     Personal    `json:"phone,omitzero" personal:"ID"`
	State     PersonState `json:"state"`
	CreatedBy Actor       `json:"created_by"`
	CreatedAt time.Time   `json:"created_at"`
}

// PersonState says whether anything opens for a person.
type PersonState string

// The states of a person.
const (
	PersonActive    PersonState = "active"
	PersonPending   PersonState = "pending" // identity not bound yet (rule B2, L7)
	PersonSuspended PersonState = "suspended"
	PersonErased    PersonState = "erased" // final; the personal values are gone
)

func (p *Person) keys() []string {
	var k []string
	if e := p.Email.Text(); e != "" {
		k = append(k, "email:"+normalEmail(e))
	}
	if t := p.Phone.Text(); t != "" {
		k = append(k, "phone:"+t)
	}
	return k
}

var personWords = words{
	commands: []CommandType{
		command[RegisterPerson]("Makes a person known to the org.", PersonRegistered{}),
	},
	events: []EventType{event[PersonRegistered](1)},
}

// RegisterPerson makes a person known to the org.
type RegisterPerson struct {
	Person ID       `json:"person,omitempty"` // empty: an id is made
	Name   Personal `json:"name,omitzero" personal:"Person,new"`
	Email  Personal `json:"email,omitzero" personal:"Person,new"`
	Phone  Personal `json:"phone,omitzero" personal:"Person,new"`
}

func (RegisterPerson) permit() Permit     { return Permit{Role: RoleStaff} }
func (RegisterPerson) scope(*State) Scope { return Scope{} }

func (c RegisterPerson) decide(tx *Tx) *Refusal {
	id := tx.idFor(c.Person, "person")
	if tx.People.Has(id) {
		return refuse("person_exists", "the person %s is there already", id).about(id)
	}
	tx.emit(PersonRegistered{Person: id, Name: c.Name, Email: c.Email, Phone: c.Phone})
	return nil
}

// PersonRegistered makes a person known; pending when only an address is known.
type PersonRegistered struct {
	Person  ID       `json:"person"`
	Name    Personal `json:"name,omitzero" personal:"Person"`
	Email   Personal `json:"email,omitzero" personal:"Person"`
	Phone   Personal `json:"phone,omitzero" personal:"Person"`
	Pending bool     `json:"pending,omitzero"`
}

func (e PersonRegistered) fold(s *State, m Moment) {
	p := Person{ID: e.Person, Name: e.Name, Email: e.Email, Phone: e.Phone,
		State: PersonActive, CreatedBy: m.Actor, CreatedAt: m.At}
	if e.Pending {
		p.State = PersonPending
	}
	s.People.Put(e.Person, p)
}
func (PersonRegistered) concerns(*State) []ID { return nil }
