package domain

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain/schedule"
)

// history is what commands make of the storage site, with gateways that follow.
type history struct {
	t     *rapid.T
	s     *State
	at    time.Time
	gates gateway
	sent  int
}

// storage is the ledger of testdata/base/storage.txt.
var storage = struct {
	sync.Once
	world *world
}{}

func newHistory(t *rapid.T) *history {
	storage.Do(func() {
		storage.world = newWorld(t)
		storage.world.base("storage")
	})
	h := &history{t: t, s: NewState(), at: storage.world.at, gates: gateway{}}
	h.s.WatchChanges()
	for _, c := range storage.world.commits {
		storage.world.apply(h.s, c)
	}
	h.gates.follow(t, h.s)
	h.open()
	return h
}

// open gives people something to lose.
func (h *history) open() {
	today := must(schedule.ParseDate("2026-03-02"))
	office := schedule.Schedule{Windows: []schedule.Window{{Days: []schedule.Day{"mon", "tue"}, From: 8 * 60, To: 16 * 60}}}
	for _, cmd := range []Command{
		GrantRight{Grant: "g1", Person: "stan", Right: "staff-doors", Capabilities: []DoorCapability{CapabilityRemoteUnlock}},
		GrantRight{Grant: "g2", Person: "gus", Right: "visitor-doors", Until: today.AddDays(20)},
		GrantRight{Grant: "g3", Person: "mara", Right: "south-doors"},
		ShareAccess{Bookings: []ID{"book-a1"}, Sharees: []Sharee{{Person: "vera"}}, From: today, Until: today.AddDays(28), Shares: []ID{"h1"}},
		ShareAccess{Bookings: []ID{"book-a2"}, Sharees: []Sharee{{Person: "anna"}}, From: today.AddDays(2), Until: today.AddDays(9), Shares: []ID{"h2"}},
		CreateUnitUser{Unit: "a2", Person: "will", Access: []UnitAccess{{Right: "entries", Mode: ModeSameAsUnit}, {Right: "unit-a2", Mode: ModeAlways}}},
		AssignFob{Credential: "k1", Number: Clear("n-k1"), Person: "anna", Booking: "book-a1"},
		AssignFob{Credential: "k2", Number: Clear("n-k2"), Person: "stan", Sites: []ID{"north"}},
		IssueMobileKey{Credential: "k3", Person: "vera"},
		IssueMobileKey{Credential: "k4", Person: "will", Unit: "a2"},
		CreateGroup{Group: "o1", Name: Clear("One"), Doors: []ID{"gate", "lift"}, Owner: "mara"},
		CreateGroup{Group: "o2", Name: Clear("Two"), Doors: []ID{"south-gate"}, Owner: "gus"},
		SetGroupBusinessHours{Group: "o2", Times: Give(office), FirstIn: Give(false)},
		AddMember{Group: "o1", Person: "vera", Role: GroupUser},
		AddMember{Group: "o2", Person: "vera", Role: GroupAdmin},
		h.withDigits(IssuePin{Credential: "k6", Person: "vera", Booking: "book-a1"}),
		h.duress("k6"),
		RegisterGateway{Gateway: "w0", Site: "north", PublicKey: someGatewayKeys[0]},
		AssignDoorToGateway{Gateway: "w0", Door: "gate"}, AssignDoorToGateway{Gateway: "w0", Door: "lift"}, AssignDoorToGateway{Gateway: "w0", Door: "door-a1"},
		h.withDigits(IssuePin{Credential: "k7", Person: "anna", Booking: "book-a1", MaxUses: 2}),
	} {
		require.Nil(h.t, h.send(PersonActor("olga"), cmd), "%T", cmd)
	}
}

// send decides a list of commands of one type and commits what it leads to.
func (h *history) send(actor Actor, cmds ...Command) *Refusal {
	h.sent++
	id := DeriveUUID(UUID{}, fmt.Sprintf("history/%d", h.sent))
	return h.sendAs(id, actor, cmds...)
}

func (h *history) sendAs(id UUID, actor Actor, cmds ...Command) *Refusal {
	d, r := h.s.Decide(Context{ID: id, At: h.at, Actor: actor}, cmds...)
	if r == nil {
		h.s.Apply(Applied{Moment{N: h.s.N + 1, At: h.at, CommandID: id, Actor: actor}, d.Events})
		h.gates.follow(h.t, h.s)
	}
	return r
}

// due sends what is due until nothing is left. Nothing that is due is refused.
func (h *history) due() {
	for range 100 {
		cmds, next := h.s.Due(h.at)
		require.True(h.t, next.IsZero() || next.After(h.at))
		if len(cmds) == 0 {
			return
		}
		for _, d := range cmds {
			require.Nil(h.t, h.sendAs(d.ID(), ServiceActor("due"), d.Command), "%T %s", d.Command, d.Subject)
		}
	}
	h.t.Fatalf("what is due never ends")
}

var (
	storageSites     = []ID{"north", "south"}
	storageDoors     = []ID{"gate", "lift", "door-a1", "door-a2", "door-a3", "office", "south-gate"}
	storageUnits     = []ID{"a1", "a2", "a3", "a4"}
	storageRights    = []ID{"entries", "unit-a1", "unit-a2", "unit-a3", "staff-doors", "visitor-doors", "south-doors"}
	storageSchedules = []ID{"office-hours", "day-hours", AlwaysID}
	storagePeople    = []ID{"anna", "ben", "vera", "will", "stan", "gus", "mara"}
	storageBookings  = []ID{"book-a1", "book-a2", "new-1", "new-2"}
	storageKeys      = []ID{"k1", "k2", "k3", "k4", "k5", "k6", "k6-duress", "k7"}
	storageShares    = []ID{"h1", "h2", "h3", "h4"}
	storageGrants    = []ID{"g1", "g2", "g3"}
)

// day draws a date near the moment.
func (h *history) day() schedule.Date {
	today := h.s.zone("north").Local(h.at.UnixNano()).Date
	return today.AddDays(rapid.IntRange(-2, 12).Draw(h.t, "day"))
}

func (h *history) days() (from, until schedule.Date) {
	from = h.day()
	return from, from.AddDays(rapid.IntRange(0, 12).Draw(h.t, "days"))
}

func (h *history) openDays() (from, until schedule.Date) {
	from, until = h.days()
	if rapid.Bool().Draw(h.t, "open end") {
		until = schedule.Date{}
	}
	return from, until
}

func (h *history) access(unit ID) (access []UnitAccess) {
	for _, right := range slices.Compact([]ID{"entries", "unit-" + unit}) {
		a := UnitAccess{Right: right, Mode: draw(h.t, "mode", ModeLimited, ModeSameAsUnit, ModeAlways)}
		if a.Mode == ModeLimited {
			a.Limited = drawSchedule(h.t)
		}
		access = append(access, a)
	}
	return access[:rapid.IntRange(1, len(access)).Draw(h.t, "rights")]
}

// pass lets time pass: often none, sometimes up to just around a midnight.
func (h *history) pass() {
	switch draw(h.t, "time", "none", "none", "hours", "days", "midnight") {
	case "hours":
		h.at = h.at.Add(time.Duration(rapid.IntRange(1, 30).Draw(h.t, "hours")) * time.Hour)
	case "days":
		h.at = h.at.AddDate(0, 0, rapid.IntRange(1, 10).Draw(h.t, "days"))
	case "midnight":
		h.at = h.around()
	}
}

// around draws an instant from now on around the end of a day at a site.
func (h *history) around() time.Time {
	z := h.s.zone(draw(h.t, "site", storageSites...))
	day := z.Local(h.at.UnixNano()).Date.AddDays(rapid.IntRange(1, 14).Draw(h.t, "days ahead"))
	return time.Unix(0, z.Start(day)).UTC().Add(draw(h.t, "around", 0, -1, 1, time.Hour, 9*time.Hour))
}

// step sends one command, which may be refused.
func (h *history) step() {
	who := PersonActor("olga")
	cmd := h.command()
	if rarely(h.t, "by a tenant") {
		who = PersonActor(draw(h.t, "sender", storagePeople...))
	}
	h.send(who, cmd)
}

func (h *history) command() Command {
	switch draw(h.t, "noun", "booking", "share", "unit user", "grant", "key", "person", "site", "right", "door", "group", "gateway") {
	case "booking":
		return h.bookingCommand()
	case "share":
		return h.shareCommand()
	case "unit user":
		return h.unitUserCommand()
	case "grant":
		return h.grantCommand()
	case "key":
		return h.keyCommand()
	case "person":
		return h.personCommand()
	case "site":
		return h.siteCommand()
	case "right":
		return h.rightCommand()
	case "gateway":
		return h.gatewayCommand()
	case "group":
		return h.groupCommand()
	}
	return h.doorCommand()
}

func (h *history) doorCommand() Command {
	door := draw(h.t, "door", storageDoors...)
	caps := drawCapabilities(h.t)
	until := h.around()
	area := draw[ID](h.t, "area", "yard", "hall")
	posture := draw(h.t, "posture", PostureUnlocked, PostureFreeAccess, PostureNormal)
	return draw[Command](h.t, "command", EnableDoor{Door: door}, DisableDoor{Door: door}, ChangeDoor{Door: door, Capabilities: Give(caps)},
		SetPosture{Door: door, Posture: posture, Until: endOf(until)}, ClearPosture{Door: door},
		SetPosture{Site: "north", Posture: posture, Until: endOf(until)}, ClearPosture{Site: "north"}, SetPosture{Door: door, Posture: PostureNormal, UntilChange: true},
		SchedulePosture{Door: door, Schedule: draw(h.t, "schedule", append(storageSchedules, "", "")...)}, UnlockFor{Door: door, Minutes: 30},
		Lockdown{Door: door}, ReleaseLockdown{Door: door}, Lockdown{Area: area}, ReleaseLockdown{Area: area},
		Lockdown{Site: "north"}, ReleaseLockdown{Site: "north"}, ReleaseLockdown{Site: "north"},
	)
}

func (h *history) bookingCommand() Command {
	b := draw(h.t, "booking", storageBookings...)
	from, until := h.openDays()
	unit, person := draw(h.t, "unit", storageUnits...), draw(h.t, "person", storagePeople...)
	suspend := SuspendBooking{Booking: b, Level: draw(h.t, "level", LevelGatelock, LevelOverlock), Cause: draw[ID](h.t, "cause", "", "unpaid", "damage")}
	return draw[Command](h.t, "command",
		CreateBooking{Booking: b, Unit: unit, Person: person, From: from, Until: until},
		ChangeBookingWindow{Booking: b, From: &from, Until: endOf(until)},
		MoveIn{Booking: b}, MoveOut{Booking: b}, ReleaseUnit{Unit: unit},
		suspend, suspend, ReinstateBooking{Booking: b, Cause: suspend.Cause, Level: draw(h.t, "left", "", "", LevelGatelock)},
		ReinstateBooking{Booking: b}, ReinstateBooking{Booking: b, All: true},
		GrantAuctionAccess{Unit: unit, Person: person, Until: h.day()},
		TransferBooking{Booking: b, Person: person}, EndBooking{Booking: b}, RevokeBooking{Booking: b},
	)
}

func (h *history) shareCommand() Command {
	id := draw(h.t, "share", storageShares...)
	from, until := h.days()
	share := ShareAccess{Bookings: []ID{draw(h.t, "booking", storageBookings...)}, From: from, Until: until, Shares: []ID{id},
		Sharees: []Sharee{{Person: draw(h.t, "person", storagePeople...)}}}
	return draw[Command](h.t, "command", share, share, ChangeShareWindow{Share: id, From: &from, Until: &until}, RevokeShare{Share: id})
}

func (h *history) unitUserCommand() Command {
	unit, person := draw(h.t, "unit", storageUnits...), draw(h.t, "person", storagePeople...)
	access := h.access(unit)
	return draw[Command](h.t, "command",
		CreateUnitUser{Unit: unit, Person: person, Access: access}, CreateUnitManager{Unit: unit, Person: person, Access: access},
		ChangeUnitUserAccess{Unit: unit, Person: person, Access: access}, RemoveUnitUser{Unit: unit, Person: person},
	)
}

func (h *history) grantCommand() Command {
	id := draw(h.t, "grant", storageGrants...)
	from, until := h.openDays()
	before := draw(h.t, "before", 0, 0, 30)
	grant := GrantRight{Grant: id, BufferBefore: before, BufferAfter: draw(h.t, "after", 0, 0, 15), Person: draw(h.t, "person", storagePeople...), Right: draw(h.t, "right", storageRights...),
		From: from, Until: until, Schedule: draw(h.t, "schedule", append(storageSchedules, "")...), Capabilities: drawCapabilities(h.t)}
	return draw[Command](h.t, "command", grant, grant, RevokeRight{Grant: id})
}

func (h *history) keyCommand() Command {
	id, person := draw(h.t, "key", storageKeys...), draw(h.t, "person", storagePeople...)
	fob := AssignFob{Credential: id, Number: Clear("n-" + string(id)), Person: person, Kind: draw(h.t, "kind", KindFob, KindCard)}
	switch draw(h.t, "held", "booking", "unit", "staff") {
	case "booking":
		fob.Booking = draw(h.t, "booking", storageBookings...)
	case "unit":
		fob.Unit = draw(h.t, "unit", storageUnits...)
	default:
		fob.Sites = storageSites[:rapid.IntRange(1, 2).Draw(h.t, "sites")]
	}
	mobile := IssueMobileKey{Credential: id, Person: person}
	var until time.Time
	if rapid.Bool().Draw(h.t, "until") {
		until = h.around()
		fob.Until, mobile.Until = until, until
	}
	pin := h.pin(id, person, fob)
	return draw[Command](h.t, "command", fob, fob, mobile, RemoveFob{Credential: id}, pin, pin, h.withRotation(id), h.duress(id),
		ReportCredential{Credential: id, As: "lost"}, SuspendCredential{Credential: id, Until: until}, ReinstateCredential{Credential: id},
		RevokeCredential{Credential: id}, AddToDenyList{Credential: id}, RemoveFromDenyList{Credential: id},
	)
}

func (h *history) personCommand() Command {
	p, site := draw(h.t, "person", storagePeople...), draw(h.t, "site", "", storageSites[0], storageSites[1])
	return draw[Command](h.t, "command", ReinstatePerson{Person: p}, SuspendPerson{Person: p},
		AssignRole{Person: p, Role: draw(h.t, "role", RoleStaff, RoleGuest), Site: site}, RevokeRole{Person: p, Site: site},
		AssignRole{Person: p, Role: RoleStaff, Site: site, Until: h.around()},
		RegisterPerson{Person: ID("new-" + string(p)), Name: Clear("N.")}, ErasePerson{Person: p},
	)
}

func (h *history) siteCommand() Command {
	site, day := draw(h.t, "site", storageSites...), h.day()
	return draw[Command](h.t, "command",
		SetHolidayCalendar{Site: site, Days: schedule.Calendar{{Date: day, Until: day.AddDays(1), Kind: schedule.Holiday}}},
		SetBlackout{Site: site, Blackout: "x1", From: &schedule.DateTime{Date: day, Time: 600}, To: &schedule.DateTime{Date: day.AddDays(1), Time: 60}},
		ClearBlackout{Site: site, Blackout: "x1"},
		SetSitePolicy{Site: site, Policy: wholePolicy(Policy{FobHolders: draw(h.t, "fob holders", "", "anyone"), FobSchedule: draw(h.t, "fob schedule", append(storageSchedules, "", "")...), ShareDepth: 2,
			MembershipOverlap: draw(h.t, "overlap", "", "union"), Uses: draw(h.t, "uses", "", "per_gateway")})},
	)
}

func (h *history) groupCommand() Command {
	group, person := draw[ID](h.t, "group", "o1", "o2", "o3"), draw(h.t, "person", storagePeople...)
	door, role := draw(h.t, "door", storageDoors...), draw(h.t, "group role", GroupRoles...)
	day, firstIn := h.day(), rapid.Bool().Draw(h.t, "first in")
	return draw[Command](h.t, "command",
		AddDoorToGroup{Group: group, Door: door}, RemoveDoorFromGroup{Group: group, Door: door},
		AddMember{Group: group, Person: person, Role: role}, AddMember{Group: group, Person: person, Role: GroupUser},
		ChangeMemberRole{Group: group, Person: person, Role: role}, RemoveMember{Group: group, Person: person},
		SetGroupOption{Group: group, Option: OptionRemoteUnlock, Enabled: rapid.Bool().Draw(h.t, "enabled")},
		SetGroupSchedule{Group: group, Times: drawSchedule(h.t)},
		SetGroupBusinessHours{Group: group, Times: Give(draw(h.t, "hours", drawSchedule(h.t), schedule.Schedule{})), FirstIn: Give(firstIn)},
		SetGroupBlackout{Group: group, Blackout: "x1", From: &schedule.DateTime{Date: day, Time: 600}, To: &schedule.DateTime{Date: day.AddDays(1), Time: 60}},
		ClearGroupBlackout{Group: group, Blackout: "x1"},
		CreateGroup{Group: "o3", Name: Clear("Three"), Doors: []ID{door}, Owner: person}, EndGroup{Group: "o3"},
	)
}

func (h *history) rightCommand() Command {
	times := drawSchedule(h.t)
	right, door := draw(h.t, "right", storageRights...), draw(h.t, "door", storageDoors...)
	unit := draw(h.t, "unit", storageUnits...)
	return draw[Command](h.t, "command",
		ChangeSchedule{Schedule: draw(h.t, "schedule", storageSchedules...), Times: &times},
		ChangeAccessRight{Right: right, AddDoors: []ID{door}}, ChangeAccessRight{Right: right, RemoveDoors: []ID{door}},
		ChangeAccessRight{Right: right, Schedule: new(draw(h.t, "schedule", storageSchedules...))},
		MapUnitAccess{Unit: unit, Rights: []UnitRight{{Right: "entries", Schedule: draw(h.t, "schedule", append(storageSchedules, "")...)}, {Right: "unit-" + unit}}},
		RetireAccessRight{Right: right},
	)
}

func (h *history) question() asked {
	door := draw(h.t, "door", storageDoors...)
	q := asked{Site: theRow(h.s.Doors, door).Site, Door: door, At: h.at, Remote: rarely(h.t, "remote")}
	if rapid.Bool().Draw(h.t, "another time") {
		q.At = h.around()
	}
	if bound, ok := drawBound(h.t, h.s); ok {
		q.At = bound
	}
	if rapid.Bool().Draw(h.t, "by key") {
		q.Credential = draw(h.t, "key", storageKeys...)
	} else {
		q.Person = draw(h.t, "person", storagePeople...)
		q.Kind = draw(h.t, "kind", "", KindFob, KindCard, KindMobileKey, KindPin)
	}
	return q
}
