package main

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// getCmd asks for things.
type getCmd struct {
	Remote  remote   `embed:""`
	What    string   `arg:"" optional:"" help:"What to ask for, below the org: doors, doors/gate, bookings; nothing: the org."`
	Filters []string `arg:"" optional:"" help:"Parameters of the question, as site=north or at_least=1-42."`
	All     bool     `help:"Of a list, every page: one line of JSON for each thing."`
}

// Help gives examples.
func (getCmd) Help() string {
	return `A list is printed in columns, with times in the time zone of the site; --json prints the
full answer. /openapi.json of the service documents everything that can be asked for.

Examples:

  gatehouse get
  gatehouse get doors site=north
  gatehouse get people/anna
  gatehouse get unit-users a12/vera
  gatehouse get bookings person=anna --all --json
  gatehouse get reviews
  gatehouse get enforcement site=north     # what its gateways enforce, and since when
  gatehouse get enforcement person=anna    # the doors that may still open by earlier permissions`
}

// Run asks, and writes a list in columns and one thing as it came.
func (c *getCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.Authorized(); err != nil {
		return err
	}
	if c.What == "enforcement" {
		if err := c.ofWhat(); err != nil {
			return err
		}
	}
	path := remote.OrgPath(c.parts()...)
	query := url.Values{}
	for _, f := range c.Filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return usage("%q: parameters are written key=value", f)
		}
		if query.Has(key) {
			return usage("%s is given twice, as %q and as %q", key, query.Get(key), value)
		}
		query.Set(key, value)
	}
	if c.All {
		return remote.Each(w.ctx, path, query, func(item json.RawMessage) error { return w.printJSON(item, true) })
	}
	var body json.RawMessage
	if err := remote.Get(w.ctx, path, query, &body); err != nil {
		return err
	}
	var page struct {
		Items []json.RawMessage `json:"items"`
		Next  string            `json:"next"`
	}
	if c.Remote.JSON || json.Unmarshal(body, &page) != nil || page.Items == nil {
		return w.printJSON(body, c.Remote.JSON)
	}
	if err := tellList(w.ctx, remote, w, page.Items); err != nil {
		return err
	}
	if page.Next != "" {
		w.say("There are more: add cursor=%s, or --all.", page.Next)
	}
	return nil
}

// ofWhat finds of which site or person enforcement is asked for.
func (c *getCmd) ofWhat() error {
	for i, f := range c.Filters {
		for name, many := range map[string]string{"site": "sites", "person": "people"} {
			if id, ok := strings.CutPrefix(f, name+"="); ok {
				c.What, c.Filters = many+"/"+id+"/enforcement", slices.Delete(c.Filters, i, i+1)
				return nil
			}
		}
	}
	if c.Remote.Site == "" {
		return usage("of which site or person? gatehouse get enforcement site=SITE, or person=PERSON")
	}
	c.What = "sites/" + c.Remote.Site + "/enforcement"
	return nil
}

// parts are the parts of the path. A first parameter that is none is an id as a list
// prints it, slash and all.
func (c *getCmd) parts() []string {
	parts := strings.FieldsFunc(c.What, func(r rune) bool { return r == '/' })
	if len(c.Filters) > 0 && !strings.Contains(c.Filters[0], "=") {
		parts = append(parts, c.Filters[0])
		c.Filters = c.Filters[1:]
	}
	if len(parts) == 3 && pairs[parts[0]] {
		parts = []string{parts[0], parts[1] + "/" + parts[2]}
	}
	return parts
}

// pairs are the lists whose ids are two with a slash between.
var pairs = map[string]bool{"unit-users": true, "group-members": true}
