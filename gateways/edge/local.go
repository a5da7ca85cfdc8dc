package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"

	"gatehouse/domain/unlock"
	"gatehouse/durable"
	"gatehouse/schemas/wire"
)

// # Local state
//
// Some of a decision is known to this gateway alone: how often a credential opened, the
// side to which a person last went, wrong codes at a keypad. It is a fold over the
// gateway's own records, which carry what is folded. So the outbox is its journal: after a
// start, the records behind the stored state are folded again, and a box that takes the
// place of another folds those that the service has.

// passage is what a record of activity tells of the local state, beside the values that
// were decided on.
type passage struct {
	unlock.Local
	// Counted says that the opening counts as a use of the credential.
	Counted bool `json:"counted,omitempty"`
	// KeypadAfter is the state of the keypad after this record, if it changed.
	KeypadAfter *unlock.Keypad `json:"keypad_after,omitempty"`
	// Passed says that this record counts as a passage: the door has no sensor, or the
	// sensor showed it.
	Passed bool    `json:"passed,omitempty"`
	To     wire.ID `json:"to,omitempty"`   // area that was entered
	From   wire.ID `json:"from,omitempty"` // area that was left
	// LetsIn says that the person may be the first in, and came by themselves.
	LetsIn bool `json:"lets_in,omitempty"`
	// Doubts tells why nobody can say more: the device was lost, for example.
	Doubts string `json:"doubts,omitempty"`
}

// localState is kept beside the outbox.
type localState struct {
	Folded  uint64                         `json:"folded"`            // counter of the last record in it
	Keypads map[string]unlock.Keypad       `json:"keypads,omitempty"` // by door and side
	Uses    map[wire.ID]uint32             `json:"uses,omitempty"`    // by credential; of those whose uses are counted
	Last    map[wire.ID]map[wire.ID]whence `json:"last,omitempty"`    // by area, by person
	FirstIn map[wire.ID]unlock.Instant     `json:"first_in,omitempty"`
	Locked  map[string]unlock.Instant      `json:"locked,omitempty"` // keypads whose lock-out is on record, with its end
	Doors   map[wire.ID]json.RawMessage    `json:"doors,omitempty"`  // states of the door machines
	// Whole says that every record of this gateway is in it. Until then a credential whose
	// uses are counted opens nothing.
	Whole bool               `json:"whole,omitempty"`
	areas map[wire.ID]uint32 // people in each area, from Last
}

// whence is how a person last passed the border of an area.
type whence struct {
	Side unlock.Side    `json:"side"`
	At   unlock.Instant `json:"at"`
}

// maxInside is how many people are remembered of one area. Beyond it the one who passed
// longest ago is forgotten, whom passback then lets pass once more.
const maxInside = 100_000

func newLocal() *localState {
	return &localState{Keypads: map[string]unlock.Keypad{}, Uses: map[wire.ID]uint32{}, Last: map[wire.ID]map[wire.ID]whence{},
		FirstIn: map[wire.ID]unlock.Instant{}, Locked: map[string]unlock.Instant{}, Doors: map[wire.ID]json.RawMessage{}, areas: map[wire.ID]uint32{}}
}

// readLocal reads the stored state. One that cannot be read is told, and folded again from
// the records.
func readLocal(path string) (*localState, error) {
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return newLocal(), nil
	}
	l := newLocal()
	if err == nil {
		err = json.Unmarshal(body, l)
	}
	if err != nil {
		return newLocal(), fmt.Errorf("edge: the local state in %s cannot be read: %w", path, err)
	}
	for area, people := range l.Last {
		for _, w := range people {
			l.areas[area] += occupant(w.Side)
		}
	}
	return l, nil
}

func (l *localState) write(path string) error {
	body, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	if err := durable.Replace(path, body); err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}

func occupant(side unlock.Side) uint32 {
	if side == unlock.In {
		return 1
	}
	return 0
}

// reader names the reader of a side of a door.
func reader(door wire.ID, side unlock.Side) string { return string(door) + "/" + side.String() }

// fold takes a record into the state. Records come in their order; those that are in it
// already are passed over.
func (l *localState) fold(a *wire.Activity) error {
	if a.K <= l.Folded {
		return nil
	}
	l.Folded = a.K
	if len(a.Local) == 0 || a.Type == wire.RecordsGap {
		return nil // what a gap tells is no passage
	}
	var p passage
	if err := json.Unmarshal(a.Local, &p); err != nil {
		return fmt.Errorf("edge: local of the record %d: %w", a.K, err)
	}
	side := unlock.In
	if a.Side == unlock.Out.String() {
		side = unlock.Out
	}
	if p.KeypadAfter != nil {
		l.Keypads[reader(a.Door, side)] = *p.KeypadAfter
	}
	switch a.Type {
	case wire.KeypadLockedOut:
		l.Locked[reader(a.Door, side)] = p.Keypad.Until
	case wire.KeypadReleased:
		delete(l.Locked, reader(a.Door, side))
	case wire.AccessGranted:
		if p.Counted {
			l.Uses[a.Credential] = max(l.Uses[a.Credential], p.Uses+1)
		}
	}
	if p.Passed {
		l.pass(a.Person, &p, unlock.InstantOf(a.At))
		if p.LetsIn {
			l.FirstIn[a.Door] = max(l.FirstIn[a.Door], unlock.InstantOf(a.At))
		}
	}
	return nil
}

// pass notes that a person went from one area to another.
func (l *localState) pass(person wire.ID, p *passage, at unlock.Instant) {
	if person == "" {
		return
	}
	l.cross(p.From, person, whence{unlock.Out, at})
	l.cross(p.To, person, whence{unlock.In, at})
}

func (l *localState) cross(area, person wire.ID, w whence) {
	if area == "" {
		return
	}
	people := l.Last[area]
	if people == nil {
		people = map[wire.ID]whence{}
		l.Last[area] = people
	}
	before, known := people[person]
	if known && w.At < before.At {
		return
	}
	if !known && len(people) >= maxInside {
		l.forget(area, people)
	}
	people[person] = w
	l.areas[area] += occupant(w.Side)
	if known {
		l.areas[area] -= occupant(before.Side)
	}
}

// forget drops the person of an area who passed longest ago; of equal ones the first by id.
func (l *localState) forget(area wire.ID, people map[wire.ID]whence) {
	var oldest wire.ID
	for person, w := range people {
		o := people[oldest]
		if oldest == "" || w.At < o.At || w.At == o.At && person < oldest {
			oldest = person
		}
	}
	l.areas[area] -= occupant(people[oldest].Side)
	delete(people, oldest)
}

// of gives the local state for a request: of a door with its areas, for a credential and
// its person, where they are known.
func (l *localState) of(door *unlock.Door, side unlock.Side, credential *unlock.Credential, person *unlock.Person) unlock.Local {
	local := unlock.Local{Keypad: l.Keypads[reader(wire.ID(door.ID), side)], FirstIn: l.FirstIn[wire.ID(door.ID)]}
	if credential != nil {
		local.Uses = l.Uses[wire.ID(credential.ID)]
	}
	if credential != nil && credential.MaxUses > 0 && !l.Whole {
		local.Uses = math.MaxUint32
	}
	in := wire.ID(door.AreaIn)
	if side != unlock.Out {
		local.Occupancy = l.areas[in]
	}
	if person != nil && in != "" {
		local.LastSide = l.Last[in][wire.ID(person.ID)].Side
	}
	return local
}

// settle forgets what no longer concerns anybody: credentials that are not in the table.
func (l *localState) settle(t *unlock.Table) {
	maps.DeleteFunc(l.Uses, func(id wire.ID, _ uint32) bool {
		_, ok := t.Row(unlock.Key{Kind: unlock.KindCredential, ID: string(id)})
		return !ok
	})
}
