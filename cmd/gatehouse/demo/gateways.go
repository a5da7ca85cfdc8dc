package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/gateways/reads"
	"gatehouse/schemas/wire"
)

// Gateways are what the demo needs to show lock gateways as processes of their own. Every
// field is required.
type Gateways struct {
	Program string // gatehouse itself: its verb gateway is the lock gateway
	Dir     string // in which each gateway has a folder
	URL     string // of the API
	NATS    string // host:port of the servers
	// Register registers a gateway, and returns its code and the position of the commit.
	Register func(ctx context.Context, gateway domain.ID) (code string, at wire.Position, err error)
	// Enforced waits until a gateway enforces a position, or the context ends.
	Enforced func(ctx context.Context, gateway domain.ID, at wire.Position) error
	// Marks is the id under which the service marks what a gateway should not have allowed.
	Marks func(gateway domain.ID) domain.ID
}

// The doors at the water have lock gateways of their own.
const (
	yardGate  domain.ID = "yard-gate"
	boatShed  domain.ID = "boat-shed"
	yardBox   domain.ID = "yard-box"
	shedBox   domain.ID = "shed-box"
	waterSide domain.ID = "water-doors"
	shedGrant domain.ID = "water-warden-2"
)

// gatewaysTime is how long the gateways may be shown for where the demo has an end.
const gatewaysTime = 4 * time.Second

// showGateways shows two lock gateways, of which one is cut off and comes back. The clock
// of the site runs meanwhile.
func (d *Demo) showGateways(ctx context.Context, lasts time.Duration) error {
	g := d.service.Gateways
	switch {
	case g == nil:
		return nil
	case lasts > 0 && lasts <= gatewaysTime:
		return d.feed.gateway(gatewayLine{At: d.clock.now(), Event: "left_out", Text: fmt.Sprintf("lock gateways are shown with --for more than %s", gatewaysTime)})
	}
	limit := patience
	if lasts > 0 {
		limit = gatewaysTime
	}
	stand := d.clock.run()
	defer stand()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	line, err := lay(g.NATS)
	if err != nil {
		return err
	}
	defer line.close()
	d.boxes = []*box{{id: yardBox, door: yardGate, dir: filepath.Join(g.Dir, "yard")}, {id: shedBox, door: boatShed, dir: filepath.Join(g.Dir, "shed")}}
	played := d.playGateways(limited, line)
	took := limited.Err() != nil
	var stopped error
	for _, b := range d.boxes {
		stopped = errors.Join(stopped, b.stop())
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case took:
		played = d.tell("", "given_up", fmt.Sprintf("the lock gateways were given up: this machine was busy for %s", limit))
	case played == nil:
		played = d.tell("", "stopped", "the lock gateways stop: when hours pass in a second, a lease of minutes means nothing")
	}
	return errors.Join(played, stopped, d.countBoxes(context.WithoutCancel(ctx)))
}

// playGateways is what is shown. It ends early with the context.
func (d *Demo) playGateways(ctx context.Context, line *cable) error {
	yard, shed := d.boxes[0], d.boxes[1]
	first, second := d.person("warden-1"), d.person("warden-2")
	for _, part := range []func() error{
		func() error { return d.startGateways(ctx, line) },
		func() error { return d.opens(ctx, yard, first, "opened", "") },
		func() error { return d.arrives(ctx, yard, 1) },
		func() error {
			line.set(true)
			return d.tell(shed.id, "cut_off", "is cut off from the service")
		},
		func() error { return d.opens(ctx, shed, first, "opened_offline", ", by what it has and its lease") },
		func() error { return d.revoke(ctx, yard, second) },
		func() error { return d.refuses(ctx, yard, second) },
		func() error {
			return d.opens(ctx, shed, second, "opened_offline", ", for it cannot know; without the service its lease would end that")
		},
		func() error {
			line.set(false)
			return d.tell(shed.id, "connected", "is connected again")
		},
		func() error { return d.arrives(ctx, shed, 2) },
		func() error { return d.marked(ctx, shed, second) },
	} {
		if err := part(); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// startGateways makes the doors at the water with their gateways, and starts those.
func (d *Demo) startGateways(ctx context.Context, line *cable) error {
	g := d.service.Gateways
	d.house.doors[yardGate], d.house.doors[boatShed] = "Yard gate", "Boat shed"
	var codes []string
	for _, b := range d.boxes {
		code, at, err := g.Register(ctx, b.id)
		if err != nil {
			return fmt.Errorf("register the gateway %s: %w", b.id, err)
		}
		codes = append(codes, code)
		if err := d.committed(ctx, at, commandLine{Command: "RegisterGateway", Actor: Owner, Who: OwnerName, About: "a code of one use for " + string(b.id), Count: 1}); err != nil {
			return err
		}
	}
	for i, b := range d.boxes {
		nats := ""
		if b.id == shedBox {
			nats = "nats://" + line.listener.Addr().String()
		}
		if err := b.start(g, codes[i], nats); err != nil {
			return err
		}
	}
	if err := d.all(ctx, Owner,
		order{"a yard gate and a boat shed", []any{
			&domain.CreateDoor{Door: yardGate, Site: Site, Name: "Yard gate", Kind: domain.DoorGate},
			&domain.CreateDoor{Door: boatShed, Site: Site, Name: "Boat shed", Kind: domain.DoorInner}}},
		order{"each has a lock gateway", []any{
			&domain.AssignDoorToGateway{Gateway: yardBox, Door: yardGate}, &domain.AssignDoorToGateway{Gateway: shedBox, Door: boatShed}}},
		order{"the doors at the water", one(&domain.DefineAccessRight{Right: waterSide, Name: "Doors at the water", Schedule: domain.AlwaysID, Doors: []domain.ID{yardGate, boatShed}})},
		order{"the wardens may open them", []any{
			&domain.GrantRight{Grant: "water-warden-1", Person: "warden-1", Right: waterSide},
			&domain.GrantRight{Grant: shedGrant, Person: "warden-2", Right: waterSide}}},
	); err != nil || ctx.Err() != nil {
		return err
	}
	at := wire.Position{Epoch: 1, N: d.position}
	for _, b := range d.boxes {
		if err := errors.Join(b.ready(ctx), g.Enforced(ctx, b.id, at)); err != nil {
			return err
		}
	}
	if err := d.catchUp(ctx); err != nil {
		return err
	}
	for _, b := range d.boxes {
		if err := d.tell(b.id, "started", fmt.Sprintf("runs as a process of its own for the %s, and enforces %s", strings.ToLower(d.house.doors[b.door]), at)); err != nil {
			return err
		}
	}
	return nil
}

// opens lets somebody through a door.
func (d *Demo) opens(ctx context.Context, b *box, v *visitor, event, why string) error {
	opened, err := b.show(ctx, v)
	if err != nil {
		return err
	}
	if !opened {
		return fmt.Errorf("the demo cannot go on: the gateway %s does not open to %s", b.id, v.name)
	}
	return d.tell(b.id, event, fmt.Sprintf("opens to %s%s", v.name, why))
}

// refuses shows that somebody is not let through a door.
func (d *Demo) refuses(ctx context.Context, b *box, v *visitor) error {
	opened, err := b.show(ctx, v)
	if err == nil && opened {
		err = fmt.Errorf("the demo cannot go on: the gateway %s opens to %s, whose right is revoked", b.id, v.name)
	}
	if err != nil {
		return err
	}
	return d.tell(b.id, "refused", "stays shut for "+v.name)
}

// revoke takes a right from somebody, and waits until a gateway enforces that.
func (d *Demo) revoke(ctx context.Context, b *box, v *visitor) error {
	at := wire.Position{Epoch: 1, N: d.position + 1}
	began, took := time.Now(), time.Duration(0)
	enforced := make(chan error, 1)
	go func() {
		err := d.service.Gateways.Enforced(ctx, b.id, at)
		took = time.Since(began)
		enforced <- err
	}()
	err := d.all(context.WithoutCancel(ctx), manager, order{"from " + v.name, one(&domain.RevokeRight{Grant: shedGrant})})
	if err := errors.Join(err, <-enforced); err != nil {
		return err
	}
	if at.N != d.position {
		return fmt.Errorf("the demo cannot go on: something fell due while it waited for %s", at)
	}
	return d.feed.gateway(gatewayLine{At: d.clock.now(), Gateway: b.id, Event: "enforced", MS: milliseconds(took),
		Text: fmt.Sprintf("enforces %s, %.1f ms after the command was sent", at, milliseconds(took))})
}

func milliseconds(t time.Duration) float64 { return float64(t.Microseconds()) / 1000 }

// arrives waits until the service has the records of so many grants of a gateway.
func (d *Demo) arrives(ctx context.Context, b *box, grants int) error {
	for {
		records, granted := uint64(0), 0
		damaged, err := d.service.Store.Activity(ctx, Org, Site, b.id, func(a *wire.Activity) error {
			if records++; a.K != records {
				return fmt.Errorf("record %d of the gateway %s stands in place %d", a.K, b.id, records)
			}
			if a.Type == wire.AccessGranted {
				granted++
			}
			return nil
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil || damaged > 0 || granted > grants {
			return errors.Join(fmt.Errorf("the records of the gateway %s: %d grants of %d, %d damaged", b.id, granted, grants, damaged), err)
		}
		if granted == grants {
			return d.tell(b.id, "recorded", fmt.Sprintf("its %d records are stored, each once and in order", records))
		}
		if err := d.wait(ctx, time.Now().Add(5*time.Millisecond)); err != nil {
			return err
		}
	}
}

// marked waits until the service has marked that somebody was let in without a right.
func (d *Demo) marked(ctx context.Context, b *box, v *visitor) error {
	for {
		var mark *wire.Activity
		_, err := d.service.Store.Activity(ctx, Org, Site, d.service.Gateways.Marks(b.id), func(a *wire.Activity) error { mark = a; return nil })
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if mark != nil && mark.Type == wire.AccessStale {
			return d.tell(b.id, "stale", fmt.Sprintf("let %s in %.1f ms after %s had revoked that: marked as stale", v.name, milliseconds(mark.At.Sub(mark.Changed)), mark.Position))
		}
		if err := d.wait(ctx, time.Now().Add(5*time.Millisecond)); err != nil {
			return err
		}
	}
}

// countBoxes counts what the gateways have recorded of decisions.
func (d *Demo) countBoxes(ctx context.Context) error {
	d.decided = UnlockCount{Denied: map[string]uint64{}}
	for _, b := range d.boxes {
		if _, err := d.service.Store.Activity(ctx, Org, Site, b.id, func(a *wire.Activity) error {
			switch a.Type {
			case wire.AccessGranted:
				d.decided.Allowed++
			case wire.AccessDenied:
				d.decided.Denied[a.Code]++
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// withBoxes adds the decisions of the gateways.
func (d *Demo) withBoxes(tally reads.Tally) UnlockCount {
	denied := maps.Clone(tally.Denied)
	for code, n := range d.decided.Denied {
		denied[code] += n
	}
	return UnlockCount{tally.Allowed + d.decided.Allowed, denied}
}

// person is somebody whom the demo knows.
func (d *Demo) person(id domain.ID) *visitor {
	for _, v := range d.house.people {
		if v.id == id {
			return v
		}
	}
	panic("the demo has made no " + string(id))
}

// tell tells what a gateway does.
func (d *Demo) tell(gateway domain.ID, event, text string) error {
	return d.feed.gateway(gatewayLine{At: d.clock.now(), Gateway: gateway, Event: event, Text: text})
}
