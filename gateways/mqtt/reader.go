package mqtt

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// maxNumber is how many bytes a card number or a PIN of a reader has at most.
const maxNumber = 64

func addReader(d *device, r readerPart, found *catalogue) bool {
	if r.ID != "" {
		e := found.byID(r.ID, readerKinds)
		if e == nil {
			return false
		}
		r.Topic, r.Field = e.state, orElse(r.Field, e.field)
	}
	side, method := sides[r.Side], r.Method
	if method == "" {
		method = wire.MethodCard
	}
	d.on(r.Topic, func(m message) ([]fact, error) {
		number, ok, err := value(m, r.Field)
		if err != nil || !ok || number == "" {
			return nil, err
		}
		f := fact{of: ofRead, side: side, method: method}
		f.shown, err = shown(r.Format, number)
		return []fact{f}, err
	})
	return true
}

// shown makes the credential that a reader read.
func shown(format, number string) (driver.Shown, error) {
	if len(number) > maxNumber {
		return driver.Shown{}, fmt.Errorf("the number has %d bytes, the most is %d", len(number), maxNumber)
	}
	return driver.Shown{Format: format, Number: facility(format, number)}, nil
}

// facility writes the bits that a Wiegand reader gives as facility code and number. Any
// number that is not of 24 or 32 bits stays as it is.
func facility(format, number string) string {
	bits := map[string]int{"wiegand26": 24, "wiegand34": 32}[format]
	if bits == 0 || strings.ContainsAny(number, "-,:/ ") {
		return number
	}
	base := 10
	if hex, ok := strings.CutPrefix(strings.ToLower(number), "0x"); ok {
		number, base = hex, 16
	}
	n, err := strconv.ParseUint(number, base, bits+1)
	if err != nil || bits == 24 && n >= 1<<bits {
		return number
	}
	// Tasmota counts a bit of parity in with the 34 bits; it is no part of the number.
	n &= 1<<bits - 1
	return fmt.Sprintf("%d-%d", n>>16, n&0xffff)
}
