package domain

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// The formats of the numbers of fobs and cards.
const (
	formatRaw = "raw" // as the reader gives it, which says nothing else
	formatUID = "uid" // of the chip: 4, 7 or 10 bytes in hexadecimal
)

// wiegand are the formats that hold a facility code and a number, with the
// greatest of each: the 26 bits of H10301, the 34 of H10306, the 37 of H10304.
var wiegand = map[string]struct{ facility, number uint64 }{
	"wiegand26": {1<<8 - 1, 1<<16 - 1},
	"wiegand34": {1<<16 - 1, 1<<16 - 1},
	"wiegand37": {1<<16 - 1, 1<<19 - 1},
}

// MaxCardNumber is the greatest length of the number of a fob or card, in bytes.
const MaxCardNumber = 64

// checkKey refuses what is no physical key, and gives its number the one form that
// the format has: one card has one number, however it was typed.
func checkKey(kind CredentialKind, format string, number Personal) (Personal, *Refusal) {
	text := number.Text()
	switch {
	case kind != KindFob && kind != KindCard:
		return number, refuse("invalid_field", "kind: it is fob or card")
	case text == "":
		return number, refuse("invalid_field", "number: it is missing")
	case len(text) > MaxCardNumber:
		return number, refuse("card_format", "a number has at most %d characters", MaxCardNumber)
	}
	ranges, hasFacility := wiegand[format]
	switch {
	case hasFacility:
		facility, n, ok := facilityAndNumber(text)
		if !ok || facility > ranges.facility || n > ranges.number {
			return number, refuse("card_format", "a number of the format %s is a facility code of 0 to %d, a hyphen and a number of 0 to %d, as 12-34567",
				format, ranges.facility, ranges.number)
		}
		return Clear(fmt.Sprintf("%d-%d", facility, n)), nil
	case format == formatUID:
		raw, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "", " ", "").Replace(text))
		if n := len(raw); err != nil || n != 4 && n != 7 && n != 10 {
			return number, refuse("card_format", "a number of the format uid has 4, 7 or 10 bytes in hexadecimal, as 04A1B2C3D4E5F6")
		}
		return Clear(strings.ToUpper(hex.EncodeToString(raw))), nil
	case format != formatRaw:
		return number, refuse("card_format", "a format is one of raw, uid, wiegand26, wiegand34, wiegand37")
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }):
		return number, refuse("card_format", "a number of the format raw has no blanks")
	}
	return number, nil
}

// facilityAndNumber reads "12-34567", with or without zeros before.
func facilityAndNumber(text string) (facility, number uint64, ok bool) {
	a, b, _ := strings.Cut(text, "-")
	facility, err := strconv.ParseUint(a, 10, 32)
	number, err2 := strconv.ParseUint(b, 10, 32)
	return facility, number, err == nil && err2 == nil
}
