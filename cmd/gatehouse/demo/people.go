package demo

import (
	"context"
	"fmt"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// visitor is somebody with a fob, or with a phone in its place.
type visitor struct {
	id         domain.ID
	name       string
	credential domain.ID
	fob        string // number; empty: lost, a new one is to come, or a phone
	phone      bool   // the credential is a mobile key, as guests have it
	place      *place // nil: works here
	booking    domain.ID
	share      domain.ID // by which a guest comes; empty: none
	tenant     bool      // the primary tenant of the booking
	suspended  bool
	away       bool // on a visit
	gone       bool // comes no more
}

var (
	firstNames = []string{"Anna", "Ben", "Clara", "David", "Elif", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Klara", "Liam", "Mira", "Nils", "Olivia",
		"Paul", "Quentin", "Rosa", "Samir", "Tilda", "Umut", "Vera", "Wanda", "Xaver", "Yara", "Zoe", "Emil", "Frida", "Jakub", "Leyla"}
	lastNames = []string{"Albrecht", "Bauer", "Costa", "Demir", "Engel", "Fischer", "Garcia", "Hansen", "Ivanova", "Jensen", "Keller", "Lindner",
		"Moreau", "Novak", "Okafor", "Petrov", "Quandt", "Rossi", "Schmidt", "Tanaka", "Ulrich", "Vogel", "Weber", "Yilmaz", "Zimmer"}
)

// newVisitor makes somebody whom the ledger does not know yet. Ids and numbers say
// nothing about a person.
func (d *Demo) newVisitor(at *place, booking domain.ID) *visitor {
	n := d.house.made
	d.house.made++
	v := &visitor{id: domain.ID(fmt.Sprintf("person-%04d", n)), place: at, booking: booking,
		name: firstNames[d.random.IntN(len(firstNames))] + " " + lastNames[d.random.IntN(len(lastNames))]}
	d.newFob(v)
	d.house.people = append(d.house.people, v)
	return v
}

func (d *Demo) newFob(v *visitor) {
	d.house.made++
	v.credential, v.fob = domain.ID(fmt.Sprintf("fob-%04d", d.house.made)), fmt.Sprintf("%010d", 4_700_000_000+d.house.made*7919)
}

func (v *visitor) register() *domain.RegisterPerson {
	return &domain.RegisterPerson{Person: v.id, Name: domain.Clear(v.name), Email: domain.Clear(string(v.id) + "@example.com")}
}

// byPhone lets a guest come by phone: shared users hold no fobs (rule F1).
func (v *visitor) byPhone() *domain.IssueMobileKey {
	v.credential, v.fob, v.phone = "phone-"+v.id, "", true
	return &domain.IssueMobileKey{Credential: v.credential, Person: v.id}
}

// assign gives a visitor a fob: for the booking, as a unit user for the unit, and
// to staff for the site.
func (v *visitor) assign() *domain.AssignFob {
	f := &domain.AssignFob{Credential: v.credential, Number: domain.Clear(v.fob), Person: v.id}
	switch {
	case v.place == nil:
		f.Sites = []domain.ID{Site}
	case v.tenant:
		f.Booking = v.booking
	default:
		f.Unit = v.place.id
	}
	return f
}

// access is what unit users have: what the unit has.
func (p place) access() []domain.UnitAccess {
	return []domain.UnitAccess{{Right: p.right()}, {Right: p.unitRight()}}
}

func (d *Demo) nameOf(id domain.ID) string {
	for _, v := range d.house.people {
		if v.id == id {
			return v.name
		}
	}
	if id == Owner {
		return OwnerName
	}
	return string(id)
}

// The numbers of people with access when the demo begins.
const (
	tenants   = 150
	latecomer = 30 // every so manyth tenant's booking begins tomorrow
	guests    = 25
	unitUsers = 15
)

func (d *Demo) buildStaff(ctx context.Context) error {
	var people, roles, grants, fobs []any
	for i, id := range []domain.ID{manager, desk, "warden-1", "warden-2"} {
		v := d.newVisitor(nil, "")
		v.id = id
		role := &domain.AssignRole{Person: id, Role: domain.RoleStaff, Site: Site}
		if i == 0 {
			role.Role, role.Site = domain.RoleSystemManager, ""
		}
		people, roles = append(people, v.register()), append(roles, role)
		grants = append(grants, &domain.GrantRight{Person: id, Right: staffRight})
		fobs = append(fobs, v.assign())
	}
	return d.all(ctx, Owner, order{"who works here", people}, order{"a manager, a desk, wardens", roles},
		order{"gates, lift and office", grants}, order{"their fobs", fobs})
}

// buildTenants lets the first units of every corridor, and lets some tenants share
// theirs or have users in it.
func (d *Demo) buildTenants(ctx context.Context) error {
	today := d.today()
	var people, bookings, moves, fobs []any
	for i := range tenants {
		at := &d.house.places[i%len(corridors)*unitsPerCorridor+i/len(corridors)]
		v := d.newVisitor(at, domain.ID(fmt.Sprintf("booking-%04d", i)))
		v.tenant = true
		b := &domain.CreateBooking{Booking: v.booking, Unit: at.id, Person: v.id, From: today.AddDays(-5 - d.random.IntN(60))}
		if d.chance(0.4) {
			b.Until = today.AddDays(d.random.IntN(30))
		}
		people, bookings, fobs = append(people, v.register()), append(bookings, b), append(fobs, v.assign())
		if i%latecomer == latecomer-1 {
			b.From, b.Until = today.AddDays(1), schedule.Date{}
			continue
		}
		moves = append(moves, &domain.MoveIn{Booking: v.booking})
	}
	if err := d.all(ctx, desk, order{fmt.Sprint(tenants, " tenants"), people}, order{"each with a unit", bookings}); err != nil {
		return err
	}
	if err := d.all(ctx, manager, order{"they move in and manage their units", moves}); err != nil {
		return err
	}
	return d.all(ctx, desk, append([]order{{"and get fobs", fobs}}, d.companions(today)...)...)
}

// companions are those with whom tenants share their units.
func (d *Demo) companions(today schedule.Date) []order {
	var people, shares, users, phones, fobs []any
	hosts := d.house.people[len(d.house.people)-tenants:]
	for i := range guests + unitUsers {
		host := hosts[i*3]
		v := d.newVisitor(host.place, host.booking)
		people = append(people, v.register())
		if i < guests {
			v.share = domain.ID(fmt.Sprintf("share-%04d", i))
			shares = append(shares, v.shared(today, today.AddDays(d.random.IntN(20))))
			phones = append(phones, v.byPhone())
		} else {
			fobs = append(fobs, v.assign())
			users = append(users, &domain.CreateUnitUser{Unit: host.place.id, Person: v.id, Access: host.place.access()})
		}
	}
	return []order{{"people whom tenants trust", people}, {fmt.Sprint(guests, " of them share a unit for some days"), shares},
		{"and open by phone", phones},
		{fmt.Sprint(unitUsers, " have a place in one"), users}, {"and their fobs", fobs}}
}

// shared shares the host's unit with a guest.
func (v *visitor) shared(from, until schedule.Date) *domain.ShareAccess {
	return &domain.ShareAccess{Bookings: []domain.ID{v.booking}, Sharees: []domain.Sharee{{Person: v.id}}, From: from, Until: until, Shares: []domain.ID{v.share}}
}

func (d *Demo) chance(p float64) bool { return d.random.Float64() < p }

// between is a random duration.
func (d *Demo) between(from, to time.Duration) time.Duration {
	return from + time.Duration(d.random.Int64N(int64(to-from)))
}
