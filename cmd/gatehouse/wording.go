package main

import (
	"cmp"
	"context"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// maxAsked bounds how many people and sites one answer is told by that have to be asked
// for; of the rest there are ids and UTC.
const maxAsked = 50

// wording names people and reads clocks for the answer to a dry run.
func wording(ctx context.Context, c *client.Client, events []toldEvent) domain.Wording {
	names := addresses(events)
	zones := map[domain.ID]*schedule.Zone{}
	return domain.Wording{
		Zone: func(site domain.ID) *schedule.Zone {
			zone, known := zones[site]
			if !known && len(zones) < maxAsked {
				zone, _ = input.ZoneOf(ctx, c, string(site)) // not everybody sees the site: nil then
				zones[site] = zone
			}
			return zone
		},
		Person: func(id domain.ID) string {
			name, known := names[string(id)]
			if !known && len(names) < maxAsked {
				name = addressOf(ctx, c, string(id))
				names[string(id)] = name
			}
			if name == "" {
				return string(id)
			}
			return name
		},
	}
}

// addresses are the addresses of people whom an answer registers as pending: their ids
// are made, and say nothing to anybody.
func addresses(events []toldEvent) map[string]string {
	out := map[string]string{}
	for _, e := range events {
		pending, _ := e.Data["pending"].(bool)
		if e.Type == "person.registered" && pending {
			out[e.text("person")] = cmp.Or(e.text("email"), e.text("phone"))
		}
	}
	return out
}

// addressOf is the address of a person who has not shown yet who they are; empty for
// others, and for who may not see it.
func addressOf(ctx context.Context, c *client.Client, person string) string {
	var found struct {
		State string `json:"state"`
		Email string `json:"email"`
		Phone string `json:"phone"`
	}
	if err := c.Get(ctx, c.OrgPath("people", person), nil, &found); err != nil || found.State != string(domain.PersonStatePending) {
		return ""
	}
	return cmp.Or(found.Email, found.Phone)
}
