package domain

// Unit is what a tenant books: a storage room, a flat, an office.
type Unit struct {
	ID     ID          `json:"id"`
	Site   ID          `json:"site"`
	Name   string      `json:"name"`
	State  UnitState   `json:"state"`
	Rights []UnitRight `json:"rights,omitempty"` // what a tenant of the unit may open, sorted by right; none: not mapped (rule B1)
}

// UnitRight is an access right that is mapped to a unit, with the unit's own
// narrower schedule or none.
type UnitRight struct {
	Right    ID `json:"right"`
	Schedule ID `json:"schedule,omitempty"` // narrows the right's own; empty: the right's alone
}

// UnitState is where a unit is between two tenants.
type UnitState string

// The states of a unit.
const (
	UnitVacant   UnitState = "vacant"
	UnitOccupied UnitState = "occupied" // moved in
	UnitToCheck  UnitState = "to_check" // moved out, not yet looked over
)

func (u *Unit) keys() []string {
	k := []string{"site:" + string(u.Site)}
	for _, r := range u.Rights {
		k = append(k, "right:"+string(r.Right))
		if r.Schedule != "" {
			k = append(k, "schedule:"+string(r.Schedule))
		}
	}
	return k
}

var unitWords = words{}
