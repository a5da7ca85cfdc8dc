package domain

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain/schedule"
)

// TestNoLoopStepsByAddDays holds loops over dates to schedule.Dates, which counts.
func TestNoLoopStepsByAddDays(t *testing.T) {
	for _, dir := range []string{".", "schedule", "unlock", "../projections/due", "../projections/permissions", "../gateways/httpapi"} {
		files, err := filepath.Glob(dir + "/*.go")
		require.NoError(t, err)
		require.NotEmpty(t, files, dir)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			set := gotoken.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, 0)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				loop, ok := n.(*ast.ForStmt)
				if !ok || loop.Post == nil {
					return true
				}
				ast.Inspect(loop.Post, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						assert.NotContains(t, []string{"AddDays", "AddDate"}, s.Sel.Name, "%s: range over schedule.Dates instead", set.Position(n.Pos()))
					}
					return true
				})
				return true
			})
		}
	}
}

func TestChangedDaysEndAtTheLastDate(t *testing.T) {
	date := func(text string) schedule.Date {
		d, err := schedule.ParseDate(text)
		require.NoError(t, err)
		return d
	}
	days := func(entries ...string) (c schedule.Calendar) {
		for _, e := range entries {
			from, until, _ := strings.Cut(e, "/")
			day := schedule.SpecialDay{Date: date(from), Kind: schedule.Holiday}
			if until != "" {
				day.Until = date(until)
			}
			c = append(c, day)
		}
		return c
	}
	today := date("2026-03-02")
	for _, c := range []struct {
		was, is     schedule.Calendar
		n           int
		first, last string
	}{
		{nil, days("9999-12-31"), 1, "9999-12-31", "9999-12-31"},
		{days("9999-12-31"), days("9999-12-30/9999-12-31"), 1, "9999-12-30", "9999-12-30"},
		{nil, days("9999-12-30/9999-12-31"), 2, "9999-12-30", "9999-12-31"},
		{nil, days("1970-01-01/9999-12-31"), maxChangedDays, "2026-03-02", "2028-11-25"},
		{days("1970-01-01/9999-12-31"), days("1970-01-01/9999-12-31"), 0, "", ""},
		{days("1970-01-01/9999-12-31"), days("1970-01-01/9999-12-29"), 2, "9999-12-30", "9999-12-31"},
		{days("2026-01-01/2026-03-03"), nil, 2, "2026-03-02", "2026-03-03"},
		{days("2026-05-01", "2026-12-25/2026-12-26"), days("2026-05-02", "2026-12-26/2026-12-27"), 4, "2026-05-01", "2026-12-27"},
		{nil, nil, 0, "", ""},
	} {
		got := changedDays(c.was, c.is, today)
		require.Len(t, got, c.n, "%v %v", c.was, c.is)
		if c.n > 0 {
			assert.Equal(t, []string{c.first, c.last}, []string{got[0].date.String(), got[c.n-1].date.String()})
		}
	}
}

func TestInstantsAreBoundedWithTheirBuffers(t *testing.T) {
	for text, good := range map[string]bool{
		"1900-01-01T00:00:00Z": true, "1899-12-31T23:59:59Z": false, "8999-12-31T23:59:59Z": true, "9000-01-01T00:00:00Z": false,
		"9999-12-31T23:59:59-23:59": false, "2026-01-01T00:00:00+24:00": false, "2026-01-01T00:00:00+23:59": true,
		"9000-01-01T00:00:00+01:00": true, "1900-01-01T00:00:00+01:00": false,
	} {
		var at time.Time
		require.NoError(t, at.UnmarshalText([]byte(text)))
		assert.Equal(t, good, CheckInstant(at) == nil, text)
	}
	assert.Error(t, checkShapeOf(IssuePin{Person: "anna", Until: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), BufferAfter: 720}))
	assert.NoError(t, CheckInstant(time.Time{}), "none")
}

func checkShapeOf(c Command) error {
	if r := checkShape(c); r != nil {
		return r
	}
	return nil
}

// TestAFoldMakesNothingThatASnapshotCannotHold folds what was stored before instants
// had bounds.
func TestAFoldMakesNothingThatASnapshotCannotHold(t *testing.T) {
	s := NewState()
	s.Apply(Applied{Moment{N: 1, At: time.Unix(1, 0).UTC()}, []Event{
		PinIssued{Credential: "pin", Person: "anna", Until: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), BufferAfter: 720},
		PinIssued{Credential: "old", Person: "anna", From: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), BufferBefore: 720},
	}})
	b, err := s.AppendBinary(nil)
	require.NoError(t, err)
	require.NoError(t, NewState().UnmarshalBinary(b))
}

func TestClearTextsShowAllOfThemselves(t *testing.T) {
	for _, text := range []string{"gate\u202egnp", "a\u200bb", "a\u00adb", "a\ufeffb", "a\u2028b", "a\u2066b", "a\u202bb", "a\u2069", "a\u3164b", "a\u115f", "a\u034fb", "M\ufffdller", "\u2800", "\u0301", "a\x00", "a\x7f", "a\u009f", "\U000e0041", "a\ufffe", "a\xff", "a\u200db"} {
		assert.Error(t, checkText(text), "%q", text)
		if !strings.Contains(text, "\u200d") {
			assert.Error(t, Clear(text).check(), "%q", text)
		}
	}
	for _, text := range []string{"Größe 5", "東京", "نمای شمالی", "a\u0301", "🚪", "№ 5", "+", "1"} {
		assert.NoError(t, checkText(text), "%q", text)
		assert.NoError(t, Clear(text).check(), "%q", text)
	}
	for _, text := range []string{"\u200d", "\ufe0f\u200c", "\n\t", "\u200d \u0301"} {
		assert.ErrorContains(t, Clear(text).check(), "shows nothing", "%q", text)
	}
	assert.EqualError(t, Clear("maria@example.org\u200b").check(), `behind "maria@example.org" it has U+200B, which is not seen or changes how others are; write it without`)
	assert.NoError(t, Clear("نمی\u200cدانم, 👩\u200d👧 ❤\ufe0f\nsecond line").check())
}
