package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"gatehouse/gateways/httpapi"
)

// remote says to which service a verb speaks, and as whom.
type remote struct {
	URL   string `name:"url" env:"GATEHOUSE_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where the service is."`
	Token string `env:"GATEHOUSE_TOKEN" placeholder:"TOKEN" help:"Token, or @FILE that holds it."`
	Org   string `env:"GATEHOUSE_ORG" placeholder:"ORG" help:"Org; without it the org of the token."`
	Site  string `env:"GATEHOUSE_SITE" placeholder:"SITE" help:"Site that the verb is about, and whose clock times without an offset are read by."`
	JSON  bool   `name:"json" help:"Write JSON on one line, for scripts."`
}

const (
	// requestTimeout is longer than any answer takes: the service waits up to 30 s
	// for gateways when it is asked to.
	requestTimeout = 60 * time.Second
	// tries is how often a request is sent that the service did not take, or whose
	// answer was lost; the pauses between them come to a few seconds.
	tries = 5
	// longestWait bounds how long the service may ask to wait between two of them.
	longestWait = 3 * time.Second
	// maxAnswer bounds an answer in bytes. The longest are pages of 500 commits.
	maxAnswer = 512 << 20
)

// A client speaks to a service for one token. It may be used by many goroutines.
type client struct {
	base       string // without a slash at the end
	token      string
	org        string
	site       string
	onBehalfOf string // the person for whom commands are sent; empty: oneself
	http       *http.Client
	sleep      func(ctx context.Context, d time.Duration) error
}

// client checks where and who the flags name.
func (r remote) client() (*client, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("--url %s: it is written as http://127.0.0.1:8080", r.URL)
	}
	token := r.Token
	if path, isFile := strings.CutPrefix(token, "@"); isFile {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, usage("--token: %v", err)
		}
		token = string(text)
	}
	token = strings.TrimSpace(token)
	if strings.ContainsFunc(token, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return nil, usage("--token: a token is one word, as gh.<org>.<token>.<secret>; this one has a blank or a line end within it")
	}
	org := r.Org
	// A token is gh.<org>.<id>.<secret>, so its org need not be named again.
	if parts := strings.Split(token, "."); org == "" && len(parts) == 4 {
		org = parts[1]
	}
	return newClient(strings.TrimRight(u.String(), "/"), token, org, r.Site), nil
}

// newClient makes a client of the service at a URL without a slash at the end.
func newClient(base, token, org, site string) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &client{base: base, token: token, org: org, site: site,
		http: &http.Client{Transport: transport, Timeout: requestTimeout}, sleep: pause}
}

// authorized refuses to ask without a token, in words that help.
func (c *client) authorized() error {
	if c.token == "" {
		return &codedError{exitForbidden, errors.New("no token: give --token, or set GATEHOUSE_TOKEN; gatehouse org create gives the first one")}
	}
	if c.org == "" {
		return usage("no org: give --org, or set GATEHOUSE_ORG")
	}
	return nil
}

// orgPath is a path below the org, each part escaped.
func (c *client) orgPath(parts ...string) string {
	path := "/v1/orgs/" + url.PathEscape(c.org)
	for _, p := range parts {
		path += "/" + url.PathEscape(p)
	}
	return path
}

// answerError is an answer that is no success.
type answerError struct {
	httpapi.Problem
	// Key is the Idempotency-Key of the request, for another try.
	Key   string
	retry time.Duration // that the service asks to wait
}

// Error says what the service said, and what to do where a retry helps.
func (e *answerError) Error() string {
	text := e.Detail
	if e.Code != "" {
		text = e.Code + ": " + text
	}
	for _, entry := range e.Entries {
		text += fmt.Sprintf("\n  entry %d: %s: %s", entry.Index, entry.Code, entry.Detail)
	}
	if e.Key != "" && exitOfStatus(e.Status) == exitUnavailable {
		text += "\n  send it again with --idempotency-key " + e.Key
	}
	return text
}

// unreachableError says that no answer came.
type unreachableError struct {
	base string
	err  error
	hint string // what to look at; may be empty
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("no answer from %s: %v%s", e.base, e.err, e.hint)
}
func (e *unreachableError) Unwrap() error { return e.err }

// request is what is sent.
type request struct {
	method string
	path   string // from the root, escaped
	query  url.Values
	body   []byte // JSON; nil: none
	key    string // Idempotency-Key; empty: none
	once   bool   // not to be sent again when its answer is lost
}

// answer is a success.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request and returns its answer. It retries a few times when the service
// could not take the request now, or when the request may have been lost. Both are
// safe: a question changes nothing, and a command carries its idempotency key.
func (c *client) send(ctx context.Context, r request) (*answer, error) {
	for try := 1; ; try++ {
		a, err := c.sendOnce(ctx, r)
		wait, again := retryable(err, r)
		if !again || try == tries || ctx.Err() != nil {
			return a, err
		}
		if sleepErr := c.sleep(ctx, max(wait, rand.N(time.Duration(try)*200*time.Millisecond))); sleepErr != nil {
			return nil, err
		}
	}
}

// retryable reports whether a request that failed may be sent again, and what the
// service asks to wait before.
func retryable(err error, r request) (time.Duration, bool) {
	if e, ok := errors.AsType[*answerError](err); ok {
		if e.Code == "behind" && r.query.Has("at_least") {
			return 0, false // the service has waited already
		}
		switch e.Status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return e.wait(), true
		case http.StatusGatewayTimeout, http.StatusBadGateway:
			return e.wait(), !r.once
		}
		return 0, false
	}
	if e, ok := errors.AsType[*unreachableError](err); ok {
		return 0, e.sent() && !r.once
	}
	return 0, false
}

// sent reports whether the request may have reached the service. Where nobody
// listens, or after a minute without an answer, the caller hears of it at once.
func (e *unreachableError) sent() bool {
	if op, ok := errors.AsType[*net.OpError](e.err); ok && op.Op == "dial" {
		return false
	}
	return !os.IsTimeout(e.err)
}

func (c *client) sendOnce(ctx context.Context, r request) (*answer, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, usage("--url %s: %v", c.base, err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if c.onBehalfOf != "" {
		req.Header.Set("On-Behalf-Of", c.onBehalfOf)
	}
	req.Header.Set("User-Agent", "gatehouse/"+version())
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &unreachableError{c.base, unwrapURL(err), "; is gatehouse serve running there?"}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &unreachableError{c.base, err, ""}
	}
	if resp.StatusCode/100 != 2 {
		return nil, asAnswerError(resp, body, r.key)
	}
	return &answer{resp.StatusCode, resp.Header, body}, nil
}

// unwrapURL drops what net/http puts around an error: it repeats the URL.
func unwrapURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func asAnswerError(resp *http.Response, body []byte, key string) *answerError {
	e := &answerError{Key: key}
	if err := json.Unmarshal(body, &e.Problem); err != nil || e.Status == 0 {
		e.Problem = httpapi.Problem{Status: resp.StatusCode, Detail: "the service answered " + resp.Status}
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.retry = time.Duration(seconds) * time.Second
	}
	return e
}

func (e *answerError) wait() time.Duration { return min(e.retry, longestWait) }

// pause sleeps unless the context ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// get asks a question and reads the answer.
func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	return c.ask(ctx, request{method: http.MethodGet, path: path, query: query}, into)
}

// ask sends a request and reads the answer.
func (c *client) ask(ctx context.Context, r request, into any) error {
	a, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("the answer to %s %s cannot be read: %w", r.method, r.path, err)
	}
	return nil
}

// command sends a command, or a list of them, with the fields as JSON. It returns the
// answer as it came: {position, hash, at, events, warnings}. An empty key is replaced
// by a new one.
func (c *client) command(ctx context.Context, name string, fields []byte, key string, options url.Values) ([]byte, error) {
	if err := c.authorized(); err != nil {
		return nil, err
	}
	if key == "" {
		key = newKey()
	}
	a, err := c.send(ctx, request{method: http.MethodPost, path: c.orgPath("commands", name), query: options, body: fields, key: key})
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// newKey makes an Idempotency-Key that sorts by time.
func newKey() string { return uuid.Must(uuid.NewV7()).String() }
