package bulk

import (
	"bufio"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/gateways/tables"
)

// rejects is the file of the lines that an import skipped. It has the columns of the
// imported file and one more with the reason, so that it can be mended and imported as
// it is. It exists once the import has come to its end.
type rejects struct {
	path      string
	file      *os.File
	out       *bufio.Writer
	separator rune
	columns   int
	before    int // the column with the reason of an earlier time; -1: there is none
}

// reasonColumn is the column of a file of rejects that says why.
const reasonColumn = "rejected because"

func newRejects(path string, t *tables.File) (*rejects, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return nil, client.Usagef("--rejects: %v", err)
	}
	r := &rejects{path: path, file: f, out: bufio.NewWriter(f), separator: t.Separator, columns: len(t.Columns),
		before: slices.Index(t.Columns, reasonColumn)}
	if err := r.row(slices.Clone(t.Columns), reasonColumn); err != nil {
		return nil, r.close(err)
	}
	return r, nil
}

// write writes a line as it stands in its file, with the reason behind it. Where its
// values cannot be told apart it stays as it is; one beyond maxLine is left out.
func (r *rejects) write(text, reason string) error {
	cells, err := tables.Split(text, r.separator)
	if err != nil || len(cells) != r.columns {
		if text == "" {
			return nil
		}
		_, err := r.out.WriteString(strings.TrimRight(text, "\r\n") + "\n")
		return err
	}
	return r.row(cells, reason)
}

// row writes cells with the reason as the last.
func (r *rejects) row(cells []string, reason string) error {
	if r.before >= 0 {
		cells = slices.Delete(cells, r.before, r.before+1)
	}
	cells = append(cells, tables.Cell(reason))
	w := csv.NewWriter(r.out)
	w.Comma = r.separator
	if err := w.Write(cells); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// close puts the file in its place, or takes it away after an error.
func (r *rejects) close(err error) error {
	err = errors.Join(err, r.out.Flush(), r.file.Close())
	if err == nil {
		err = os.Rename(r.file.Name(), r.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(r.file.Name()))
	}
	return nil
}
