package domain

import "gatehouse/domain/schedule"

var auctionMessages = messages{
	commands: []CommandType{
		command[GrantAuctionAccess]("Gives the buyer of the contents access to a unit whose tenant is locked out.", AuctionAccessGranted{}),
	},
	events: []EventType{event[AuctionAccessGranted](1)},
}

// GrantAuctionAccess gives a person the rights of a unit up to a day, past the overlock
// of its booking: these grants do not depend on a booking. It ends as soon as the
// tenant is in good standing again or the unit is let again, and RevokeRight takes back
// each right. The number of uses is limited by a PIN with max_uses, not by a grant.
type GrantAuctionAccess struct {
	Unit   ID            `json:"unit"`
	Person ID            `json:"person"`
	Until  schedule.Date `json:"until"` // last day at the site
}

func (GrantAuctionAccess) permit() Permit { return Permit{Role: RoleStaff} }

// scope is the site of the unit and every site of its rights, which are given with
// all their doors.
func (c GrantAuctionAccess) scope(s *State) Scope {
	u, unknown := s.Units.find(c.Unit, "unit")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	sites := []ID{u.Site}
	for _, id := range u.rightIDs() {
		sites = append(sites, s.atRight(id).Sites...)
	}
	return atSites(sortedIDs(sites)...)
}

func (c GrantAuctionAccess) decide(tx *Tx) *Refusal {
	unit, r := tx.Units.find(c.Unit, "unit")
	if r != nil {
		return r
	}
	if _, r := tx.person(c.Person); r != nil {
		return r
	}
	switch {
	case c.Until.IsZero():
		return invalid("invalid_field", "until: the last day is required")
	case tx.passed(unit.Site, c.Until):
		return invalid("invalid_field", "until: %s is in the past; give a later time", c.Until)
	case !tx.isMapped(unit):
		return refuse("unit_not_mapped", "no access right is mapped to unit %s", c.Unit).about(c.Unit)
	}
	if b := tx.letUntil(unit.ID, c.Until); b != nil {
		return refuse("booking_not_overlocked", "booking %[3]s of unit %[1]s, %[2]s, has no overlock; suspend it with the level overlock first", c.Unit, DaysText(b.From, b.Until), b.ID).about(c.Unit, b.ID)
	}
	if r := tx.requireOutranks(c.Person, c.scope(tx.State).Sites); r != nil {
		return r
	}
	for _, ur := range unit.Rights {
		if tx.Grants.Any(grantByAuction, c.Unit, func(g *Grant) bool { return g.Person == c.Person && g.Right == ur.Right && g.Until == c.Until }) {
			continue
		}
		tx.emit(AuctionAccessGranted{Grant: tx.idFor("", "grant"), Unit: c.Unit, Person: c.Person, Right: ur.Right, Schedule: ur.Schedule, Until: c.Until})
	}
	return nil
}

// letUntil finds a booking that keeps a unit for its tenant at some time up to a
// day: one that stands and has no overlock.
func (tx *Tx) letUntil(unit ID, until schedule.Date) *Booking {
	for _, b := range tx.Bookings.Each(BookingByUnit, unit) {
		if tx.checkBookingActive(b) == nil && b.Level != LevelOverlock && !until.Before(b.From) {
			return b
		}
	}
	return nil
}

// endAuction takes back what buyers were given of a unit that a tenant has.
func (tx *Tx) endAuction(unit ID) {
	for id, g := range tx.Grants.Each(grantByAuction, unit) {
		if tx.letUntil(unit, g.Until) != nil {
			tx.emit(RightRevoked{Grant: id})
		}
	}
}

// AuctionAccessGranted gives a person one right of a unit whose tenant is shut out.
type AuctionAccessGranted struct {
	Grant    ID            `json:"grant"`
	Unit     ID            `json:"unit"`
	Person   ID            `json:"person"`
	Right    ID            `json:"right"`
	Schedule ID            `json:"schedule,omitempty"` // that the unit has for the right
	Until    schedule.Date `json:"until"`
}

func (e AuctionAccessGranted) fold(s *State, m Moment) {
	s.Grants.Put(e.Grant, Grant{ID: e.Grant, Person: e.Person, Right: e.Right, Until: e.Until, Schedule: e.Schedule, Auction: e.Unit, By: m.Actor})
}
func (e AuctionAccessGranted) fills(tx *Tx) filling {
	return given(tx.doorsUntil(e.Right, e.Until), e.Person, "")
}
func (e AuctionAccessGranted) affectedSites(s *State) []ID { return s.atRight(e.Right).Sites }
