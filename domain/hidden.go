package domain

import (
	"reflect"
	"slices"
)

// # A record that the sender may not see is answered as unknown
//
// A command of a person may name a record which the person may not see. It is answered
// as if the record did not exist: it is decided on the state without the record. So no
// command can tell the two apart, whatever it checks and in what order, and a new
// command needs nothing for it. The sender may name people whom they see in any record,
// and people whom they know by e-mail or phone.
//
// Where the command makes something new under an id that the sender chose, it cannot be
// hidden that the id is taken: accepting it would overwrite the other thing, and
// choosing another id would be noticed. The answer is id_in_use then, whatever has the
// id and wherever. A command that leaves the id out never gets that answer.
//
// The check is on the command alone. Events of the ledger are folded unchanged.

// tablesNamed are the tables whose rows the fields of commands name.
var tablesNamed = map[string]func(View) namedTable{
	"AddDoors":    doorsNamed,
	"Area":        areasNamed,
	"Booking":     func(s View) namedTable { return namedIn(s, s.Bookings, View.meetsBooking) },
	"Bookings":    func(s View) namedTable { return namedIn(s, s.Bookings, View.meetsBooking) },
	"Credential":  func(s View) namedTable { return namedIn(s, s.Credentials, View.keyOfTenancy) },
	"Door":        doorsNamed,
	"Doors":       doorsNamed,
	"FobSchedule": schedulesNamed,
	"Gateway":     func(s View) namedTable { return namedIn(s, s.Gateways, nil) },
	"Grant":       func(s View) namedTable { return namedIn(s, s.Grants, nil) },
	"Group":       func(s View) namedTable { return namedIn(s, s.Groups, View.wasIn) },
	"In":          areasNamed,
	"Out":         areasNamed,
	"Owner":       func(s View) namedTable { return namedIn(s, s.People, View.meets) },
	"Person":      func(s View) namedTable { return namedIn(s, s.People, View.meets) },
	"Pin":         func(s View) namedTable { return namedIn(s, s.Credentials, View.keyOfTenancy) },
	"RemoveDoors": doorsNamed,
	"Review":      func(s View) namedTable { return namedIn(s, s.Reviews, nil) },
	"Right":       rightsNamed,
	"Rights":      rightsNamed,
	"Schedule":    schedulesNamed,
	"Share":       func(s View) namedTable { return namedIn(s, s.Shares, View.sharedOn) },
	"Shares":      func(s View) namedTable { return namedIn(s, s.Shares, View.sharedOn) },
	"Site":        sitesNamed,
	"Sites":       sitesNamed,
	"Token":       func(s View) namedTable { return namedIn(s, s.Tokens, nil) },
	"Unit":        func(s View) namedTable { return namedIn(s, s.Units, View.wasInUnit) },
}

func areasNamed(s View) namedTable     { return namedIn(s, s.Areas, nil) }
func doorsNamed(s View) namedTable     { return namedIn(s, s.Doors, View.wasGiven) }
func rightsNamed(s View) namedTable    { return namedIn(s, s.AccessRights, View.hadRight) }
func schedulesNamed(s View) namedTable { return namedIn(s, s.Schedules, nil) }
func sitesNamed(s View) namedTable {
	return namedIn(s, s.Sites, func(s View, viewer ID, r *Site) bool { return s.MayKnowSite(viewer, r.ID) })
}

// namedTable is a table as a command names its rows.
type namedTable struct {
	name  string
	knows func(viewer, id ID) bool // or nothing has the id
	drop  func(id ID)
}

func namedIn[T any](s View, t *table[T], meets func(View, ID, *T) bool) namedTable {
	return namedTable{
		name: t.name,
		knows: func(viewer, id ID) bool {
			row, ok := t.Get(id)
			return !ok || s.mayName(viewer, RecordOf(s.State, row)) || meets != nil && meets(s, viewer, row)
		},
		drop: func(id ID) { t.Delete(id) },
	}
}

// mayName reports whether somebody may name a record: who sees it does, and those who
// work at its sites although privacy keeps it from their sight, for they are to take
// access away from whomever a message names to them.
func (s View) mayName(viewer ID, r Record) bool {
	return s.seenByStaff(viewer, r) || s.seenByOthers(viewer, r)
}

// meets reports whether somebody sees a person in what they see of others: a user of the
// own unit, a member of the own group, whom the own booking is shared with.
func (s View) meets(viewer ID, p *Person) bool {
	return viewer == p.ID || seesAny(s, s.UnitUsers, viewer, UnitUserByPerson, p.ID) || seesAny(s, s.GroupMembers, viewer, MemberByPerson, p.ID) || seesAny(s, s.Shares, viewer, ShareByPerson, p.ID) ||
		seesAny(s, s.Bookings, viewer, BookingByPerson, p.ID) || seesAny(s, s.Grants, viewer, GrantByPerson, p.ID) || seesAny(s, s.Credentials, viewer, CredentialByPerson, p.ID)
}

func seesAny[T any](s View, t *table[T], viewer ID, x Index[T], value ID) bool {
	return t.Any(x, value, func(row *T) bool { return s.mayName(viewer, RecordOf(s.State, row)) })
}

// meetsBooking reports whether somebody has, or had, a share of a booking, or a place in
// its unit under it.
func (s *State) meetsBooking(viewer ID, b *Booking) bool {
	return s.Shares.Any(ShareByPerson, viewer, func(sh *Share) bool { return sh.Booking == b.ID }) || s.UnitUsers.Any(UnitUserByPerson, viewer, func(u *UnitUser) bool { return u.Booking == b.ID })
}

// keyOfTenancy reports whether a credential belongs to a booking of which the viewer is
// the tenant. A tenant may end what was given to others under the booking. A PIN for
// duress does not count.
func (s *State) keyOfTenancy(viewer ID, c *Credential) bool {
	b, ok := s.Bookings.Get(c.Booking)
	return ok && b.Person == viewer && c.DuressOf == ""
}

// wasIn reports whether somebody is in a group, or was.
func (s *State) wasIn(viewer ID, g *Group) bool { return s.GroupMembers.Has(memberKey(g.ID, viewer)) }

// sharedOn reports whether a share was made from one that somebody has.
func (s *State) sharedOn(viewer ID, sh *Share) bool {
	for up, ok := s.Shares.Get(sh.Parent); ok; up, ok = s.Shares.Get(up.Parent) {
		if up.Person == viewer {
			return true
		}
	}
	return false
}

// hiddenName is a record that a command names and its sender may not see.
type hiddenName struct {
	table namedTable
	id    ID
}

// hiddenNames lists what a command names that its sender may not see.
func (tx *Tx) hiddenNames(cmd Command) (out []hiddenName) {
	if tx.Actor.Kind != ActorPerson || tx.RoleAt(tx.Actor.ID, "").AtLeast(RoleSystemManager) {
		return nil // who sees everything
	}
	var addressed []ID
	look := func(field string, v reflect.Value) {
		noun, ok := tablesNamed[field]
		if !ok {
			return
		}
		t := noun(tx.View)
		for _, id := range idsIn(v) {
			if id != "" && !t.knows(tx.Actor.ID, id) && !slices.ContainsFunc(out, func(h hiddenName) bool { return h.id == id && h.table.name == t.name }) {
				out = append(out, hiddenName{t, id})
			}
		}
	}
	eachField(reflect.ValueOf(cmd), look)
	if _, given := cmd.(ChangePerson); given || len(out) == 0 {
		return out // its addresses are new ones, and find nobody
	}
	eachField(reflect.ValueOf(cmd), func(field string, v reflect.Value) {
		if p, ok := v.Interface().(Personal); ok && p.Text() != "" {
			switch field {
			case "Email":
				addressed = append(addressed, tx.People.IDs(personByEmail, ID(normalEmail(p.Text())))...)
			case "Phone":
				addressed = append(addressed, tx.People.IDs(personByPhone, ID(normalPhone(p.Text())))...)
			}
		}
	})
	return slices.DeleteFunc(out, func(h hiddenName) bool { return h.table.name == tx.People.name && slices.Contains(addressed, h.id) })
}

// idsIn are the ids in a field.
func idsIn(v reflect.Value) []ID {
	switch id := v.Interface().(type) {
	case ID:
		return []ID{id}
	case *ID:
		if id != nil {
			return []ID{*id}
		}
	case []ID:
		return id
	}
	return nil
}

// eachField gives every field of a command, those of what it contains too.
func eachField(v reflect.Value, f func(field string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachField(v.Elem(), f)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Pointer {
			for i := range v.Len() {
				eachField(v.Index(i), f)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			t, field := v.Type().Field(i), v.Field(i)
			if !t.IsExported() {
				continue
			}
			if t.Type.Kind() == reflect.Struct && field.FieldByName("Named").IsValid() { // a Given
				field = field.FieldByName("Value")
			}
			f(t.Name, field)
			if field.Type() != reflect.TypeFor[Personal]() {
				eachField(field, f)
			}
		}
	}
}

// runUnseen decides a command as if what is hidden from its sender were not there.
func (tx *Tx) runUnseen(cmd Command, hidden []hiddenName) *Refusal {
	before := tx.decision
	budget := tx.budget
	start := tx.journal.begin()
	for _, h := range hidden {
		h.table.drop(h.id)
		if h.table.name == tx.People.name {
			tx.dropPlaces(h.id)
		}
	}
	tx.unseen = hidden
	r := tx.runSeen(cmd)
	tx.unseen = nil
	decided := tx.decision
	tx.journal.rollback(start)
	tx.decision, tx.budget, tx.stored, tx.recount = before, budget, nil, nil
	if r != nil {
		return r
	}
	for _, e := range decided.Events[len(before.Events):] {
		for _, h := range hidden {
			if names(e, h.id) {
				return refuse("id_in_use", "the id %s cannot be taken; choose another, or leave it out and one is made", h.id).about(h.id)
			}
		}
	}
	for _, e := range decided.Events[len(before.Events):] {
		tx.emit(e)
	}
	tx.decision.Warnings = decided.Warnings
	return tx.checkRoom(tx.decision.Events[len(before.Events):])
}

// dropPlaces drops what a person is in units, groups and roles: it is named by the
// person, so that a command finds it without looking for them.
func (tx *Tx) dropPlaces(person ID) {
	for _, id := range tx.UnitUsers.IDs(UnitUserByPerson, person) {
		tx.UnitUsers.Delete(id)
	}
	for _, id := range tx.GroupMembers.IDs(MemberByPerson, person) {
		tx.GroupMembers.Delete(id)
	}
	for _, id := range tx.RoleAssignments.IDs(RoleByPerson, person) {
		tx.RoleAssignments.Delete(id)
	}
}

// names reports whether an event has an id in any field.
func names(e Event, id ID) (found bool) {
	eachField(reflect.ValueOf(e), func(_ string, v reflect.Value) { found = found || slices.Contains(idsIn(v), id) })
	return found
}
