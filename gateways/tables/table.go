package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxLine bounds a line of a file in bytes, so that a file of any size is read in
// constant memory.
const maxLine = 256 << 10

// tableFile reads a file of separated values in UTF-8 with a header, row by row.
// The separator is the one of the header: comma, semicolon or tab, or what a first
// line sep=; says. Blanks around values, a byte order mark and lines that end with
// CR LF are tolerated. A quoted value may go over lines.
type tableFile struct {
	name      string
	file      io.ReadCloser
	lines     *bufio.Reader
	read      int        // lines so far
	ahead     []textLine // that were read and are to be looked at again
	line      int        // where the last row begins, from 1; the header is line 1 when nothing is before it
	row       string     // the last row as it stands; of one that cannot be read its first line
	cells     []string   // of the last row that could be read, as they stand
	columns   []string
	separator rune
}

// textLine is a line as it stands in the file, or why it cannot be read.
type textLine struct {
	line int
	text string
	err  error
}

// badLine is what is wrong with a line.
type badLine struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func (b *badLine) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Reason) }

// openTable opens a file and reads its header.
func openTable(name string) (*tableFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usage("%v", err)
	}
	return readTable(name, f)
}

// readTable reads the header of a file, which it closes when there is none.
func readTable(name string, f io.ReadCloser) (*tableFile, error) {
	t := &tableFile{name: name, file: f, lines: bufio.NewReaderSize(f, maxLine)}
	header, err := t.header()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it has no header")
		}
		return nil, errors.Join(usage("%s: %v", name, err), f.Close())
	}
	t.columns = header
	return t, nil
}

func (t *tableFile) close() error { return t.file.Close() }

// header reads the names of the columns, and how values are separated.
func (t *tableFile) header() ([]string, error) {
	first := t.text()
	for first.err == nil && strings.TrimSpace(first.text) == "" {
		first = t.text()
	}
	if first.err != nil {
		return nil, first.err
	}
	if said, is := strings.CutPrefix(strings.TrimRight(first.text, "\r\n"), "sep="); is && utf8.RuneCountInString(said) == 1 {
		t.separator, _ = utf8.DecodeRuneInString(said)
		return t.next()
	}
	t.separator = separatorOf(first.text)
	t.ahead = []textLine{first}
	return t.next()
}

// separatorOf is what separates the columns of a header: whichever of comma,
// semicolon and tab is there most often outside quotes.
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

// next returns the values of the next row that is not empty: io.EOF at the end, a
// *badLine for one that cannot be read, after which the next may be asked for.
func (t *tableFile) next() ([]string, error) {
	for {
		first := t.text()
		if !errors.Is(first.err, io.EOF) {
			t.line = first.line
		}
		t.row = first.text
		if first.err != nil {
			return nil, first.err
		}
		if strings.TrimSpace(first.text) == "" {
			continue
		}
		text, more, err := t.quoted(first.text)
		var values []string
		if err == nil {
			t.cells, err = splitCells(text, t.separator)
		}
		if err == nil {
			values = uncellAll(t.cells)
		}
		if err == nil && t.columns != nil && len(values) != len(t.columns) {
			err = fmt.Errorf("it has %d values, the header has %d", len(values), len(t.columns))
		}
		if err != nil {
			// A quote too many must not swallow the lines behind it.
			t.ahead = append(more, t.ahead...)
			return nil, &badLine{t.line, err.Error()}
		}
		t.row = text
		return values, nil
	}
}

// quoted goes on with the lines behind a first one as long as a quoted value is
// open, and returns the whole and those lines.
func (t *tableFile) quoted(text string) (whole string, more []textLine, err error) {
	var all strings.Builder
	all.WriteString(text)
	for quotes := strings.Count(text, `"`); quotes%2 == 1; {
		next := t.text()
		if !errors.Is(next.err, io.EOF) {
			more = append(more, next)
		}
		if next.err != nil || all.Len()+len(next.text) > maxLine {
			return "", more, errors.New(`a quoted value does not end; within a quoted value a quote is written ""`)
		}
		quotes += strings.Count(next.text, `"`)
		all.WriteString(next.text)
	}
	return all.String(), more, nil
}

// text returns the next line. Of one that is too long the rest is passed over.
func (t *tableFile) text() textLine {
	if len(t.ahead) > 0 {
		next := t.ahead[0]
		t.ahead = t.ahead[1:]
		return next
	}
	line, err := t.lines.ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return textLine{err: io.EOF}
	}
	t.read++
	tooLong := false
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = t.lines.ReadSlice('\n')
	}
	bad := func(format string, args ...any) textLine {
		return textLine{t.read, "", &badLine{t.read, fmt.Sprintf(format, args...)}}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return textLine{t.read, "", fmt.Errorf("%s: line %d: %w", t.name, t.read, err)}
	}
	if tooLong {
		return bad("it is longer than %d bytes", maxLine)
	}
	if t.read == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	// In another encoding, names would be stored with their letters lost.
	if !utf8.Valid(line) {
		wrong := bad("it is not in UTF-8; a spreadsheet saves it as \"CSV UTF-8\"")
		wrong.text = string(line)
		return wrong
	}
	return textLine{t.read, string(line), nil}
}

// splitCells reads the cells of a row.
func splitCells(text string, separator rune) ([]string, error) {
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
		values[i] = uncell(c)
	}
	return values
}

// cell is a value as a cell of a table. What a spreadsheet would run as a formula or
// take for a number that it shortened, and blanks at the ends, which are not kept, go
// behind an apostrophe. So does what would begin a cell where a spreadsheet takes
// another sign for the separator than the file has. [uncell] takes it away again.
func cell(value string) string {
	value = eachPart(value, func(part string) string {
		if isFormula(part) {
			return "'" + part
		}
		return part
	})
	if needsApostrophe(value) {
		return "'" + value
	}
	return value
}

// uncell is the value of a cell.
func uncell(text string) string {
	value, is := strings.CutPrefix(text, "'")
	if !is || !needsApostrophe(value) {
		value = strings.TrimSpace(text)
	}
	return eachPart(value, func(part string) string {
		if rest, is := strings.CutPrefix(part, "'"); is && isFormula(rest) {
			return rest
		}
		return part
	})
}

// separators are what a spreadsheet may take for the end of a cell.
const separators = ",;\t\r\n"

// eachPart changes what stands behind each separator within a value.
func eachPart(value string, change func(string) string) string {
	var out strings.Builder
	for {
		i := strings.IndexAny(value, separators)
		if i < 0 {
			out.WriteString(value)
			return out.String()
		}
		out.WriteString(value[:i+1])
		value = change(value[i+1:])
	}
}

// isFormula reports whether a text would be run as a formula where a cell begins with
// it, behind any apostrophes, quotes and blanks.
func isFormula(text string) bool {
	rest := strings.TrimLeft(text, "'\" \u00a0")
	return rest != "" && strings.ContainsRune("=+-@", rune(rest[0]))
}

// needsApostrophe reports whether a value is not kept as it is in a cell, behind
// any apostrophes that it begins with itself.
func needsApostrophe(value string) bool {
	rest := strings.TrimLeft(value, "'")
	return rest != "" && (strings.ContainsRune("=+-@", rune(rest[0])) || strings.TrimSpace(rest) != rest || shortened.MatchString(rest))
}

// shortened matches how a spreadsheet writes a number that it found too long, as
// 4.9E+11. The rest of its digits is lost.
var shortened = regexp.MustCompile(`^[0-9]([.,][0-9]+)?E\+[0-9]+$`)

// column finds a column by its name, in either case.
func (t *tableFile) column(name string) (int, error) {
	for i, c := range t.columns {
		if strings.EqualFold(c, strings.TrimSpace(name)) {
			return i, nil
		}
	}
	return 0, usage("%s has no column %q%s; it has %s", t.name, name, didYouMean(name, t.columns), strings.Join(t.columns, ", "))
}

// slug makes an id of texts from elsewhere: lower case, everything but letters,
// digits and _ one hyphen, the parts joined by hyphens.
func slug(parts ...string) string {
	var b strings.Builder
	hyphen := false
	for _, c := range strings.ToLower(strings.Join(parts, "-")) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' && b.Len() > 0 {
			if hyphen && b.Len() > 0 {
				b.WriteByte('-')
			}
			hyphen = false
			b.WriteRune(c)
			continue
		}
		hyphen = true
	}
	return b.String()
}

// badLines collects what is wrong with lines, and tells the first of them.
type badLines struct {
	w     *world
	count int
}

// toldLines is how many bad lines are told one by one.
const toldLines = 50

func (b *badLines) add(bad *badLine) {
	b.count++
	switch {
	case b.count <= toldLines:
		b.w.say("%v", bad)
	case b.count == toldLines+1:
		b.w.say("… and more")
	}
}
