package edge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

const (
	// compareEvery is how often a device is compared with the table: what time gives and
	// takes is in it that late.
	compareEvery = 2 * time.Second
	// readBackEvery is how often a device is asked what it holds, though nothing happened.
	readBackEvery = time.Hour
	// keepTime bounds one look at a device: slots are asked one by one, and battery locks
	// sleep.
	keepTime = 10 * time.Minute
	// keepAgain is the longest wait after a failure.
	keepAgain = time.Minute
)

// errAgain says that a code has to go before what was begun is over.
var errAgain = errors.New("edge: codes have to be cleared first")

// keeper keeps the codes in the device of one door. It is one goroutine.
type keeper struct {
	g       *Gateway
	nc      *nats.Conn
	id      wire.ID
	device  driver.Keeper
	due     chan struct{}
	unknown atomic.Bool // what the device holds has to be read back
	upto    atomic.Pointer[wire.Position]
	read    time.Duration   // when it was read back, by the clock that never goes back
	drifted bool            // told, and not mended yet
	tooMany int             // PINs that have no slot
	doubt   map[uint32]bool // slots that may lack what was noted: the device did not confirm
}

// newKeepers makes a keeper for each device that has room for codes.
func (g *Gateway) newKeepers(nc *nats.Conn) (all []*keeper) {
	for _, id := range g.engine.ids {
		if d, ok := g.cfg.Doors[id].Driver.(driver.Keeper); ok {
			k := &keeper{g: g, nc: nc, id: id, device: d, due: make(chan struct{}, 1), doubt: map[uint32]bool{}}
			k.unknown.Store(true)
			all = append(all, k)
		}
	}
	return all
}

// run compares the device with the table until the context ends.
func (k *keeper) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failing := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-k.due:
		case <-timer.C:
		}
		err := k.compare(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errAgain) {
			signal(k.due)
			continue
		}
		if err == nil {
			failing = 0
			timer.Reset(compareEvery)
			continue
		}
		failing = min(max(2*failing, 250*time.Millisecond), keepAgain)
		timer.Reset(failing)
		k.g.cfg.Log.Warn("the codes in a device are not what they should be", "door", k.id, "error", err, "wait_ms", failing.Milliseconds())
		k.g.metrics.failedCodes.Inc()
	}
}

// compare makes the device hold what it should.
func (k *keeper) compare(ctx context.Context) error {
	room, v := k.device.Room(k.id), k.g.tables.view.Load()
	if room == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	if v == nil { // a table that was lost opens nothing
		return k.clear(ctx, nil)
	}
	want, err := k.wanted(ctx, v)
	if err != nil {
		return err
	}
	// Codes that must not open go first: to read a device back takes minutes, and may fail.
	err = k.clear(ctx, want)
	if now := k.g.clock.boot(); k.unknown.Load() || now-k.read > readBackEvery {
		if err := k.readBack(ctx, v, want); err != nil {
			return err
		}
		k.read = now
		err = k.clear(ctx, want)
	}
	if err != nil {
		return err
	}
	if err := k.write(ctx, v, want, room); err != nil {
		return err
	}
	if k.drifted {
		k.tell(ctx, driver.Mended)
	}
	if at := v.head.Position(); k.upto.Load() == nil || *k.upto.Load() != at {
		k.upto.Store(&at)
		signal(k.g.changed) // the service is told with the next request
	}
	return nil
}

// wanted are the PINs for which the door would open now, with their tags.
func (k *keeper) wanted(ctx context.Context, v *view) (map[wire.ID]unlock.Tag, error) {
	want := map[wire.ID]unlock.Tag{}
	ask := unlock.Request{Side: unlock.In, Kind: unlock.Pin, Door: unlock.IDOf(string(k.id)), At: unlock.InstantOf(k.g.clock.now().at)}
	for row := range v.table.Rows(unlock.KindCredential) {
		c := row.(*unlock.Credential)
		if c.Kind != unlock.Pin || c.MaxUses > 0 || c.Tag == (unlock.Tag{}) {
			continue
		}
		ask.Tag = c.Tag
		if a := unlock.Decide(v.table, &unlock.Local{LeaseEnd: unlock.Held}, ask); opensByItself(a) {
			want[wire.ID(c.ID)] = c.Tag
		}
	}
	// The engine alone knows of lease, clock and who is first in. It is asked for few at a
	// time: somebody may stand before a door.
	opens := map[wire.ID]unlock.Tag{} // after a panic, what is not decided opens nothing
	for some := range slices.Chunk(slices.Sorted(maps.Keys(want)), wire.MaxPins) {
		err := k.g.engine.exec(ctx, func() {
			e := k.g.engine
			now := k.g.clock.now()
			for _, id := range some {
				ask := unlock.Request{Side: unlock.In, Kind: unlock.Pin, Tag: want[id]}
				if a := e.decider.decide(question{view: v, older: e.older(), now: now, door: k.id, ask: ask, noFire: true}); opensByItself(a.Answer) {
					opens[id] = want[id]
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return opens, nil
}

// opensByItself reports whether a PIN opens a door whatever the door's posture: it is not
// only that the door stands open, or that others typed wrong codes.
func opensByItself(a unlock.Answer) bool {
	if !a.Allowed || a.Credential() == nil {
		return false
	}
	for _, c := range a.Failed.Codes() {
		if c != unlock.DenyLockout {
			return false
		}
	}
	return true
}

// unwanted are the slots whose codes should not be in the device.
func (k *keeper) unwanted(want map[wire.ID]unlock.Tag) map[uint32]code {
	used := k.g.codes.of(k.id)
	maps.DeleteFunc(used, func(_ uint32, in code) bool {
		tag, ok := want[in.Credential]
		return ok && tag == in.Tag
	})
	return used
}

// slots lists what the device holds. It gives up when a code has to go meanwhile that did
// not have to before: where slots are asked one by one this takes minutes.
func (k *keeper) slots(ctx context.Context, want map[wire.ID]unlock.Tag) (all []driver.Slot, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	known, listed := k.unwanted(want), make(chan struct{})
	go func() {
		defer close(listed)
		_, err = k.g.try("driver", func() (failed error) { all, failed = k.device.Slots(ctx, k.id); return failed })
	}()
	look := time.NewTicker(compareEvery)
	defer look.Stop()
	for {
		select {
		case <-listed:
			return all, err
		case <-k.due:
		case <-look.C:
		}
		now, failed := k.wanted(ctx, k.g.tables.view.Load())
		for slot := range k.unwanted(now) {
			if _, is := known[slot]; !is && failed == nil {
				cancel()
				<-listed
				return nil, errAgain
			}
		}
	}
}

// readBack compares what the device holds with what was noted. A code that nobody here
// noted is cleared.
func (k *keeper) readBack(ctx context.Context, v *view, want map[wire.ID]unlock.Tag) error {
	k.unknown.Store(false)
	whole := false
	defer func() {
		if !whole {
			k.unknown.Store(true)
		}
	}()
	slots, err := k.slots(ctx, want)
	if err != nil {
		return err
	}
	noted, found := k.g.codes.of(k.id), map[uint32]bool{}
	for _, s := range slots {
		in, ok := noted[s.Number]
		found[s.Number] = true
		tag, tagged := k.g.tags.tag(v.table.TagKey(), wire.TagPin, wire.TagPin, s.Code)
		if ok && (s.Code == "" || !tagged || tag == in.Tag) {
			continue
		}
		k.tell(ctx, driver.Drifted)
		if err := k.device.Keep(ctx, k.id, s.Number, ""); err != nil {
			return fmt.Errorf("clear slot %d, which holds a code that nobody gave it: %w", s.Number, err)
		}
		if err := k.g.codes.set(k.id, s.Number, nil); err != nil {
			return err
		}
	}
	for slot := range noted {
		if !found[slot] {
			if !k.doubt[slot] {
				k.tell(ctx, driver.Drifted)
			}
			if err := k.g.codes.set(k.id, slot, nil); err != nil {
				return err
			}
		}
	}
	clear(k.doubt)
	whole = true
	return nil
}

// clear takes codes out of the device that it should not hold. A slot that fails keeps no
// other code in it.
func (k *keeper) clear(ctx context.Context, want map[wire.ID]unlock.Tag) (failed error) {
	gone := k.unwanted(want)
	for _, slot := range slices.Sorted(maps.Keys(gone)) {
		err := k.device.Keep(ctx, k.id, slot, "")
		if err == nil {
			err = k.g.codes.set(k.id, slot, nil)
		}
		if err != nil {
			k.doubtful(slot)
			failed = errors.Join(failed, fmt.Errorf("clear slot %d of credential %s: %w", slot, gone[slot].Credential, err))
		}
		if errors.Is(err, driver.ErrOffline) {
			break
		}
	}
	return failed
}

// doubtful notes that nobody knows what a command did to a slot.
func (k *keeper) doubtful(slot uint32) {
	k.doubt[slot] = true
	k.unknown.Store(true)
}

// write puts codes into the device that it lacks. A code that it does not take keeps no
// other one out, and none is written or waits to be cleared by what was true when the
// first was.
func (k *keeper) write(ctx context.Context, v *view, want map[wire.ID]unlock.Tag, room uint32) (failed error) {
	used := k.g.codes.of(k.id)
	ids, tooMany := chosen(want, used, room)
	for _, in := range used {
		ids = slices.DeleteFunc(ids, func(id wire.ID) bool { return id == in.Credential })
	}
	open, looked := free(room, used), k.g.clock.boot()
	for len(ids) > 0 {
		some := ids[:min(len(ids), wire.MaxPins)]
		ids = ids[len(some):]
		digits, err := k.digits(ctx, some)
		if err != nil {
			return errors.Join(failed, err)
		}
		for _, id := range some {
			if now := k.g.tables.view.Load(); now != v || k.g.clock.boot()-looked > compareEvery {
				if want, err = k.wanted(ctx, now); err != nil {
					return errors.Join(failed, err)
				}
				if v, looked = now, k.g.clock.boot(); len(k.unwanted(want)) > 0 {
					return errAgain
				}
			}
			tag, still := want[id]
			if !still {
				continue
			}
			err := k.put(ctx, open[0], id, digits[id], tag)
			if failed = errors.Join(failed, err); errors.Is(err, driver.ErrOffline) {
				return failed
			}
			open = open[1:]
		}
	}
	// All that was taken away is out of the device, so this is no reason to say less of it.
	if tooMany != k.tooMany && tooMany > 0 {
		k.g.cfg.Log.Error("more PINs should be in a device than it has slots; take access away, or set the capacity of the door", "door", k.id, "slots", room, "more", tooMany)
	}
	k.tooMany = tooMany
	return failed
}

// put writes one PIN. The slot is noted first, so that a start finds what is in it.
func (k *keeper) put(ctx context.Context, slot uint32, id wire.ID, digits string, want unlock.Tag) error {
	if tag, ok := k.g.tags.tag(k.g.tables.view.Load().table.TagKey(), wire.TagPin, wire.TagPin, digits); digits == "" || !ok || tag != want {
		return fmt.Errorf("the service gives no digits for credential %s that fit the table; set the capacity of the door, which says that its device keeps codes", id)
	}
	if err := k.g.codes.set(k.id, slot, &code{id, want}); err != nil {
		return err
	}
	if err := k.device.Keep(ctx, k.id, slot, digits); err != nil {
		k.doubtful(slot)
		return fmt.Errorf("write slot %d for credential %s: %w", slot, id, err)
	}
	return nil
}

// tell reports drift once, and its end.
func (k *keeper) tell(ctx context.Context, kind driver.Kind) {
	if k.drifted == (kind == driver.Drifted) {
		return
	}
	k.drifted = kind == driver.Drifted
	select {
	case k.g.engine.events <- driver.Event{Kind: kind, Door: k.id}:
	case <-ctx.Done():
	}
}
