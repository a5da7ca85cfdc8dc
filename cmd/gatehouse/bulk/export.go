package bulk

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/cmd/gatehouse/input"
	"gatehouse/gateways/tables"
)

// ExportEnd is the last line of an export.
type ExportEnd struct {
	Position  string `json:"position"`
	Rows      int    `json:"rows"`
	LeftOut   int    `json:"left_out"`
	Suspended int    `json:"suspended"`
}

// Export writes the things of a kind: as a table that import reads, or as lines of
// JSON.
func Export(ctx context.Context, remote *client.Client, name string, out io.Writer, asJSON bool) (ExportEnd, error) {
	kind, err := kindNamed(name)
	if err != nil {
		return ExportEnd{}, err
	}
	lines := lineWriter(&jsonLines{out})
	if !asJSON {
		lines = newCSVLines(out, kind.shape, kind.Fields())
	}
	return export(ctx, remote, name, nil, lines)
}

// export reads an export line by line, of some ids or all.
func export(ctx context.Context, c *client.Client, kind string, ids []string, to lineWriter) (end ExportEnd, err error) {
	query := url.Values{}
	if len(ids) > 0 {
		query.Set("ids", strings.Join(ids, ","))
	}
	err = c.Lines(ctx, c.OrgPath("export", kind), query, func(line []byte) (bool, error) {
		if !bytes.HasPrefix(line, []byte(`{"end":`)) {
			return false, to.line(line)
		}
		var last struct {
			End ExportEnd `json:"end"`
		}
		err := json.Unmarshal(line, &last)
		end = last.End
		return true, errors.Join(err, to.end())
	})
	return end, err
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
	shape   *input.Shape
	columns []string
}

func newCSVLines(out io.Writer, s *input.Shape, columns []string) *csvLines {
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
func cellText(s *input.Shape, value json.RawMessage) (string, error) {
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
