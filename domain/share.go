package domain

import (
	"time"

	"gatehouse/domain/schedule"
)

// Share lets another person use what the booking of a unit opens. It lasts for a period
// of civil days of the site within that of the booking.
type Share struct {
	ID        ID            `json:"id"`
	Site      ID            `json:"site"`
	Booking   ID            `json:"booking"`
	Unit      ID            `json:"unit"`
	Person    ID            `json:"person"`           // the sharee
	Parent    ID            `json:"parent,omitempty"` // the share that was shared on, or none
	From      schedule.Date `json:"from"`
	Until     schedule.Date `json:"until"` // last day
	State     ShareState    `json:"state"`
	Cause     ShareCause    `json:"cause,omitempty"` // of the revocation
	By        Actor         `json:"by"`
	CreatedAt time.Time     `json:"created_at"`
	// Unconfirmed: it lets the tenant see nothing of the sharee's record.
	Unconfirmed bool `json:"unconfirmed,omitzero"`
}

// ShareState says whether a share still gives access, as recorded. A share whose
// booking has ended opens nothing whatever stands here.
type ShareState string

// The states of a share.
const (
	ShareStateActive  ShareState = "active"
	ShareStateRevoked ShareState = "revoked"
	ShareStateEnded   ShareState = "ended"
)

// ShareCause is why a share was revoked (rule B6).
type ShareCause string

// The causes of a revocation.
const (
	CauseByTenant       ShareCause = "by_tenant"
	CauseBySharer       ShareCause = "by_sharer" // who shared on what was shared with them
	CauseBySharee       ShareCause = "by_sharee" // who left it
	CauseByOperator     ShareCause = "by_operator"
	CauseBookingEnded   ShareCause = "booking_ended"
	CauseBookingRevoked ShareCause = "booking_revoked"
)

func (s *Share) keys() []key[Share] {
	k := []key[Share]{{ShareByBooking, s.Booking}, {ShareByPerson, s.Person}, {ShareByUnit, s.Unit}}
	if s.State == ShareStateActive {
		k = append(k, key[Share]{shareActive, s.Booking})
		if s.Parent != "" {
			k = append(k, key[Share]{shareReshared, s.Booking})
		}
	}
	return k
}

// hasShare reports whether a person has an active share of a booking.
func (s *State) hasShare(booking, person ID) bool {
	return s.Shares.Any(shareActive, booking, func(sh *Share) bool { return sh.Person == person })
}

// shareScope is the scope of what concerns one share; its person is the one who
// shared on what had been shared with them.
func (s *State) shareScope(share ID) Scope {
	sh, unknown := s.Shares.find(share, "share")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	sc := s.bookingScope(sh.Booking)
	if parent, ok := s.Shares.Get(sh.Parent); ok {
		sc.Person = parent.Person
	}
	return sc
}

func (s *State) sitesOfShare(share ID) []ID {
	if sh, ok := s.Shares.Get(share); ok {
		return []ID{sh.Site}
	}
	return nil
}

var shareMessages = messages{
	commands: []CommandType{
		command[ShareAccess]("Shares the units of bookings with people for a period of days: all of it or nothing.",
			PersonRegistered{}, ShareCreated{}, NotificationRequested{}),
		command[ChangeShareWindow]("Changes the first or the last day of a share.", ShareWindowChanged{}),
		command[RevokeShare]("Revokes a share, with what was shared on from it.",
			ShareRevoked{}, ShareEnded{}, FobRemoved{}, CredentialRevoked{}, PinRevoked{}),
		command[EndShare]("Puts the end of a share on record after its last day; the service sends it.",
			ShareEnded{}, ShareRevoked{}, FobRemoved{}, CredentialRevoked{}, PinRevoked{}),
	},
	events: []EventType{
		event[ShareCreated](1), event[ShareWindowChanged](1), event[ShareRevoked](1), event[ShareEnded](1),
		event[NotificationRequested](1),
	},
}

// ChangeShareWindow changes the first and the last day of a share, within its booking
// as ShareAccess does.
type ChangeShareWindow struct {
	Share ID             `json:"share"`
	From  *schedule.Date `json:"from,omitempty"`
	Until *schedule.Date `json:"until,omitempty"` // last day
}

func (ChangeShareWindow) permit() Permit {
	return Permit{Role: RoleStaff, Primary: true, Self: true, SelfIs: "whoever shared it on"}
}
func (c ChangeShareWindow) scope(s *State) Scope { return s.shareScope(c.Share) }
func (c ChangeShareWindow) decide(tx *Tx) *Refusal {
	sh, r := tx.Shares.find(c.Share, "share")
	if r != nil {
		return r
	}
	switch {
	case sh.State == ShareStateRevoked:
		return refuse("share_revoked", "share %s was revoked; this is final: share again", sh.ID).about(sh.ID)
	case sh.State == ShareStateEnded, tx.passed(sh.Site, sh.Until):
		return refuse("share_ended", "share %s has ended; this is final: share again", sh.ID).about(sh.ID)
	}
	b, r := tx.standing(sh.Booking)
	if r != nil {
		return r
	}
	if !tx.isActor(b.Person) && !tx.isActor(c.scope(tx.State).Person) {
		if r := tx.requireOutranks(sh.Person, []ID{b.Site}); r != nil {
			return r
		}
	}
	parent, _ := tx.Shares.Get(sh.Parent)
	from, until := orGiven(c.From, sh.From), orGiven(c.Until, sh.Until)
	if r := tx.shareable(b, parent, from, until); r != nil {
		return r
	}
	if sh.From != from || sh.Until != until {
		tx.emit(ShareWindowChanged{Share: sh.ID, From: from, Until: until})
		tx.warnClamped(b, parent, from, until)
	}
	return nil
}

// ShareWindowChanged sets both days of a share.
type ShareWindowChanged struct {
	Share ID            `json:"share"`
	From  schedule.Date `json:"from"`
	Until schedule.Date `json:"until"`
}

func (e ShareWindowChanged) fold(s *State, _ Moment) {
	s.Shares.Update(e.Share, func(sh *Share) { sh.From, sh.Until = e.From, e.Until })
}
func (e ShareWindowChanged) affectedSites(s *State) []ID { return s.sitesOfShare(e.Share) }

// RevokeShare takes a share away (rule B5). The tenant, a person who shared on, staff,
// or the sharee, who leaves, may send it. It has no effect on a share that is over
// already.
type RevokeShare struct {
	Share ID `json:"share"`
}

func (RevokeShare) urgent() bool { return true }
func (RevokeShare) permit() Permit {
	return Permit{Role: RoleStaff, Primary: true, Self: true, SelfIs: "the sharee or whoever shared it on"}
}
func (c RevokeShare) scope(s *State) Scope {
	sc := s.shareScope(c.Share)
	if sh, ok := s.Shares.Get(c.Share); ok {
		sc.Also = sh.Person
	}
	return sc
}
func (c RevokeShare) decide(tx *Tx) *Refusal {
	sh, r := tx.Shares.find(c.Share, "share")
	if r != nil || sh.State != ShareStateActive {
		return r
	}
	cause := CauseByOperator
	b, ok := tx.Bookings.Get(sh.Booking)
	switch {
	case ok && tx.isActor(b.Person):
		cause = CauseByTenant
	case tx.isActor(tx.shareScope(sh.ID).Person):
		cause = CauseBySharer
	case tx.isActor(sh.Person):
		cause = CauseBySharee
	}
	tx.emit(ShareRevoked{Share: sh.ID, Cause: cause})
	tx.settle(sh.Booking)
	return nil
}

// isActor reports whether a person sends the command.
func (tx *Tx) isActor(person ID) bool { return person != "" && tx.Actor == PersonActor(person) }

// ShareRevoked takes a share away.
type ShareRevoked struct {
	Share ID         `json:"share"`
	Cause ShareCause `json:"cause"`
}

func (e ShareRevoked) fold(s *State, _ Moment)     { s.endShare(e.Share, ShareStateRevoked, e.Cause) }
func (ShareRevoked) consequence()                  {}
func (e ShareRevoked) affectedSites(s *State) []ID { return s.sitesOfShare(e.Share) }

func (s *State) endShare(id ID, state ShareState, cause ShareCause) {
	s.Shares.Update(id, func(sh *Share) { sh.State, sh.Cause = state, cause })
	if sh, ok := s.Shares.Get(id); ok {
		s.noteOwed(sh.Booking)
	}
}

// EndShare records that the last day of a share is over. The share has
// opened nothing since, record or not.
type EndShare struct {
	Share ID `json:"share"`
}

func (EndShare) urgent() bool           { return true }
func (EndShare) permit() Permit         { return Permit{Service: true} }
func (c EndShare) scope(s *State) Scope { return s.shareScope(c.Share) }
func (c EndShare) decide(tx *Tx) *Refusal {
	sh, r := tx.Shares.find(c.Share, "share")
	if r != nil || sh.State != ShareStateActive {
		return r
	}
	if !tx.passed(sh.Site, sh.Until) {
		return refuse("share_not_over", "share %s runs %s", sh.ID, DaysText(sh.From, sh.Until)).about(sh.ID)
	}
	tx.emit(ShareEnded(c))
	tx.settle(sh.Booking)
	return nil
}

// ShareEnded puts the end of a share by time on record.
type ShareEnded struct {
	Share ID `json:"share"`
}

func (e ShareEnded) fold(s *State, _ Moment)     { s.endShare(e.Share, ShareStateEnded, "") }
func (ShareEnded) consequence()                  {}
func (e ShareEnded) affectedSites(s *State) []ID { return s.sitesOfShare(e.Share) }

// OpenDays gives the days on which a share can open anything: its own, within those of
// the booking and of the shares that it was shared on from. None: no day is left.
func (s *State) OpenDays(sh *Share) (from, until schedule.Date, open bool) {
	b, ok := s.Bookings.Get(sh.Booking)
	if !ok {
		return schedule.Date{}, schedule.Date{}, false
	}
	return s.openDays(sh, b.From, b.Until)
}

// openDays is OpenDays with other days of the booking.
func (s *State) openDays(sh *Share, first, last schedule.Date) (from, until schedule.Date, open bool) {
	from, until = laterDay(sh.From, first), sh.Until
	if !last.IsZero() && last.Before(until) {
		until = last
	}
	for depth, id := 0, sh.Parent; id != "" && depth < maxShareDepth; depth++ {
		parent, ok := s.Shares.Get(id)
		if !ok {
			return from, until, false
		}
		from = laterDay(from, parent.From)
		if parent.Until.Before(until) {
			until = parent.Until
		}
		id = parent.Parent
	}
	return from, until, !until.Before(from)
}

func laterDay(a, b schedule.Date) schedule.Date {
	if a.Before(b) {
		return b
	}
	return a
}

// changeShareDays says what other days of a booking make of its shares: which open on
// more days than before, which on fewer, and which on none and so end.
func (tx *Tx) changeShareDays(b *Booking, from, until schedule.Date) (ended []ID) {
	var longer, shorter []ID
	for id, sh := range tx.Shares.Each(shareActive, b.ID) {
		oldFrom, oldUntil, _ := tx.openDays(sh, b.From, b.Until)
		newFrom, newUntil, open := tx.openDays(sh, from, until)
		switch {
		case !open:
			ended = append(ended, id)
		case newFrom.Before(oldFrom) || oldUntil.Before(newUntil):
			longer = append(longer, id)
		case newFrom != oldFrom || newUntil != oldUntil:
			shorter = append(shorter, id)
		}
	}
	longer, shorter, ended = sortedIDs(longer), sortedIDs(shorter), sortedIDs(ended)
	tx.warnOf(longer, "shares_grow", "the booking %s cut these shares short, and they now last longer; ChangeShareWindow shortens one", b.ID)
	tx.warnOf(shorter, "shares_cut", "these shares last no longer than the booking %s, and are now shorter", b.ID)
	tx.warnOf(ended, "shares_end", "no day of these shares is left within the booking %s, and they end", b.ID)
	return ended
}
