// Package demo plays the days of a made-up self-storage site on a running ledger.
//
// # Why a package
//
// The people, their habits and the look of the feed are a program of their own. It
// uses the ledger as any other client does, and nothing else depends on it.
package demo

import (
	"context"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
	"gatehouse/eventstore"
	"gatehouse/gateways/reads"
	"gatehouse/projections/permissions"
)

// The org and the site of the demo, and who owns them.
const (
	Org       domain.ID = "harbour"
	OrgName             = "Harbour Storage"
	Owner     domain.ID = "owner"
	OwnerName           = "Olga Harbour"
	Site      domain.ID = "quay"
	zoneName            = "Europe/Berlin"
	dayStart            = 6 * 60 // minutes of the first day
	// buildStart is when the site is made, and its gateways are shown. Its days begin later,
	// so they are the same however long that takes.
	buildStart = dayStart - 15
)

// patience bounds every wait for the ledger.
const patience = 30 * time.Second

// Config says which demo is played, and where it is shown. Every field but JSON and
// Color is required.
type Config struct {
	Seed  uint64    // another number gives other people and other days
	Today time.Time // the demo begins in the morning of this day
	Out   io.Writer
	JSON  bool // every line is an object
	Color bool // for a terminal
}

// Service is what the demo uses of a running service whose clock is [Demo.Now].
type Service struct {
	Store       *eventstore.Store
	Permissions *permissions.Projector
	Failed      <-chan error // yields why the service ended by itself
	Gateways    *Gateways    // nil: none are shown
}

// Summary is what a demo came to.
type Summary struct {
	Commands   uint64        `json:"commands"`
	Commits    uint64        `json:"commits"`
	Unlocks    UnlockCount   `json:"unlocks"`
	OnSite     int           `json:"onsite"`
	DecisionNS DecisionTimes `json:"decision_ns"`
}

// UnlockCount counts the decisions at the doors.
type UnlockCount struct {
	Allowed uint64            `json:"allowed"`
	Denied  map[string]uint64 `json:"denied"` // by code
}

// DecisionTimes are in nanoseconds, of single decisions.
type DecisionTimes struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
}

// Demo is a running demo. One goroutine alone uses it, but for [Demo.Now].
type Demo struct {
	service Service
	clock   *siteClock
	zone    *schedule.Zone
	random  *mathrand.Rand
	feed    *feed
	agenda  agenda
	house   house
	doors   *doorSet
	boxes   []*box      // lock gateways
	decided UnlockCount // at their doors, as recorded
	space   domain.UUID // of the ids of commands

	sent     uint64 // commands, for their ids
	accepted uint64 // of those
	position uint64 // of the last commit that the feed has told
}

// New makes a demo whose clock shows the morning of the day.
func New(c Config) (*Demo, error) {
	rules, err := schedule.LoadRules(zoneName)
	if err != nil {
		return nil, err
	}
	zone := rules.Compile()
	today := zone.Local(schedule.Nanos(c.Today)).Date
	return &Demo{
		clock:  newSiteClock(time.Unix(0, zone.Instant(schedule.DateTime{Date: today, Time: buildStart}))),
		zone:   zone,
		random: mathrand.New(mathrand.NewPCG(c.Seed, 0)),
		feed:   newFeed(c, zone),
		space:  domain.DeriveUUID(domain.UUID{}, fmt.Sprintf("gatehouse/demo/%d", c.Seed)),
	}, nil
}

// Now returns the time of the site. Any goroutine may ask.
func (d *Demo) Now() time.Time { return d.clock.now() }

// Open opens the doors of the demo on a service that holds the org already. The
// commits that made it are counted as commands of the demo.
func (d *Demo) Open(ctx context.Context, s Service) error {
	d.service = s
	doors, err := openDoors(ctx, s, d.clock.now)
	if err != nil {
		return err
	}
	d.doors = doors
	d.accepted, err = d.heads(ctx)
	return err
}

// Show builds the site and lets its days pass until the context ends.
//
// It ends after lasts of what follows the building too, unless lasts is 0: the gateways
// and the fast motion. The speed is how much of the site's time passes in a second.
func (d *Demo) Show(ctx context.Context, lasts, speed time.Duration) error {
	if err := d.build(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	began := time.Now()
	if err := d.showGateways(ctx, lasts); err != nil || ctx.Err() != nil {
		return err
	}
	if err := d.begin(ctx); err != nil {
		return err
	}
	if lasts > 0 {
		limited, cancel := context.WithDeadline(ctx, began.Add(lasts))
		defer cancel()
		ctx = limited
	}
	return d.play(ctx, speed)
}

// Summary records the reads that are not recorded yet, and adds everything up.
func (d *Demo) Summary(ctx context.Context) (Summary, error) {
	tally, err := d.doors.flush(ctx)
	if err != nil {
		return Summary{}, err
	}
	return d.total(ctx, tally)
}

// total adds up what is recorded.
func (d *Demo) total(ctx context.Context, tally reads.Tally) (Summary, error) {
	commits, err := d.heads(ctx)
	return Summary{Commands: d.accepted, Commits: commits, Unlocks: d.withBoxes(tally),
		OnSite: d.doors.onSite(), DecisionNS: d.doors.times()}, err
}

// heads returns how many commits the ledger holds.
func (d *Demo) heads(ctx context.Context) (uint64, error) {
	total := uint64(0)
	for _, org := range []domain.ID{domain.SystemOrg, Org} {
		head, err := d.service.Store.Head(ctx, org)
		if err != nil {
			return 0, fmt.Errorf("the head of %s: %w", org, err)
		}
		total += head.N
	}
	return total, nil
}

// wait waits for an instant of the real clock or for the end. It returns an error if
// the service failed meanwhile.
func (d *Demo) wait(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case err := <-d.service.Failed:
		return err
	}
	return nil
}
