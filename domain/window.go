package domain

import (
	"gatehouse/domain/schedule"
	"gatehouse/domain/unlock"
)

// compiledZone is the zone of a site as compiled from one version of its row.
type compiledZone struct {
	site *Site
	zone *schedule.Zone
}

// utc is the zone of a site that is not there.
var utc = schedule.ZoneRules{Zone: "UTC"}.Compile()

// zone returns the zone of a site by the rules that the ledger holds. It may be
// called by several readers at once.
func (s *State) zone(site ID) *schedule.Zone {
	row, ok := s.Sites.Get(site)
	if !ok {
		return utc
	}
	// Rows are never changed in place, so that the pointer tells the version.
	if c, ok := s.zones.Load(site); ok && c.(compiledZone).site == row {
		return c.(compiledZone).zone
	}
	z := row.Rules.Compile()
	s.zones.Store(site, compiledZone{row, z})
	return z
}

// window returns the instants of civil days of a site: from the beginning of
// from to the end of until, the whole last day included. No date: no bound.
func (s *State) window(site ID, from, until schedule.Date) unlock.Window {
	var w unlock.Window
	z := s.zone(site)
	if !from.IsZero() {
		w.From = unlock.Instant(z.Start(from))
	}
	if !until.IsZero() {
		w.Until = unlock.Instant(z.Start(until.AddDays(1)))
	}
	return w
}
