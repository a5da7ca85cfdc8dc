package schemas

import (
	"embed"
	"io/fs"
)

// files are the JSON Schemas (draft 2020-12) of everything that crosses the wire. "go
// test ./schemas -update" writes them from the Go types, and the same test compares
// them.
//
//go:embed commands events records rows *.json
var files embed.FS

// Files returns the JSON Schemas: commands/<Command>.json, events/<wire name>.json,
// records/<kind>.json for the records of the state that people read, rows/<kind>.json
// for permissions, and activity.json, commit.json, explanation.json, impact.json,
// order.json, order_answer.json, permission_delta.json, permission_part.json and
// refusal.json. codes.json is the register of codes ([Register]).
func Files() fs.FS { return files }

// CommandSchema returns the JSON Schema of the fields of a command, or false for an
// unknown command.
func CommandSchema(name string) ([]byte, bool) { return file("commands/" + name + ".json") }

// EventSchema returns the JSON Schema of the stored form of an event in its
// present version, by wire name.
func EventSchema(name string) ([]byte, bool) { return file("events/" + name + ".json") }

func file(path string) ([]byte, bool) {
	b, err := files.ReadFile(path)
	return b, err == nil
}
