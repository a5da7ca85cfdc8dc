package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxLine bounds a line of a file in bytes, so that a file of any size is read in
// constant memory.
const maxLine = 64 << 10

// tableFile reads a file of comma-separated values in UTF-8 with a header, line by
// line. Blanks around values, a byte order mark and lines that end with CR LF are
// tolerated; a quoted value may not go over a line's end.
type tableFile struct {
	name    string
	file    io.ReadCloser
	lines   *bufio.Reader
	line    int // of the last row, from 1; the header is line 1 when nothing is before it
	columns []string
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
	header, err := t.next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it has no header")
		}
		return nil, errors.Join(usage("%s: %v", name, err), f.Close())
	}
	t.columns = slices.Clone(header)
	return t, nil
}

func (t *tableFile) close() error { return t.file.Close() }

// next returns the values of the next line that is not empty: io.EOF at the end, a
// *badLine for one that cannot be read, after which the next may be asked for.
func (t *tableFile) next() ([]string, error) {
	for {
		text, err := t.text()
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		values, err := split(text)
		if err != nil {
			return nil, &badLine{t.line, err.Error()}
		}
		if t.columns != nil && len(values) != len(t.columns) {
			return nil, &badLine{t.line, fmt.Sprintf("it has %d values, the header has %d", len(values), len(t.columns))}
		}
		return values, nil
	}
}

// text returns the next line. Of one that is too long the rest is passed over.
func (t *tableFile) text() (string, error) {
	line, err := t.lines.ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return "", io.EOF
	}
	t.line++
	tooLong := false
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = t.lines.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("%s: line %d: %w", t.name, t.line, err)
	}
	if tooLong {
		return "", &badLine{t.line, fmt.Sprintf("it is longer than %d bytes", maxLine)}
	}
	if t.line == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	// In another encoding, names would be stored with their letters lost.
	if !utf8.Valid(line) {
		return "", &badLine{t.line, "it is not in UTF-8"}
	}
	return string(line), nil
}

// split reads the values of a line.
func split(text string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimSpace(text)))
	r.TrimLeadingSpace = true
	values, err := r.Read()
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return nil, parse.Err
	}
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		values[i] = strings.TrimSpace(v)
	}
	return values, nil
}

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
