package domain

import (
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// maxConsequences is the greatest number of consequences that are recorded in
// the commit of their cause: with 250 bytes each they leave most of a commit of
// 512 KiB to the cause.
const maxConsequences = 200

// Pending is something that has happened by the facts and is not on record yet: the
// ends of what hung on a booking, or a review. A revocation is never refused for
// its size: the first fact takes the access away, its consequences are recorded
// in the same commit while there is room, the rest by [SettleConsequences].
type Pending struct {
	Booking ID `json:"booking,omitempty"`
	Gateway ID `json:"gateway,omitempty"` // of PINs that it counted, or knew when it was stolen
	// Of a review that is due.
	Unit   ID `json:"unit,omitempty"`
	Person ID `json:"person,omitempty"`
	Right  ID `json:"right,omitempty"`
}

func (o *Pending) keys() []key[Pending] {
	if o.Right == "" {
		return nil
	}
	return []key[Pending]{{pendingByRight, o.Right}}
}

func pendingBooking(booking ID) ID    { return "booking/" + booking }
func pendingReview(user, right ID) ID { return "review/" + user + "/" + right }

var consequencesMessages = messages{
	commands: []CommandType{
		command[SettleConsequences]("Records what followed from earlier commands and had no room in their commits; the service sends it until nothing is left.",
			ShareRevoked{}, ShareEnded{}, FobRemoved{}, CredentialRevoked{}, PinRevoked{}, PinLeaked{}, UnitUserRemoved{}, ReviewRequired{}),
	},
}

// Unsettled returns how many things have consequences that are not on record
// yet, at most limit: while it is more than none, the service sends
// [SettleConsequences].
func (s *State) Unsettled(limit int) int { return min(limit, s.Pending.Len()) }

// SettleConsequences records consequences that had no room in the commits of
// their causes.
type SettleConsequences struct{}

func (SettleConsequences) urgent() bool       { return true }
func (SettleConsequences) permit() Permit     { return Permit{Service: true} }
func (SettleConsequences) scope(*State) Scope { return Scope{} }
func (SettleConsequences) decide(tx *Tx) *Refusal {
	for _, o := range tx.Pending.All() {
		if tx.budget <= 0 {
			return nil
		}
		switch {
		case o.Booking != "":
			tx.settle(o.Booking)
		case o.Gateway != "":
			tx.settlePins(o.Gateway)
		default:
			tx.requireReview(o)
		}
	}
	return nil
}

// consequence is an event that can follow from a command about something else: a share
// ends because its booking is revoked.
type consequence interface {
	Event
	consequence()
}

// emitConsequence emits a consequence, which the budget of the commit must have room for.
func (tx *Tx) emitConsequence(e consequence) {
	tx.budget--
	tx.emit(e)
}

// settle records what has ended with facts about a booking, as far as the commit
// has room: shares and what was shared on from them, fobs and cards, the places
// of unit users (rule B6).
func (tx *Tx) settle(booking ID) {
	b, ok := tx.Bookings.Get(booking)
	if !ok {
		return
	}
	// A share that ends lets those below it end in the next turn.
	for tx.Pending.Has(pendingBooking(booking)) {
		before := tx.budget
		tx.settleShares(b)
		tx.settleUnitUsers(b)
		tx.settleCredentials(b)
		if tx.budget == before {
			return
		}
	}
}

func (tx *Tx) settleShares(b *Booking) {
	index := shareReshared
	if b.over() {
		index = shareActive
	}
	for id, sh := range tx.Shares.Each(index, b.ID) {
		cause, ended := tx.shareFallsFor(sh, b)
		switch {
		case tx.budget <= 0:
			return
		case !ended:
		case cause == "" || tx.passed(sh.Site, sh.Until):
			tx.emitConsequence(ShareEnded{Share: id})
		default:
			tx.emitConsequence(ShareRevoked{Share: id, Cause: cause})
		}
	}
}

// shareFallsFor reports whether an active share has ended because its booking or parent
// share did, and why. Without a cause it ended by time.
func (s *State) shareFallsFor(sh *Share, b *Booking) (ShareCause, bool) {
	switch b.State {
	case BookingStateRevoked:
		return CauseBookingRevoked, true
	case BookingStateEnded:
		return CauseBookingEnded, true
	}
	if sh.Parent == "" {
		return "", false
	}
	parent, ok := s.Shares.Get(sh.Parent)
	if !ok || parent.State == ShareStateActive {
		return "", false
	}
	if parent.Cause == CauseBySharee {
		return CauseBySharer, true
	}
	return parent.Cause, true
}

func (tx *Tx) settleUnitUsers(b *Booking) {
	if !b.over() {
		return
	}
	for _, u := range tx.UnitUsers.Each(unitUserActive, b.ID) {
		if tx.budget <= 0 {
			return
		}
		tx.emitConsequence(UnitUserRemoved{Unit: u.Unit, Person: u.Person, Cause: b.endedBy()})
	}
}

func (tx *Tx) settleCredentials(b *Booking) {
	for id, c := range tx.Credentials.Each(credentialBound, b.ID) {
		reason := tx.credentialFallsFor(c, b)
		switch {
		case tx.budget <= 0:
			return
		case reason == "", c.DuressOf != "": // it falls with its PIN
		case c.Kind == KindFob || c.Kind == KindCard:
			tx.emitConsequence(FobRemoved{Credential: id, Reason: reason})
		default:
			tx.emitConsequence(tx.revocation(c, reason))
		}
	}
}

// The reasons for which fobs and cards are removed by themselves.
const (
	reasonBookingEnded    = "booking_ended"
	reasonBookingRevoked  = "booking_revoked"
	reasonMovedOut        = "moved_out"
	reasonNoLongerPrimary = "holder_no_longer_primary"
	reasonShareRevoked    = "share_revoked"
	reasonUnitUserRemoved = "unit_user_removed"
)

// credentialFallsFor returns why a live credential that is bound to a booking may no
// longer be held. Empty means that it may.
func (s *State) credentialFallsFor(c *Credential, b *Booking) string {
	switch {
	case b.over():
		return b.endedBy()
	case c.Person == b.Person:
	case c.Unit != "":
		if u, ok := s.UnitUsers.Get(unitUserKey(c.Unit, c.Person)); !ok || !u.under(b.ID) {
			return reasonUnitUserRemoved
		}
	case c.Shared:
		if !s.hasShare(b.ID, c.Person) {
			return reasonShareRevoked
		}
	default:
		return reasonNoLongerPrimary
	}
	return ""
}

// noteOwed updates the list of pending consequences for a booking. The booking is on it
// while the facts have consequences that are not recorded yet. Every fold that may
// start or end such consequences calls it.
func (s *State) noteOwed(booking ID) {
	b, ok := s.Bookings.Get(booking)
	if !ok {
		return
	}
	id := pendingBooking(booking)
	switch owed := s.owes(b); {
	case owed && !s.Pending.Has(id):
		s.Pending.Put(id, Pending{Booking: booking})
	case !owed && s.Pending.Has(id):
		s.Pending.Delete(id)
	}
}

func (s *State) owes(b *Booking) bool {
	if b.over() && (s.Shares.HasBy(shareActive, b.ID) || s.UnitUsers.HasBy(unitUserActive, b.ID)) {
		return true
	}
	return s.Credentials.Any(credentialBound, b.ID, func(c *Credential) bool { return s.credentialFallsFor(c, b) != "" }) ||
		s.Shares.Any(shareReshared, b.ID, func(sh *Share) bool { _, ended := s.shareFallsFor(sh, b); return ended })
}

// passed reports whether the last day of a period at a site is over. It compares with
// the moment of the command and does not need the end to be recorded.
func (tx *Tx) passed(site ID, until schedule.Date) bool {
	return !until.IsZero() && tx.window(site, schedule.Date{}, until).Until <= unlock.InstantOf(tx.At)
}

// begun reports whether the first day of a period at a site has begun.
func (tx *Tx) begun(site ID, from schedule.Date) bool {
	return tx.window(site, from, schedule.Date{}).From <= unlock.InstantOf(tx.At)
}
