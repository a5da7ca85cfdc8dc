package schemas

import (
	"time"

	"gatehouse/domain"
)

// Refusal is what is kept of a refused command: never its body.
type Refusal struct {
	ID      domain.UUID  `json:"id"`
	At      time.Time    `json:"at"`
	Actor   domain.Actor `json:"actor"`
	Command string       `json:"command"`
	Code    string       `json:"code"`
	IDs     []domain.ID  `json:"ids,omitempty"`
	DryRun  bool         `json:"dry_run,omitzero"` // it was but tried
}
