package domain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
	"gatehouse/randomtest"
)

// TestARefusedOverlapNamesEverything: member, door and other group of each.
func TestARefusedOverlapNamesEverything(t *testing.T) {
	w := newWorld(t)
	w.base("crew")
	w.given("test", strings.Join([]string{
		`mara CreateGroup {"group":"night","name":"Night","doors":["gate","office","lift"],"owner":"mara"}`,
		`mara AddMember {"group":"night","person":"anna","role":"user"}`,
		`mara RemoveDoorFromGroup {"group":"night","door":"lift"}`,
		`mara RemoveDoorFromGroup {"group":"night","door":"gate"}`,
		`mara AddMember {"group":"night","person":"uma","role":"user"}`,
		`mara AddMember {"group":"night","person":"ada","role":"admin"}`,
	}, "\n"))
	for line, ids := range map[string][]ID{
		`mara AddDoorToGroup {"group":"night","door":"gate"}`:  {"ada", "gate", "crew", "uma", "gate", "crew"},
		`mara AddDoorToGroup {"group":"crew","door":"office"}`: {"ada", "office", "night", "uma", "office", "night"},
	} {
		_, r := w.command("test", line)
		require.NotNil(t, r, line)
		assert.Equal(t, "group_overlap", r.Code)
		assert.Equal(t, ids, r.IDs, line)
	}
}

// TestALongOverlapIsNamedInPart: a refusal stays small however many are meant.
func TestALongOverlapIsNamedInPart(t *testing.T) {
	r := refuseOverlaps(make([]overlap, 20_000))
	assert.Len(t, r.IDs, 3*maxOverlaps)
	assert.Contains(t, r.Message, "19999 more")
}

// TestASettingOfThousandsIsOneRow: what a group's members are given or lose
// together changes rows of the group, none of theirs.
func TestASettingOfThousandsIsOneRow(t *testing.T) {
	s := NewState()
	s.Sites.Put("s1", Site{ID: "s1", Rules: schedule.ZoneRules{Zone: "UTC"}})
	for i := range 5 {
		s.Doors.Put(numbered("d", i), Door{ID: numbered("d", i), Site: "s1", Capabilities: []DoorCapability{CapabilityRemoteUnlock}})
	}
	m := Moment{N: 1}
	GroupCreated{Group: "g", Doors: []ID{"d0"}}.fold(s, m)
	for i := range 20_000 {
		p := ID(fmt.Sprintf("p%d", i))
		s.People.Put(p, Person{ID: p, State: PersonStateActive})
		GroupMemberAdded{Group: "g", Person: p, Role: GroupUser}.fold(s, m)
	}
	hours := BusinessHours{Times: always}
	s.WatchChanges()
	for _, c := range []struct {
		event Event
		rows  []string // put that differ from before
	}{
		{GroupDoorAdded{Group: "g", Door: "d1"}, []string{"right/group:g"}},
		{GroupDoorRemoved{Group: "g", Door: "d1"}, []string{"right/group:g"}},
		{GroupOptionSet{Group: "g", Option: OptionRemoteUnlock, Enabled: true}, []string{"right/group:g"}},
		{GroupScheduleSet{Group: "g"}, []string{"right/group:g", "schedule/group:g"}},
		{GroupBusinessHoursSet{Group: "g", Hours: &hours}, []string{"door/d0", "right/group:g", "schedule/group:g", "schedule/group:g/hours"}},
		{GroupMemberRemoved{Group: "g", Person: "p7"}, []string{"person/p7", "grant/group:g/p7"}},
	} {
		c.event.fold(s, m)
		changes := s.TakeChanges(testTags)
		require.Len(t, changes, 1)
		var put []string
		for _, r := range changes[0].Put {
			put = append(put, r.Key().String())
		}
		assert.Equal(t, c.rows, put, EventName(c.event))
	}
}

// TestNoCodeIs200Or210: of the errors of rule G10 only the numbers are known.
func TestNoCodeIs200Or210(t *testing.T) {
	for _, c := range unlock.Codes() {
		assert.NotContains(t, []int{200, 210}, int(c), c.String())
	}
}

// TestGroupsHoldTheirPromises: over any history nobody is user or admin of two
// groups that share a door of a site which forbids it, and no group that has not
// ended is without an owner.
func TestGroupsHoldTheirPromises(t *testing.T) {
	randomtest.Rapid(t, 20260302)
	refused := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for _, cmd := range []Command{
			RemoveMember{Group: "o2", Person: "vera"}, AddDoorToGroup{Group: "o2", Door: "gate"},
			AddMember{Group: "o1", Person: "ben", Role: GroupOwner}, AddMember{Group: "o2", Person: "ben", Role: GroupOwner},
			AddMember{Group: "o1", Person: "will", Role: GroupOwner}, AddMember{Group: "o2", Person: "will", Role: GroupUser},
		} {
			require.Nil(t, h.send(PersonActor("olga"), cmd), "%T", cmd)
		}
		for range rapid.IntRange(20, 120).Draw(t, "steps") {
			cmd := h.groupCommand()
			switch {
			case rarely(t, "policy"):
				cmd = SetSitePolicy{Site: draw(t, "site", storageSites...), Policy: PatchOf(Policy{MembershipOverlap: draw(t, "overlap", "", "union", "forbid")})}
			case rarely(t, "person"):
				cmd = h.personCommand()
			}
			sender := PersonActor(draw[ID](t, "sender", "olga", "olga", "mara", "gus", "vera"))
			if rarely(t, "transfer") {
				cmd = TransferGroupOwnership{Group: draw[ID](t, "group", "o1", "o2"), Person: draw(t, "person", storagePeople...)}
			}
			if r := h.send(sender, cmd); r != nil {
				refused[CommandName(cmd)+" "+r.Code]++
			}
			requireGroups(t, h.s)
		}
	})
	t.Log(refused)
	if !randomtest.Fixed() {
		return // which refusals a few histories meet is chance
	}
	for _, side := range []string{"AddMember", "AddDoorToGroup", "ChangeMemberRole", "SetSitePolicy"} {
		assert.NotZero(t, refused[side+" group_overlap"], "%s never met an overlap", side)
	}
}

func requireGroups(t require.TestingT, s *State) {
	type key struct{ person, door ID }
	owned, taken := map[ID]bool{}, map[key]ID{}
	for _, m := range s.GroupMembers.All() {
		g, _ := s.Groups.Get(m.Group)
		switch {
		case m.Removed:
		case m.Role == GroupOwner:
			owned[m.Group] = true
		default:
			for _, id := range g.Doors {
				door, _ := s.Doors.Get(id)
				if site, _ := s.Sites.Get(door.Site); site.Policy.MembershipOverlap != "union" {
					require.Empty(t, taken[key{m.Person, id}], "%s has %s from %s as well", m.Person, id, m.Group)
					taken[key{m.Person, id}] = m.Group
				}
			}
		}
	}
	for id, g := range s.Groups.All() {
		require.True(t, owned[id] || g.Ended, "%s has no owner", id)
		require.False(t, g.Ended && len(g.Doors) > 0, "%s has ended and has doors", id)
	}
}
