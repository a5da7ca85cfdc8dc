// Package cardnumber gives the number of a fob or card its one form. One card has one
// number, however it was typed, printed or sent: commands, reads, files and drivers of
// readers all ask here, so that none of them compares numbers as they stand.
//
// The form of a number is what was stored from the first commit on. More ways of
// writing a number may be read; how it is given back stays.
package cardnumber

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The formats that have no facility code.
const (
	Raw = "raw" // as the reader gives it, which says nothing else
	UID = "uid" // of the chip: 4, 7 or 10 bytes in hexadecimal
)

// wiegand are the formats that hold a facility code and a number, with the greatest
// of each: the 26 bits of H10301, the 34 of H10306, the 37 of H10304.
var wiegand = map[string]struct{ facility, number uint64 }{
	"wiegand26": {1<<8 - 1, 1<<16 - 1},
	"wiegand34": {1<<16 - 1, 1<<16 - 1},
	"wiegand37": {1<<16 - 1, 1<<19 - 1},
}

// Max is the greatest length of a number in bytes.
const Max = 64

// Formats lists the formats that there are.
func Formats() []string { return []string{Raw, UID, "wiegand26", "wiegand34", "wiegand37"} }

// CheckFormat says what is wrong with the name of a format; the empty one is raw.
func CheckFormat(format string) error {
	if format == "" || slices.Contains(Formats(), format) {
		return nil
	}
	for _, f := range Formats() {
		if letters(f) == letters(format) {
			return fmt.Errorf("there is no format %q; did you mean %s?", format, f)
		}
	}
	return fmt.Errorf("there is no format %q; a format is one of %s", format, strings.Join(Formats(), ", "))
}

// letters gives the letters and digits of a name in lower case.
func letters(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, name)
}

// Canonical gives the one form of a number of a format, raw where none is named. The
// error says what is wrong with the number, which it repeats, and how one is written.
func Canonical(format, text string) (string, error) {
	if err := CheckFormat(format); err != nil {
		return "", err
	}
	text = strings.TrimSpace(norm.NFC.String(text))
	switch {
	case text == "":
		return "", fmt.Errorf("the number is empty")
	case len(text) > Max:
		return "", fmt.Errorf("a number has at most %d characters, %q has more", Max, text[:min(len(text), Max)])
	}
	switch format {
	case "", Raw:
		return raw(text)
	case UID:
		return uid(text)
	}
	return facilityAndNumber(format, text)
}

// raw takes a number as it is: what a reader of an unknown kind sends has no other
// form, and two that differ by a zero may be two cards.
func raw(text string) (string, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsGraphic(c) || unicode.IsSpace(c) }) {
		return "", fmt.Errorf("%q is no number of the format raw, which has no blanks and nothing that is not seen", text)
	}
	return text, nil
}

func uid(text string) (string, error) {
	digits := strings.NewReplacer(":", "", "-", "", " ", "", ".", "").Replace(text)
	if cut, is := strings.CutPrefix(strings.ToLower(digits), "0x"); is {
		digits = cut
	}
	bytes, err := hex.DecodeString(digits)
	if n := len(bytes); err != nil || n != 4 && n != 7 && n != 10 {
		return "", fmt.Errorf("%q is no number of the format uid, which has 4, 7 or 10 bytes in hexadecimal, as 04A1B2C3D4E5F6", text)
	}
	return strings.ToUpper(hex.EncodeToString(bytes)), nil
}

// between are the signs that stand between a facility code and a number: on cards, in
// the files of controllers, and where a program made a hyphen a dash.
const between = "-,:/ \u2010\u2011\u2012\u2013\u2212"

func facilityAndNumber(format, text string) (string, error) {
	most := wiegand[format]
	parts := strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(between, c) })
	if signs := strings.Map(func(c rune) rune {
		if c == ' ' || !strings.ContainsRune(between, c) {
			return -1
		}
		return c
	}, text); len(parts) == 2 && utf8.RuneCountInString(signs) <= 1 && strings.HasPrefix(text, parts[0]) && strings.HasSuffix(text, parts[1]) {
		facility, err := strconv.ParseUint(parts[0], 10, 32)
		number, err2 := strconv.ParseUint(parts[1], 10, 32)
		if err == nil && err2 == nil && facility <= most.facility && number <= most.number {
			return fmt.Sprintf("%d-%d", facility, number), nil
		}
	}
	return "", fmt.Errorf("%q is no number of the format %s, which is a facility code of 0 to %d, a hyphen and a number of 0 to %d, as 12-34567",
		text, format, most.facility, most.number)
}
