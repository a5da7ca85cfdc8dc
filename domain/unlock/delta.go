package unlock

// Delta is one change of a table. No key may be in it twice. Its position is that
// of the commit it comes from.
type Delta struct {
	Position string  `json:"position"`
	N        uint64  `json:"n"`
	At       Instant `json:"at,omitzero"`
	Put      Rows    `json:"put,omitempty"`
	// Delete names rows that are no more; one that was not there is no error.
	Delete []Key `json:"delete,omitempty"`
}
