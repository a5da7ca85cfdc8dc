package tables

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Cell escapes a value for a cell of a table. An apostrophe goes before a value that a
// spreadsheet would run as a formula or write back as another value, and before one
// that begins or ends with a blank, which is not kept. Within a value an apostrophe
// also goes before each part that would begin a cell if a spreadsheet used another
// separator than the file. [uncell] removes it again.
func Cell(value string) string {
	value = eachPart(value, func(part string) string {
		if isFormula(part) {
			return "'" + part
		}
		return part
	})
	if needsApostrophe(value) {
		return "'" + value
	}
	return value
}

// uncell returns the value of a cell.
func uncell(text string) string {
	value, is := strings.CutPrefix(text, "'")
	if !is || !needsApostrophe(value) {
		value = strings.TrimSpace(text)
	}
	return eachPart(value, func(part string) string {
		if rest, is := strings.CutPrefix(part, "'"); is && isFormula(rest) {
			return rest
		}
		return part
	})
}

// separators are the characters that a spreadsheet may take for the end of a cell.
const separators = ",;\t\r\n"

// eachPart changes the text after each separator within a value.
func eachPart(value string, change func(string) string) string {
	var out strings.Builder
	for {
		i := strings.IndexAny(value, separators)
		if i < 0 {
			out.WriteString(value)
			return out.String()
		}
		out.WriteString(value[:i+1])
		value = change(value[i+1:])
	}
}

// isFormula reports whether a cell that begins with a text would be run as a formula.
// It ignores leading apostrophes, quotes and blanks.
func isFormula(text string) bool {
	rest := strings.TrimLeft(text, "'\" \u00a0")
	return rest != "" && startsFormula(rest)
}

// needsApostrophe reports whether a cell would not keep a value as it is. It ignores
// the apostrophes at the beginning of the value.
func needsApostrophe(value string) bool {
	rest := strings.TrimLeft(value, "'")
	return rest != "" && (startsFormula(rest) || strings.TrimSpace(rest) != rest || rewritten(rest))
}

// startsFormula reports whether a text begins with a sign of a formula. The full-width
// signs of East Asia count, too, because spreadsheets there accept them.
func startsFormula(text string) bool {
	c, _ := utf8.DecodeRuneInString(text)
	return strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20", c)
}

// rewritten reports whether a spreadsheet would write back another text. It does so for
// a number, a date, a time or a truth value: 0012, 490000000000, 1E5, 12-1999, 3/4,
// 1.50, MAR1, true. A number without leading zeros and of up to 11 digits comes back as
// it is. So does a date such as 2026-03-29; import refuses one that does not.
func rewritten(text string) bool {
	switch {
	case plain.MatchString(text), isoDate.MatchString(text):
		return false
	case strings.EqualFold(text, "true"), strings.EqualFold(text, "false"):
		return true
	}
	return numeric.MatchString(text) || month.MatchString(text) && digit.MatchString(text)
}

var (
	plain   = regexp.MustCompile(`^(0|[1-9][0-9]{0,10})$`)
	isoDate = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+)?)?$`)
	numeric = regexp.MustCompile(`(?i)^[(.,$\x{20ac}\x{a3}\x{a5}]?[0-9][0-9 .,:/()%\x{a0}-]*(e[+-]?[0-9]+| [ap]m?|%|[$\x{20ac}\x{a3}\x{a5}])?[)]?$`)
	month   = regexp.MustCompile(`(?i)^([0-9]{1,4}[. /-]*)?(jan(uary?)?|feb(ruary?)?|mar(ch)?|mrz|märz|apr(il)?|may|mai|jun[ei]?|jul[iy]?|aug(ust)?|sept?(ember)?|o[ck]t(ober)?|nov(ember)?|de[cz](ember)?)[. ,/-]*[0-9]*([ ,./-]+[0-9]{1,4})?$`)
	digit   = regexp.MustCompile(`[0-9]`)
)

// Shortened reports whether a cell is a number that a spreadsheet shortened, such as
// 4.9E+11. The rest of its digits is lost.
func Shortened(cell string) bool { return shortened.MatchString(strings.TrimSpace(cell)) }

var shortened = regexp.MustCompile(`^[0-9]([.,][0-9]+)?E\+[0-9]+$`)
