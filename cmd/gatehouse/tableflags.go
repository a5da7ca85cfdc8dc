package main

import (
	"gatehouse/cmd/gatehouse/bulk"
)

// tableFlags say how a file with a table is read.
type tableFlags struct {
	Encoding   string `placeholder:"NAME" help:"Encoding of the file, as windows-1252, iso-8859-15 or utf-16le; without it what its byte order mark says, else UTF-8."`
	Separator  string `placeholder:"SIGN" help:"What separates values: comma, semicolon, tab, or a sign; without it the one of the header."`
	HeaderLine int    `placeholder:"LINE" help:"Line with the header, when other lines are before it."`
}

// table are the flags for those who read the file.
func (f tableFlags) table() bulk.Table {
	return bulk.Table{Encoding: f.Encoding, Separator: f.Separator, HeaderLine: f.HeaderLine}
}
