package tables

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"gatehouse/domain"
	"gatehouse/randomtest"
)

// fileOf writes a file for a test.
func fileOf(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// rows reads a table to its end: rows as their values joined by |, bad lines as
// they are told, each after the number of its line.
func rowsOf(t testing.TB, text string) (columns []string, rows []string) {
	t.Helper()
	table, err := Open(fileOf(t, "table.csv", text), Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, table.Close()) }()
	for {
		values, err := table.Next()
		if errors.Is(err, io.EOF) {
			return table.Columns, rows
		}
		if bad, ok := errors.AsType[*BadLine](err); ok {
			assert.Equal(t, table.Line, bad.Line)
			rows = append(rows, bad.Error())
			continue
		}
		require.NoError(t, err)
		rows = append(rows, strings.Join(values, "|"))
	}
}

func TestTablesAreReadWithTheirQuirks(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for name, c := range map[string]struct {
		text    string
		columns string
		rows    []string
	}{
		"plain":                        {"a,b\n1,2\n3,4\n", "a|b", []string{"1|2", "3|4"}},
		"CR LF":                        {"a,b\r\n1,2\r\n3,4\r\n", "a|b", []string{"1|2", "3|4"}},
		"no end of the last line":      {"a,b\r\n1,2", "a|b", []string{"1|2"}},
		"a byte order mark":            {"\ufeffa,b\n1,2\n", "a|b", []string{"1|2"}},
		"a byte order mark and quotes": {"\ufeff\"a\",b\n1,2\n", "a|b", []string{"1|2"}},
		"blanks":                       {"a, b \n 1 ,\t2 \n Server Room , 4\n", "a|b", []string{"1|2", "Server Room|4"}},
		"empty lines":                  {"\n \r\na,b\n\n1,2\n\t\n\n3,4\n\n", "a|b", []string{"1|2", "3|4"}},
		"empty values":                 {"a,b\n,\n1, \n;,\n", "a|b", []string{"1|", ";|"}},
		"quotes":                       {"a,b\n\"1,5\", \"say \"\"x\"\"\"\n", "a|b", []string{`1,5|say "x"`}},
		"a quote within a value":       {"a,b\n1\"2,3\n4,5\n", "a|b", []string{`line 2: a quoted value does not end; within a quoted value a quote is written ""`, "4|5"}},
		"a quote that does not end":    {"a,b\n\"1,2\n3,4\n", "a|b", []string{`line 2: a quoted value does not end; within a quoted value a quote is written ""`, "3|4"}},
		"a quote within two values":    {"a,b\n1\"2,3\n4,5\n6\"7,8\n", "a|b", []string{`line 2: a quote stands where none may; a value with quotes is written in quotes, and each of them ""`, "4|5", `line 4: a quoted value does not end; within a quoted value a quote is written ""`}},
		"a value over lines":           {"a,b\r\n\"1\r\n2\r\n\",3\r\n4,5\r\n6\r\n", "a|b", []string{"1\n2|3", "4|5", `line 6: it has 1 values, the header has 2: "6"`}},
		"semicolons":                   {"a;b\n1,5;\"2;3\"\n", "a|b", []string{"1,5|2;3"}},
		"tabs":                         {"a\tb\n\t2\n1\t\n", "a|b", []string{"|2", "1|"}},
		"a separator that is said":     {"sep=|\na|b\n1|2,3\n", "a|b", []string{"1|2,3"}},
		"formulas":                     {"a,b\n'=1+1,'+49 30\n'abc,''@x\n\"' y\",-\n", "a|b", []string{"=1+1|+49 30", "'abc|'@x", " y|-"}},
		"too few and too many values":  {"a,b\n1\n1,2,3\n3,4\n", "a|b", []string{`line 2: it has 1 values, the header has 2: "1"`, `line 3: it has 3 values, the header has 2: "1,2,3"`, "3|4"}},
		"a line that is too long":      {"a,b\n" + long + "," + long + "\n3,4\n", "a|b", []string{"line 2: it is longer than 262144 bytes", "3|4"}},
		"a last line that is too long": {"a,b\n3,4\n1," + long, "a|b", []string{"3|4", "line 3: it is longer than 262144 bytes"}},
		"another encoding":             {"a,b\nM\xfcller,2\nM\u00fcller,2\n", "a|b", []string{`line 2: byte 5 of the file (0xfc) is not in UTF-8; say --encoding windows-1252 for what an older Windows program wrote, or save it as "CSV UTF-8"`, "M\u00fcller|2"}},
		"a header alone":               {"a,b\n", "a|b", nil},
	} {
		columns, rows := rowsOf(t, c.text)
		assert.Equal(t, c.columns, strings.Join(columns, "|"), name)
		assert.Equal(t, c.rows, rows, name)
	}
}

func TestAFileThatIsNoTable(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "blank": "\n \r\n", "a broken header": "\"a,b\n1,2\n", "no mark": "a\x00,\x00b\x00\n\x00", "a workbook": "PK\x03\x04...", "columns of one name": "at,Card,card\n", "another encoding": "T\xfcr,b\n",
		"no lines": strings.Repeat("x", 3*maxLine),
	} {
		_, err := Open(fileOf(t, "table.csv", text), Options{})
		assert.ErrorAs(t, err, new(*Error), name)
		assert.ErrorContains(t, err, "table.csv", name)
	}
	_, err := Open(filepath.Join(t.TempDir(), "missing.csv"), Options{})
	assert.ErrorAs(t, err, new(*Error))
	_, err = Open(t.TempDir(), Options{})
	assert.Error(t, err, "a directory")
}

func TestColumnsAreFoundByTheirName(t *testing.T) {
	table, err := Open(fileOf(t, "table.csv", "Timestamp, Prox-ID, floor\n"), Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, table.Close()) }()
	for name, want := range map[string]int{"timestamp": 0, "prox-id": 1, " Floor ": 2} {
		at, err := table.Column(name)
		require.NoError(t, err)
		assert.Equal(t, want, at)
	}
	_, err = table.Column("prox-idd")
	assert.ErrorAs(t, err, new(*Error))
	assert.ErrorContains(t, err, `did you mean Prox-ID?`)
}

func TestSlugsAreIDs(t *testing.T) {
	for want, parts := range map[string][]string{
		"3-server-room": {"3", " Server Room"}, "1-1": {"1", "1"}, "a_b-c": {"a_b", "--c--"}, "t-r": {"_", "Tür"}, "": {"", "ß"},
	} {
		assert.Equal(t, want, Slug(parts...), "%q", parts)
		if want != "" {
			assert.NoError(t, domain.CheckID(domain.ID(want)))
		}
	}
}

// A value comes back from its cell as it was.
func TestCellsKeepValues(t *testing.T) {
	randomtest.Rapid(t, 20261121)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOf(rapid.SampledFrom([]rune("'=+-@ \t\n\"ab,;ü\u00a012.E"))).Draw(t, "value")
		assert.Equal(t, value, uncell(Cell(value)))
		if text := Cell(value); text != "" {
			assert.NotContains(t, "=+-@\t", text[:1])
			assert.False(t, shortened.MatchString(text))
			behind := text[max(0, strings.IndexAny(text, separators)):] // the first separator
			if !strings.ContainsAny(text, separators) {
				behind = ""
			}
			for part := range strings.FieldsFuncSeq(behind, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
				assert.NotRegexp(t, `^[" \x{a0}]*[=+@-]`, part)
			}
		}
	})
}

// FuzzTable holds that any file is read to its end, whatever is in it: each line
// is a row with as many values as the header, or a bad line, and lines only grow.
func FuzzTable(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "\ufeffa, b\r\n\"1\", 2\r\n", "\"a\n", "a\n\"\n,\n\r\n\x00\xff", "a\r\r\n\r", "a\n" + strings.Repeat("x", 100) + "\n\u00a0\n\u2028,"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		table, err := Read("table.csv", io.NopCloser(bytes.NewReader(text)), Options{})
		if err != nil {
			require.ErrorAs(t, err, new(*Error))
			return
		}
		defer func() { require.NoError(t, table.Close()) }()
		line := table.Line
		for {
			values, err := table.Next()
			if errors.Is(err, io.EOF) {
				require.LessOrEqual(t, table.Line, bytes.Count(text, []byte("\n"))+bytes.Count(text, []byte("\r"))+1)
				return
			}
			require.Greater(t, table.Line, line)
			line = table.Line
			if _, ok := errors.AsType[*BadLine](err); !ok {
				require.NoError(t, err)
				require.Len(t, values, len(table.Columns))
			}
		}
	})
}
