package domain

import "gatehouse/domain/unlock"

// posture gives a door's row its posture, or that of a lockdown, which comes
// first.
func (m *rowMaker) posture(r *unlock.Door, d *Door) {
	switch areas := m.s.lockedAreas(d); {
	case d.Lockdown != "":
		r.Posture, r.PostureSource = unlock.Lockdown, d.Lockdown
	case len(areas) > 0:
		r.Posture, r.PostureSource = unlock.Lockdown, areas[0].Lockdown
	case d.Posture.Posture != "":
		r.Posture, r.PostureUntil = unlockPostures[d.Posture.Posture], instantOrNone(d.Posture.Until)
		r.PostureSource = d.Posture.Command
	}
}

var unlockPostures = map[Posture]unlock.Posture{
	PostureUnlocked:   unlock.Unlocked,
	PostureFreeAccess: unlock.FreeAccess,
	PostureNormal:     unlock.Secured,
}
