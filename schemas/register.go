package schemas

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"gatehouse/schemas/wire"
)

// Code is an entry of the register: what a record of activity may say, and the short
// code by which rules of other systems name it. A short code never changes and is never
// given to anything else; names and meanings may be improved.
type Code struct {
	Code     string        `json:"code"` // GH- and four digits
	Kind     CodeKind      `json:"kind"`
	Name     string        `json:"name"` // as it stands in records: access.granted, deny_lockdown
	Severity wire.Severity `json:"severity"`
	Meaning  string        `json:"meaning"` // a short sentence for people
	Gone     bool          `json:"gone,omitempty"`
}

// CodeKind is the field of a record that a code of the register stands in.
type CodeKind string

// The kinds of codes.
const (
	CodeOfType     CodeKind = "type"     // of a record
	CodeOfDecision CodeKind = "decision" // the primary reason of a decision
)

// registerFile is written by "go test ./schemas -update", which gives new codes their
// numbers and keeps those that were given.
//
//go:embed codes.json
var registerFile []byte

var register = sync.OnceValue(func() []Code {
	var all []Code
	if err := json.Unmarshal(registerFile, &all); err != nil {
		panic(fmt.Sprintf("schemas: codes.json: %v", err)) // a test reads it
	}
	return all
})

// Register lists the types of activity records and the codes of decisions with their
// short codes, sorted by them.
func Register() []Code { return register() }
