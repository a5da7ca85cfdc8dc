package schedule

import (
	"archive/zip"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// TZDataVersion is the version of the IANA database in tzdata/zoneinfo.zip.
const TZDataVersion = "2025c"

// zoneinfo is embedded and not taken from the places where time.LoadLocation looks. The
// first of these is the host's database, which may have any version.
//
//go:embed tzdata/zoneinfo.zip
var zoneinfo string

// UnsetZone is what the database has for clocks that nobody has set: no place is in it.
const UnsetZone = "Factory"

// LoadRules gives the rules of the zone with the IANA name, as of TZDataVersion.
// "" and "Local" are no zones.
func LoadRules(zone string) (ZoneRules, error) {
	data, err := zoneFile(zone)
	if err != nil {
		return ZoneRules{}, err
	}
	rules, err := parseTZif(data)
	if err != nil {
		return ZoneRules{}, fmt.Errorf("the zone %s of %s: %w", zone, TZDataVersion, err)
	}
	rules.Zone, rules.TZData = zone, TZDataVersion
	if err := rules.Validate(); err != nil {
		return ZoneRules{}, err
	}
	return rules, nil
}

func zoneFile(zone string) ([]byte, error) {
	archive, err := zip.NewReader(strings.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		return nil, fmt.Errorf("the archive of zones: %w", err)
	}
	for _, f := range archive.File {
		if f.Name == zone && !f.FileInfo().IsDir() {
			return content(f)
		}
	}
	return nil, fmt.Errorf("%.64q is no zone of the IANA database %s: an example is Europe/Berlin", zone, TZDataVersion)
}

func content(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("the archive of zones: %s: %w", f.Name, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("the archive of zones: %s: %w", f.Name, err)
	}
	return data, r.Close()
}

var errTZif = errors.New("it is no TZif file of version 2 or later without leap seconds")

// tzifCounts are the six counts of a TZif header, in its order.
type tzifCounts struct {
	utLocal, standard, leaps, times, types, chars int
}

const tzifHeader = 44

// parseTZif reads a file as RFC 9636 describes it. The first of its two blocks,
// of 32 bits, is passed over.
func parseTZif(data []byte) (ZoneRules, error) {
	first, err := parseTZifHeader(data)
	if err != nil {
		return ZoneRules{}, err
	}
	data, err = skip(data, tzifHeader+first.size(4))
	if err != nil {
		return ZoneRules{}, err
	}
	counts, err := parseTZifHeader(data)
	if err != nil {
		return ZoneRules{}, err
	}
	block := data[tzifHeader:]
	rest, err := skip(block, counts.size(8))
	if err != nil || counts.types == 0 || counts.leaps != 0 {
		return ZoneRules{}, errTZif
	}
	rules, err := parseTZifBlock(block, counts)
	if err != nil {
		return ZoneRules{}, err
	}
	line, found := strings.CutPrefix(string(rest), "\n")
	end := strings.IndexByte(line, '\n')
	if !found || end < 0 {
		return ZoneRules{}, errTZif
	}
	rules.Footer = line[:end]
	return rules, nil
}

func parseTZifHeader(data []byte) (tzifCounts, error) {
	if len(data) < tzifHeader || string(data[:4]) != "TZif" || data[4] < '2' {
		return tzifCounts{}, errTZif
	}
	var n [6]int
	for i := range n {
		count := binary.BigEndian.Uint32(data[20+4*i:])
		if count > 1<<16 {
			return tzifCounts{}, errTZif
		}
		n[i] = int(count)
	}
	return tzifCounts{n[0], n[1], n[2], n[3], n[4], n[5]}, nil
}

// size gives the bytes of the block whose times have the given width.
func (c tzifCounts) size(width int) int {
	return c.times*(width+1) + c.types*6 + c.chars + c.leaps*(width+4) + c.standard + c.utLocal
}

func skip(data []byte, n int) ([]byte, error) {
	if n > len(data) {
		return nil, errTZif
	}
	return data[n:], nil
}

// parseTZifBlock reads the transitions of a 64-bit block. It keeps those from
// 1970 on that change the offset, and the last one, from which the footer rules.
func parseTZifBlock(block []byte, c tzifCounts) (ZoneRules, error) {
	kinds := block[c.times*8 : c.times*9]
	types := block[c.times*9:]
	offset := func(kind int) int32 { return int32(binary.BigEndian.Uint32(types[6*kind:])) }
	rules := ZoneRules{First: offset(0)}
	last := rules.First
	for i, kind := range kinds {
		if int(kind) >= c.types {
			return ZoneRules{}, errTZif
		}
		t := Transition{int64(binary.BigEndian.Uint64(block[8*i:])), offset(int(kind))}
		switch {
		case t.At < 0:
			rules.First = t.Offset
		case t.Offset != last || i == c.times-1:
			rules.Transitions = append(rules.Transitions, t)
		}
		last = t.Offset
	}
	return rules, nil
}
