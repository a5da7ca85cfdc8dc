package httpapi

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/assert"
)

// A body that JSON cannot write is answered as a failure, of which nothing says 200.
func TestABodyThatCannotBeWrittenIsAnswered500(t *testing.T) {
	b := newWorld(t, "house")
	type body struct {
		First string    `json:"first"`
		At    time.Time `json:"at"`
	}
	type output struct {
		Body body
	}
	at := time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	huma.Register(b.api.huma, huma.Operation{OperationID: "Broken", Method: http.MethodGet, Path: "/v1/orgs/{org}/broken"},
		func(context.Context, *struct {
			Org string `path:"org"`
		}) (*output, error) {
			return &output{body{"Anna Amann", at}}, nil
		})
	token := b.token("olga", "full")
	r := b.get(token, "/broken")
	r.problem(http.StatusInternalServerError, "internal")
	assert.NotContains(t, string(r.body), "Anna Amann")
	assert.Contains(t, b.said(), "an answer cannot be written")

	at = start
	good := b.get(token, "/broken").is(http.StatusOK)
	assert.Equal(t, "Anna Amann", good.json()["first"])
}
