package tables

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// maxLine bounds a line of a file in bytes of UTF-8. So a file of any size is read in
// constant memory.
const maxLine = 256 << 10

// lines reads the lines of a file as UTF-8. A line ends with LF, CR LF, or CR.
type lines struct {
	in       *bufio.Reader
	encoding string
	units    binary.ByteOrder // of UTF-16; nil means one byte at a time
	chars    *charmap.Charmap // of one byte each; nil means UTF-8
	at       int64            // bytes of the file so far
	read     int              // lines so far
	line     []byte           // the present one, unchanged from the file
}

// textLine is a line in UTF-8, or the reason why it cannot be read.
type textLine struct {
	line  int
	text  string
	ended bool // by a line end
	err   error
}

// charmaps are the encodings with one byte per character, by the letters and digits of
// their names. Those of EBCDIC have other line ends.
var charmaps = func() map[string]*charmap.Charmap {
	all := map[string]*charmap.Charmap{"latin1": charmap.ISO8859_1, "latin9": charmap.ISO8859_15, "ansi": charmap.Windows1252}
	for _, e := range charmap.All {
		if c, ok := e.(*charmap.Charmap); ok && c != charmap.CodePage037 && c != charmap.CodePage1047 && c != charmap.CodePage1140 {
			name := Letters(c.String())
			all[name] = c
			all[strings.Replace(name, "windows", "cp", 1)] = c
			all[strings.Replace(name, "ibmcodepage", "cp", 1)] = c
		}
	}
	return all
}()

// newLines begins to read a file in an encoding. If none is named, the byte order mark
// decides, else it is UTF-8.
func newLines(in io.Reader, encoding string) (*lines, error) {
	l := &lines{in: bufio.NewReaderSize(in, 64<<10)}
	begin, err := l.in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	marked, mark := "", 0
	switch {
	case bytes.HasPrefix(begin, []byte("\xef\xbb\xbf")):
		marked, mark = "utf8", 3
	case bytes.HasPrefix(begin, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(begin, []byte("\x00\x00\xfe\xff")):
		return nil, errors.New("it is in UTF-32, which is not read; save it in UTF-8")
	case bytes.HasPrefix(begin, []byte("\xff\xfe")):
		marked, mark = "utf16le", 2
	case bytes.HasPrefix(begin, []byte("\xfe\xff")):
		marked, mark = "utf16be", 2
	case bytes.HasPrefix(begin, []byte("PK\x03\x04")), bytes.HasPrefix(begin, []byte("\xd0\xcf\x11\xe0")):
		return nil, errors.New(`it is a workbook of a spreadsheet, not a text; save it there as "CSV UTF-8"`)
	}
	name := Letters(encoding)
	switch {
	case marked != "" && name != "" && name != marked && !(name == "utf16" && strings.HasPrefix(marked, name)):
		return nil, fmt.Errorf("it begins with the mark of %s, and --encoding says %s; leave the flag out", shown(marked), encoding)
	case marked != "":
		name = marked
	case name == "" && len(begin) == 4 && (begin[1] == 0 && begin[3] == 0 || begin[0] == 0 && begin[2] == 0):
		order := "utf-16le"
		if begin[0] == 0 {
			order = "utf-16be"
		}
		return nil, fmt.Errorf("byte %d is 0, as in a text in UTF-16 without a mark; if it is one, say --encoding %s", bytes.IndexByte(begin, 0), order)
	}
	l.encoding = name
	switch name {
	case "", "utf8":
	case "utf16le", "utf16":
		l.units = binary.LittleEndian
	case "utf16be":
		l.units = binary.BigEndian
	default:
		if l.chars = charmaps[name]; l.chars == nil {
			return nil, fmt.Errorf("--encoding: there is no encoding %q; there are utf-8, utf-16le, utf-16be, windows-1250 to windows-1258, iso-8859-1 to iso-8859-16, koi8-r and others of one byte for a character", encoding)
		}
	}
	l.at = int64(mark)
	_, err = l.in.Discard(mark)
	return l, err
}

// shown is the name for people of an encoding that was found by its mark.
func shown(marked string) string {
	return map[string]string{"utf8": "UTF-8", "utf16le": "UTF-16, little end first", "utf16be": "UTF-16, big end first"}[marked]
}

// next reads a line without its end. The rest of a line that is too long is skipped.
func (l *lines) next() textLine {
	began := l.at
	ended, err := l.readLine()
	if errors.Is(err, io.EOF) && l.at == began {
		return textLine{err: io.EOF}
	}
	l.read++
	bad := func(text, format string, args ...any) textLine {
		return textLine{l.read, text, ended, &BadLine{l.read, fmt.Sprintf(format, args...)}}
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return textLine{l.read, "", false, fmt.Errorf("line %d: %w", l.read, err)}
	case len(l.line) > maxLine:
		return bad("", "it is longer than %d bytes", maxLine)
	}
	text, at := l.decode()
	if at >= 0 {
		return bad(string(l.line), "byte %d of the file (0x%02x) is not in %s; %s", began+int64(at), l.line[at], l.says(), l.advice())
	}
	return textLine{l.read, strings.TrimPrefix(text, "\ufeff"), ended, nil}
}

// says names the encoding for people.
func (l *lines) says() string {
	switch {
	case l.units != nil:
		return "UTF-16"
	case l.chars != nil:
		return l.chars.String()
	}
	return "UTF-8"
}

func (l *lines) advice() string {
	if l.units == nil && l.chars == nil {
		return `say --encoding windows-1252 for what an older Windows program wrote, or save it as "CSV UTF-8"`
	}
	return "say another --encoding"
}

// decode returns the present line in UTF-8. If at is not negative, the byte there is
// invalid in the encoding.
func (l *lines) decode() (text string, at int) {
	switch {
	case l.units != nil:
		return l.decodeUnits()
	case l.chars == nil:
		if utf8.Valid(l.line) {
			return string(l.line), -1
		}
		for at < len(l.line) {
			c, n := utf8.DecodeRune(l.line[at:])
			if c == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		return "", at
	}
	var out strings.Builder
	out.Grow(len(l.line))
	for i, b := range l.line {
		c := l.chars.DecodeByte(b)
		if c == utf8.RuneError {
			return "", i
		}
		out.WriteRune(c)
	}
	return out.String(), -1
}

func (l *lines) decodeUnits() (text string, at int) {
	var out strings.Builder
	for i := 0; i < len(l.line); i += 2 {
		if i+1 == len(l.line) {
			return "", i
		}
		c := rune(l.units.Uint16(l.line[i:]))
		if utf16.IsSurrogate(c) {
			if i+3 >= len(l.line) {
				return "", i
			}
			if c = utf16.DecodeRune(c, rune(l.units.Uint16(l.line[i+2:]))); c == utf8.RuneError {
				return "", i
			}
			i += 2
		}
		out.WriteRune(c)
	}
	return out.String(), -1
}

// readLine reads the bytes of a line, and reports whether it has an end. It keeps at
// most one byte more than the bound.
func (l *lines) readLine() (ended bool, err error) {
	l.line = l.line[:0]
	for {
		some, err := l.in.Peek(max(1, l.in.Buffered()))
		if l.units != nil {
			if some, err = l.in.Peek(max(2, l.in.Buffered()&^1)); len(some) == 1 {
				l.keep(some) // half of a unit is the end of the file
				return false, l.pass(1)
			}
		}
		if len(some) == 0 {
			return false, err
		}
		end, unit := l.endIn(some)
		if end < 0 {
			l.keep(some)
			if err := l.pass(len(some)); err != nil {
				return false, err
			}
			continue
		}
		l.keep(some[:end])
		cr := l.is(some[end:], '\r')
		if err := l.pass(end + unit); err != nil {
			return true, err
		}
		if next, _ := l.in.Peek(unit); cr && len(next) == unit && l.is(next, '\n') {
			return true, l.pass(unit)
		}
		return true, nil
	}
}

// endIn finds the first line end. unit is the least number of bytes of a character.
func (l *lines) endIn(some []byte) (end, unit int) {
	if l.units == nil {
		return bytes.IndexAny(some, "\r\n"), 1
	}
	for i := 0; i+1 < len(some); i += 2 {
		if l.is(some[i:], '\r') || l.is(some[i:], '\n') {
			return i, 2
		}
	}
	return -1, 2
}

// is reports whether some bytes begin with a character.
func (l *lines) is(some []byte, c byte) bool {
	if l.units == nil {
		return some[0] == c
	}
	return l.units.Uint16(some) == uint16(c)
}

func (l *lines) keep(some []byte) {
	if room := maxLine + 1 - len(l.line); room > 0 {
		l.line = append(l.line, some[:min(len(some), room)]...)
	}
}

func (l *lines) pass(n int) error {
	l.at += int64(n)
	_, err := l.in.Discard(n)
	return err
}
