package domain_test

import (
	"flag"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/randomtest"
)

// ruledBeginning is what random histories begin with beside the busy site.
const ruledBeginning = `
mara ChangeDoor {"door":"gate","capabilities":["remote_unlock","unlock_for"],"fire_release":true}
mara ChangeDoor {"door":"lift","capabilities":["remote_unlock"]}
olga ConnectSite {"site":"south","lock_system":"gatehouse"}
olga CreateUnit {"unit":"b1","site":"south","name":"B1"}
olga CreateDoor {"door":"door-b1","site":"south","name":"B1","kind":"unit","unit":"b1"}
olga DefineAccessRight {"right":"unit-b1","name":"Unit B1","doors":["south-gate","door-b1"],"schedule":"day-hours"}
olga MapUnitAccess {"unit":"b1","rights":[{"right":"unit-b1"}]}
mara CreateBooking {"booking":"book-b1","unit":"b1","person":"will","from":"2026-03-01","until":"2026-04-30"}
mara MoveIn {"booking":"book-b1"}
will CreateUnitManager {"unit":"b1","email":"rita@example.com","access":[{"right":"unit-b1","mode":"same_as_unit"}]}
will IssueMobileKey {"credential":"key-will","person":"will"}
mara GrantRight {"grant":"grant-stan","person":"stan","right":"staff-doors","capabilities":["remote_unlock","unlock_for"]}
stan AddKeyStock {"unit":"a1","keys":[{"credential":"stock-1","number":"5001"},{"credential":"stock-2","number":"5002"}]}
mara SetSitePolicy {"site":"south","policy":{"share_depth":3,"fob_holders":"anyone","uses":"per_gateway"}}
will ShareAccess {"bookings":["book-b1"],"sharees":[{"email":"vera@example.com"}],"from":"2026-03-02","until":"2026-04-20","shares":["share-vera"]}
vera ShareAccess {"bookings":["book-b1"],"sharees":[{"email":"ben@example.com"}],"from":"2026-03-02","until":"2026-04-30","shares":["share-ben"]}
sue AssignFob {"credential":"fob-vera","person":"vera","booking":"book-b1","number":"2001"}
sue IssuePin {"credential":"pin-will","person":"will","booking":"book-b1","max_uses":2}
sue IssuePin {"credential":"pin-rita","person":"rita","unit":"b1","times":{"windows":[{"days":["mon","tue","wed"],"from":"09:00","to":"14:00"}]}}
mara CreateUnit {"unit":"b2","site":"south","name":"B2"}
mara CreateDoor {"door":"door-b2","site":"south","name":"B2","kind":"unit","unit":"b2"}
mara DefineAccessRight {"right":"unit-b2","name":"Unit B2","doors":["door-b2"],"schedule":"always"}
mara MapUnitAccess {"unit":"b2","rights":[{"right":"unit-b2"}]}
mara CreateBooking {"booking":"book-b2","unit":"b2","person":"gus","from":"2026-03-01"}
sue SuspendBooking {"booking":"book-b2","level":"overlock"}
mara GrantAuctionAccess {"unit":"b2","person":"anna","until":"2026-04-20"}
olga SetGroupOption {"group":"crew","option":"remote_unlock","enabled":true}
mara SetBlackout {"site":"south","blackout":"works","from":"2026-03-03T00:00","to":"2026-03-04T00:00"}
mara SetBlackout {"site":"south","blackout":"holidays","from":"2026-04-13T00:00","to":"2026-07-01T00:00"}
olga SetGroupBlackout {"group":"south-crew","blackout":"closed","from":"2026-04-06T00:00","to":"2026-07-01T00:00"}
mara SchedulePosture {"door":"door-a3","schedule":"office-hours"}
mara GrantRight {"grant":"grant-ben","person":"ben","right":"staff-doors","kinds":["card"]}
ben IssueMobileKey {"credential":"key-ben","person":"ben","until":"2026-03-03T09:00:00Z"}
ben IssueMobileKey {"credential":"key-ben-2","person":"ben"}
ben SuspendCredential {"credential":"key-ben-2"}
stan AddToDenyList {"credential":"fob-ben"}
stan AssignFob {"credential":"fob-old","person":"anna","booking":"book-a1","number":"1003"}
anna RemoveFob {"credential":"fob-old"}
mara CreateDoor {"door":"lobby","site":"south","name":"Lobby","kind":"entry"}
sue SetPosture {"door":"lobby","posture":"free_access"}
sue RegisterPerson {"person":"sam","name":"Sam"}
mara CreateUnit {"unit":"b3","site":"south","name":"B3"}
mara MapUnitAccess {"unit":"b3","rights":[{"right":"unit-b2"}]}
sue CreateBooking {"booking":"book-b3","unit":"b3","person":"sam","from":"2026-03-01"}
sam ShareAccess {"bookings":["book-b3"],"sharees":[{"email":"rita@example.com"}],"from":"2026-03-01","until":"2026-06-30","shares":["share-rita"]}
mara SuspendPerson {"person":"sam"}
stan SuspendBooking {"booking":"book-a2","level":"gatelock","cause":"invoice"}
mara SetGroupBusinessHours {"group":"south-crew","times":{"windows":[{"days":["mon","tue","wed","thu","fri"],"from":"09:00","to":"12:00"}]}}
`

// rounds are how many histories are made: more in the long run.
func rounds(t *testing.T, usually int) {
	n := usually
	if long, err := strconv.Atoi(os.Getenv("GATEHOUSE_LONG")); err == nil && long > 1 {
		n *= min(long, 20)
	}
	randomtest.Rapid(t, 20260302)
	f := flag.Lookup("rapid.checks")
	old := f.Value.String()
	require.NoError(t, f.Value.Set(strconv.Itoa(n)))
	t.Cleanup(func() { require.NoError(t, f.Value.Set(old)) })
}

// TestNothingOpensThatNoRuleGives makes random histories and asks which doors open.
// Each history has commands of every type by people of every role and of none. After
// each command and at the end, the doors must open for what some rule gives and for
// nothing else.
func TestNothingOpensThatNoRuleGives(t *testing.T) {
	rounds(t, 90)
	start := newRuled(t)
	start.begin("busy")
	start.given(ruledBeginning)
	seen := &sightings{accepted: map[string]int{}, opened: map[string]int{}, codes: map[string]int{}, gives: map[string]int{}, takes: map[string]int{}}
	rapid.Check(t, func(rt *rapid.T) {
		o := start.again(rt)
		o.at = o.at.Add(time.Duration(pick(rt, "begins", 0, 0, 26*24)) * time.Hour)
		o.publish()
		if evenly(3).Draw(rt, "somebody is hostile") == 0 {
			// A guest and group admin, staff, a tenant, a unit manager with a PIN, a unit user,
			// somebody with shares of shares, and a tenant who shares.
			o.hostile = pick[domain.ID](rt, "hostile", "gus", "stan", "sue", "anna", "rita", "vera", "ben", "will")
		}
		for range rapid.IntRange(25, 60).Draw(rt, "commands") {
			sendDrawn(rt, o, seen)
		}
		o.compare(rt, seen)
	})
	seen.report(t)
}

// sightings are what all histories together have met.
type sightings struct {
	accepted, opened, codes, gives, takes map[string]int
}

// report fails when something was not met, which says that the histories have
// grown blind to it.
func (s *sightings) report(t *testing.T) {
	t.Log("accepted", s.accepted)
	t.Log("opened", s.opened)
	t.Log("codes", s.codes)
	t.Log("given by", s.gives)
	t.Log("taken by", s.takes)
	if !randomtest.Fixed() {
		return // what a few histories meet is chance
	}
	var never []string
	for _, c := range domain.Commands() {
		if !slices.Contains(seldom, c.Name) && s.accepted[c.Name] == 0 {
			never = append(never, c.Name)
		}
	}
	assert.LessOrEqual(t, len(never), len(domain.Commands())/20, "never accepted: %v", never)
	for _, code := range unlock.Codes() {
		if code.Allows() {
			assert.Positive(t, s.codes[code.String()], "%s was never met", code)
		}
	}
	for _, rule := range []string{"L2", "L2 for good", "F4", "B4", "B4 shared on", "F6", "U6", "U8", "G2", "G3", "G6", "auction",
		"posture", "scheduled posture", "first-in", "free access", "fire"} {
		assert.Positive(t, s.gives[rule], "nothing was given by %s", rule)
	}
	for _, rule := range []string{"F one booking alone", "F1", "F4 removed", "B booking window", "B to check", "B who shared", "B1", "B4", "B5", "B6",
		"G3", "G4", "G5 blackout", "G5 times", "KN gatelock", "KN overlock", "L1 person", "L2 kind", "L3 times of the PIN", "L3 used up", "L4 grant",
		"L8 grant revoked", "L8 revoked", "auction over", "blackout", "credential suspended", "deny list", "disabled", "lockdown", "schedule"} {
		assert.Positive(t, s.takes[rule], "nothing was taken by %s", rule)
	}
}

func sendDrawn(rt *rapid.T, o *ruled, seen *sightings) {
	o.at = o.at.Add(time.Duration(pick(rt, "seconds", 0, 0, 0, 1, 600, 3600, 8*3600, 86400, 5*86400)) * time.Second)
	if evenly(10).Draw(rt, "due") == 0 {
		due, _ := o.state.Due(o.at)
		for _, c := range due {
			name := domain.CommandName(c.Command)
			typ, _ := domain.CommandNamed(name)
			ptr := typ.New()
			reflect.ValueOf(ptr).Elem().Set(reflect.ValueOf(c.Command))
			o.sendAndJudge(rt, domain.ServiceActor("due"), typ, ptr, seen)
		}
		return
	}
	typ := pick(rt, "command", drawnCommands...)
	d := drawer{rt, o, typ.Name}
	ptr := typ.New()
	d.fill(reflect.ValueOf(ptr).Elem(), "")
	d.sense(ptr)
	o.sendAndJudge(rt, d.actor(typ, ptr), typ, ptr, seen)
}

func (o *ruled) sendAndJudge(rt *rapid.T, actor domain.Actor, typ domain.CommandType, ptr any, seen *sightings) {
	before := o.history
	if _, r := o.send(actor, typ, ptr); r != nil {
		return
	}
	seen.accepted[typ.Name]++
	wrong := before.ranks(actor, typ.Name, o.at, o.history[len(before):])
	require.Empty(rt, wrong, o.told())
	tables := o.publish()
	same := len(tables) == len(o.tables)
	for site, table := range o.tables {
		same = same && tables[site] != nil && tables[site].Digest() == table.Digest()
	}
	if same {
		return
	}
	for _, q := range o.grid(rt) {
		if !o.decide(o.tables, q).Allowed || o.decide(tables, q).Allowed {
			continue
		}
		why := o.history.may(q)
		require.True(rt, why.allowed(), "after %s by %s no rule gives %+v: %v\n%s", typ.Name, actor, q, why.takes, o.told())
		require.False(rt, typ.MayBeUrgent() && !slices.Contains(setAnew, typ.Name), "%s takes away, and it opens %+v\n%s", typ.Name, q, o.told())
		wrong := before.given(actor, typ.Name, o.at, q, o.history, why)
		require.Empty(rt, wrong, "%s by %s opens %+v: %+v\n%s", typ.Name, actor, q, why, o.told())
		seen.opened[typ.Name]++
		seen.gives[why.rule]++
	}
}

// setAnew are the commands that pass with those that take away, and set something
// as a whole: they may take or give.
var setAnew = []string{"ChangeAccessRight", "ChangeSchedule", "ClearPosture", "SetBlackout", "SetGroupBlackout", "SetGroupOption", "SetGroupSchedule", "SetPosture"}

// grid are questions about everybody and everything at a few instants from now on.
func (o *ruled) grid(rt *rapid.T) (out []question) {
	for _, at := range []time.Time{o.at, o.at.Add(time.Duration(pick(rt, "hours on", 1, 5, 26, 100, 24*12)) * time.Hour)} {
		for door := range o.state.Doors.All() {
			out = append(out, question{door: door, at: at, person: "gus", firstIn: at.Add(-10 * time.Minute)})
			for person := range o.state.People.All() {
				for _, kind := range []domain.CredentialKind{"", domain.KindFob, domain.KindPin, domain.KindMobileKey} {
					out = append(out, question{door: door, at: at, person: person, kind: kind})
				}
				out = append(out, question{door: door, at: at, person: person, remote: domain.CapabilityRemoteUnlock},
					question{door: door, at: at, person: person, remote: domain.CapabilityUnlockFor})
			}
			for c := range o.state.Credentials.All() {
				out = append(out, question{door: door, at: at, credential: c})
			}
		}
	}
	return out
}

// compare asks the gateways and the oracle the same.
func (o *ruled) compare(rt *rapid.T, seen *sightings) {
	all := o.grid(rt)
	var allowed, denied []question
	for _, q := range all {
		if a := o.decide(o.tables, q); a.Allowed {
			allowed = append(allowed, q)
		} else {
			denied = append(denied, q)
		}
	}
	sample := func(qs []question, n int) (out []question) {
		for range min(n, len(qs)) {
			out = append(out, qs[evenly(len(qs)).Draw(rt, "question")])
		}
		return out
	}
	for _, q := range append(sample(allowed, 60), sample(denied, 60)...) {
		q.uses = pick(rt, "uses", 0, 0, 1, 2)
		q.fire = evenly(20).Draw(rt, "fire") == 0
		a, why := o.decide(o.tables, q), o.history.may(q)
		if a.Allowed {
			seen.codes[a.Code.String()]++
		}
		seen.gives[why.rule]++
		for _, rule := range why.takes {
			seen.takes[rule]++
		}
		if why.rule == "free access" && a.Code == unlock.DenyUnknownCredential {
			continue // a site need not know whom nothing was given there
		}
		require.Equal(rt, a.Allowed, why.allowed(), "%+v\ngateway: %v %v\noracle: %+v\n%s", q, a.Code, a.Failed.Codes(), why, o.told())
	}
}

// told lists what was accepted beside the beginning.
func (o *ruled) told() string { return strings.Join(o.lines, "\n") }
