package domain

import (
	"fmt"
	"slices"
	"strings"
)

// Warning tells the sender something that did not stop the command: what it leaves
// open, or changes beyond what it names.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	IDs     []ID   `json:"ids,omitempty"` // what it is about, at most 100
}

// How many things a warning names, in its text and by id.
const (
	maxWarned    = 20
	maxWarnedIDs = 100
)

// warn adds a warning to the answer.
func (tx *Tx) warn(code, format string, args ...any) {
	tx.decision.Warnings = append(tx.decision.Warnings, Warning{Code: code, Message: fmt.Sprintf(format, args...)})
}

// warnOf adds a warning about things, whose ids are appended to its text. Without ids
// it adds none.
func (tx *Tx) warnOf(ids []ID, code, format string, args ...any) {
	if len(ids) == 0 {
		return
	}
	text := fmt.Sprintf(format, args...) + ": " + idList(ids)
	tx.decision.Warnings = append(tx.decision.Warnings, Warning{code, text, slices.Clone(ids[:min(len(ids), maxWarnedIDs)])})
}

// idList names ids, the first of many.
func idList(ids []ID) string {
	named := make([]string, 0, maxWarned)
	for _, id := range ids[:min(len(ids), maxWarned)] {
		named = append(named, string(id))
	}
	text := strings.Join(named, ", ")
	if more := len(ids) - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// counted is a number with its noun: "1 fob", "2 fobs".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// # What a command leaves open
//
// A person whose role or membership is taken away is expected to open no more doors, but
// what they were given beside it stays theirs: grants, fobs, PINs, other groups,
// shares, places in units. The answer lists that in a warning, as far as the sender may
// see it, and with revoke_access the same commit ends it, as far as the sender could by
// the commands of those things. Bookings are not among them: who rents a unit loses it
// by RevokeBooking alone.

// leftOpen are the events by which revoke_access ends what is left open.
var leftOpen = []Event{RightRevoked{}, FobRemoved{}, CredentialRevoked{}, PinRevoked{}, GroupMemberRemoved{}, ShareRevoked{}, ShareEnded{}, UnitUserRemoved{}}

// opening is something by which a person opens doors, and the command that ends it.
type opening struct {
	id    ID
	doors []ID
	row   any // for who may see it
	end   Command
}

// openingsOf lists by what else than their bookings a person opens doors.
func (tx *Tx) openingsOf(person ID) []opening {
	var out []opening
	for id, g := range tx.Grants.Each(GrantByPerson, person) {
		if state := tx.GrantState(g); state == GrantStateActive || state == GrantStateNotStarted {
			out = append(out, opening{id, tx.doorsOfRights(g.Right), g, RevokeRight{Grant: id}})
		}
	}
	for id, m := range tx.GroupMembers.Each(MemberByPerson, person) {
		if g, ok := tx.Groups.Get(m.Group); ok && !m.Removed && !g.Ended {
			out = append(out, opening{id, g.Doors, m, RemoveMember{Group: m.Group, Person: person}})
		}
	}
	for id, sh := range tx.Shares.Each(ShareByPerson, person) {
		if sh.State == ShareStateActive && !tx.passed(sh.Site, sh.Until) {
			out = append(out, opening{id, tx.doorsOfUnit(sh.Unit), sh, RevokeShare{Share: id}})
		}
	}
	for id, u := range tx.UnitUsers.Each(UnitUserByPerson, person) {
		b, ok := tx.Bookings.Get(u.Booking)
		if ok && tx.inPlace(u) && b.Person != person {
			out = append(out, opening{id, tx.doorsOfUser(u.Unit, person), u, RemoveUnitUser{Unit: u.Unit, Person: person}})
		}
	}
	return out
}

// fobsOfService are the fobs, cards and PINs that a person holds as staff or vendor: by
// themselves they open what the person may.
func (tx *Tx) fobsOfService(person ID) []opening {
	var out []opening
	for id, c := range tx.Credentials.Each(CredentialByPerson, person) {
		if !c.live() || c.Booking != "" || c.Unit != "" || c.DuressOf != "" || len(c.Sites) == 0 {
			continue
		}
		end := Command(RevokeCredential{Credential: id, Cause: "access_revoked"})
		if c.Kind == KindFob || c.Kind == KindCard {
			end = RemoveFob{Credential: id, Reason: "access_revoked"}
		}
		out = append(out, opening{id: id, row: c, end: end})
	}
	return out
}

// leaves warns of what a person still opens some doors by, or ends it where that is
// asked for.
func (tx *Tx) leaves(person ID, doors []ID, end bool) {
	isOne := func(d ID) bool { return slices.Contains(doors, d) }
	left := slices.DeleteFunc(tx.openingsOf(person), func(o opening) bool { return !slices.ContainsFunc(o.doors, isOne) })
	tx.leaveOpen(person, left, end)
}

// leavesAt is leaves for all doors of a site, or of all sites when site is empty. It
// includes the fobs that were given for service there.
func (tx *Tx) leavesAt(person, site ID, end bool) {
	elsewhere := func(d ID) bool {
		door, ok := tx.Doors.Get(d)
		return !ok || site != "" && door.Site != site
	}
	left := slices.DeleteFunc(tx.openingsOf(person), func(o opening) bool { return !slices.ContainsFunc(o.doors, func(d ID) bool { return !elsewhere(d) }) })
	for _, fob := range tx.fobsOfService(person) {
		if site == "" || slices.Contains(fob.row.(*Credential).Sites, site) {
			left = append(left, fob)
		}
	}
	tx.leaveOpen(person, left, end)
}

func (tx *Tx) leaveOpen(person ID, left []opening, end bool) {
	var stay []ID
	warnings := tx.decision.Warnings
	for _, o := range left {
		if tx.Actor.Kind == ActorPerson && !Visible(tx.View, tx.Actor.ID, RecordOf(tx.State, o.row)) {
			continue
		}
		if end && len(tx.decision.Events) < maxConsequences && authorize(tx, o.end) == nil && o.end.decide(tx) == nil {
			continue
		}
		stay = append(stay, o.id)
	}
	tx.decision.Warnings = warnings // of the commands that end things
	if end {
		tx.warnOf(sortedIDs(stay), "access_stays", "%s keeps these, which you may not end, or too many for one commit", person)
		return
	}
	tx.warnOf(sortedIDs(stay), "access_stays", "%s keeps these and goes on opening doors by them; revoke_access ends them in the same commit", person)
}
