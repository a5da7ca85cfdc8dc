package edge

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// A decider decides by a table and by what this gateway alone knows. It is for one
// goroutine.
type decider struct {
	gateway wire.ID
	clock   *clock
	local   *localState
	fire    map[wire.ID]bool // doors at which the fire input is on; the empty one: at all
}

// question is one request at a door, with the tables to decide by.
type question struct {
	view *view
	// older is the table of the epoch before, while it is not known whether the new epoch
	// covers it. Only what both allow is allowed.
	older *view
	now   reading
	door  wire.ID
	ask   unlock.Request
	// noFire leaves the fire input out: what holds without it.
	noFire bool
}

// answered is a decision with what it was made of.
type answered struct {
	question
	unlock.Answer
	used passage // the local values
}

// decide decides. The credential has to be known before the local state of it is, so the
// table is asked twice.
func (d *decider) decide(q question) answered {
	q.ask.Door, q.ask.At = unlock.IDOf(string(q.door)), unlock.InstantOf(q.now.at)
	door := doorOf(q.view.table, q.door)
	var used passage
	if door == nil || door.Gateway != string(d.gateway) {
		q.ask.Door = unlock.ID{} // it is another's, or nobody's
	} else {
		first := unlock.Decide(q.view.table, nil, q.ask)
		used.Local = d.local.of(door, q.ask.Side, first.Credential(), first.Person())
		used.Fire = !q.noFire && (d.fire[""] || d.fire[q.door])
		d.lease(&used.Local, q.view.table, door, q.now)
	}
	out := answered{question: q, Answer: unlock.Decide(q.view.table, &used.Local, q.ask), used: used}
	if q.older != nil && out.Allowed {
		if before := unlock.Decide(q.older.table, &used.Local, q.ask); !before.Allowed {
			out.Answer, out.view = before, q.older
		}
	}
	return out
}

// lease sets the lease of a door. Where nothing can be said of the time there is none.
func (d *decider) lease(l *unlock.Local, t *unlock.Table, door *unlock.Door, now reading) {
	l.ClockUnsure = now.source == wire.ClockUnsure
	if end := d.clock.leaseEnd(siteOf(t), door.Class); !now.lost && !end.IsZero() {
		l.LeaseEnd = unlock.InstantOf(end)
	}
}

func doorOf(t *unlock.Table, id wire.ID) *unlock.Door {
	row, _ := t.Row(unlock.Key{Kind: unlock.KindDoor, ID: string(id)})
	door, _ := row.(*unlock.Door)
	return door
}

func siteOf(t *unlock.Table) *unlock.Site {
	for row := range t.Rows(unlock.KindSite) {
		return row.(*unlock.Site)
	}
	return nil
}

// Judge decides a read that comes from elsewhere, and makes its record. It decides as a
// gateway does at its door, at the instant of the read, by a table that is current.
func Judge(t *unlock.Table, door wire.ID, ask unlock.Request, method wire.Method, at time.Time) *wire.Activity {
	ask.Door, ask.At = unlock.IDOf(string(door)), unlock.InstantOf(at)
	local := unlock.Local{LeaseEnd: unlock.Held}
	q := question{view: &view{table: t, digest: t.Digest().String()}, now: reading{at: at.UTC(), source: wire.ClockGiven}, door: door, ask: ask}
	return answered{question: q, Answer: unlock.Decide(t, &local, ask), used: passage{Local: local}}.record(method)
}

// atDoorAlone are the denials that concern the door and its gateway, whoever asks.
func (a answered) atDoorAlone() unlock.Code {
	if !a.Allowed && a.Code < unlock.DenyWrongFacilityCode {
		return a.Code
	}
	return unlock.NoCode
}

// byRole gives what becomes of an order by somebody's role, for which nobody need have a
// grant: the door alone decides, by each table that counts.
func (d *decider) byRole(a answered) answered {
	if a.Allowed || a.atDoorAlone() != unlock.NoCode {
		return a
	}
	if a.older != nil {
		q := a.question
		q.view, q.older = a.older, nil
		if before := d.decide(q); before.atDoorAlone() != unlock.NoCode {
			return before
		}
	}
	a.Allowed, a.Code, a.Failed = true, unlock.AllowCommand, 0
	return a
}

// record makes the record of the decision.
func (a answered) record(method wire.Method) *wire.Activity {
	r := &wire.Activity{Type: wire.AccessDenied, At: a.now.at, Door: a.door, Side: a.ask.Side.String(), Method: method, Code: a.Code.String(),
		Position: a.view.table.Position(), Digest: a.view.digest}
	if a.Allowed {
		r.Type = wire.AccessGranted
	}
	for _, c := range a.Failed.Codes() {
		r.Failed = append(r.Failed, c.String())
	}
	switch c := a.shown(); {
	case c != nil:
		r.Credential, r.Person, r.Method = wire.ID(c.ID), wire.ID(c.Person), wire.Method(c.Kind.String())
	case a.ask.Tag != unlock.Tag{}:
		r.Tag, r.TagKey = hex.EncodeToString(a.ask.Tag[:]), a.view.table.TagKey()
	case a.Person() != nil:
		r.Person = wire.ID(a.Person().ID)
	}
	if grant := a.Grant(); grant != nil {
		r.Grant = grant.ID
	}
	if a.used.LeaseEnd != 0 && a.used.LeaseEnd != unlock.Held {
		r.LeaseEnd = a.used.LeaseEnd.Time().Truncate(time.Second)
	}
	used := a.used
	used.LeaseEnd = 0 // it has a place of its own
	r.Local = encodePassage(used)
	timed(r, a.now)
	return r
}

// timed notes how well the time of a record is known. Milliseconds are all that a clock
// over a network is good for.
func timed(r *wire.Activity, now reading) {
	if now.source != wire.ClockGiven {
		r.At = r.At.Truncate(time.Millisecond)
	}
	r.Clock = now.source
	r.ClockErrorMS = uint32(min((now.err+999_999)/1_000_000, 1<<31))
}

var noPassage = []byte("{}")

// encodePassage writes what there is to tell; nil where there is nothing.
func encodePassage(p passage) []byte {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // numbers, words and ids
	}
	if string(body) == string(noPassage) {
		return nil
	}
	return body
}

// shown is the credential to name in a record. A credential for duress is never named in
// it: whoever reads along a unit's activity must not learn of the call for help. It is the
// person's ordinary one of the same kind that decides in the same way, the first by id.
func (a answered) shown() *unlock.Credential {
	c := a.Credential()
	if c == nil || !c.Duress {
		return c
	}
	return ordinary(a.view.table, c)
}

// ordinary is the credential that one for duress passes for; nil: there is none.
func ordinary(t *unlock.Table, c *unlock.Credential) (found *unlock.Credential) {
	for row := range t.Rows(unlock.KindCredential) {
		o := row.(*unlock.Credential)
		if o.Person == c.Person && o.Kind == c.Kind && !o.Duress && o.Booking == c.Booking && o.State == c.State && o.Window == c.Window &&
			(found == nil || strings.Compare(o.ID, found.ID) < 0) {
			found = o
		}
	}
	return found
}

// duress makes the record that calls for help, beside that of the decision with the
// counter of; nil where there is no duress.
func (a answered) duress(of uint64) *wire.Activity {
	if !a.Duress() {
		return nil
	}
	r := &wire.Activity{Type: wire.DuressSignalled, At: a.now.at, Door: a.door, Side: a.ask.Side.String(), Of: of}
	if c := a.Credential(); c != nil {
		r.Credential, r.Person = wire.ID(c.ID), wire.ID(c.Person)
	}
	timed(r, a.now)
	return r
}

// counted reports whether the opening counts as a use.
func (a answered) counted() bool {
	c := a.Credential()
	return a.Allowed && c != nil && c.MaxUses > 0
}

// letsIn reports whether the person may be the first in, and came by themselves.
func (a answered) letsIn() bool {
	g := a.Grant()
	return a.Allowed && a.ask.Command == unlock.NoCommand && g != nil && slices.Contains(g.Capabilities, unlock.FirstIn)
}

// lacksSecond reports whether nothing but a second factor is missing: digits beside a
// card, a second person, an escort.
func (a answered) lacksSecond() bool {
	switch a.Code {
	case unlock.DenySecondPersonRequired, unlock.DenyEscortRequired:
	case unlock.DenyInvalidPin:
		if a.Credential() == nil {
			return false // digits that are nobody's
		}
	default:
		return false
	}
	return a.ask.Second == unlock.Tag{}
}
