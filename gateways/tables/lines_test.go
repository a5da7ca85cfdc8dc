package tables

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// utf16Of writes a text in UTF-16 with its mark.
func utf16Of(order binary.ByteOrder, text string) string {
	var out bytes.Buffer
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		_ = binary.Write(&out, order, u)
	}
	return out.String()
}

// read reads a whole text: values joined by |, rows by a slash; bad lines as they are told.
func read(t testing.TB, text string, o Options) (string, error) {
	t.Helper()
	table, err := Read("f", io.NopCloser(strings.NewReader(text)), o)
	if err != nil {
		return "", err
	}
	rows := []string{strings.Join(table.Columns, "|")}
	for {
		values, err := table.Next()
		bad := &BadLine{}
		switch {
		case errors.Is(err, io.EOF):
			return strings.Join(rows, "/"), nil
		case errors.As(err, &bad):
			rows = append(rows, bad.Error())
		default:
			require.NoError(t, err)
			rows = append(rows, strings.Join(values, "|"))
		}
	}
}

func TestAFileIsReadInAnyEncodingAndWithAnyLineEnd(t *testing.T) {
	const want = "Tür|Größe €/Nord 1|ä/Süd|😀"
	plain := "Tür;Größe €\nNord 1;ä\nSüd;😀\n"
	const latin = "T\xfcr;Gr\xf6\xdfe \x80\nNord 1;\xe4\n"
	for name, c := range map[string]struct {
		text, encoding, want string
	}{
		"UTF-8":                {plain, "", want},
		"UTF-8 with its mark":  {"\ufeff" + plain, "utf-8", want},
		"little end first":     {utf16Of(binary.LittleEndian, plain), "", want},
		"big end first":        {utf16Of(binary.BigEndian, plain), "UTF-16", want},
		"no mark but a flag":   {utf16Of(binary.BigEndian, plain)[2:], "utf-16be", want},
		"Windows-1252":         {latin, "windows-1252", "Tür|Größe €/Nord 1|ä"},
		"CP1252":               {latin, "CP1252", "Tür|Größe €/Nord 1|ä"},
		"ISO 8859-15":          {strings.ReplaceAll(latin, "\x80", "\xa4"), "iso-8859-15", "Tür|Größe €/Nord 1|ä"},
		"Latin-1":              {"T\xfcr;b\n1;2", "latin-1", "Tür|b/1|2"},
		"Windows-1251":         {"\xc2\xf5\xee\xe4;b\n1;2\n", "windows-1251", "Вход|b/1|2"},
		"not of Windows-1252":  {"a;b\n1;\x81\n3;4\n", "windows-1252", "a|b/line 2: byte 6 of the file (0x81) is not in Windows 1252; say another --encoding/3|4"},
		"half a character":     {utf16Of(binary.LittleEndian, "a;b\n") + "1\x00;\x00\x00\xd8\n\x003\x00;\x004\x00", "", "a|b/line 2: byte 14 of the file (0x00) is not in UTF-16; say another --encoding/3|4"},
		"half a unit":          {utf16Of(binary.LittleEndian, "a;b\n1;2") + "\n", "", "a|b/line 2: byte 16 of the file (0x0a) is not in UTF-16; say another --encoding"},
		"CR LF":                {strings.ReplaceAll(plain, "\n", "\r\n"), "", want},
		"CR":                   {strings.ReplaceAll(plain, "\n", "\r"), "", want},
		"CR in UTF-16":         {utf16Of(binary.LittleEndian, strings.ReplaceAll(plain, "\n", "\r")), "", want},
		"CR LF in UTF-16":      {utf16Of(binary.BigEndian, strings.ReplaceAll(plain, "\n", "\r\n")), "", want},
		"all of them":          {"a;b\r1;2\n3;4\r\n\r5;6", "", "a|b/1|2/3|4/5|6"},
		"no end at the end":    {"a;b\r1;2", "", "a|b/1|2"},
		"a mark in the middle": {"a;b\n1;2\n\ufeffa;b\n3;4\n", "", "a|b/1|2/line 3: it is the header again/3|4"},
		"a name over lines":    {"\"Card\nno\",\u200bat,a\u00a0b\n1,2,Mu\u0308ller\n", "", "Card no|at|a b/1|2|M\u00fcller"},
		"the header again":     {"a;b\n1;2\nA ;b\n3;4\n", "", "a|b/1|2/line 3: it is the header again/3|4"},
	} {
		got, err := read(t, c.text, Options{Encoding: c.encoding})
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
	}
	for name, c := range map[string]struct{ text, encoding, says string }{
		"a mark against the flag": {"\ufeff" + plain, "latin1", "it begins with the mark of UTF-8, and --encoding says latin1"},
		"no such encoding":        {plain, "klingon", `there is no encoding "klingon"`},
		"EBCDIC":                  {plain, "IBM Code Page 037", "there is no encoding"},
		"no mark and no flag":     {utf16Of(binary.LittleEndian, plain)[2:], "", "say --encoding utf-16le"},
		"UTF-32":                  {"\xff\xfe\x00\x00a\x00\x00\x00", "", "UTF-32"},
		"two columns of one name": {"Card;at;CARD \n1;2;3\n", "", `line 1: the columns 1 and 3 are both named "CARD"`},
		"one name in two forms":   {"Tür;Tu\u0308r\n1;2\n", "", "are both named"},
		"another encoding":        {latin, "", "line 1: byte 1 of the file (0xfc) is not in UTF-8; say --encoding windows-1252"},
	} {
		_, err := read(t, c.text, Options{Encoding: c.encoding})
		assert.ErrorContains(t, err, c.says, name)
		assert.ErrorAs(t, err, new(*Error), name)
	}
}

func TestTheHeaderStandsWhereItIsSaid(t *testing.T) {
	const report = "Report of March\n\nprinted,by,somebody\na;b\n1;2,5\n"
	got, err := read(t, report, Options{Header: 4})
	require.NoError(t, err)
	assert.Equal(t, "a|b/1|2,5", got)
	got, err = read(t, "a,b|c\n1,2|3\n", Options{Separator: '|'})
	require.NoError(t, err)
	assert.Equal(t, "a,b|c/1,2|3", got)
	_, err = read(t, report, Options{Header: 9})
	assert.ErrorContains(t, err, "it has no header")
}

func TestARowKnowsWhetherItEnded(t *testing.T) {
	for text, ended := range map[string]bool{"a\n1": false, "a\n1\n": true, "a\n\"1\n2": false, "a\n\"1\n2\"": false, "a\n\"1\n2\"\r": true} {
		table, err := Read("f", io.NopCloser(strings.NewReader(text)), Options{})
		require.NoError(t, err)
		if _, err := table.Next(); err == nil {
			assert.Equal(t, ended, table.Ended, "%q", text)
		}
	}
}

// TestAFileOfAnySizeIsReadInConstantMemory reads 20,000 lines, with GATEHOUSE_LONG a
// million; a line costs nothing that stays.
func TestAFileOfAnySizeIsReadInConstantMemory(t *testing.T) {
	many := 20_000
	if os.Getenv("GATEHOUSE_LONG") != "" {
		many = 1_000_000
	}
	for _, encoding := range []string{"", "windows-1252"} {
		in, out := io.Pipe()
		go func() {
			w := bufio.NewWriter(out)
			fmt.Fprint(w, "at;card;door\r")
			for i := range many {
				fmt.Fprintf(w, "2026-03-02 08:00:00;%d;gate of the north\r", i)
			}
			_ = out.CloseWithError(w.Flush())
		}()
		table, err := Read("f", in, Options{Encoding: encoding})
		require.NoError(t, err)
		var first, most uint64
		for i := range many {
			_, err := table.Next()
			require.NoError(t, err)
			if i%(many/4) == many/4-1 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				if first == 0 {
					first = m.HeapAlloc
				}
				most = max(most, m.HeapAlloc)
			}
		}
		assert.Less(t, most, first+1<<20, "bytes in use after a quarter and at most")
	}
}
