package main

import (
	"unicode/utf8"

	"gatehouse/gateways/tables"
)

// tableFlags say how a file with a table is read.
type tableFlags struct {
	Encoding   string `placeholder:"NAME" help:"Encoding of the file, as windows-1252, iso-8859-15 or utf-16le; without it what its byte order mark says, else UTF-8."`
	Separator  string `placeholder:"SIGN" help:"What separates values: comma, semicolon, tab, or a sign; without it the one of the header."`
	HeaderLine int    `placeholder:"LINE" help:"Line with the header, when other lines are before it."`
}

// open opens a table and reads its header.
func (f tableFlags) open(path string) (*tables.File, error) {
	o := tables.Options{Encoding: f.Encoding, Header: f.HeaderLine}
	switch signs := map[string]rune{"comma": ',', "semicolon": ';', "tab": '\t', `\t`: '\t', "pipe": '|'}; {
	case f.Separator == "":
	case signs[f.Separator] != 0:
		o.Separator = signs[f.Separator]
	case utf8.RuneCountInString(f.Separator) == 1 && f.Separator != `"` && f.Separator != "\n" && f.Separator != "\r":
		o.Separator, _ = utf8.DecodeRuneInString(f.Separator)
	default:
		return nil, usage("--separator: %q is none; it is comma, semicolon, tab, or one sign", f.Separator)
	}
	if f.HeaderLine < 0 {
		return nil, usage("--header-line: lines are counted from 1")
	}
	return tables.Open(path, o)
}

// badLines collects what is wrong with lines, and tells the first of them.
type badLines struct {
	w      *world
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
		b.w.say("%v", bad)
	case b.count == toldLines+1:
		b.w.say("… and more")
	}
}
