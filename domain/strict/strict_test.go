package strict

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type nested struct {
	A int            `json:"a"`
	B *nested        `json:"b"`
	M map[string]int `json:"m"`
}

func TestOneWholeValueIsRead(t *testing.T) {
	for text, want := range map[string]error{
		`{"a":1}`:        nil,
		" {\"a\":1} \n":  nil,
		`{"a":1}{"a":1}`: ErrFollows,
		`{"a":1}}`:       ErrFollows,
		`{"a":1} x`:      ErrFollows,
	} {
		var n nested
		assert.Equal(t, want, Decode([]byte(text), &n), text)
	}
	var n nested
	syntax, ok := errors.AsType[*json.SyntaxError](Decode([]byte(`{"a":1,}`), &n))
	require.True(t, ok)
	assert.Equal(t, int64(8), syntax.Offset)
}

func TestAnUnknownFieldIsNamed(t *testing.T) {
	for text, name := range map[string]string{
		`{"c":1}`:       "c",
		`{"b":{"x":1}}`: "x",
		`{"a b\"c":1}`:  `a b\"c`,
	} {
		var n nested
		unknown, ok := errors.AsType[*UnknownField](Decode([]byte(text), &n))
		if assert.True(t, ok, text) {
			assert.Equal(t, name, unknown.Name)
			assert.Equal(t, `json: unknown field "`+name+`"`, unknown.Error())
		}
	}
}
