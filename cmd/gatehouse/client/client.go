// Package client speaks HTTP to a running service, as the command line does.
//
// # Why a package
//
// It decides what is sent again: a question and a command with its idempotency key
// may be, a request whose second copy would have an effect of its own may not.
package client

import (
	"bufio"
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
	"time"

	"github.com/google/uuid"

	"gatehouse/gateways/httpapi"
)

const (
	// requestTimeout is longer than any answer takes: the service waits up to 30 s
	// for gateways when it is asked to.
	requestTimeout = 60 * time.Second
	// tries is how often a request is sent that the service did not take, or whose
	// answer was lost; the pauses between them come to a few seconds.
	tries = 5
	// longestWait bounds how long the service may ask to wait between two of them.
	longestWait = 3 * time.Second
	// maxPage is how many items the service gives at once.
	maxPage = "500"
	// maxAnswer bounds an answer in bytes. The longest are pages of 500 commits.
	maxAnswer = 512 << 20
)

// Client speaks to a service for one token. It may be used by many goroutines once
// its fields are set.
type Client struct {
	Base       string // the URL of the service, without a slash at the end
	Token      string
	Org        string
	Site       string // the site that questions are about
	OnBehalfOf string // the person for whom commands are sent; empty means oneself
	Agent      string // the User-Agent of requests
	// Sleep waits between two tries, and returns an error when the context ends.
	Sleep func(ctx context.Context, d time.Duration) error
	http  *http.Client
}

// UsageError says that the command line or the input is wrong.
type UsageError struct{ message string }

// Error says what is wrong, and what to do.
func (e *UsageError) Error() string { return e.message }

// Usagef makes a [UsageError].
func Usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// New makes a client of the service at a URL without a slash at the end.
func New(base, token, org, site string) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &Client{Base: base, Token: token, Org: org, Site: site, Agent: "gatehouse",
		http: &http.Client{Transport: transport, Timeout: requestTimeout}, Sleep: Pause}
}

// Close closes the connections that no request uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ErrNoToken says that the command line has no token.
var ErrNoToken = errors.New("no token: give --token, or set GATEHOUSE_TOKEN; gatehouse org create gives the first one")

// Authorized refuses to ask without a token, in words that help.
func (c *Client) Authorized() error {
	if c.Token == "" {
		return ErrNoToken
	}
	if c.Org == "" {
		return Usagef("no org: give --org, or set GATEHOUSE_ORG")
	}
	return nil
}

// OrgPath is a path below the org, each part escaped.
func (c *Client) OrgPath(parts ...string) string {
	path := "/v1/orgs/" + url.PathEscape(c.Org)
	for _, p := range parts {
		path += "/" + url.PathEscape(p)
	}
	return path
}

// AnswerError is an answer of the service that is no success.
type AnswerError struct {
	httpapi.Problem
	// Key is the Idempotency-Key of the request, for another try.
	Key string
	// Body is the answer as it came.
	Body  []byte
	retry time.Duration // that the service asks to wait
}

// Refused reports whether a rule of the ledger refused the request. One that names a
// thing that does not exist counts as well.
func (e *AnswerError) Refused() bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// Unavailable reports whether the same request may succeed later.
func (e *AnswerError) Unavailable() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Error says what the service said, and what to do where a retry helps.
func (e *AnswerError) Error() string {
	text := e.Detail
	if e.Code != "" {
		text = e.Code + ": " + text
	}
	for _, entry := range e.Entries {
		text += fmt.Sprintf("\n  entry %d: %s: %s", entry.Index, entry.Code, entry.Detail)
	}
	if e.Key != "" && e.Unavailable() {
		text += "\n  send it again with --idempotency-key " + e.Key
	}
	return text
}

// UnreachableError says that no answer came.
type UnreachableError struct {
	Base string // the URL that was tried
	Err  error
	Hint string // what to look at; empty means nothing
}

// Error says what was tried, and what to look at.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s: %v%s", e.Base, e.Err, e.Hint)
}

// Unwrap returns the error of the network.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Request is a request to the service.
type Request struct {
	Method string
	Path   string // from the root, escaped
	Query  url.Values
	Body   []byte // JSON; nil means none
	Key    string // the Idempotency-Key; empty means none
	Once   bool   // not to be sent again when its answer is lost
	Long   bool   // the answer may take any time
}

// Answer is a success.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Send sends a request and returns its answer. It retries a few times when the service
// could not take the request now, or when the request may have been lost. Both are
// safe: a question changes nothing, and a command carries its idempotency key.
func (c *Client) Send(ctx context.Context, r Request) (*Answer, error) {
	for try := 1; ; try++ {
		a, err := c.SendOnce(ctx, r)
		wait, again := retryable(err, r)
		if !again || try == tries || ctx.Err() != nil {
			return a, err
		}
		if sleepErr := c.Sleep(ctx, max(wait, rand.N(time.Duration(try)*200*time.Millisecond))); sleepErr != nil {
			return nil, err
		}
	}
}

// retryable reports whether a request that failed may be sent again, and what the
// service asks to wait before.
func retryable(err error, r Request) (time.Duration, bool) {
	if e, ok := errors.AsType[*AnswerError](err); ok {
		if e.Code == "behind" && r.Query.Has("at_least") {
			return 0, false // the service has waited already
		}
		switch e.Status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return e.wait(), true
		case http.StatusGatewayTimeout, http.StatusBadGateway:
			return e.wait(), !r.Once
		}
		return 0, false
	}
	if e, ok := errors.AsType[*UnreachableError](err); ok {
		return 0, e.sent() && !r.Once
	}
	return 0, false
}

// sent reports whether the request may have reached the service. Where nobody
// listens, or after a minute without an answer, the caller hears of it at once.
func (e *UnreachableError) sent() bool {
	if op, ok := errors.AsType[*net.OpError](e.Err); ok && op.Op == "dial" {
		return false
	}
	return !os.IsTimeout(e.Err)
}

// SendOnce sends a request without trying again.
func (c *Client) SendOnce(ctx context.Context, r Request) (*Answer, error) {
	resp, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &UnreachableError{c.Base, err, ""}
	}
	return &Answer{resp.StatusCode, resp.Header, body}, nil
}

// open sends a request and returns a success with its body still to read.
func (c *Client) open(ctx context.Context, r Request) (*http.Response, error) {
	target := c.Base + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return nil, Usagef("--url %s: %v", c.Base, err)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	if c.OnBehalfOf != "" {
		req.Header.Set("On-Behalf-Of", c.OnBehalfOf)
	}
	req.Header.Set("User-Agent", c.Agent)
	by := *c.http
	if r.Long {
		by.Timeout = 0
	}
	resp, err := by.Do(req)
	if err != nil {
		return nil, &UnreachableError{c.Base, unwrapURL(err), "; is gatehouse serve running there?"}
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &UnreachableError{c.Base, err, ""}
	}
	return nil, asAnswerError(resp, body, r.Key)
}

// Lines sends a question and calls f for each line of the answer, with its line end.
// It stops after the line that f reports as the last; an answer that ends before is an
// error.
func (c *Client) Lines(ctx context.Context, path string, query url.Values, f func(line []byte) (last bool, err error)) error {
	resp, err := c.open(ctx, Request{Method: http.MethodGet, Path: path, Query: query, Long: true})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return &UnreachableError{c.Base, fmt.Errorf("the answer broke off: %w", err), "; try again"}
		}
		if last, err := f(line); last || err != nil {
			return err
		}
	}
}

// Each calls f for every item of a list, page by page.
func (c *Client) Each(ctx context.Context, path string, query url.Values, f func(item json.RawMessage) error) error {
	query.Set("limit", maxPage)
	for {
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
		}
		if err := c.Get(ctx, path, query, &page); err != nil {
			return err
		}
		if page.Items == nil {
			return fmt.Errorf("%s is no list", path)
		}
		for _, item := range page.Items {
			if err := f(item); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		query.Set("cursor", page.Next)
	}
}

// unwrapURL drops what net/http puts around an error: it repeats the URL.
func unwrapURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func asAnswerError(resp *http.Response, body []byte, key string) *AnswerError {
	e := &AnswerError{Key: key, Body: body}
	if err := json.Unmarshal(body, &e.Problem); err != nil || e.Status == 0 {
		e.Problem = httpapi.Problem{Status: resp.StatusCode, Detail: "the service answered " + resp.Status}
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.retry = time.Duration(seconds) * time.Second
	}
	return e
}

func (e *AnswerError) wait() time.Duration { return min(e.retry, longestWait) }

// Pause sleeps unless the context ends.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Get asks a question and reads the answer.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	return c.Ask(ctx, Request{Method: http.MethodGet, Path: path, Query: query}, into)
}

// Ask sends a request and reads the answer.
func (c *Client) Ask(ctx context.Context, r Request, into any) error {
	a, err := c.Send(ctx, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("the answer to %s %s cannot be read: %w", r.Method, r.Path, err)
	}
	return nil
}

// Command sends a command, or a list of them, with the fields as JSON. It returns the
// answer as it came: {position, hash, at, events, warnings}. An empty key is replaced
// by a new one.
func (c *Client) Command(ctx context.Context, name string, fields []byte, key string, options url.Values) ([]byte, error) {
	if err := c.Authorized(); err != nil {
		return nil, err
	}
	if key == "" {
		key = NewKey()
	}
	a, err := c.Send(ctx, Request{Method: http.MethodPost, Path: c.OrgPath("commands", name), Query: options, Body: fields, Key: key})
	if err != nil {
		return nil, err
	}
	return a.Body, nil
}

// NewKey makes an Idempotency-Key that sorts by time.
func NewKey() string { return uuid.Must(uuid.NewV7()).String() }
