package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// doCmd sends a command.
type doCmd struct {
	Remote remote   `embed:""`
	Name   string   `arg:"" optional:"" help:"The command, such as AssignFob."`
	Fields []string `arg:"" optional:"" help:"Its fields, such as person=anna or rights[0].right=unit-1."`

	File           string `short:"f" placeholder:"FILE" help:"Read the fields as JSON from a file, - for standard input: an object, or a list of them, all or nothing."`
	IdempotencyKey string `placeholder:"KEY" help:"Key of the request: a second request with it has no effect of its own. Default: a new one."`
	DryRun         bool   `help:"Change nothing, and show who would lose or gain access."`
	IfPosition     string `placeholder:"POSITION" help:"Refuse unless the org is at this position, such as 1-42 from a dry run."`
	Wait           string `enum:"enforced,no" default:"no" help:"enforced: wait until every gateway concerned enforces it, and tell which doors may still open, and until when."`
	Timeout        string `placeholder:"DURATION" help:"With --wait, how long to wait at most, up to 30s. Default: 5s."`
	OnBehalfOf     string `placeholder:"PERSON" help:"Act for another person; this needs the role staff."`
	ZoneRules      bool   `help:"With --json, include the rules of the site's time zone, which are long."`
	List           bool   `help:"List all commands, and who may send them."`
	Describe       bool   `help:"Show the fields of the command."`
}

// Help tells how fields are written.
func (doCmd) Help() string {
	return `The schema of the command decides how a value is read: a text is taken as it is, a list of
texts may be written a,b,c, and everything else is JSON. Fields given as key=value replace
those of --file; no field may be given twice.

A time is written 2026-12-03T18:00+01:00. Without an offset, as "2026-12-03 18:00" or
2026-12-03, it is in the time zone of the site that the command names, of the site of its
door, unit, booking, share, grant or credential, or of --site. Days of a schedule are
written mon or Monday, its times 8:00 or 08:00.

The output is a sentence for what happened, and a line for each warning. With --json it is
the whole answer as one line of JSON: {position, hash, at, events, warnings}.

--dry-run shows what the command would do: the events, who would lose or gain access at
which doors, and which schedules would fall due for review. It shows the position for which
this is true: with --if-position, the command is refused if anything has changed since.

With --wait enforced the answer comes once every lock gateway with a door at a site whose
permissions the command changed has taken the change over. If some do not in time, the
command stands all the same, and the output tells until when their doors may still open.

After RemoteUnlock it waits up to 6 s for the outcome. The exit code is 0 if the door
opened, 3 if its gateway refused, 5 if no gateway was reached, and 1 if the outcome is
unknown.

Examples:

  gatehouse do CreateDoor site=north door=gate name="North gate" kind=gate
  gatehouse do DefineAccessRight right=all name=All doors=gate,lift schedule=always
  gatehouse do CreateUnitUser unit=a1 person=vera access[0].right=entries access[0].mode=always
  gatehouse do RegisterGateway site=north gateway=cabinet   # gives the code by which it enrols
  gatehouse do SetHolidayCalendar --site north --file holidays.json site=north
  gatehouse do RegisterPerson --file people.json     # a list: all or nothing
  gatehouse do AssignFob --describe
  gatehouse do RevokeBooking booking=b-17 --dry-run
  gatehouse do RevokeBooking booking=b-17 --if-position 1-42
  gatehouse do RevokeBooking booking=b-17 --wait enforced --timeout 10s`
}

// Run sends the command, or tells about commands.
func (c *doCmd) Run(w *world) error {
	if c.List {
		return listCommands(w, c.Remote.JSON)
	}
	if c.Name == "" {
		return usage("which command? gatehouse do --list lists all")
	}
	shape, err := input.ShapeOf(c.Name)
	if err != nil {
		return err
	}
	if c.Describe {
		return describeCommand(w, c.Name, shape)
	}
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	remote.OnBehalfOf = c.OnBehalfOf
	body, err := c.body(w, remote, shape)
	if err != nil {
		return err
	}
	options := url.Values{}
	if c.DryRun {
		options.Set("dry_run", "true")
	}
	if c.IfPosition != "" {
		options.Set("if_position", c.IfPosition)
	}
	if c.ZoneRules {
		options.Set("zone_rules", "true")
	}
	if c.Wait == "enforced" {
		options.Set("wait", c.Wait)
	}
	if c.Timeout != "" {
		options.Set("timeout", c.Timeout)
	}
	result, err := remote.Command(w.ctx, c.Name, body, c.IdempotencyKey, options)
	if err != nil {
		return err
	}
	if c.DryRun && !c.Remote.JSON {
		return tellDryRun(w, remote, result, sentCommand{c.Name, body})
	}
	if err := w.tellAnswer(result, c.Remote.JSON, sentCommand{c.Name, body}); err != nil || c.DryRun || c.Remote.JSON && c.Name != "RemoteUnlock" {
		return err
	}
	if c.Name == "RemoteUnlock" {
		return tellOutcomes(w, remote, result)
	}
	return tellCodes(w, remote, result)
}

// tellDryRun tells in words what a command would do.
func tellDryRun(w *world, remote *client.Client, result []byte, sent sentCommand) error {
	told, err := readTold(result)
	if err != nil {
		return err
	}
	var out strings.Builder
	switch {
	case told.Repeated:
		fmt.Fprintf(&out, "This key was used: the command was accepted at %s and has no second effect. It led to:\n", told.Position)
	case len(told.Events) == 0:
		fmt.Fprintf(&out, "At %s nothing would change: %s.\n", told.Position, sent.alreadySo())
	default:
		fmt.Fprintf(&out, "At %s the command would be accepted. Nothing is changed yet. Events:\n", told.Position)
	}
	for _, line := range sentences(told.Events) {
		fmt.Fprintf(&out, "  %s\n", line)
	}
	told.tellWarnings(&out)
	if !told.Repeated && len(told.Events) > 0 {
		lines := told.Impact.Lines(wording(w.ctx, remote, told.Events))
		if len(lines) == 0 {
			lines = []string{"Nobody loses or gains access."}
		}
		for _, line := range lines {
			fmt.Fprintln(&out, line)
		}
		fmt.Fprintf(&out, "To have it refused if anything changes first: --if-position %s\n", told.Position)
	}
	_, err = io.WriteString(w.stdout, out.String())
	return err
}

// body is the body of the request: the file, with the fields of the command line
// on top.
func (c *doCmd) body(w *world, remote *client.Client, shape *input.Shape) ([]byte, error) {
	given, err := input.ReadAssignments(c.Fields)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	if c.File != "" {
		text, err := readInput(w, c.File)
		if err != nil {
			return nil, err
		}
		value, err := c.fromFile(w.ctx, remote, shape, text)
		if err != nil {
			return nil, err
		}
		if len(given) == 0 {
			return json.Marshal(value)
		}
		var ok bool
		if fields, ok = value.(map[string]any); !ok {
			return nil, usage("--file %s: fields come on top of one JSON object, not of a list", c.File)
		}
	}
	a := input.Assigner{Command: c.Name, Shape: shape, Clock: input.CommandClock(remote, fields, given)}
	for _, x := range given {
		if err := a.Assign(w.ctx, fields, x); err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}

// fromFile reads the fields of a file: an object, or a list of them.
func (c *doCmd) fromFile(ctx context.Context, remote *client.Client, shape *input.Shape, text []byte) (any, error) {
	if err := wire.CheckText(text); err != nil {
		return nil, usage("--file %s: %v", c.File, err)
	}
	value, err := input.ReadJSON(text)
	if err != nil {
		return nil, usage("--file %s: %v", c.File, err)
	}
	objects, isList := value.([]any)
	if !isList {
		objects = []any{value}
	}
	for i, object := range objects {
		fields, ok := object.(map[string]any)
		if !ok {
			continue // the service tells what it should be
		}
		a := input.Assigner{Command: c.Name, Shape: shape, Clock: input.CommandClock(remote, fields, nil)}
		if _, err := a.Below(ctx, shape, "", fields); err != nil {
			where := "--file " + c.File
			if isList {
				where += fmt.Sprintf(": entry %d", i)
			}
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	return value, nil
}

// readInput reads a file, or standard input for -.
func readInput(w *world, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(w.stdin)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("--file: %v", err)
	}
	return b, nil
}

// listedCommand is a command as --list shows it.
type listedCommand struct {
	Command string   `json:"command"`
	Summary string   `json:"summary"`
	By      string   `json:"by"` // who may send it
	Causes  []string `json:"causes"`
}

func listCommands(w *world, asJSON bool) error {
	var lines []listedCommand
	for _, c := range domain.Commands() {
		if !input.ForServiceAlone(c) {
			lines = append(lines, listedCommand{c.Name, c.Summary, c.Permit().String(), c.Causes})
		}
	}
	if asJSON {
		return w.print(lines, true)
	}
	var out strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&out, "%s\n  %s\n  By %s.\n", l.Command, l.Summary, l.By)
	}
	_, err := io.WriteString(w.stdout, out.String())
	return err
}

func describeCommand(w *world, name string, s *input.Shape) error {
	c, _ := domain.CommandNamed(name)
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\nBy %s.\n", name, c.Summary, c.Permit())
	s.Describe(&out, "")
	_, err := io.WriteString(w.stdout, out.String())
	return err
}
