package input

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain/schedule"
)

// Clock reads times of the command line. One without an offset is of the clock of
// a site, whose zone is asked for when the first such time is met.
type Clock struct {
	Zone  func(ctx context.Context) (*schedule.Zone, error)
	known *schedule.Zone // once it was asked for
}

// SiteClock is the clock of the site that a verb names.
func SiteClock(c *client.Client) *Clock {
	return &Clock{Zone: func(ctx context.Context) (*schedule.Zone, error) { return ZoneOf(ctx, c, c.Site) }}
}

// DoorClock is the clock of a door's site, for those too who may not see the site.
func DoorClock(c *client.Client, door string) *Clock {
	return &Clock{Zone: func(ctx context.Context) (*schedule.Zone, error) {
		if err := c.Authorized(); err != nil {
			return nil, err
		}
		var found struct {
			Zone string `json:"zone"`
		}
		if err := c.Get(ctx, c.OrgPath("doors", door), nil, &found); err != nil {
			return ZoneOf(ctx, c, c.Site) // staff may ask about a door that is not there
		}
		return zoneNamed(found.Zone, "door "+door)
	}}
}

// ZoneOf asks for the zone of a site.
func ZoneOf(ctx context.Context, c *client.Client, site string) (*schedule.Zone, error) {
	if site == "" {
		return nil, client.Usagef("a time without an offset is of a site's clock: name the site with --site, or write the offset, as in 2026-03-02T08:30:00+01:00 or …Z")
	}
	if err := c.Authorized(); err != nil {
		return nil, err
	}
	var found struct {
		Zone string `json:"zone"`
	}
	if err := c.Get(ctx, c.OrgPath("sites", site), nil, &found); err != nil {
		return nil, fmt.Errorf("the zone of the site %s, which a time without an offset needs; write it with its offset, as in 2026-03-02T08:30:00+01:00: %w", site, err)
	}
	return zoneNamed(found.Zone, "site "+site)
}

func zoneNamed(zone, of string) (*schedule.Zone, error) {
	rules, err := schedule.LoadRules(zone)
	if err != nil {
		return nil, fmt.Errorf("the zone of the %s: %w; write times with their offset", of, err)
	}
	return rules.Compile(), nil
}

// Read reads a time with its offset, or one of the site's clock without an offset. The
// latter is written as 2026-03-02T08:30, 2026-03-02 8:30:15 or 2026-03-02, the
// beginning of that day.
func (k *Clock) Read(ctx context.Context, text string) (time.Time, error) {
	if at, ok := withOffset(text); ok {
		return at, nil
	}
	local, ok := localTime(text)
	if !ok {
		return time.Time{}, client.Usagef("%q is no time; write 2026-03-02T08:30:00Z, or 2026-03-02T08:30 for the clock of the site", text)
	}
	zone, err := k.met(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if len(text) == len(time.DateOnly) {
		date, err := schedule.ParseDate(text)
		if err != nil {
			return time.Time{}, client.Usagef("%q: %v", text, err)
		}
		return time.Unix(0, zone.Start(date)).UTC(), nil
	}
	return instant(zone, text, local)
}

// reading reads what the clock and the calendar of the site are to show, as
// 2026-12-24T18:00. A time with an offset is brought to that clock.
func (k *Clock) reading(ctx context.Context, text string) (string, error) {
	if at, ok := withOffset(text); ok {
		zone, err := k.met(ctx)
		if err != nil {
			return "", err
		}
		local := zone.Local(at.UnixNano())
		return schedule.DateTime{Date: local.Date, Time: local.Time}.String(), nil
	}
	if local, ok := localTime(text); ok && len(text) > len(time.DateOnly) && local.Second() == 0 {
		return local.Format("2006-01-02T15:04"), nil
	}
	return "", client.Usagef("%q is no date with a time of whole minutes; write 2026-12-24T18:00", text)
}

// met is the zone, asked for once.
func (k *Clock) met(ctx context.Context) (*schedule.Zone, error) {
	if k.known == nil {
		zone, err := k.Zone(ctx)
		if err != nil {
			return nil, err
		}
		k.known = zone
	}
	return k.known, nil
}

// withOffset reads a time with its offset, as 2026-03-02T08:30:00Z or 2026-03-02 8:30 +01:00.
func withOffset(text string) (time.Time, bool) {
	text = strings.ToUpper(strings.ReplaceAll(strings.Replace(text, " ", "T", 1), " ", ""))
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// localTime reads a time without an offset.
func localTime(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, strings.Replace(text, " ", "T", 1)); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// instant is when the clock of a zone reads a time. A time that it skips, and one
// that it reads twice, is refused: a guess would be an hour wrong.
func instant(zone *schedule.Zone, text string, local time.Time) (time.Time, error) {
	reading, err := schedule.ParseDateTime(local.Format("2006-01-02T15:04"))
	if err != nil {
		return time.Time{}, client.Usagef("%q: %v", text, err)
	}
	reads := func(at int64) bool {
		l := zone.Local(at)
		return l.Date == reading.Date && l.Time == reading.Time
	}
	at := zone.Instant(reading)
	if !reads(at) {
		return time.Time{}, client.Usagef("%s does not exist in %s: the clock is set forward over it", text, zone.Name())
	}
	for _, back := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour} {
		if reads(at + int64(back)) {
			return time.Time{}, client.Usagef("%s exists twice in %s, where the clock is set back; write the offset", text, zone.Name())
		}
	}
	return time.Unix(0, at).Add(time.Duration(local.Second()) * time.Second).UTC(), nil
}
