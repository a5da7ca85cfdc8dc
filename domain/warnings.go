package domain

import (
	"fmt"
	"slices"
	"strings"
)

// Warning tells the sender something that did not stop the command: what it leaves
// open, or changes beyond what it names.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	IDs     []ID   `json:"ids,omitempty"` // what it is about, at most 100
}

// How many things a warning names, in its text and by id.
const (
	maxWarned    = 20
	maxWarnedIDs = 100
)

// warn adds a warning to the answer.
func (tx *Tx) warn(code, format string, args ...any) {
	tx.decision.Warnings = append(tx.decision.Warnings, Warning{Code: code, Message: fmt.Sprintf(format, args...)})
}

// warnOf adds a warning about things, whose ids are appended to its text. Without ids
// it adds none.
func (tx *Tx) warnOf(ids []ID, code, format string, args ...any) {
	if len(ids) == 0 {
		return
	}
	text := fmt.Sprintf(format, args...) + ": " + idList(ids)
	tx.decision.Warnings = append(tx.decision.Warnings, Warning{code, text, slices.Clone(ids[:min(len(ids), maxWarnedIDs)])})
}

// idList names ids, the first of many.
func idList(ids []ID) string {
	named := make([]string, 0, maxWarned)
	for _, id := range ids[:min(len(ids), maxWarned)] {
		named = append(named, string(id))
	}
	text := strings.Join(named, ", ")
	if more := len(ids) - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// counted is a number with its noun: "1 fob", "2 fobs".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
