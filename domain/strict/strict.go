// Package strict reads JSON as it is written here: one value, without unknown fields
// and with nothing behind it.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// UnknownField is the error of a field that the receiver does not have.
type UnknownField struct{ Name string }

// Error names the field.
func (u *UnknownField) Error() string { return `json: unknown field "` + u.Name + `"` }

// ErrFollows says that something follows the value.
var ErrFollows = errors.New("there is more behind the JSON value")

// Decode reads exactly one JSON value. Its errors are those of encoding/json, an
// [UnknownField] or [ErrFollows].
func Decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return typed(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return ErrFollows
	}
	return nil
}

// typed gives the error of an unknown field a type, which the library has none for: its
// text is read here and nowhere else.
func typed(err error) error {
	name, ok := strings.CutPrefix(err.Error(), `json: unknown field "`)
	if !ok {
		return err
	}
	return &UnknownField{strings.TrimSuffix(name, `"`)}
}
