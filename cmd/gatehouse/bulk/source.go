package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
	"gatehouse/domain/cardnumber"
	"gatehouse/gateways/httpapi"
	"gatehouse/gateways/tables"
)

// The years of reads: zones have rules from the first on, and instants end in the
// year after the last.
const firstYear, lastYear = 1970, 2261

// readSource reads the reads of a file as often as wanted.
type readSource struct {
	opt     ReadsOptions
	sides   map[string]string // in or out, by what the file has for it in lower case; none: as they are
	layout  *tables.Layout
	waiting int // the last line, while it is unfinished; 0: there is none
}

func (o ReadsOptions) source(ctx context.Context, remote *client.Client) (*readSource, error) {
	zone, err := o.zoneFor(ctx, remote)
	if err != nil {
		return nil, err
	}
	s := &readSource{opt: o}
	if s.layout, err = tables.NewLayout(o.TimeLayout, zone, o.Zone != ""); err != nil {
		return nil, err
	}
	if err := cardnumber.CheckFormat(o.Format); err != nil {
		return nil, client.Usagef("--format: %v", err)
	}
	s.sides, err = o.sidesBy()
	return s, err
}

// sidesBy reads what the file has for in and out.
func (o ReadsOptions) sidesBy() (map[string]string, error) {
	if len(o.Sides) > 0 && o.SideColumn == "" {
		return nil, client.Usagef("--sides says what a column has for in and out: name it with --side-column")
	}
	sides := map[string]string{}
	for _, given := range o.Sides {
		side, word, ok := strings.Cut(given, "=")
		word = strings.ToLower(strings.TrimSpace(word))
		if !ok || side != "in" && side != "out" || word == "" {
			return nil, client.Usagef("--sides: %q is written in=C/In or out=C/Out", given)
		}
		if other, twice := sides[word]; twice && other != side {
			return nil, client.Usagef("--sides: %q is both in and out", word)
		}
		sides[word] = side
	}
	if len(sides) == 0 {
		sides["in"], sides["out"] = "in", "out"
	}
	return sides, nil
}

// gatewaysOf makes the ids of a file's gateway: of its name, and eight digits of the hash
// of its header and first row, which stay when a file grows. Where the name is that of a
// copy, as x (1).csv, that of x.csv comes first. apart is another id for the same: the
// digits leave out numbers of cards.
func (s *readSource) gatewaysOf() (ids []string, apart string, err error) {
	t, err := s.opt.Table.open(s.opt.File)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	columns, err := s.columns(t)
	if err != nil {
		return nil, "", err
	}
	first, err := t.Next()
	if _, bad := errors.AsType[*tables.BadLine](err); err != nil && !bad && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	digits := func(texts []string) string {
		sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
		return "-" + hex.EncodeToString(sum[:4])
	}
	told := slices.Clone(t.Columns)
	for i, value := range first {
		if !slices.Contains(columns.card, i) {
			told = append(told, value)
		}
	}
	own := strings.TrimSuffix(filepath.Base(s.opt.File), filepath.Ext(s.opt.File))
	for _, name := range []string{copies.ReplaceAllString(own, ""), own} {
		name = tables.Slug(name)
		ids = append(ids, "reads-"+name[:min(len(name), 40)]+digits(append(slices.Clone(t.Columns), first...)))
	}
	return slices.Compact(ids), digits(told), nil
}

// copies matches what programs add to the name of a file that already exists: "report
// (1)" or "copy of report".
var copies = regexp.MustCompile(`(?i)(\s*\([0-9]+\)|\s*-\s*(copy|kopie)(\s*\([0-9]+\))?)+$|^(copy of|kopie von)\s+`)

// each calls f for every read, numbered by its line, and bad for every line that
// cannot be read. A read's Line says which lines stand before it and in it.
func (s *readSource) each(bad *badLines, f func(httpapi.CardRead) error) (err error) {
	t, err := s.opt.Table.open(s.opt.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	bad.count, s.waiting = 0, 0
	columns, err := s.columns(t)
	if err != nil {
		return err
	}
	lines := sha256.Sum256([]byte(strings.Join(t.Columns, "\x00")))
	for {
		values, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var read httpapi.CardRead
		if err == nil {
			read, err = columns.read(t.Line, values)
		}
		broken, isBad := errors.AsType[*tables.BadLine](err)
		switch {
		case err != nil && !isBad:
			return err
		case isBad && !t.Ended:
			s.waiting = t.Line
			return nil
		}
		lines = sha256.Sum256(append(lines[:], t.Row...))
		if isBad {
			broken.Line = t.Line
			bad.add(broken)
			continue
		}
		read.Number, read.Line, read.Format = uint64(t.Line), hex.EncodeToString(lines[:16]), s.opt.Format
		if err := f(read); err != nil {
			return err
		}
	}
}

// readColumns says where in a line what stands.
type readColumns struct {
	at, card, doors []int
	side            int // -1: none
	source          *readSource
	names           *tables.Names
}

func (s *readSource) columns(t *tables.File) (c readColumns, err error) {
	c.side, c.source = -1, s
	c.names = &tables.Names{Flag: "--door-ids", Given: s.opt.DoorIDs}
	for _, wanted := range []struct {
		names []string
		to    *[]int
	}{{s.opt.TimeColumn, &c.at}, {s.opt.CredentialColumn, &c.card}, {s.opt.DoorColumns, &c.doors}} {
		for _, name := range wanted.names {
			i, err := t.Column(name)
			if err != nil {
				return c, err
			}
			*wanted.to = append(*wanted.to, i)
		}
	}
	if s.opt.SideColumn != "" {
		c.side, err = t.Column(s.opt.SideColumn)
	}
	return c, err
}

// of are the values of some columns.
func of(values []string, columns []int) (out []string) {
	for _, i := range columns {
		out = append(out, values[i])
	}
	return out
}

// read reads a line.
func (c readColumns) read(line int, values []string) (httpapi.CardRead, error) {
	var r httpapi.CardRead
	bad := func(err error) error { return &tables.BadLine{Line: line, Reason: err.Error()} }
	at, err := c.source.layout.Read(strings.Join(of(values, c.at), " "))
	if err != nil {
		return r, bad(err)
	}
	if at.Year() < firstYear || at.Year() > lastYear {
		return r, bad(fmt.Errorf("the time %q is not within the years %d to %d", strings.Join(of(values, c.at), " "), firstYear, lastYear))
	}
	r = httpapi.CardRead{At: at, Side: "in"}
	if r.Card, err = cardnumber.Canonical(c.source.opt.Format, strings.Join(of(values, c.card), "-")); err != nil {
		return r, bad(err)
	}
	if c.side >= 0 {
		var ok bool
		if r.Side, ok = c.source.sides[strings.ToLower(values[c.side])]; !ok {
			return r, bad(fmt.Errorf("the side is %q; it is in or out, or what --sides says", values[c.side]))
		}
	}
	door, err := c.names.ID(line, of(values, c.doors)...)
	if err != nil {
		return r, err
	}
	r.Door = domain.ID(door)
	if err := domain.CheckID(r.Door); err != nil {
		return r, bad(fmt.Errorf("the door %q: %v", strings.Join(of(values, c.doors), " "), err))
	}
	return r, nil
}
