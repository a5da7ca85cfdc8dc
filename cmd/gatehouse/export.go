package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/gateways/tables"
)

// exportCmd writes what import reads.
type exportCmd struct {
	Remote remote `embed:""`
	What   string `arg:"" enum:"${kinds}" placeholder:"KIND" help:"What to write, as people; listed above."`
	File   string `arg:"" optional:"" default:"-" help:"File that is written whole or not at all; - is standard output."`
}

// Help tells what is written.
func (exportCmd) Help() string {
	return `The file has the columns that gatehouse import reads, one line for each thing; with
--json one line of JSON for each, the fields of the command that would make it. All
lines are of one position, which the last words on stderr tell; with --json and a FILE
one line of JSON on standard output. You get what you may see. In this order the files
make the same in another org:

  ` + wrapped(kindNames(), 84, "\n  ") + `

Left out is what no such line makes: PINs, mobile keys and keys in stock, whose numbers
have to be given anew; what is over, lost, denied or retired, and credentials that are
suspended; people whose identity is not bound (shares name them by their address);
owners of the org; privacy of units, which their own users set; access of an auction;
what was done: visits, reviews, refusals, commits. A policy that forbids what was
there before it refuses those lines in another org: import policies last then.

A text that a spreadsheet would run as a formula, or write back as another, stands
behind an apostrophe, which import takes away: numbers with zeros before them or more
than 11 digits, what looks like a date or a time, as 12-1999, and 1E5 or true. Opened
in a spreadsheet, saved, and imported, it is the same.

Examples:

  gatehouse export people people.csv
  gatehouse export bookings --site north
  gatehouse export credentials --json > credentials.jsonl`
}

// exportEnd is the last line of an export.
type exportEnd struct {
	Position  string `json:"position"`
	Rows      int    `json:"rows"`
	LeftOut   int    `json:"left_out"`
	Suspended int    `json:"suspended"`
}

// Run writes the lines, and tells of which position they are.
func (c *exportCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.authorized(); err != nil {
		return err
	}
	kind, err := kindNamed(c.What)
	if err != nil {
		return err
	}
	var end exportEnd
	err = writeTo(w, c.File, func(out io.Writer) error {
		lines := lineWriter(&jsonLines{out})
		if !c.Remote.JSON {
			lines = newCSVLines(out, kind.shape, kind.Fields())
		}
		end, err = remote.export(w.ctx, c.What, nil, lines)
		return err
	})
	if err != nil {
		return err
	}
	if c.Remote.JSON && c.File != "-" {
		return w.print(end, true)
	}
	w.say("%s: %d lines at %s, none of %d others", c.What, end.Rows, end.Position, end.LeftOut)
	if end.Suspended > 0 {
		w.say("%d of them are suspended, which these lines do not say: export suspensions and suspended-people too", end.Suspended)
	}
	return nil
}

// writeTo writes a file whole or not at all; - is standard output.
func writeTo(w *world, path string, write func(io.Writer) error) (err error) {
	if path == "-" {
		out := bufio.NewWriter(w.stdout)
		return errors.Join(write(out), out.Flush())
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return usage("%s is a directory; name a file in it", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return usage("%v", err)
	}
	out := bufio.NewWriter(f)
	err = errors.Join(write(out), out.Flush(), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// export reads an export line by line, of some ids or all. It may take longer than
// other answers.
func (c *client) export(ctx context.Context, kind string, ids []string, to lineWriter) (end exportEnd, err error) {
	target := c.base + c.orgPath("export", kind)
	if len(ids) > 0 {
		target += "?" + url.Values{"ids": {strings.Join(ids, ",")}}.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return end, usage("--url %s: %v", c.base, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("User-Agent", "gatehouse/"+version())
	resp, err := (&http.Client{Transport: c.http.Transport}).Do(req)
	if err != nil {
		return end, &unreachableError{c.base, unwrapURL(err), "; is gatehouse serve running there?"}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return end, &unreachableError{c.base, err, ""}
		}
		return end, asAnswerError(resp, body, "")
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return end, &unreachableError{c.base, fmt.Errorf("the export broke off: %w", err), "; try again"}
		}
		if bytes.HasPrefix(line, []byte(`{"end":`)) {
			var last struct {
				End exportEnd `json:"end"`
			}
			return last.End, errors.Join(json.Unmarshal(line, &last), to.end())
		}
		if err := to.line(line); err != nil {
			return end, err
		}
	}
}

// lineWriter takes the lines of an export, each a JSON object.
type lineWriter interface {
	line(text []byte) error
	end() error
}

// jsonLines writes them as they come.
type jsonLines struct{ out io.Writer }

func (j *jsonLines) line(text []byte) error { _, err := j.out.Write(text); return err }
func (j *jsonLines) end() error             { return nil }

// csvLines writes them as a table with a column for each field.
type csvLines struct {
	out     *csv.Writer
	shape   *shape
	columns []string
}

func newCSVLines(out io.Writer, s *shape, columns []string) *csvLines {
	c := &csvLines{csv.NewWriter(out), s, columns}
	_ = c.out.Write(columns) // its error comes with end
	return c
}

func (c *csvLines) line(text []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return fmt.Errorf("a line of the export: %w", err)
	}
	cells := make([]string, len(c.columns))
	for i, column := range c.columns {
		value, err := cellText(c.shape.Properties[column], fields[column])
		if err != nil {
			return fmt.Errorf("the field %s of the export: %w", column, err)
		}
		if s := c.shape.Properties[column]; s.Type == "string" || s.Type == "array" || s.Type == "object" {
			value = tables.Cell(value)
		}
		cells[i] = value
	}
	return c.out.Write(cells)
}

func (c *csvLines) end() error {
	c.out.Flush()
	return c.out.Error()
}

// cellText is the text of a value, as [assigner] reads it: texts as they are, lists
// of texts with commas, everything else as JSON.
func cellText(s *shape, value json.RawMessage) (string, error) {
	switch {
	case len(value) == 0:
		return "", nil
	case s.Type == "string":
		var text string
		err := json.Unmarshal(value, &text)
		return text, err
	case s.Type == "array" && s.Items != nil && s.Items.Type == "string":
		var list []string
		if err := json.Unmarshal(value, &list); err != nil || len(list) == 0 {
			return string(value), err
		}
		return strings.Join(list, ","), nil
	}
	return string(value), nil
}
