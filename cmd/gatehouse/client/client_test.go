package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answering is a service that gives answers in turn, and the client of it.
func answering(t *testing.T, answers ...func(w http.ResponseWriter)) (*Client, *[]http.Header) {
	t.Helper()
	seen := new([]http.Header)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*seen = append(*seen, r.Header.Clone())
		answers[min(len(*seen), len(answers))-1](w)
	}))
	t.Cleanup(server.Close)
	c := New(server.URL, "gh.acme.t.s", "acme", "")
	c.Sleep = func(context.Context, time.Duration) error { return nil }
	return c, seen
}

func TestACommandIsSentAgainUnderOneKey(t *testing.T) {
	c, seen := answering(t, saying(503, "busy"), cut, saying(504, "unsettled"), saying(200, ""))
	_, err := c.Command(t.Context(), "CreateUnit", []byte(`{}`), "", nil)
	require.NoError(t, err)
	require.Len(t, *seen, 4)
	key := (*seen)[0].Get("Idempotency-Key")
	require.NotEmpty(t, key)
	for _, h := range *seen {
		assert.Equal(t, key, h.Get("Idempotency-Key"))
		assert.Equal(t, "Bearer gh.acme.t.s", h.Get("Authorization"))
	}
}

func TestWhatMayBeLostIsNotSentAgainWhenItMustNot(t *testing.T) {
	for name, lost := range map[string]func(http.ResponseWriter){"cut": cut, "unsettled": saying(504, "unsettled")} {
		c, seen := answering(t, lost)
		_, err := c.Send(t.Context(), Request{Method: http.MethodPost, Path: "/", Once: true})
		require.Error(t, err)
		assert.Len(t, *seen, 1, name)
		refused, answered := errors.AsType[*AnswerError](err)
		_, unreachable := errors.AsType[*UnreachableError](err)
		assert.True(t, unreachable || answered && refused.Unavailable(), name)
	}
}

func TestAnAnswerThatIsNoProblemIsShownAsItIs(t *testing.T) {
	c, _ := answering(t, func(w http.ResponseWriter) { http.Error(w, "<html>", http.StatusBadGateway) })
	_, err := c.SendOnce(t.Context(), Request{Method: http.MethodGet, Path: "/"})
	require.ErrorContains(t, err, "the service answered 502 Bad Gateway")
}

func TestListsAreReadPageByPage(t *testing.T) {
	page := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if _, err := w.Write([]byte(text)); err != nil {
				panic(err)
			}
		}
	}
	c, seen := answering(t, page(`{"items":[1,2],"next":"x"}`), page(`{"items":[],"next":"y"}`), page(`{"items":[3]}`))
	var got []string
	require.NoError(t, c.Each(t.Context(), "/", map[string][]string{}, func(item json.RawMessage) error {
		got = append(got, string(item))
		return nil
	}))
	assert.Equal(t, []string{"1", "2", "3"}, got)
	assert.Len(t, *seen, 3)
}

func saying(status int, code string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		body, err := json.Marshal(map[string]any{"status": status, "code": code, "detail": "why"})
		if err != nil {
			panic(err)
		}
		if _, err := w.Write(body); err != nil {
			panic(err)
		}
	}
}

func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Close()
}
