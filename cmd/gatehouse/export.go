package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/cmd/gatehouse/bulk"
)

// exportCmd writes what import reads.
type exportCmd struct {
	Remote remote `embed:""`
	What   string `arg:"" enum:"${kinds}" placeholder:"KIND" help:"Kind of things to write, such as people; see the list above."`
	File   string `arg:"" optional:"" default:"-" help:"File to write, all or nothing; - is standard output."`
}

// Help tells what is written.
func (exportCmd) Help() string {
	return `The file has the columns that gatehouse import reads, and one line for each thing. With
--json, each line is JSON with the fields of the command that would create the thing. All
lines show the org at one position, which is written to stderr, or with --json and a FILE
as JSON to stdout. The export contains what you may see. To copy an org, import the files
into the other org in this order:

  ` + wrapped(bulk.KindNames(), 84, "\n  ") + `

An export does not contain what an import cannot create: PINs, mobile keys and keys in
stock, which need new numbers; anything that has ended or is lost, denied or retired;
suspended credentials; people whose identity is not confirmed (shares name them by their
address); owners of the org; the privacy settings of units; auction access; and the
history: visits, reviews, refusals, commits. If a policy now forbids something that was
allowed earlier, import policies last.

An apostrophe protects texts that a spreadsheet would run as a formula or change: numbers
with leading zeros or more than 11 digits, texts that look like a date or time, such as
12-1999, and 1E5 or true. The import removes the apostrophe, so a file can be opened and
saved in a spreadsheet without changing.

Examples:

  gatehouse export people people.csv
  gatehouse export bookings --site north
  gatehouse export credentials --json > credentials.jsonl`
}

// Run writes the lines, and tells of which position they are.
func (c *exportCmd) Run(w *world) error {
	remote, err := c.Remote.client()
	if err != nil {
		return err
	}
	if err := remote.Authorized(); err != nil {
		return err
	}
	var end bulk.ExportEnd
	err = writeTo(w, c.File, func(out io.Writer) error {
		end, err = bulk.Export(w.ctx, remote, c.What, out, c.Remote.JSON)
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

// wrapped joins words by blanks into lines of a width.
func wrapped(words []string, width int, newLine string) string {
	var out strings.Builder
	at := 0
	for i, word := range words {
		switch {
		case i == 0:
		case at+1+len(word) > width:
			out.WriteString(newLine)
			at = 0
		default:
			out.WriteByte(' ')
			at++
		}
		out.WriteString(word)
		at += len(word)
	}
	return out.String()
}
