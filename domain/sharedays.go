package domain

import "gatehouse/domain/schedule"

// OpenDays gives the days on which a share can open anything: its own, within those of
// the booking and of the shares that it was shared on from. None: no day is left.
func (s *State) OpenDays(sh *Share) (from, until schedule.Date, anyRow bool) {
	b, ok := s.Bookings.Get(sh.Booking)
	if !ok {
		return schedule.Date{}, schedule.Date{}, false
	}
	return s.openDays(sh, b.From, b.Until)
}

// openDays is OpenDays with other days of the booking.
func (s *State) openDays(sh *Share, first, last schedule.Date) (from, until schedule.Date, anyRow bool) {
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
	for id, sh := range tx.Shares.Each("active:" + string(b.ID)) {
		oldFrom, oldUntil, _ := tx.openDays(sh, b.From, b.Until)
		newFrom, newUntil, anyRow := tx.openDays(sh, from, until)
		switch {
		case !anyRow:
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
