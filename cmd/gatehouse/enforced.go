package main

import (
	"fmt"
	"strings"
	"time"
)

// toldEnforcement is where a command is enforced, as an answer tells it.
type toldEnforcement struct {
	At           time.Time `json:"at"` // of the commit
	Enforced     string    `json:"enforced"`
	MayOpenUntil time.Time `json:"may_open_until"`
	Missing      []struct {
		Gateway string `json:"gateway"`
		State   string `json:"state"`
	} `json:"missing"`
	MissingDoors []string `json:"missing_doors"`
}

// sentence says where the command is enforced; nothing if nobody asked.
func (e toldEnforcement) sentence() string {
	switch e.Enforced {
	case "":
		return ""
	case "everywhere":
		return "every gateway enforces it\n"
	case "no_gateway":
		return "no gateway has a door there: the service decides, and enforces it\n"
	case "nothing_changed":
		return "no permissions changed, so gateways have nothing to enforce\n"
	}
	var who []string
	for _, g := range e.Missing {
		who = append(who, fmt.Sprintf("gateway %s (%s)", g.Gateway, g.State))
	}
	for _, d := range e.MissingDoors {
		who = append(who, "door "+d)
	}
	doors := "doors may open as before, with no end that is known"
	switch {
	case e.MayOpenUntil.IsZero():
	case e.MayOpenUntil.After(e.At):
		doors = "doors may open as before, until " + e.MayOpenUntil.UTC().Format(time.RFC3339) + " at the latest"
	default:
		doors = "no door opens as before, as the leases are over"
	}
	if len(who) == 0 {
		return fmt.Sprintf("not enforced everywhere yet: %s\n", doors)
	}
	return fmt.Sprintf("not enforced yet by %s: %s\n", strings.Join(who, ", "), doors)
}
