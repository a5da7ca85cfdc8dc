package domain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// MaxDue is the most commands that one look at what is due gives.
const MaxDue = 1000

// DueCommand is a command that time has made due.
type DueCommand struct {
	Command Command
	Subject ID        // what it is about
	At      time.Time // UTC instant at which it fell due
}

// dueSpace is the name space of the ids of due commands.
var dueSpace = DeriveUUID(UUID{}, "gatehouse/due")

// ID is the id of the command: the same for the same thing and instant, so that
// two instances that send it make one commit.
func (d DueCommand) ID() UUID {
	return DeriveUUID(dueSpace, CommandName(d.Command)+"/"+string(d.Subject)+"/"+d.At.UTC().Format(time.RFC3339Nano))
}

// Due returns the commands that are due at an instant, at most [MaxDue]. They are in
// the order in which they fell due. It also returns the next instant at which something
// falls due; the zero time means never. While it returns commands, call it again after
// they were decided. Suspensions until an instant end by themselves.
//
// Its cost grows with the days that have something due, a few thousand in all, and with
// what falls due around the instant, not with the size of the state.
func (s *State) Due(now time.Time) (cmds []DueCommand, next time.Time) {
	if s.Pending.Len() > 0 {
		// Each commit that settles some of it changes the state's number, so that
		// the next round has an id of its own.
		cmds = append(cmds, DueCommand{SettleConsequences{}, ID(fmt.Sprintf("commit-%d", s.N)), s.LastAt})
	}
	at := unlock.InstantOf(now)
	first := unlock.Instant(0)
	for _, day := range slices.Sorted(maps.Keys(s.due.days)) {
		earliest := unlock.Instant((day - dueSpread) * int64(24*time.Hour))
		if earliest > at && first != 0 && earliest > first {
			break
		}
		for k, things := range s.due.days[day] {
			switch due := s.dueAt(k); {
			case due > at && (first == 0 || due < first):
				first = due
			case due <= at:
				for thing := range things {
					cmds = append(cmds, DueCommand{thing.command(), thing.id, due.Time()})
				}
			}
		}
	}
	slices.SortFunc(cmds, func(a, b DueCommand) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(CommandName(a.Command), CommandName(b.Command)), cmp.Compare(a.Subject, b.Subject))
	})
	if first != 0 {
		next = first.Time()
	}
	return cmds[:min(len(cmds), MaxDue)], next
}

// dueKind is what time makes of a thing.
type dueKind uint8

const (
	dueEndBooking dueKind = iota
	dueEndShare
	dueExpireCredential
	dueExpireRole
	dueSettleUnlock
)

// dueThing is something that falls due.
type dueThing struct {
	key  dueKey
	kind dueKind
	id   ID
}

func (d dueThing) command() Command {
	switch d.kind {
	case dueEndBooking:
		return EndBooking{Booking: d.id}
	case dueEndShare:
		return EndShare{Share: d.id}
	case dueExpireRole:
		return expireRole(d.id)
	case dueSettleUnlock:
		return SettleRemoteUnlock{Request: d.id, Outcome: UnlockUnknown}
	}
	return ExpireCredential{Credential: d.id}
}

// dueKey is an instant as the ledger says it: the end of a day of a site, of which
// the site's zone rules make an instant, so that newer rules move it; or an
// instant by itself, without a day.
type dueKey struct {
	site ID
	day  schedule.Date
	at   unlock.Instant
}

// dueIndex finds what falls due by days.
type dueIndex struct {
	days map[int64]map[dueKey]map[dueThing]struct{} // by utcDay of the key
}

// dueSpread is how many days the end of a site's day may be from its end in UTC.
// Offsets are less than 26 hours.
const dueSpread = 2

func newDueIndex(s *State) *dueIndex {
	x := &dueIndex{days: map[int64]map[dueKey]map[dueThing]struct{}{}}
	s.Bookings.due, s.Bookings.dueOf = x, func(id ID, b *Booking) (dueThing, bool) {
		return dueThing{dueKey{site: b.Site, day: b.Until}, dueEndBooking, id}, b.State == BookingStateActive && !b.Until.IsZero()
	}
	s.Shares.due, s.Shares.dueOf = x, func(id ID, sh *Share) (dueThing, bool) {
		return dueThing{dueKey{site: sh.Site, day: sh.Until}, dueEndShare, id}, sh.State == ShareStateActive && !sh.Until.IsZero()
	}
	s.Credentials.due, s.Credentials.dueOf = x, func(id ID, c *Credential) (dueThing, bool) {
		return dueThing{dueKey{at: unlock.InstantOf(c.Until)}, dueExpireCredential, id}, c.live() && !c.Until.IsZero()
	}
	s.RoleAssignments.due, s.RoleAssignments.dueOf = x, func(id ID, r *RoleAssignment) (dueThing, bool) {
		return dueThing{dueKey{at: unlock.InstantOf(r.Until)}, dueExpireRole, id}, !r.Until.IsZero()
	}
	s.UnlockRequests.due, s.UnlockRequests.dueOf = x, func(id ID, r *UnlockRequest) (dueThing, bool) {
		return dueThing{dueKey{at: r.unlockDue()}, dueSettleUnlock, id}, r.Outcome == ""
	}
	return x
}

// dueAt is the instant of a key.
func (s *State) dueAt(k dueKey) unlock.Instant {
	if k.day.IsZero() {
		return k.at
	}
	return s.window(k.site, schedule.Date{}, k.day).Until
}

// utcDay is the day of UTC, in days since 1970, within dueSpread of which the
// instant of the key lies.
func (k dueKey) utcDay() int64 {
	at := int64(k.at)
	if !k.day.IsZero() {
		at = utc.Start(k.day.AddDays(1))
	}
	return at / int64(24*time.Hour)
}

func (x *dueIndex) add(t dueThing) {
	day := t.key.utcDay()
	if x.days[day] == nil {
		x.days[day] = map[dueKey]map[dueThing]struct{}{}
	}
	if x.days[day][t.key] == nil {
		x.days[day][t.key] = map[dueThing]struct{}{}
	}
	x.days[day][t.key][t] = struct{}{}
}

func (x *dueIndex) remove(t dueThing) {
	day := t.key.utcDay()
	delete(x.days[day][t.key], t)
	if len(x.days[day][t.key]) == 0 {
		delete(x.days[day], t.key)
	}
	if len(x.days[day]) == 0 {
		delete(x.days, day)
	}
}
