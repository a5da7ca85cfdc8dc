package domain

import "time"

// Review asks a person to look at a limited schedule that a reduction above it
// has made narrower (rules U12 and U13).
type Review struct {
	ID      ID        `json:"id"`
	Unit    ID        `json:"unit"`
	Person  ID        `json:"person"` // the unit user whose schedule it is
	Right   ID        `json:"right"`
	Since   time.Time `json:"since"`
	Message string    `json:"message"` // ReviewMessage
	Done    bool      `json:"done,omitzero"`
	DoneBy  Actor     `json:"done_by,omitzero"`
}

// ReviewMessage is the exact text that rule U12 gives.
const ReviewMessage = "The previous schedule has been modified. Check the schedule and update it if required."

func (r *Review) keys() []string {
	k := []string{"unit:" + string(r.Unit), "user:" + string(unitUserKey(r.Unit, r.Person)), "right:" + string(r.Right)}
	if !r.Done {
		k = append(k, "open")
	}
	return k
}

var reviewWords = words{}
