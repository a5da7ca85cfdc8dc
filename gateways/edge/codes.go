package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"gatehouse/domain/unlock"
	"gatehouse/durable"
	"gatehouse/schemas/wire"
)

// # Codes in devices
//
// A device that decides by itself opens for the codes in its slots, whatever the table
// says. So it holds those PINs alone for which its door would open now, by table, lease and
// time: a PIN is written when its hours begin, and cleared when they end, when it is
// revoked, in a lockdown, and when the lease is over. Codes are cleared before others are
// written. PINs that count their uses and such as need a second factor are in no device,
// for it counts nothing and asks for nothing.
//
// Each device is read back at the start, whenever it comes online, and now and then. A code
// that nobody here gave it is cleared, and one that it lost is written again; both are told
// as drift. The file says which credential is in which slot, by the tag of its digits and
// not by these: they come from the service, sealed, when one has to be written, and are
// forgotten once it is.

// code is the PIN in a slot.
type code struct {
	Credential wire.ID    `json:"credential"`
	Tag        unlock.Tag `json:"tag"` // of the digits that were written
}

// codes tell which PIN is in which slot of which device. They are safe for concurrent use.
type codes struct {
	path string

	mu      sync.Mutex // guards the fields below
	slots   map[wire.ID]map[uint32]code
	keepers []*keeper
}

// openCodes reads what was stored. Of a damaged file nothing is used: the devices are read
// back, and what is in them is compared by its digits.
func openCodes(path string) (*codes, error) {
	c := &codes{path: path, slots: map[wire.ID]map[uint32]code{}}
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &c.slots)
	}
	if err == nil && c.slots == nil {
		err = errors.New("it says null")
	}
	if err != nil {
		c.slots = map[wire.ID]map[uint32]code{}
		return c, fmt.Errorf("edge: %s does not tell which PIN is in which slot of a device: %w", path, err)
	}
	return c, nil
}

// at is the PIN in a slot.
func (c *codes) at(door wire.ID, slot uint32) (code, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, ok := c.slots[door][slot]
	return in, ok
}

// slotOf is the slot of a door's device that holds a PIN; 0: none does.
func (c *codes) slotOf(door, credential wire.ID) uint32 {
	for slot, in := range c.of(door) {
		if in.Credential == credential {
			return slot
		}
	}
	return 0
}

// of lists the slots of a door.
func (c *codes) of(door wire.ID) map[uint32]code {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.slots[door])
}

// set notes what is in a slot, durably; nil: nothing.
func (c *codes) set(door wire.ID, slot uint32, in *code) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[door] == nil {
		c.slots[door] = map[uint32]code{}
	}
	if in != nil {
		c.slots[door][slot] = *in
	} else {
		delete(c.slots[door], slot)
	}
	body, err := json.Marshal(c.slots)
	if err == nil {
		err = durable.Replace(c.path, body)
	}
	if err != nil {
		return fmt.Errorf("edge: note the slots of door %s: %w", door, err)
	}
	return nil
}

// wake has every device compared with the table, soon.
func (c *codes) wake() {
	for _, k := range c.keepers {
		signal(k.due)
	}
}

// lost has a device read back: nobody knows what it holds.
func (c *codes) lost(door wire.ID) {
	for _, k := range c.keepers {
		if k.id == door {
			k.unknown.Store(true)
			signal(k.due)
		}
	}
}

// upto is the last commit of the table's epoch of which everything is in the devices that
// decide by themselves; 0: there is no such device, and 1: nothing is known yet.
func (c *codes) upto(epoch uint64) (n uint64) {
	for _, k := range c.keepers {
		if k.device.Room(k.id) == 0 && len(c.of(k.id)) == 0 {
			continue // it keeps no codes
		}
		at := wire.Position{}
		if p := k.upto.Load(); p != nil {
			at = *p
		}
		if at.Epoch != epoch {
			return 1
		}
		if n == 0 || at.N < n {
			n = at.N
		}
	}
	return n
}

// named completes a record of an opening that the device itself decided by the code in a
// slot. It reports whether that is one for duress, which is named nowhere but in the call
// for help.
func (e *engine) named(a *wire.Activity, d *doorState) (duress bool) {
	in, ok := e.g.codes.at(d.id, a.Slot)
	if !ok || a.Credential != "" {
		return false
	}
	v := e.present()
	row, ok := v.table.Row(unlock.Key{Kind: unlock.KindCredential, ID: string(in.Credential)})
	if !ok {
		a.Credential = in.Credential // it was there, and is no longer in the table
		return false
	}
	c := row.(*unlock.Credential)
	a.Credential, a.Person = wire.ID(c.ID), wire.ID(c.Person)
	if !c.Duress {
		return false
	}
	a.Credential, a.Slot = "", 0 // the slot would tell too
	if o := ordinary(v.table, c); o != nil {
		a.Credential = wire.ID(o.ID)
		a.Slot = e.g.codes.slotOf(d.id, a.Credential)
	}
	return true
}

// helpAt records that somebody called for help at a device that decided by itself, by the
// code in a slot.
func (e *engine) helpAt(d *doorState, slot uint32, opened *wire.Activity, now reading) {
	in, _ := e.g.codes.at(d.id, slot)
	r := &wire.Activity{Type: wire.DuressSignalled, At: opened.At, Door: d.id, Side: unlock.In.String(), Of: opened.K, Credential: in.Credential, Person: opened.Person}
	timed(r, now)
	e.append(r, e.g.cfg.Policy.Strict)
}

// free lists the slots of a device that hold nothing, the first ones first.
func free(room uint32, used map[uint32]code) (all []uint32) {
	for slot := uint32(1); slot <= room; slot++ {
		if _, is := used[slot]; !is {
			all = append(all, slot)
		}
	}
	return all
}

// chosen gives the PINs that a device is to hold, in a fixed order. Those that it holds
// come first where there is not room for all: nobody loses what they have to another.
func chosen(want map[wire.ID]unlock.Tag, used map[uint32]code, room uint32) (ids []wire.ID, tooMany int) {
	holds := map[wire.ID]bool{}
	for _, in := range used {
		holds[in.Credential] = true
	}
	ids = slices.SortedFunc(maps.Keys(want), func(a, b wire.ID) int {
		switch {
		case holds[a] && !holds[b]:
			return -1
		case holds[b] && !holds[a]:
			return 1
		case a < b:
			return -1
		}
		return 1
	})
	if more := len(ids) - int(room); more > 0 {
		return ids[:room], more
	}
	return ids, 0
}
