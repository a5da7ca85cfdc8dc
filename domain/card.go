package domain

import "gatehouse/domain/cardnumber"

// checkKey refuses what is no physical key, and gives its number the one form that
// the format has: one card has one number, however it was typed.
func checkKey(kind CredentialKind, format string, typed Personal) (Personal, *Refusal) {
	switch {
	case kind != KindFob && kind != KindCard:
		return typed, refuse("invalid_field", "kind: must be fob or card")
	case typed.Text() == "":
		return typed, refuse("invalid_field", "number: a value is required")
	}
	form, err := cardnumber.Canonical(format, typed.Text())
	if err != nil {
		return typed, refuse("card_format", "%v", err)
	}
	return Clear(form), nil
}
