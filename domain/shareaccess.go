package domain

import (
	"slices"
	"time"

	"gatehouse/domain/schedule"
)

// ShareAccess lets people use what the units of bookings open, from the first to the
// last day. It lasts at most as long as the bookings themselves: each person gets a
// share of each booking (rules B3 and B7), all of them or none. The tenant of the
// bookings shares, staff on their behalf, and where the site's policy allows it
// somebody with whom the unit was shared. An existing share with the same days is left
// alone.
type ShareAccess struct {
	Bookings []ID          `json:"bookings"`
	Sharees  []Sharee      `json:"sharees"`
	From     schedule.Date `json:"from"`
	Until    schedule.Date `json:"until"` // last day
	// Shares are the ids of the shares, for each person those of all bookings; none:
	// ids are made.
	Shares []ID `json:"shares,omitempty"`
}

// Sharee is somebody with whom access is shared: a person of the org, found by
// address or id, or somebody new who is known by address alone until their
// identity is bound.
type Sharee struct {
	Person ID       `json:"person,omitempty"`
	Email  Personal `json:"email,omitzero" personal:"Person,new"`
	Phone  Personal `json:"phone,omitzero" personal:"Person,new"`
}

func (ShareAccess) permit() Permit {
	return Permit{Role: RoleStaff, Primary: true, Sharee: true}
}

func (c ShareAccess) scope(s *State) Scope {
	var sc Scope
	for i, id := range c.Bookings {
		if i == 0 {
			sc = s.bookingScope(id)
			continue
		}
		sc.Sites = append(sc.Sites, s.sitesOfBooking(id)...)
	}
	return sc
}

func (c ShareAccess) decide(tx *Tx) *Refusal {
	n := len(c.Bookings) * len(c.Sharees)
	switch {
	case n == 0:
		return invalid("invalid_field", "bookings, sharees: at least one of each is required")
	case n > MaxList:
		return invalid("too_many_shares", "%d people and %d bookings make %d shares; at most %d are allowed at once",
			len(c.Sharees), len(c.Bookings), n, MaxList)
	case len(c.Shares) > 0 && len(c.Shares) != n:
		return invalid("invalid_field", "shares: %d ids were given for %d shares; give one for each", len(c.Shares), n)
	}
	bookings := make([]sharedBooking, len(c.Bookings))
	for i, id := range c.Bookings {
		var r *Refusal
		if bookings[i], r = tx.toShare(id, c.From, c.Until); r != nil {
			return r
		}
	}
	made := false
	for i, sharee := range c.Sharees {
		person, r := tx.meetSharee(sharee)
		if r != nil {
			return r
		}
		var shares []ID
		for j, b := range bookings {
			id := ID("")
			if len(c.Shares) > 0 {
				id = c.Shares[i*len(bookings)+j]
			}
			if id, r = tx.share(b, person, c.From, c.Until, id); r != nil {
				return r
			}
			if id != "" {
				shares = append(shares, id)
			}
		}
		tx.requestNotifications(person, shares)
		made = made || len(shares) > 0
	}
	if made {
		tx.warnAbout(bookings, c.From, c.Until)
	}
	return nil
}

// sharedBooking is a booking that may be shared, and the share that the sender
// shares on from, or none.
type sharedBooking struct {
	*Booking
	parent *Share
}

// toShare checks that the sender may share a booking on those days now.
func (tx *Tx) toShare(id ID, from, until schedule.Date) (sharedBooking, *Refusal) {
	b, r := tx.standing(id)
	if r != nil {
		return sharedBooking{}, r
	}
	parent, r := tx.sharesOnFrom(b, from, until)
	if r != nil {
		return sharedBooking{}, r
	}
	site, r := tx.Sites.find(b.Site, "site")
	if r != nil {
		return sharedBooking{}, r
	}
	unit, r := tx.Units.find(b.Unit, "unit")
	switch {
	case r != nil:
		return sharedBooking{}, r
	case site.LockSystem == "":
		return sharedBooking{}, refuse("site_not_connected", "site %s is not connected to a lock system; connect it with ConnectSite", site.ID).about(site.ID)
	case !tx.isMapped(unit):
		return sharedBooking{}, refuse("unit_not_mapped", "no access is mapped to unit %s; map it with MapUnitAccess", unit.ID).about(unit.ID)
	case !site.notifies() && site.Policy.MissingNotification == "refuse":
		return sharedBooking{}, refuse("notification_not_configured", notConfigured, site.ID).about(site.ID)
	}
	return sharedBooking{b, parent}, tx.shareable(b, parent, from, until)
}

const notConfigured = "the message shared_access is not set up for site %s: nobody will tell people of their access; SetNotification says that it is"

// notifies reports whether people are told of what is shared with them.
func (s *Site) notifies() bool { return slices.Contains(s.Notifications, NotificationSharedAccess) }

// sharesOnFrom finds the share from which the sender shares a booking on: of
// several the one that lasts longest, of those with one of the days if there are
// any. None for the tenant and for staff.
func (tx *Tx) sharesOnFrom(b *Booking, from, until schedule.Date) (*Share, *Refusal) {
	if tx.isActor(b.Person) || tx.operates(b.Site) {
		return nil, nil
	}
	var best *Share
	for _, sh := range tx.Shares.Each(shareActive, b.ID) {
		if !tx.isActor(sh.Person) {
			continue
		}
		meets := meet(from, until, sh.From, sh.Until)
		if best == nil || meets && (!meet(from, until, best.From, best.Until) || best.Until.Before(sh.Until)) {
			best = sh
		}
	}
	if best == nil {
		return nil, forbid("role_not_permitted", "booking %s belongs to somebody else", b.ID).about(b.ID)
	}
	depth := 2
	for up, ok := tx.Shares.Get(best.Parent); ok; up, ok = tx.Shares.Get(up.Parent) {
		depth++
	}
	site, r := tx.Sites.find(b.Site, "site")
	if r != nil {
		return nil, r
	}
	if most := max(1, site.Policy.ShareDepth); depth > most {
		return nil, refuse("share_depth_exceeded", "at site %s access may be shared at most %d levels deep, this would be %d; ask the tenant to share it", site.ID, most, depth).about(b.ID)
	}
	return best, nil
}

// shareable refuses days on which a share would open nothing.
func (tx *Tx) shareable(b *Booking, parent *Share, from, until schedule.Date) *Refusal {
	if r := checkDays(from, until); r != nil {
		return r
	}
	switch {
	case until.IsZero():
		return invalid("invalid_field", "until: the last day is required")
	case !meet(from, until, b.From, b.Until):
		return refuse("window_outside_booking", "booking %s runs %s", b.ID, DaysText(b.From, b.Until)).about(b.ID)
	case parent != nil && !meet(from, until, parent.From, parent.Until):
		return refuse("window_outside_share", "your share of booking %s runs %s", b.ID, DaysText(parent.From, parent.Until)).about(b.ID, parent.ID)
	case tx.passed(b.Site, until):
		return refuse("window_ended", "until: %s is in the past; give a later day", until).about(b.ID)
	}
	return nil
}

// meetSharee finds the person with whom is shared, or registers somebody new.
func (tx *Tx) meetSharee(s Sharee) (ID, *Refusal) {
	known, r := tx.known(s.Person, s.Email, s.Phone)
	if r != nil || known != "" {
		return known, r
	}
	if s.Email.Empty() && s.Phone.Empty() {
		return "", tx.nobody(s.Person, "somebody new is known by e-mail or phone")
	}
	id := tx.idFor(s.Person, "person")
	tx.emit(PersonRegistered{Person: id, Email: s.Email, Phone: s.Phone, Pending: true})
	return id, nil
}

// nobody refuses an id that no person has, or that nobody was named.
func (tx *Tx) nobody(id ID, hint string) *Refusal {
	if _, leftOut := tx.leftOut[id]; leftOut || id == "" {
		return notFound("unknown_person", "that names nobody of the org; %s", hint)
	}
	return notFound("unknown_person", "person %s does not exist; %s", id, hint).about(id)
}

// known finds the person with an id or an address; none when nobody is known by
// them. The addresses decide: an id that was made for somebody new names nobody.
func (tx *Tx) known(id ID, email, phone Personal) (ID, *Refusal) {
	if r := checkAddressesSeen(email, phone); r != nil {
		return "", r
	}
	var found []ID
	if e := email.Text(); e != "" {
		if !plausibleEmail(e) {
			return "", invalid("invalid_field", "email: not valid; write it like anna@example.com")
		}
		found = append(found, tx.People.IDs(personByEmail, ID(normalEmail(e)))...)
	}
	if p := phone.Text(); p != "" {
		found = append(found, tx.People.IDs(personByPhone, ID(normalPhone(p)))...)
	}
	found = sortedIDs(found)
	switch named := tx.People.Has(id); {
	case len(found) > 1:
		r := refuse("person_ambiguous", "several people have these addresses; give the id of the person")
		return "", r.about(slices.DeleteFunc(found, tx.hides)...)
	case named && !(email.Empty() && phone.Empty()) && !slices.Equal(found, []ID{id}):
		return "", refuse("address_differs", "person %s has other addresses; give either the id or the addresses", id).about(id)
	case len(found) == 1:
		return found[0], nil
	case named:
		_, r := tx.person(id)
		return id, r
	}
	return "", nil
}

// share makes one share and returns its id. An empty id means that an active share with
// the same days already exists.
func (tx *Tx) share(b sharedBooking, person ID, from, until schedule.Date, id ID) (ID, *Refusal) {
	if person == b.Person || tx.isActor(person) {
		return "", refuse("share_with_self", "booking %s cannot be shared with its tenant or with yourself", b.ID).about(person)
	}
	if site, ok := tx.Sites.Get(b.Site); ok && site.Policy.ManagerShares == "forbidden" && tx.worksAt(person, b.Site) &&
		(tx.isActor(b.Person) || b.parent != nil) {
		return "", refuse("manager_share_forbidden", "at site %s tenants may not share with staff", b.Site).about(person)
	}
	if b.parent == nil && !tx.isActor(b.Person) {
		if r := tx.requireOutranks(person, []ID{b.Site}); r != nil {
			return "", r
		}
	}
	for _, sh := range tx.Shares.Each(ShareByPerson, person) {
		if sh.Booking == b.ID && sh.State == ShareStateActive && sh.From == from && sh.Until == until {
			return "", nil
		}
	}
	if tx.Shares.Has(id) {
		return "", refuse("share_exists", "share %s already exists", id).about(id)
	}
	e := ShareCreated{Share: tx.idFor(id, "share"), Booking: b.ID, Unit: b.Unit, Person: person, From: from, Until: until, Unconfirmed: tx.unconfirmed(person, b.Site)}
	if b.parent != nil {
		e.Parent = b.parent.ID
	}
	tx.emit(e)
	return e.Share, nil
}

// ShareCreated lets a person use what a booking opens.
type ShareCreated struct {
	Share   ID            `json:"share"`
	Booking ID            `json:"booking"`
	Unit    ID            `json:"unit"`
	Person  ID            `json:"person"`
	Parent  ID            `json:"parent,omitempty"`
	From    schedule.Date `json:"from"`
	Until   schedule.Date `json:"until"`
	// Unconfirmed: a tenant named somebody who was known before; it shows nothing of them.
	Unconfirmed bool `json:"unconfirmed,omitzero"`
}

func (e ShareCreated) fold(s *State, m Moment) {
	sh := Share{ID: e.Share, Booking: e.Booking, Unit: e.Unit, Person: e.Person, Parent: e.Parent,
		From: e.From, Until: e.Until, State: ShareStateActive, By: m.Actor, CreatedAt: m.At, Unconfirmed: e.Unconfirmed}
	if b, ok := s.Bookings.Get(e.Booking); ok {
		sh.Site = b.Site
	}
	s.Shares.Put(e.Share, sh)
}
func (e ShareCreated) fills(tx *Tx) filling {
	return given(tx.doorsOfUnit(e.Unit), e.Person, e.Booking)
}
func (e ShareCreated) affectedSites(s *State) []ID { return s.sitesOfShare(e.Share) }

// requestNotifications asks to tell a person of new shares, once for each site
// that has the message set up.
func (tx *Tx) requestNotifications(person ID, shares []ID) {
	bySite := map[ID][]ID{}
	var sites []ID
	for _, id := range shares {
		site := tx.sitesOfShare(id)[0]
		sites = append(sites, site)
		bySite[site] = append(bySite[site], id)
	}
	for _, id := range sortedIDs(sites) {
		if site, ok := tx.Sites.Get(id); ok && site.notifies() {
			tx.emit(NotificationRequested{Person: person, Kind: NotificationSharedAccess, Site: id, Shares: bySite[id]})
		}
	}
}

// NotificationRequested asks the system that sends messages to tell a person of shares
// (rule B2). Whether the message arrived is no fact of the ledger.
type NotificationRequested struct {
	Person ID               `json:"person"`
	Kind   NotificationKind `json:"kind"`
	Site   ID               `json:"site"`
	Shares []ID             `json:"shares"`
}

func (NotificationRequested) fold(*State, Moment) {}
func (e NotificationRequested) tells(s *State, at time.Time) ID {
	for _, id := range e.Shares {
		if sh, ok := s.Shares.Get(id); ok && s.privateAt(sh.Unit, at) {
			return sh.Unit
		}
	}
	return s.privateUnitOf(e.Person, at)
}
func (e NotificationRequested) affectedSites(*State) []ID { return []ID{e.Site} }

// warnAbout says what the sender may not expect of shares that were made.
func (tx *Tx) warnAbout(bookings []sharedBooking, from, until schedule.Date) {
	var silent []ID
	for _, b := range bookings {
		tx.warnClamped(b.Booking, b.parent, from, until)
		if b.Level != "" {
			tx.warn("booking_suspended", "the booking %s is suspended: its shares open nothing until it is reinstated", b.ID)
		}
		if site, ok := tx.Sites.Get(b.Site); ok && !site.notifies() {
			silent = append(silent, site.ID)
		}
	}
	for _, site := range sortedIDs(silent) {
		tx.warn("notification_not_configured", notConfigured, site)
	}
}

// warnClamped says when a share really begins and ends, where that is not as
// asked: it lasts no longer than what it is a share of.
func (tx *Tx) warnClamped(b *Booking, parent *Share, from, until schedule.Date) {
	first, last := from, until
	clamp := func(f, u schedule.Date) {
		if first.Before(f) {
			first = f
		}
		if !u.IsZero() && u.Before(last) {
			last = u
		}
	}
	clamp(b.From, b.Until)
	if parent != nil {
		clamp(parent.From, parent.Until)
	}
	if first == from && last == until {
		return
	}
	allows := "the booking " + string(b.ID)
	if parent != nil && (first == parent.From && first != b.From || last == parent.Until && last != b.Until) {
		allows = "the share " + string(parent.ID) + ", of which it is a part,"
	}
	tx.warn("share_clamped", "the share of the unit %s lasts %s, as %s allows", b.Unit, DaysText(first, last), allows)
}
