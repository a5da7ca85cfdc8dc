package domain

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// # The form in which a text is kept
//
// A text is kept in the normal form C of Unicode, without blanks at its ends. Nobody
// sees how an ü is put together, nor a blank at an end: kept, they would make two names
// of one, and two people of one address. Other invisible characters are refused, so
// that nothing that was sent is lost in silence.

// kept is a text as it is kept.
func kept(s string) string { return strings.TrimSpace(norm.NFC.String(s)) }

// checkText says what is wrong with a clear text.
func checkText(s string) error {
	if len(s) > MaxText {
		return fmt.Errorf("a text has at most %d bytes", MaxText)
	}
	return checkSeen(s, unseen)
}

// checkSeen says what in a text is not seen, by what may not be in it.
func checkSeen(s string, unseen func(rune) bool) error {
	if !utf8.ValidString(s) {
		return errors.New("it is not in UTF-8")
	}
	if before, _, is := strings.Cut(s, "\ufffd"); is {
		return fmt.Errorf("%s U+FFFD, which stands for a letter that was lost on the way; enter it again", behind(before))
	}
	if i := strings.IndexFunc(s, unseen); i >= 0 {
		c, _ := utf8.DecodeRuneInString(s[i:])
		return fmt.Errorf("%s %U, which is not seen or changes how others are; write it without", behind(s[:i]), c)
	}
	if s != "" && !strings.ContainsFunc(s, seen) {
		return fmt.Errorf("%+q shows nothing; write what people can read, or leave it out", s)
	}
	return nil
}

// behind says where in a text something is.
func behind(before string) string {
	if before == "" {
		return "it begins with"
	}
	return fmt.Sprintf("behind %q it has", before)
}

// unseen reports characters that are not seen, or change how others are: they would
// let one name look like another.
func unseen(c rune) bool {
	return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point, unicode.Variation_Selector,
		unicode.Other_Default_Ignorable_Code_Point)
}

// unseenInPersonal is unseen but for what names and texts of people need: joiners and
// variants of signs, line ends and tabs.
func unseenInPersonal(c rune) bool {
	switch {
	case c == '\n' || c == '\t' || c == '\u200c' || c == '\u200d' || c >= '\ufe00' && c <= '\ufe0f':
		return false
	}
	return unseen(c)
}

// seen reports characters that show something by themselves.
func seen(c rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsGraphic(c) && !unicode.IsSpace(c) && !unicode.IsMark(c) && !unseen(c) && c != brailleBlank
}

// inKeptForm returns a command with its texts and personal values as they are [kept]; the
// command that is given stays as it is. A name that comes back from a file is then the
// name that it was.
func inKeptForm(cmd Command) Command {
	v := reflect.ValueOf(cmd)
	if !keptOtherwise(v) {
		return cmd
	}
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	keep(own)
	return own.Interface().(Command)
}

// keptOtherwise reports whether a text below a value is kept otherwise. Ids, and words out
// of a few, are no texts: with blanks they are refused.
func keptOtherwise(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return v.Type() == textType && kept(v.String()) != v.String()
	case reflect.Pointer:
		return !v.IsNil() && keptOtherwise(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if keptOtherwise(v.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		if p, ok := v.Interface().(Personal); ok {
			return kept(p.clear) != p.clear
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && keptOtherwise(v.Field(i)) {
				return true
			}
		}
	}
	return false
}

var textType = reflect.TypeFor[string]()

// keep gives texts the form in which they are kept. Slices and pointers on the way become the value's own.
func keep(v reflect.Value) {
	if !keptOtherwise(v) {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(kept(v.String()))
	case reflect.Pointer:
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(v.Elem())
		keep(own.Elem())
		v.Set(own)
	case reflect.Slice:
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		v.Set(own)
		for i := range v.Len() {
			keep(v.Index(i))
		}
	case reflect.Struct:
		if p, ok := v.Interface().(Personal); ok {
			p.clear = kept(p.clear)
			v.Set(reflect.ValueOf(p))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				keep(v.Field(i))
			}
		}
	}
}
