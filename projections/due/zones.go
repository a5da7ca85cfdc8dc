package due

import (
	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// zoneTasks returns the commands that update the zone rules of sites. It does so if the
// embedded time zone database is newer than the site's and gives another clock. Rules
// with the same clock would be a needless commit.
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

// zoneRules are the embedded rules of a zone, read once. false means that the database
// no longer has the zone; its sites keep their rules.
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
