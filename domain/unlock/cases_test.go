package unlock

import (
	"testing"
	"time"

	"gatehouse/domain/schedule"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var decideCases = []struct {
	name string
	set  func(s *storage)
	want Code
	// failed is what failed beside the code of a denial.
	failed []Code
}{
	{"a tenant opens what is mapped to the unit", func(s *storage) { s.ask(s.fobA, s.doorA) }, AllowGrant, nil},
	{"a share opens the unit for the sharee's mobile key (F3)", func(s *storage) { s.ask(s.keyA, s.doorB) }, AllowShare, nil},
	{"staff", func(s *storage) { s.ask(s.card, s.hall) }, AllowStaff, nil},
	{"a remote unlock by staff", func(s *storage) { s.command(s.sue, s.hall, CommandRemoteUnlock) }, AllowCommand, nil},
	{"an unlocked door asks nobody", func(s *storage) { s.gate.Posture = Unlocked; s.r.Door = IDOf("gate") },
		AllowPostureUnlocked, []Code{DenyUnknownCredential}},
	{"unlocked for a while", func(s *storage) {
		s.gate.Posture, s.gate.PostureUntil, s.r.Door = Unlocked, noon, IDOf("gate")
	}, DenyUnknownCredential, nil},
	{"free access for whoever is known", func(s *storage) { s.doorB.Posture = FreeAccess; s.ask(s.card, s.doorB) },
		AllowPostureFreeAccess, []Code{DenyNoAccessRight}},
	{"free access is not for strangers", func(s *storage) {
		s.doorB.Posture, s.card.State = FreeAccess, CredentialLost
		s.ask(s.card, s.doorB)
	}, DenyCredentialLost, []Code{DenyNoAccessRight}},
	{"fire is above all", func(s *storage) {
		s.gate.FireRelease, s.gate.Enabled, s.local.Fire, s.site.Posture = true, false, true, Lockdown
		s.r.Door = IDOf("gate")
	}, AllowFire, []Code{DenyPointDisabled, DenyLockdown, DenyUnknownCredential}},
	{"fire releases only what is released by it", func(s *storage) {
		s.local.Fire, s.site.Posture = true, Lockdown
		s.ask(s.card, s.hall)
	}, DenyLockdown, nil},

	{"no such door", func(s *storage) { s.r.Tag = s.card.Tag; s.r.Door = IDOf("nowhere") }, DenyUnknownAccessPoint, nil},
	{"no site", func(s *storage) { s.drop(s.site); s.ask(s.card, s.hall) }, DenyUnknownAccessPoint, nil},
	{"out of service", func(s *storage) { s.hall.Enabled = false; s.ask(s.card, s.hall) }, DenyPointDisabled, nil},
	{"blocked at the door", func(s *storage) { s.local.Blocked = true; s.ask(s.card, s.hall) }, DenyLocalBlock, nil},
	{"the site is locked down", func(s *storage) { s.site.Posture = Lockdown; s.ask(s.card, s.hall) }, DenyLockdown, nil},
	{"the door is locked down", func(s *storage) { s.hall.Posture = Lockdown; s.ask(s.card, s.hall) }, DenyLockdown, nil},
	{"the lease has ended", func(s *storage) { s.local.LeaseEnd = noon; s.ask(s.card, s.hall) }, DenyLeaseEnded, nil},
	{"no lease is no lease before 1970", func(s *storage) {
		s.local.LeaseEnd, s.r.At = 0, -hour
		s.rounds.Schedule = ""
		s.ask(s.card, s.hall)
	}, DenyLeaseEnded, nil},
	{"a lease does not keep people in", func(s *storage) { s.local.LeaseEnd, s.r.Side = noon, Out; s.ask(s.card, s.hall) },
		AllowStaff, []Code{DenyLeaseEnded}},
	{"the last table goes on", func(s *storage) {
		s.local.LeaseEnd, s.hall.AfterLease = noon-LastTableCeiling+1, LastTable
		s.ask(s.card, s.hall)
	}, AllowStaff, []Code{DenyLeaseEnded}},
	{"the last table does not go on for ever", func(s *storage) {
		s.local.LeaseEnd, s.hall.AfterLease = noon-LastTableCeiling, LastTable
		s.ask(s.card, s.hall)
	}, DenyProjectionStale, []Code{DenyLeaseEnded}},
	{"a critical door trusts no clock", func(s *storage) {
		s.local.ClockUnsure, s.hall.Class, s.hall.AfterLease = true, Critical, LastTable
		s.ask(s.card, s.hall)
	}, DenyClockUnsure, nil},
	{"an unsure clock keeps nobody in", func(s *storage) {
		s.local.ClockUnsure, s.hall.Class, s.r.Side = true, Critical, Out
		s.ask(s.card, s.hall)
	}, AllowStaff, []Code{DenyClockUnsure}},
	{"a standard door trusts its clock", func(s *storage) { s.local.ClockUnsure = true; s.ask(s.card, s.hall) }, AllowStaff, nil},

	{"a card of another facility", func(s *storage) { s.r.Fault, s.r.Door = WrongFacilityCode, IDOf("hall") }, DenyWrongFacilityCode, nil},
	{"a card of another format", func(s *storage) { s.r.Fault, s.r.Door = WrongCardFormat, IDOf("hall") }, DenyCardFormat, nil},
	{"an unknown tag", func(s *storage) { s.ask(s.card, s.hall); s.r.Tag = tagged("nothing") }, DenyUnknownCredential, nil},
	{"nobody named", func(s *storage) { s.r.Door = IDOf("hall") }, DenyUnknownCredential, nil},
	{"a credential of nobody", func(s *storage) { s.drop(s.sue); s.ask(s.card, s.hall) }, DenyUnknownCredential, nil},
	{"two live credentials with one tag", func(s *storage) { s.joeCard.Tag = s.card.Tag; s.ask(s.card, s.hall) },
		DenyUnknownCredential, []Code{DenyCredentialDuplicate}},
	{"a number is given again", func(s *storage) {
		s.joeCard.Tag, s.joeCard.State = s.card.Tag, CredentialRevoked
		s.ask(s.card, s.hall)
	}, AllowStaff, nil},
	{"stolen", func(s *storage) { s.card.State = CredentialStolen; s.ask(s.card, s.hall) }, DenyCredentialStolen, nil},
	{"lost", func(s *storage) { s.card.State = CredentialLost; s.ask(s.card, s.hall) }, DenyCredentialLost, nil},
	{"revoked", func(s *storage) { s.card.State = CredentialRevoked; s.ask(s.card, s.hall) }, DenyCredentialRevoked, nil},
	{"on the deny list", func(s *storage) { s.card.DenyListed = true; s.ask(s.card, s.hall) }, DenyCredentialRevoked, nil},
	{"damaged", func(s *storage) { s.card.State = CredentialDamaged; s.ask(s.card, s.hall) }, DenyCredentialDamaged, nil},
	{"suspended", func(s *storage) { s.card.State = CredentialSuspended; s.ask(s.card, s.hall) }, DenyCredentialSuspended, nil},
	{"no longer suspended", func(s *storage) {
		s.card.State, s.card.SuspendedUntil = CredentialSuspended, noon
		s.ask(s.card, s.hall)
	}, AllowStaff, nil},
	{"expired", func(s *storage) { s.card.Window.Until = noon; s.ask(s.card, s.hall) }, DenyCredentialExpired, nil},
	{"marked expired", func(s *storage) { s.card.State = CredentialExpired; s.ask(s.card, s.hall) }, DenyCredentialExpired, nil},
	{"not active yet", func(s *storage) { s.card.Window.From = noon + 1; s.ask(s.card, s.hall) }, DenyCredentialNotActive, nil},
	{"active from now on", func(s *storage) { s.card.Window = Window{noon, noon + 1}; s.ask(s.card, s.hall) }, AllowStaff, nil},
	{"a fob opens only what its booking opens (F1)", func(s *storage) { s.ask(s.fobA, s.doorB) },
		DenyCredentialTypeNotPermitted, nil},
	{"a shared user's fob (F1)", func(s *storage) { s.fobA.Booking = ""; s.ask(s.fobA, s.doorB) },
		DenyCredentialTypeNotPermitted, nil},
	{"a shared user's card (F1)", func(s *storage) {
		s.fobA.Kind, s.fobA.Booking = Card, ""
		s.ask(s.fobA, s.doorB)
	}, DenyCredentialTypeNotPermitted, nil},
	{"a shared user's fob where the site lets them (F6)", func(s *storage) {
		s.fobA.Booking, s.site.SharedUserFobs = "", true
		s.ask(s.fobA, s.doorB)
	}, AllowShare, nil},
	{"another kind than the grant's", func(s *storage) { s.job.Kinds = []CredentialKind{Pin}; s.ask(s.card, s.hall) },
		DenyCredentialTypeNotPermitted, nil},
	{"used up", func(s *storage) { s.card.MaxUses, s.local.Uses = 1, 1; s.ask(s.card, s.hall) }, DenyMaxUses, nil},
	{"counted by its home", func(s *storage) {
		s.card.MaxUses, s.card.Home, s.hall.Gateway = 1, "cabinet", "cabinet"
		s.ask(s.card, s.hall)
	}, AllowStaff, nil},
	{"counted by another gateway", func(s *storage) {
		s.card.MaxUses, s.card.Home, s.hall.Gateway = 1, "cabinet", "other"
		s.ask(s.card, s.hall)
	}, DenyOtherGateway, nil},
	{"counted, at a door of no gateway", func(s *storage) { s.card.MaxUses, s.card.Home = 1, "cabinet"; s.ask(s.card, s.hall) }, DenyOtherGateway, nil},
	{"not used up", func(s *storage) { s.card.MaxUses, s.local.Uses = 2, 1; s.ask(s.card, s.hall) }, AllowStaff, nil},
	{"a suspended person", func(s *storage) { s.sue.State = PersonSuspended; s.ask(s.card, s.hall) }, DenyPersonSuspended, nil},
	{"an identity that is not bound (L7)", func(s *storage) { s.anna.State = PersonPending; s.ask(s.keyA, s.doorB) },
		DenyIdentityPending, nil},

	{"a revoked booking", func(s *storage) { s.bookingA.State = BookingRevoked; s.ask(s.fobA, s.doorA) }, DenyBookingRevoked, nil},
	{"a booking that is not known", func(s *storage) { s.drop(s.bookingA); s.ask(s.fobA, s.doorA) },
		DenyBookingRevoked, []Code{DenyNoAccessRight}},
	{"an ended booking", func(s *storage) { s.bookingA.State = BookingEnded; s.ask(s.fobA, s.doorA) }, DenyBookingEnded, nil},
	{"a booking whose last day is over", func(s *storage) { s.bookingA.Window.Until = noon; s.ask(s.fobA, s.doorA) },
		DenyBookingEnded, nil},
	{"a booking that has not begun", func(s *storage) { s.bookingA.Window.From = noon + 1; s.ask(s.fobA, s.doorA) },
		DenyBookingNotStarted, nil},
	{"a unit that is not released", func(s *storage) { s.unitA.State = UnitToCheck; s.ask(s.fobA, s.doorA) },
		DenyUnitToCheck, nil},
	{"an overlock shuts the unit", func(s *storage) { s.bookingA.State = BookingOverlock; s.ask(s.fobA, s.doorA) }, DenyOverlock, nil},
	{"an overlock shuts entries", func(s *storage) { s.bookingA.State = BookingOverlock; s.ask(s.fobA, s.gate) }, DenyOverlock, nil},
	{"a gatelock shuts entries", func(s *storage) { s.bookingA.State = BookingGatelock; s.ask(s.fobA, s.gate) }, DenyGatelock, nil},
	{"a gatelock leaves the unit", func(s *storage) { s.bookingA.State = BookingGatelock; s.ask(s.fobA, s.doorA) }, AllowGrant, nil},
	{"a share falls with its booking (B6)", func(s *storage) { s.bookingB.State = BookingRevoked; s.ask(s.keyA, s.doorB) },
		DenyBookingRevoked, nil},
	{"a suspension is per booking", func(s *storage) { s.bookingB.State = BookingOverlock; s.ask(s.keyA, s.doorA) }, AllowGrant, nil},

	{"a revoked share (B5)", func(s *storage) { s.share.State = GrantRevoked; s.ask(s.keyA, s.doorB) }, DenyShareRevoked, nil},
	{"a share of what was taken away", func(s *storage) { s.ownB.State = GrantRevoked; s.ask(s.keyA, s.doorB) }, DenyShareRevoked, nil},
	{"a share of what is not known", func(s *storage) { s.drop(s.ownB); s.ask(s.keyA, s.doorB) }, DenyShareRevoked, nil},
	{"a share by a suspended tenant", func(s *storage) { s.ben.State = PersonSuspended; s.ask(s.keyA, s.doorB) }, DenySharerSuspended, nil},
	{"a share by a tenant who is not known", func(s *storage) { s.drop(s.ben); s.ask(s.keyA, s.doorB) }, DenySharerSuspended, nil},
	{"a user of the unit of a suspended tenant", func(s *storage) {
		s.ben.State = PersonSuspended
		s.share.Source, s.share.Parent, s.share.Booking = SourceUnitUser, "", s.bookingB.ID
		s.ask(s.keyA, s.doorB)
	}, DenySharerSuspended, nil},
	{"a suspended tenant as a user of the own unit", func(s *storage) {
		s.anna.State, s.bookingB.Person = PersonSuspended, s.anna.ID
		s.share.Source, s.share.Parent, s.share.Booking = SourceUnitUser, "", s.bookingB.ID
		s.ask(s.keyA, s.doorB)
	}, DenyPersonSuspended, nil},
	{"a share of itself", func(s *storage) { s.share.Parent = "share"; s.ask(s.keyA, s.doorB) }, DenyShareRevoked, nil},
	{"an ended share (B4)", func(s *storage) { s.share.Window.Until = noon; s.ask(s.keyA, s.doorB) }, DenyShareEnded, nil},
	{"a share marked ended", func(s *storage) { s.share.State = GrantEnded; s.ask(s.keyA, s.doorB) }, DenyShareEnded, nil},
	{"a share ends with what it is a part of", func(s *storage) { s.ownB.Window.Until = noon; s.ask(s.keyA, s.doorB) },
		DenyShareEnded, nil},
	{"a share that has not begun (B4)", func(s *storage) { s.share.Window.From = noon + 1; s.ask(s.keyA, s.doorB) },
		DenyShareNotStarted, nil},
	{"another's door", func(s *storage) { s.ask(s.card, s.doorA) }, DenyNoAccessRight, nil},
	{"a right that is not known", func(s *storage) { s.drop(s.rounds); s.ask(s.card, s.hall) }, DenyNoAccessRight, nil},
	{"a revoked grant", func(s *storage) { s.job.State = GrantRevoked; s.ask(s.card, s.hall) }, DenyNoAccessRight, nil},
	{"a unit with nothing mapped (B1)", func(s *storage) { s.unitA.Rights = nil; s.ask(s.fobA, s.doorA) }, DenyNoAccessRight, nil},
	{"any grant is enough", func(s *storage) {
		again := *s.job
		again.ID, again.State = "again", GrantRevoked
		s.rows = append(s.rows, &again)
		s.ask(s.card, s.hall)
	}, AllowStaff, nil},
	{"the grant that got furthest gives the reason", func(s *storage) {
		later := *s.job
		later.ID, later.Window.From = "later", noon+1
		s.rows = append(s.rows, &later)
		s.r.At += 12 * hour
		s.local.LeaseEnd = Held
		s.ask(s.card, s.hall)
	}, DenyOutsideSchedule, nil},
	{"a door without the capability (G4)", func(s *storage) {
		s.hall.Capabilities = nil
		s.command(s.sue, s.hall, CommandRemoteUnlock)
	}, DenyCapability, nil},
	{"a grant without the capability (G3)", func(s *storage) { s.command(s.joe, s.hall, CommandRemoteUnlock) },
		DenyRemoteUnlockNotPermitted, nil},
	{"each capability for itself (G3)", func(s *storage) { s.command(s.sue, s.hall, CommandUnlockFor) },
		DenyRemoteUnlockNotPermitted, nil},

	{"a blackout of the site", func(s *storage) { s.site.Blackouts = blackoutAt(noon); s.ask(s.card, s.hall) }, DenyBlackout, nil},
	{"a blackout of the door", func(s *storage) { s.hall.Blackouts = blackoutAt(noon); s.ask(s.card, s.hall) }, DenyBlackout, nil},
	{"a blackout of another door", func(s *storage) { s.gate.Blackouts = blackoutAt(noon); s.ask(s.card, s.hall) }, AllowStaff, nil},
	{"a holiday", func(s *storage) {
		s.r.At = InstantOf(time.Date(2026, 12, 25, 11, 0, 0, 0, time.UTC))
		s.local.LeaseEnd = Held
		s.ask(s.card, s.hall)
	}, DenyHoliday, nil},
	{"the evening of a holiday", func(s *storage) {
		s.r.At = InstantOf(time.Date(2026, 12, 25, 21, 0, 0, 0, time.UTC))
		s.local.LeaseEnd = Held
		s.ask(s.card, s.hall)
	}, DenyOutsideSchedule, nil},
	{"the evening", func(s *storage) { s.r.At += 8 * hour; s.local.LeaseEnd = Held; s.ask(s.card, s.hall) }, DenyOutsideSchedule, nil},
	{"a schedule that is not known", func(s *storage) { s.drop(s.office); s.ask(s.card, s.hall) }, DenyOutsideSchedule, nil},
	{"a schedule of the unit narrows", func(s *storage) { s.unitA.Rights[0].Schedule = "never"; s.ask(s.fobA, s.doorA) },
		DenyOutsideSchedule, nil},
	{"a schedule of the grant narrows (U6)", func(s *storage) { s.ownA.Schedule = "never"; s.ask(s.fobA, s.doorA) },
		DenyOutsideSchedule, nil},
	{"outside the credential's own schedule", func(s *storage) { s.pin.Schedule = "never"; s.ask(s.pin, s.hall) }, DenyOutsideSchedule, nil},
	{"within the credential's own schedule", func(s *storage) { s.pin.Schedule = "office"; s.ask(s.pin, s.hall) }, AllowStaff, nil},
	{"a schedule of a parent narrows", func(s *storage) { s.ownB.Schedule = "never"; s.ask(s.keyA, s.doorB) }, DenyOutsideSchedule, nil},
	{"fobs follow their own schedule", func(s *storage) { s.site.FobSchedule = "never"; s.ask(s.fobA, s.doorA) },
		DenyOutsideSchedule, nil},
	{"cards follow that of fobs", func(s *storage) { s.site.FobSchedule = "never"; s.ask(s.card, s.hall) }, DenyOutsideSchedule, nil},
	{"PINs do not", func(s *storage) { s.site.FobSchedule = "never"; s.ask(s.pin, s.hall) }, AllowStaff, nil},
	{"fobs follow no other schedule then", func(s *storage) {
		s.site.FobSchedule, s.rightA.Schedule, s.ownA.Schedule = "office", "never", "never"
		s.ask(s.fobA, s.doorA)
	}, AllowGrant, nil},

	{"before the first has come", func(s *storage) { s.local.FirstInPending = true; s.ask(s.joeCard, s.hall) }, DenyFirstInPending, nil},
	{"the first comes", func(s *storage) { s.local.FirstInPending = true; s.ask(s.card, s.hall) }, AllowStaff, nil},
	{"passback", func(s *storage) {
		s.hall.Presence, s.local.LastSide = PresenceDeny, In
		s.ask(s.card, s.hall)
	}, DenyPassback, nil},
	{"passback is only marked", func(s *storage) {
		s.hall.Presence, s.local.LastSide = PresenceMark, In
		s.ask(s.card, s.hall)
	}, AllowStaff, []Code{DenyPassback}},
	{"passback does not keep people in", func(s *storage) {
		s.hall.Presence, s.local.LastSide, s.r.Side = PresenceDeny, Out, Out
		s.ask(s.card, s.hall)
	}, AllowStaff, []Code{DenyPassback}},
	{"a full area", func(s *storage) {
		s.hall.Presence, s.hall.Occupancy, s.local.Occupancy = PresenceDeny, 3, 3
		s.ask(s.card, s.hall)
	}, DenyOccupancyLimit, nil},
	{"another door stands open", func(s *storage) { s.local.Interlock = true; s.ask(s.card, s.hall) }, DenyInterlock, nil},

	{"the keypad is locked", func(s *storage) { s.local.Keypad.Until = noon + 1; s.ask(s.pin, s.hall) }, DenyLockout, nil},
	{"a locked keypad is nothing to cards", func(s *storage) { s.local.Keypad.Until = noon + 1; s.ask(s.card, s.hall) }, AllowStaff, nil},
	{"digits of nobody", func(s *storage) { s.ask(s.pin, s.hall); s.r.Tag, s.r.Kind = tagged("1234"), Pin }, DenyInvalidPin, nil},
	{"a card without its PIN", func(s *storage) { s.hall.Factor = PinFactor; s.ask(s.card, s.hall) }, DenyInvalidPin, nil},
	{"a card with its PIN", func(s *storage) { s.hall.Factor, s.r.Second = PinFactor, s.pin.Tag; s.ask(s.card, s.hall) }, AllowStaff, nil},
	{"a card with another's PIN", func(s *storage) {
		s.hall.Factor, s.r.Second = PinFactor, s.pin.Tag
		s.ask(s.joeCard, s.hall)
	}, DenyInvalidPin, nil},
	{"a card with a PIN at a locked keypad", func(s *storage) {
		s.hall.Factor, s.r.Second, s.local.Keypad.Until = PinFactor, s.pin.Tag, noon+1
		s.ask(s.card, s.hall)
	}, DenyLockout, []Code{DenyInvalidPin}},
	{"one person where two are asked for", func(s *storage) { s.hall.Factor = PersonFactor; s.ask(s.card, s.hall) },
		DenySecondPersonRequired, nil},
	{"one person twice", func(s *storage) { s.hall.Factor, s.r.Second = PersonFactor, s.pin.Tag; s.ask(s.card, s.hall) },
		DenySecondPersonRequired, nil},
	{"two persons", func(s *storage) { s.hall.Factor, s.r.Second = PersonFactor, s.joeCard.Tag; s.ask(s.card, s.hall) }, AllowStaff, nil},
	{"two persons, one of whom may not", func(s *storage) {
		s.hall.Factor, s.r.Second = PersonFactor, s.keyA.Tag
		s.ask(s.card, s.hall)
	}, DenySecondPersonRequired, nil},
	{"nobody to escort", func(s *storage) { s.hall.Factor = EscortFactor; s.ask(s.joeCard, s.hall) }, DenyEscortRequired, nil},
	{"with an escort", func(s *storage) { s.hall.Factor, s.r.Second = EscortFactor, s.card.Tag; s.ask(s.joeCard, s.hall) }, AllowGrant, nil},
	{"an escort alone", func(s *storage) { s.hall.Factor = EscortFactor; s.ask(s.card, s.hall) }, AllowStaff, nil},

	{"of several reasons the first counts", func(s *storage) {
		s.sue.State, s.card.State, s.r.At, s.local.LeaseEnd = PersonSuspended, CredentialLost, noon+8*hour, Held
		s.ask(s.card, s.hall)
	}, DenyCredentialLost, []Code{DenyPersonSuspended, DenyOutsideSchedule}},
}

// blackoutAt is the hour in Berlin around an instant.
func blackoutAt(at Instant) schedule.Blackouts {
	day, _ := schedule.DateOf(at.Time().Year(), at.Time().Month(), at.Time().Day())
	from := schedule.DateTime{Date: day, Time: schedule.TimeOfDay(60 * (at.Time().Hour() + 1))}
	to := from
	to.Time += 60
	return schedule.Blackouts{{From: from, To: to}}
}

func TestDecide(t *testing.T) {
	seen := map[Code]bool{}
	for _, c := range decideCases {
		t.Run(c.name, func(t *testing.T) {
			s := newStorage(t)
			c.set(s)
			table, err := NewTable(s.all()...)
			require.NoError(t, err)
			table, err = table.Apply(Delta{Delete: s.dropped})
			require.NoError(t, err)
			want := c.failed
			if !c.want.Allows() {
				want = append([]Code{c.want}, c.failed...)
			}
			var failed Checks
			for _, w := range want {
				failed |= check(w)
				seen[w] = true
			}
			seen[c.want] = true
			a := Decide(table, &s.local, s.r)
			assert.Equal(t, c.want, a.Code)
			assert.Equal(t, failed.Codes(), a.Failed.Codes())
			assert.Equal(t, c.want.Allows(), a.Allowed)

			o := oracleOf(s.all()...)
			for _, k := range s.dropped {
				delete(o, k)
			}
			assert.Equal(t, o.decide(s.local, s.r), verdictOf(a), "the oracle")
		})
	}
	for _, c := range Codes() {
		if c == DenyBookingSuspended {
			continue // told to people who do not hold the booking, in place of the door's code
		}
		assert.True(t, seen[c], "no case shows %s", c)
	}
}
