package vault

import (
	"maps"
	"slices"
	"sync"
)

// damage remembers which keys did not open when they were asked for last.
type damage struct {
	mu   sync.Mutex // guards keys
	keys map[string]map[string]struct{}
}

// note takes what came of asking for ids: those that are damaged, and the others that
// are not, or no longer.
func (d *damage) note(org string, ids, damaged []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := d.keys[org]
	for _, id := range ids {
		delete(found, id)
	}
	if len(damaged) > 0 && found == nil {
		found = map[string]struct{}{}
		if d.keys == nil {
			d.keys = map[string]map[string]struct{}{}
		}
		d.keys[org] = found
	}
	for _, id := range damaged {
		found[id] = struct{}{}
	}
	if len(found) == 0 {
		delete(d.keys, org)
	}
}

// among gives those of ids that are damaged.
func (d *damage) among(org string, ids []string) (damaged []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		if _, is := d.keys[org][id]; is {
			damaged = append(damaged, id)
		}
	}
	return damaged
}

// Damaged implements [Keeper].
func (d *damage) Damaged() map[string][]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[string][]string, len(d.keys))
	for org, ids := range d.keys {
		out[org] = slices.Sorted(maps.Keys(ids))
	}
	return out
}
