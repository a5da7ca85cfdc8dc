package due

import (
	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// zoneTasks returns the commands by which sites take over the zone rules of the
// embedded time zone database, where it is newer than theirs and gives another
// clock. Rules that differ by name alone would be a commit for nothing.
func (t *Timer) zoneTasks(s *domain.State) []task {
	var tasks []task
	for id, site := range s.Sites.All() {
		if site.Rules.TZData >= schedule.TZDataVersion {
			continue
		}
		rules, ok := t.zoneRules(site.Zone)
		if !ok || rules.Compile().SameClock(site.Rules.Compile()) {
			continue
		}
		tasks = append(tasks, task{
			id:    domain.DeriveUUID(domain.UUID{}, "gatehouse/zones/"+string(id)+"/"+schedule.TZDataVersion),
			actor: domain.ServiceActor("zones"), cmd: domain.SetZoneRules{Site: id},
		})
	}
	return tasks
}

// zoneRules are the embedded rules of a zone, read once; false when the database
// has the zone no longer, which leaves its sites with the rules they have.
func (t *Timer) zoneRules(zone string) (schedule.ZoneRules, bool) {
	rules, known := t.rules[zone]
	if !known {
		var err error
		if rules, err = schedule.LoadRules(zone); err != nil {
			t.cfg.Log.Warn("sites keep the zone rules that they have", "zone", zone, "error", err)
		}
		t.rules[zone] = rules
	}
	return rules, rules.Zone != ""
}
