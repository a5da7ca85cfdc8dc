// Package tables reads and writes tables of text, such as spreadsheets of tenants and
// logs of reader controllers. Import and reads use it, line by line in constant memory.
// It handles any named or marked encoding, any line end, any separator, names of
// columns, and times of a zone. Ambiguous input is refused with its place in the file;
// nothing is guessed, and no letter is lost silently.
package tables

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"gatehouse/schemas"
)

// Options control how a file is read. The zero value detects them from the file.
type Options struct {
	Encoding  string // such as windows-1252; empty means by the byte order mark, else UTF-8
	Separator rune   // of values; 0 means comma, semicolon or tab, as in the header
	Header    int    // the line with the header, from 1; 0 means the first that is not blank
}

// File reads a file of separated values with a header, row by row. Its separator is
// that of the header, or of a first line sep=;. Blanks around values are tolerated. A
// quoted value may span lines.
type File struct {
	Columns   []string // the header
	Separator rune
	Line      int      // first line of the last row, from 1
	Row       string   // the last row, unchanged; its first line if it cannot be read
	Cells     []string // of the last valid row, unchanged
	Ended     bool     // the last row had a line end; without one it may be unfinished

	name  string
	file  io.Closer
	lines *lines
	ahead []textLine // lines that were read ahead
}

// An Error says why a file or its options are refused as a whole.
type Error struct{ message string }

// Error says what is wrong and what to do.
func (e *Error) Error() string { return e.message }

func refuse(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// BadLine is a line that cannot be read, and the reason.
type BadLine struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// Error names the line and what is wrong with it.
func (b *BadLine) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Reason) }

// Open opens a file and reads its header. An [Error] says what is wrong with it.
func Open(name string, o Options) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, refuse("%v", err)
	}
	return Read(name, f, o)
}

// Read reads the header of a file. It closes the file if there is none.
func Read(name string, f io.ReadCloser, o Options) (*File, error) {
	l, err := newLines(f, o.Encoding)
	if err == nil {
		t := &File{name: name, file: f, lines: l, Separator: o.Separator}
		if err = t.header(o.Header); err == nil {
			return t, nil
		}
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it has no header")
	}
	return nil, errors.Join(refuse("%s: %v", name, err), f.Close())
}

// Close closes the file.
func (t *File) Close() error { return t.file.Close() }

// header reads the names of the columns and detects the separator.
func (t *File) header(at int) error {
	first := t.text()
	for first.err == nil && (first.line < at || at == 0 && strings.TrimSpace(first.text) == "") {
		first = t.text()
	}
	if first.err != nil {
		return first.err
	}
	said, is := strings.CutPrefix(strings.TrimSpace(first.text), "sep=")
	switch {
	case is && utf8.RuneCountInString(said) == 1:
		t.Separator, _ = utf8.DecodeRuneInString(said)
	default:
		t.ahead = []textLine{first}
		if t.Separator == 0 {
			t.Separator = separatorOf(first.text)
		}
	}
	columns, err := t.Next()
	if err != nil {
		return err
	}
	for i, c := range columns {
		columns[i] = columnName(c)
	}
	for i, c := range columns {
		if j := slices.IndexFunc(columns[:i], func(other string) bool { return c != "" && strings.EqualFold(other, c) }); j >= 0 {
			return fmt.Errorf("line %d: the columns %d and %d are both named %q, so that nobody knows which is meant; rename one", t.Line, j+1, i+1, c)
		}
	}
	t.Columns = columns
	return nil
}

// columnName is the name of a column without characters that nobody sees or types: line
// ends, non-breaking blanks, format characters.
func columnName(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Cf, c) {
			return -1
		}
		return c
	}, norm.NFC.String(text))
	return strings.Join(strings.Fields(text), " ")
}

// separatorOf is the separator of a header: the one of comma, semicolon and tab that
// occurs most often outside quotes.
func separatorOf(header string) rune {
	best, most, quoted := ',', 0, false
	counts := map[rune]int{}
	for _, c := range header {
		if c == '"' {
			quoted = !quoted
		}
		if quoted || c != ',' && c != ';' && c != '\t' {
			continue
		}
		if counts[c]++; counts[c] > most {
			best, most = c, counts[c]
		}
	}
	return best
}

// Next returns the values of the next row that has any. It returns io.EOF at the end,
// and a [BadLine] for a row that cannot be read, after which it can be called again.
func (t *File) Next() ([]string, error) {
	for {
		first := t.text()
		if !errors.Is(first.err, io.EOF) {
			t.Line, t.Ended = first.line, first.ended
		}
		t.Row = first.text
		if first.err != nil {
			return nil, first.err
		}
		if strings.TrimSpace(first.text) == "" {
			continue
		}
		text, more, err := t.quoted(first)
		var values []string
		if err == nil {
			t.Cells, err = Split(text, t.Separator)
		}
		if err == nil {
			values = uncellAll(t.Cells)
			if !slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
				continue // as a spreadsheet leaves them after the last row
			}
			err = t.fits(values)
		}
		if err != nil {
			// An unmatched quote must not swallow the lines after it.
			t.ahead = append(more, t.ahead...)
			return nil, &BadLine{t.Line, err.Error()}
		}
		if len(more) > 0 {
			t.Ended = more[len(more)-1].ended
		}
		t.Row = text
		return values, nil
	}
}

// fits returns an error if the values do not fit the header.
func (t *File) fits(values []string) error {
	if t.Columns == nil {
		return nil
	}
	if len(values) != len(t.Columns) {
		return fmt.Errorf("it has %d values, the header has %d: %q", len(values), len(t.Columns), clipped(strings.Join(values, string(t.Separator))))
	}
	if slices.EqualFunc(values, t.Columns, func(v, c string) bool { return strings.EqualFold(columnName(v), c) }) {
		return errors.New("it is the header again")
	}
	return nil
}

// clipped is the beginning of a text for a message.
func clipped(text string) string {
	const most = 80
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

// quoted appends the following lines to a first one while a quoted value is open. It
// returns the whole text and those lines.
func (t *File) quoted(first textLine) (whole string, more []textLine, err error) {
	quotes := strings.Count(first.text, `"`)
	if quotes%2 == 0 {
		return first.text, nil, nil
	}
	var all strings.Builder
	all.WriteString(first.text)
	for quotes%2 == 1 {
		next := t.text()
		if !errors.Is(next.err, io.EOF) {
			more = append(more, next)
		}
		if next.err != nil || all.Len()+len(next.text) > maxLine {
			return "", more, errors.New(`a quoted value does not end; within a quoted value a quote is written ""`)
		}
		quotes += strings.Count(next.text, `"`)
		all.WriteString("\n" + next.text)
	}
	return all.String(), more, nil
}

// text returns the next line.
func (t *File) text() textLine {
	if len(t.ahead) > 0 {
		next := t.ahead[0]
		t.ahead = t.ahead[1:]
		return next
	}
	return t.lines.next()
}

// Split splits a row into its cells.
func Split(text string, separator rune) ([]string, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimRight(text, "\r\n")))
	r.Comma = separator
	r.TrimLeadingSpace = separator != '\t'
	cells, err := r.Read()
	switch {
	case errors.Is(err, csv.ErrBareQuote), errors.Is(err, csv.ErrQuote):
		return nil, errors.New(`a quote stands where none may; a value with quotes is written in quotes, and each of them ""`)
	case err != nil:
		return nil, err
	}
	return cells, nil
}

func uncellAll(cells []string) []string {
	values := make([]string, len(cells))
	for i, c := range cells {
		values[i] = norm.NFC.String(uncell(c))
	}
	return values
}

// Column finds a column by its name, in either case.
func (t *File) Column(name string) (int, error) {
	wanted := columnName(name)
	for i, c := range t.Columns {
		if strings.EqualFold(c, wanted) {
			return i, nil
		}
	}
	mean := ""
	if near := schemas.Nearest(name, t.Columns); len(near) > 0 {
		mean = fmt.Sprintf(" (did you mean %s?)", near[0])
	}
	return 0, refuse("%s has no column %q%s; it has %s", t.name, name, mean, strings.Join(t.Columns, ", "))
}

// Letters gives the letters and digits of a name in lower case.
func Letters(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, name)
}
