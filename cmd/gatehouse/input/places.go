package input

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain/schedule"
)

// placeFields are the fields that tell at which site a command acts, the nearest first.
// Each has the list of the things that it names.
var placeFields = []struct{ field, list string }{
	{"door", "doors"}, {"site", "sites"}, {"sites", "sites"}, {"unit", "units"}, {"booking", "bookings"}, {"bookings", "bookings"},
	{"share", "shares"}, {"group", "groups"}, {"grant", "grants"}, {"right", "rights"}, {"credential", "credentials"},
}

// errNoPlace says that nothing which a command names has a site.
var errNoPlace = errors.New("no site")

// CommandClock is the clock of the site at which a command acts by its fields, else of
// --site. Fields of the command line are as they are typed.
func CommandClock(c *client.Client, fields map[string]any, given []Assignment) *Clock {
	return &Clock{Zone: func(ctx context.Context) (*schedule.Zone, error) {
		if err := c.Authorized(); err != nil {
			return nil, err
		}
		for _, p := range placeFields {
			ids := idsIn(p.field, fields, given)
			if len(ids) == 0 {
				continue
			}
			zone, err := zoneOfAll(ctx, c, p.list, ids)
			_, refused := errors.AsType[*client.AnswerError](err)
			// An id that there is not yet, or that is not for this person, says nothing.
			if passed := refused || errors.Is(err, errNoPlace); !passed || p.field == "site" {
				return zone, err
			}
		}
		return ZoneOf(ctx, c, c.Site)
	}}
}

// idsIn lists the ids that a field has, on the command line or else in the file.
func idsIn(field string, fields map[string]any, given []Assignment) (ids []string) {
	value := fields[field]
	for _, x := range given {
		if x.Key != field && !strings.HasPrefix(x.Key, field+"[") {
			continue
		}
		var list []any
		if json.Unmarshal([]byte(x.Text), &list) == nil {
			value = list
			continue
		}
		for id := range strings.SplitSeq(x.Text, ",") {
			ids = append(ids, strings.TrimSpace(id))
		}
	}
	if len(ids) > 0 {
		return ids
	}
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, entry := range v {
			if id, ok := entry.(string); ok {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// zoneOfAll is the zone of all things of a list, which is one or nobody's guess.
func zoneOfAll(ctx context.Context, c *client.Client, list string, ids []string) (*schedule.Zone, error) {
	var zone *schedule.Zone
	for _, id := range ids {
		next, err := zoneOfThing(ctx, c, list, id)
		if err != nil {
			return nil, err
		}
		if zone != nil && zone.Name() != next.Name() {
			return nil, client.Usagef("a time without an offset is of one clock, and there are those of %s and %s: write the offset, as in 2026-03-02T08:30:00+01:00", zone.Name(), next.Name())
		}
		zone = next
	}
	if zone == nil {
		return nil, errNoPlace
	}
	return zone, nil
}

// zoneOfThing asks for the zone of a site, or of what lies at one or at several.
func zoneOfThing(ctx context.Context, c *client.Client, list, id string) (*schedule.Zone, error) {
	if list == "sites" {
		return ZoneOf(ctx, c, id)
	}
	var found struct {
		Zone  string   `json:"zone"`
		Site  string   `json:"site"`
		Sites []string `json:"sites"`
		Unit  string   `json:"unit"`
		Right string   `json:"right"`
	}
	if err := c.Get(ctx, c.OrgPath(list, id), nil, &found); err != nil {
		return nil, err
	}
	if list == "units" {
		found.Unit = id
	}
	switch {
	case found.Zone != "":
		return zoneNamed(found.Zone, "door "+id)
	case found.Unit != "":
		// A door tells the clock of its site also to those who may not see the site.
		if zone, err := zoneOfDoors(ctx, c, found.Unit); err == nil {
			return zone, nil
		}
	case found.Right != "":
		return zoneOfThing(ctx, c, "rights", found.Right)
	}
	if found.Site != "" {
		return ZoneOf(ctx, c, found.Site)
	}
	return zoneOfAll(ctx, c, "sites", found.Sites)
}

// zoneOfDoors is the zone of the doors of a unit.
func zoneOfDoors(ctx context.Context, c *client.Client, unit string) (*schedule.Zone, error) {
	var doors struct {
		Items []struct {
			Zone string `json:"zone"`
		} `json:"items"`
	}
	if err := c.Get(ctx, c.OrgPath("doors"), url.Values{"unit": {unit}, "limit": {"1"}}, &doors); err != nil {
		return nil, err
	}
	if len(doors.Items) == 0 {
		return nil, errNoPlace
	}
	return zoneNamed(doors.Items[0].Zone, "unit "+unit)
}
