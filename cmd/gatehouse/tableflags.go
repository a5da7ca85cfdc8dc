package main

import (
	"gatehouse/cmd/gatehouse/bulk"
)

// tableFlags say how a file with a table is read.
type tableFlags struct {
	Encoding   string `placeholder:"NAME" help:"Encoding of the file, such as windows-1252, iso-8859-15 or utf-16le; default: that of its byte order mark, else UTF-8."`
	Separator  string `placeholder:"SIGN" help:"Separator of values: comma, semicolon, tab, or one character; default: that of the header."`
	HeaderLine int    `placeholder:"LINE" help:"Line number of the header, if other lines come before it."`
}

// table are the flags for those who read the file.
func (f tableFlags) table() bulk.Table {
	return bulk.Table{Encoding: f.Encoding, Separator: f.Separator, HeaderLine: f.HeaderLine}
}
