package domain

// lockedDown says whether anything locks the door down: each place does alone.
func (o *oracle) lockedDown() bool {
	for id, a := range o.s.Areas.All() {
		if a.Lockdown != "" && (o.door.In == id || o.door.Out == id) {
			return true
		}
	}
	return o.site.Lockdown != "" || o.door.Lockdown != ""
}

// posture says what the door does at the instant: what it was told to, what the
// doors of the site were, or to
// stand open by its schedule or by business hours, unless a blackout closes the site.
func (o *oracle) posture() Posture {
	given := []DoorPosture{o.door.Posture}
	if o.door.Kind != DoorUnit {
		given = append(given, o.site.Posture)
	}
	for _, p := range given {
		if p.Posture != "" && (p.Until.IsZero() || p.Until.After(o.At)) {
			return p.Posture
		}
	}
	named, ok := o.s.Schedules.Get(o.door.Hours)
	if !o.blackout() && (ok && len(o.holds(named.Schedule)) == 0 || o.standsOpen()) {
		return PostureUnlocked
	}
	return ""
}

// blackout says whether one of the site holds.
func (o *oracle) blackout() bool {
	z, at := o.s.zone(o.Site), o.At.UnixNano()
	for _, b := range o.site.Blackouts {
		if z.Instant(b.From) <= at && at < z.Instant(b.To) {
			return true
		}
	}
	return false
}
