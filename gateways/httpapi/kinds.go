package httpapi

import (
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatehouse/domain"
)

// Kinds lists what is exported and imported, in the order in which the files make the
// same in another org. A kind is defined once, for both directions: its rows, and the
// command by which import makes each again, in the words of [domain].
//
// An import does not bring back access that was taken away: things that are over, lost
// or on the deny list are left out, and so are suspended credentials. People, bookings,
// doors and sites that are suspended or shut have lines, or the things that depend on
// them could not be made; kinds of their own tell that they are suspended or shut. Of
// doors these come first, so that nothing opens on the way.
//
// Some things have no kind, since no command that people send makes them from a line:
// PINs and mobile keys, whose secrets leave the service once at most; the deny list and
// the stock, which ended with the number; the privacy of units, which is their users'
// alone; access of an auction; and the records of time and people: reviews, activity,
// refusals.
var Kinds = slices.Concat(placeKinds, peopleKinds, groupKinds, shutKinds)

// Kind is a kind of thing that is exported and imported.
type Kind struct {
	Name    string // as suspended-people
	Command string // that makes one, as SuspendPerson
	// ID are the fields of the command that together are the id of the thing, joined
	// by slashes; of a list, its first entry.
	ID []string

	personal bool // the lines have personal values, so that the vault is needed
	// rows are the things as they are now, in the order of their ids; with ids those
	// alone.
	rows func(s *domain.State, ids []string) []exportRow
}

// KindNamed returns the kind of a name.
func KindNamed(name string) (Kind, bool) {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return Kinds[i], true
}

// exportView is what the lines of an export are made of: what the caller may see, at
// the moment of the export.
type exportView struct {
	viewer
	at time.Time
}

// kindOf is the kind whose things are the rows of a table, each made by the command
// that line gives; not ok: by none.
func kindOf[R any, C domain.Command](name string, of func(*domain.State) table[R], line func(*exportView, *R) (made C, ok bool)) Kind {
	return kindOfMany(name, of, func(v *exportView, r *R) []C {
		if c, ok := line(v, r); ok {
			return []C{c}
		}
		return nil
	})
}

// kindOfMany is a kind with any number of commands for each row.
func kindOfMany[R any, C domain.Command](name string, of func(*domain.State) table[R], lines func(*exportView, *R) []C) Kind {
	var none C
	return Kind{Name: name, Command: domain.CommandName(none), ID: []string{fieldsOf(reflect.TypeFor[C]())[0]}, personal: domain.HasPersonal(none),
		rows: func(s *domain.State, ids []string) (out []exportRow) {
			for _, r := range exportedRows(of(s), ids) {
				out = append(out, exportRow{r, func(v *exportView) (all []domain.Command) {
					for _, c := range lines(v, r) {
						all = append(all, c)
					}
					return all
				}})
			}
			return out
		}}
}

// exportedRows gives the rows of a table in the order of their ids; with ids those alone.
func exportedRows[R any](t table[R], ids []string) iter.Seq2[domain.ID, *R] {
	if len(ids) == 0 {
		return t.All()
	}
	return func(yield func(domain.ID, *R) bool) {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			if r, ok := t.Get(domain.ID(id)); ok && !yield(domain.ID(id), r) {
				return
			}
		}
	}
}

// Fields lists the fields of the kind's command in their order: the columns of its
// file.
func (k Kind) Fields() []string {
	typ, _ := domain.CommandNamed(k.Command)
	return fieldsOf(typ.Type())
}

func fieldsOf(t reflect.Type) (out []string) {
	for _, f := range reflect.VisibleFields(t) {
		field, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && field != "" && field != "-" {
			out = append(out, field)
		}
	}
	return out
}

// knownBy is the kind with other fields for its id than the first of the command.
func (k Kind) knownBy(fields ...string) Kind {
	k.ID = fields
	return k
}

// and adds the rows of kinds of the same command.
func (k Kind) and(others ...Kind) Kind {
	first := k.rows
	k.rows = func(s *domain.State, ids []string) []exportRow {
		out := first(s, ids)
		for _, other := range others {
			out = append(out, other.rows(s, ids)...)
		}
		return out
	}
	return k
}

// The tables of the state.
func sites(s *domain.State) table[domain.Site]               { return s.Sites }
func areas(s *domain.State) table[domain.Area]               { return s.Areas }
func units(s *domain.State) table[domain.Unit]               { return s.Units }
func doors(s *domain.State) table[domain.Door]               { return s.Doors }
func schedules(s *domain.State) table[domain.NamedSchedule]  { return s.Schedules }
func rights(s *domain.State) table[domain.AccessRight]       { return s.AccessRights }
func gatewaysOf(s *domain.State) table[domain.Gateway]       { return s.Gateways }
func people(s *domain.State) table[domain.Person]            { return s.People }
func roles(s *domain.State) table[domain.RoleAssignment]     { return s.RoleAssignments }
func bookings(s *domain.State) table[domain.Booking]         { return s.Bookings }
func shares(s *domain.State) table[domain.Share]             { return s.Shares }
func unitUsers(s *domain.State) table[domain.UnitUser]       { return s.UnitUsers }
func grants(s *domain.State) table[domain.Grant]             { return s.Grants }
func groups(s *domain.State) table[domain.Group]             { return s.Groups }
func groupMembers(s *domain.State) table[domain.GroupMember] { return s.GroupMembers }
func credentials(s *domain.State) table[domain.Credential]   { return s.Credentials }

// named is a field that is given, but for its zero value.
func named[T comparable](v T) domain.Given[T] {
	var none T
	if v == none {
		return domain.Given[T]{}
	}
	return domain.Give(v)
}
