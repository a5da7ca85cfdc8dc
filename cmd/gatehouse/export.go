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
	What   string `arg:"" enum:"${kinds}" placeholder:"KIND" help:"What to write, as people; listed above."`
	File   string `arg:"" optional:"" default:"-" help:"File that is written whole or not at all; - is standard output."`
}

// Help tells what is written.
func (exportCmd) Help() string {
	return `The file has the columns that gatehouse import reads, one line for each thing; with
--json one line of JSON for each, the fields of the command that would make it. All
lines are of one position, which the last words on stderr tell; with --json and a FILE
one line of JSON on standard output. You get what you may see. In this order the files
make the same in another org:

  ` + wrapped(bulk.KindNames(), 84, "\n  ") + `

Left out is what no such line makes: PINs, mobile keys and keys in stock, whose numbers
have to be given anew; what is over, lost, denied or retired, and credentials that are
suspended; people whose identity is not bound (shares name them by their address);
owners of the org; privacy of units, which their own users set; access of an auction;
what was done: visits, reviews, refusals, commits. A policy that forbids what was
there before it refuses those lines in another org: import policies last then.

A text that a spreadsheet would run as a formula, or write back as another, stands
behind an apostrophe, which import takes away: numbers with zeros before them or more
than 11 digits, what looks like a date or a time, as 12-1999, and 1E5 or true. Opened
in a spreadsheet, saved, and imported, it is the same.

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
