package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/domain/schedule"
)

const (
	// maxColumns and maxCell bound what a list prints, in columns and letters, so that a
	// line fits a screen. The whole is in the JSON.
	maxColumns = 8
	maxCell    = 40
	// maxInCell is how many entries of a list a cell names before it counts the rest.
	maxInCell = 3
)

// tellList prints a list in columns: id, name and state first, then what else the
// view has for people, in its order. Columns that are empty everywhere are left out.
func tellList(ctx context.Context, c *client.Client, w *world, items []json.RawMessage) error {
	if len(items) == 0 {
		w.say("There are none.")
		return nil
	}
	var keys []string
	rows := make([]map[string]any, len(items))
	for i, item := range items {
		fields, err := fieldsOf(item)
		if err != nil {
			return fmt.Errorf("the answer cannot be read: %w", err)
		}
		if err := json.Unmarshal(item, &rows[i]); err != nil {
			return fmt.Errorf("the answer cannot be read: %w", err)
		}
		keys = withFields(keys, fields)
		asItIs(rows[i])
	}
	zones := zonesOf(ctx, c, rows)
	var heads []string
	lines := make([][]string, len(rows))
	for _, key := range inOrder(keys) {
		cells, ok := columnOf(rows, key, zones)
		if !ok || len(heads) == maxColumns {
			continue
		}
		head := strings.ToUpper(strings.ReplaceAll(key, "_", " "))
		if zone := oneZone(cells); zone != "" {
			head += " (" + zone + ")"
		}
		heads = append(heads, head)
		for i, cell := range cells {
			lines[i] = append(lines[i], cell.in(head))
		}
	}
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(heads, "\t"))
	for _, line := range lines {
		fmt.Fprintln(table, strings.TrimRight(strings.Join(line, "\t"), "\t"))
	}
	return table.Flush()
}

// fieldsOf lists the fields of a JSON object in their order.
func fieldsOf(object json.RawMessage) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var out []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("an entry is no object")
		}
		out = append(out, name)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// withFields adds the fields of a row to those of the rows before it. Each comes after
// the field that it follows in its row. So a field that the first row lacks is not cut
// off.
func withFields(keys, fields []string) []string {
	at := 0
	for _, field := range fields {
		if strings.HasPrefix(field, effectively) {
			continue
		}
		if i := slices.Index(keys, field); i >= 0 {
			at = max(at, i+1)
			continue
		}
		keys = slices.Insert(keys, at, field)
		at++
	}
	return keys
}

// effectively is the prefix of fields that tell what counts in the end. An example is
// the state of a share whose booking is suspended.
const effectively = "effective_"

// asItIs puts what holds in the end in the place of what was said of a row alone.
func asItIs(row map[string]any) {
	for key, value := range row {
		if name, ok := strings.CutPrefix(key, effectively); ok {
			row[name] = value
		}
	}
	if row["denied"] == true {
		row["state"] = fmt.Sprint(row["state"], ", denied")
	}
}

// inOrder puts what tells things apart at the beginning, and leaves out the zone,
// which stands with the times.
func inOrder(keys []string) []string {
	out := []string{}
	for _, first := range []string{"id", "name", "state"} {
		if slices.Contains(keys, first) {
			out = append(out, first)
		}
	}
	for _, key := range keys {
		if !slices.Contains(out, key) && key != "zone" {
			out = append(out, key)
		}
	}
	if !slices.ContainsFunc(keys, func(key string) bool { return key == "site" || key == "kind" }) && slices.Contains(keys, "zone") {
		out = append(out, "zone") // of a site
	}
	return out
}

// cell is a value of a table: a text, or a time of a zone.
type cell struct{ text, zone string }

// in is the cell below a head, which names the zone where all times have one.
func (c cell) in(head string) string {
	if c.zone == "" || strings.HasSuffix(head, "("+c.zone+")") {
		return c.text
	}
	return c.text + " " + c.zone
}

// oneZone is the zone of all times of a column. Empty means that they have several, or
// that there is no time.
func oneZone(cells []cell) string {
	zone := ""
	for _, c := range cells {
		if c.zone == "" {
			continue
		}
		if zone != "" && zone != c.zone {
			return ""
		}
		zone = c.zone
	}
	return zone
}

// columnOf gives the cells of a field; false: it has nothing that fits a cell.
func columnOf(rows []map[string]any, key string, zones []*schedule.Zone) ([]cell, bool) {
	cells := make([]cell, len(rows))
	filled := false
	for i, row := range rows {
		c, ok := cellOf(row[key], zones[i])
		if !ok {
			return nil, false
		}
		cells[i] = c
		filled = filled || c.text != ""
	}
	return cells, filled
}

// cellOf is a value in a cell; false: it is an object or a list of them.
func cellOf(value any, zone *schedule.Zone) (cell, bool) {
	switch v := value.(type) {
	case nil:
		return cell{}, true
	case bool:
		if v {
			return cell{text: "yes"}, true
		}
		return cell{}, true
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return timeCell(at, zone), true
		}
		if letters := []rune(v); len(letters) > maxCell && strings.Contains(v, " ") {
			v = string(letters[:maxCell-1]) + "…" // a text; ids stay whole
		}
		return cell{text: printable(v)}, true
	case float64:
		return cell{text: fmt.Sprint(v)}, true
	case []any:
		var named []string
		for _, entry := range v {
			text, ok := entry.(string)
			if !ok {
				return cell{}, false
			}
			if len(named) < maxInCell {
				named = append(named, printable(text))
			}
		}
		text := strings.Join(named, ",")
		if more := len(v) - len(named); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		return cell{text: text}, true
	}
	return cell{}, false
}

// timeCell is a time by the clock of a zone, and without one in UTC.
func timeCell(at time.Time, zone *schedule.Zone) cell {
	if zone == nil {
		return cell{at.UTC().Format("2006-01-02 15:04"), "UTC"}
	}
	local := zone.Local(at.UnixNano())
	return cell{fmt.Sprintf("%s %s", local.Date, local.Time), zone.Name()}
}

// printable replaces what would move the cursor or end the line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// zonesOf is the zone of each row, by its own word or by its site, or else by --site;
// nil where none is known, and where no row has a time.
func zonesOf(ctx context.Context, c *client.Client, rows []map[string]any) []*schedule.Zone {
	out := make([]*schedule.Zone, len(rows))
	bySite := map[string]*schedule.Zone{}
	for i, row := range rows {
		if !hasTime(row) {
			continue
		}
		if name, ok := row["zone"].(string); ok {
			if rules, err := schedule.LoadRules(name); err == nil {
				out[i] = rules.Compile()
				continue
			}
		}
		site := siteOf(c, row)
		if _, asked := bySite[site]; !asked {
			zone, err := input.ZoneOf(ctx, c, site)
			if err != nil {
				zone = nil // not everybody sees it: then times are in UTC, and say so
			}
			bySite[site] = zone
		}
		out[i] = bySite[site]
	}
	return out
}

// siteOf is the site of a row, the first of several, or else that of --site.
func siteOf(c *client.Client, row map[string]any) string {
	if site, ok := row["site"].(string); ok && site != "" {
		return site
	}
	if sites, ok := row["sites"].([]any); ok && len(sites) > 0 {
		if site, ok := sites[0].(string); ok {
			return site
		}
	}
	return c.Site
}

// hasTime reports whether a row has a time in one of its cells.
func hasTime(row map[string]any) bool {
	for _, value := range row {
		text, ok := value.(string)
		if !ok {
			continue
		}
		if _, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return true
		}
	}
	return false
}
