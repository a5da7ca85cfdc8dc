package domain

import "gatehouse/domain/schedule"

// Grant lets a person through the doors of a right. These are the explicit ones;
// what follows from bookings, shares and unit users is a row of the permissions
// without a grant of its own in the state.
type Grant struct {
	ID           ID               `json:"id"`
	Person       ID               `json:"person"`
	Right        ID               `json:"right"`
	From         schedule.Date    `json:"from,omitzero"`
	Until        schedule.Date    `json:"until,omitzero"`     // last day; zero: open end
	Schedule     ID               `json:"schedule,omitempty"` // narrows that of the right
	Kinds        []CredentialKind `json:"kinds,omitempty"`    // that may use it, sorted; none: all
	Capabilities []DoorCapability `json:"capabilities,omitempty"`
	Revoked      bool             `json:"revoked,omitzero"`
	By           Actor            `json:"by"`
}

func (g *Grant) keys() []string {
	k := []string{"person:" + string(g.Person), "right:" + string(g.Right)}
	if g.Schedule != "" {
		k = append(k, "schedule:"+string(g.Schedule))
	}
	return k
}

var grantWords = words{}
