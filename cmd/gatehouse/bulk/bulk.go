// Package bulk moves many things at once between files and a running service: import,
// export, and the reads of cards.
//
// # Why a package
//
// Each of them can be stopped and started again, and does nothing twice. It speaks HTTP
// alone, as any other client may.
package bulk

import (
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/gateways/tables"
)

// Table says how a file with a table is read. Empty means that the file tells it.
type Table struct {
	Encoding   string // as windows-1252
	Separator  string // comma, semicolon, tab or a sign
	HeaderLine int    // 0 means the first with values
}

// open opens a table and reads its header.
func (f Table) open(path string) (*tables.File, error) {
	o := tables.Options{Encoding: f.Encoding, Header: f.HeaderLine}
	switch signs := map[string]rune{"comma": ',', "semicolon": ';', "tab": '\t', `\t`: '\t', "pipe": '|'}; {
	case f.Separator == "":
	case signs[f.Separator] != 0:
		o.Separator = signs[f.Separator]
	case utf8.RuneCountInString(f.Separator) == 1 && f.Separator != `"` && f.Separator != "\n" && f.Separator != "\r":
		o.Separator, _ = utf8.DecodeRuneInString(f.Separator)
	default:
		return nil, client.Usagef("--separator: %q is none; it is comma, semicolon, tab, or one sign", f.Separator)
	}
	if f.HeaderLine < 0 {
		return nil, client.Usagef("--header-line: lines are counted from 1")
	}
	return tables.Open(path, o)
}

// Teller tells a person how far something is.
type Teller struct {
	To   io.Writer
	Live bool // somebody watches: progress is told too
	Now  func() time.Time
}

func (t Teller) say(format string, args ...any) { fmt.Fprintf(t.To, format+"\n", args...) }

// progress tells how far something is to a person who watches.
func (t Teller) progress(format string, args ...any) {
	if t.Live {
		t.say(format, args...)
	}
}

// RefusedError says that the ledger takes a file or some of its lines not.
type RefusedError struct{ message string }

// Error says what is refused, and what to do.
func (e *RefusedError) Error() string { return e.message }

func refusedf(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// badLines collects what is wrong with lines, and tells the first of them.
type badLines struct {
	teller Teller
	count  int
	silent bool // they were told already
}

// toldLines is how many bad lines are told one by one.
const toldLines = 50

func (b *badLines) add(bad *tables.BadLine) {
	b.count++
	switch {
	case b.silent:
	case b.count <= toldLines:
		b.teller.say("%v", bad)
	case b.count == toldLines+1:
		b.teller.say("… and more")
	}
}
