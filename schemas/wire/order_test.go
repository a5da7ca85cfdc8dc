package wire

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnAnswerToAnOrderIsReadStrictly(t *testing.T) {
	order := &Order{ID: "r-1"}
	a, err := DecodeOrderAnswer(order, []byte(`{"id":"r-1","outcome":"executed","said_by_a_newer_gateway":true}`))
	require.NoError(t, err)
	assert.Equal(t, &OrderAnswer{ID: "r-1", Outcome: Executed}, a)
	a, err = DecodeOrderAnswer(order, []byte(`{"id":"r-1","outcome":"refused","code":"deny_too_late"}`))
	require.NoError(t, err)
	assert.Equal(t, RefusalCode("deny_too_late"), a.Code)
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `"executed"`, `{"id":"r-1"}`, `{"outcome":"executed"}`, `{"id":"r-2","outcome":"executed"}`,
		`{"id":"r-1","outcome":"unknown"}`, `{"id":"r-1","outcome":"unreachable"}`, `{"id":"r-1","outcome":"Executed"}`,
		`{"id":"r-1","outcome":"refused"}`, `{"id":"r-1","outcome":"refused","code":"because"}`, `{"id":"r-1","outcome":"executed","code":"deny_lockdown"}`,
		`{"id":"r-1","outcome":"refused","outcome":"executed"}`, `{"id":"r-1","Outcome":"executed"}`, `{"id":"r-1","outcome":"executed"}{}`, `{"id":"r-1","outcome":"executed"`,
		`{"stream":"ACTIVITY","seq":1}`, `{"id":"r-1","outcome":"executed","why":"` + strings.Repeat("x", MaxOrderAnswer) + `"}`,
	} {
		_, err := DecodeOrderAnswer(order, []byte(body))
		assert.Error(t, err, body)
	}
}
