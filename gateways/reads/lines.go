package reads

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/domain/unlock"
	"gatehouse/schemas/wire"
)

// formatLine stands for the format where the tag of a line is made: no card has it.
const formatLine = "line"

// lineBytes is how much of a tag is kept of a line.
const lineBytes = 8

// DifferError says that a read is another than the one that is recorded under its
// number. Nothing of what was given with it is recorded.
type DifferError struct {
	Index    int    // among the reads that were given
	Read     uint64 // its number in the source
	Recorded string // what is recorded, for people
}

// Error tells the read and what is recorded instead.
func (e *DifferError) Error() string {
	return fmt.Sprintf("reads: read %d is another than the one that is recorded, %s", e.Read, e.Recorded)
}

// recorded is what is known of a read that is recorded.
type recorded struct {
	line string
	at   time.Time
	door domain.ID
}

func recordedOf(a *wire.Activity) recorded { return recorded{a.Line, a.At, domain.ID(a.Door)} }

// lineTag is the tag of a line, behind the version of its key; false while the site's key
// is not at hand.
func (g *Source) lineTag(table *unlock.Table, line string) (string, bool) {
	if line == "" {
		return "", true
	}
	tag, ok := g.doors.Tag(g.org, g.site, domain.KindCard, formatLine, line)
	return strconv.FormatUint(uint64(table.TagKey()), 10) + ":" + hex.EncodeToString(tag[:lineBytes]), ok
}

// compare refuses the first of the reads that is another than what is recorded under
// its number. The caller holds mu.
func (g *Source) compare(ctx context.Context, table *unlock.Table, reads []Read) error {
	known := make(map[uint64]recorded, len(reads))
	lacking := false
	for _, r := range reads {
		if r.Line != "" && r.Number <= g.tally.Last {
			was, ok := g.recent[r.Number]
			known[r.Number] = was
			lacking = lacking || !ok
		}
	}
	var first uint64
	if lacking {
		var err error
		if first, err = g.look(ctx, known); err != nil {
			return err
		}
	}
	for i, r := range reads {
		was, asked := known[r.Number]
		if !asked || r.Line == "" {
			continue
		}
		line, ok := g.lineTag(table, r.Line)
		if !ok {
			return ErrNoTags
		}
		if was.at.IsZero() {
			if r.Number < first {
				continue
			}
			return &DifferError{i, r.Number, "nothing: it could not be read then, or there was none"}
		}
		version, _, _ := strings.Cut(line, ":")
		if strings.HasPrefix(was.line, version+":") && was.line != line {
			return &DifferError{i, r.Number, fmt.Sprintf("at %s at the door %s, or what stood before it", was.at.Format(time.RFC3339), was.door)}
		}
	}
	return nil
}

// look finds what is recorded under numbers, and from which number on it can tell: what
// stands before may be gone, and nothing can be told once a record is damaged.
func (g *Source) look(ctx context.Context, known map[uint64]recorded) (first uint64, err error) {
	damaged, err := g.store.Activity(ctx, g.org, g.site, g.id, func(a *wire.Activity) error {
		n := numberOf(a)
		if first == 0 {
			first = n
			if a.K == 1 {
				first = 1
			}
		}
		if _, asked := known[n]; asked && n > 0 {
			known[n] = recordedOf(a)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("reads: look up what gateway %s recorded: %w", g.id, err)
	}
	if damaged > 0 {
		first = math.MaxUint64
	}
	return first, nil
}
