package identity

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"gatehouse/durable"
	"gatehouse/schemas/wire"
)

// enrolTime bounds one attempt to enrol.
const enrolTime = 30 * time.Second

// Request is what a gateway enrols by.
type Request struct {
	URL  string // of the service: https://gatehouse.example.com
	Code string // as it was given
	Dir  string // in which the gateway keeps everything
	CA   string // optional: file with the authority of the certificates of service and NATS (PEM)
}

// RefusedError is the answer of a service that does not enrol the gateway.
type RefusedError struct {
	Code   string // stable: enrolment_used, enrolment_ended, rate_limited …
	Detail string
}

// Error tells what the service says.
func (e *RefusedError) Error() string { return e.Detail + " (" + e.Code + ")" }

// pending is enrolment.json: a key that was made for a code and is not confirmed yet.
type pending struct {
	V    int    `json:"v"`
	Code []byte `json:"code"` // public half of the key of the code
	Seed string `json:"seed"`
}

// Enrol makes the gateway known by a code, and stores who it is. After an error it may be
// called again with the same code: the key is made once for each. A gateway that has
// enrolled by the code already is returned as it is.
func Enrol(ctx context.Context, r Request) (*Identity, error) {
	code, err := wire.ParseEnrolmentCode(r.Code)
	if err != nil {
		return nil, err
	}
	e := enrolment{Request: r, code: code, secret: wire.EnrolmentKey(code.Secret)}
	if err := e.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(r.Dir, lockFile))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if i, err := Open(r.Dir); err == nil {
		if i.Org != code.Org || i.Gateway != code.Gateway {
			return nil, fmt.Errorf("%s holds the identity of %s/%s, and the code is of %s/%s; give each gateway its own directory", r.Dir, i.Org, i.Gateway, code.Org, code.Gateway)
		}
		if bytes.Equal(i.code, e.public()) {
			return i, nil
		}
	}
	return e.enrol(ctx)
}

// enrolment is one attempt of a gateway.
type enrolment struct {
	Request
	code   wire.EnrolmentCode
	secret ed25519.PrivateKey // of the code
	base   *url.URL
	client *http.Client
}

func (e *enrolment) public() []byte { return e.secret.Public().(ed25519.PublicKey) }

func (e *enrolment) path(name string) string { return filepath.Join(e.Dir, name) }

// check finds what is wrong before anything is made.
func (e *enrolment) check() (err error) {
	if e.base, err = url.Parse(e.URL); err != nil || e.base.Host == "" || e.base.Scheme != "https" && e.base.Scheme != "http" {
		return fmt.Errorf("the URL of the service is %q; write it as https://gatehouse.example.com", e.URL)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	if e.CA != "" {
		if e.CA, err = filepath.Abs(e.CA); err != nil {
			return err
		}
		text, err := os.ReadFile(e.CA)
		if err != nil {
			return fmt.Errorf("the authority of certificates: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("the authority of certificates: %s holds no certificate in PEM", e.CA)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	e.client = &http.Client{Transport: transport, Timeout: enrolTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return nil
}

func (e *enrolment) enrol(ctx context.Context) (*Identity, error) {
	seed, err := e.newKey()
	if err != nil {
		return nil, err
	}
	key, err := userKey(seed)
	if err != nil {
		return nil, err
	}
	request, err := e.request(key)
	if err != nil {
		return nil, err
	}
	answer, err := e.post(ctx, request)
	if err != nil {
		return nil, err
	}
	if err := answer.Check(e.code, request); err != nil {
		return nil, fmt.Errorf("%s: %w", e.URL, err)
	}
	if err := checkURLs(answer.NATSURLs); err != nil {
		return nil, err
	}
	s := stored{V: version, Org: answer.Org, Gateway: answer.Gateway, Site: answer.Site, Seed: seed, LogKey: answer.LogKey,
		NATSURLs: answer.NATSURLs, CA: e.CA, Code: e.public()}
	i, err := s.identity()
	if err != nil {
		return nil, err
	}
	if err := writeOwn(e.path(identityFile), s); err != nil {
		return nil, err
	}
	if err := os.Remove(e.path(enrolmentFile)); err != nil {
		return nil, err
	}
	return i, durable.SyncDir(e.Dir)
}

// newKey returns the seed of the key that was made for the code, or makes one. It is on
// the disk before anybody is told of it: of a key that was lost with the answer nothing
// would be left but a code that is used.
func (e *enrolment) newKey() (string, error) {
	var p pending
	switch err := readOwn(e.path(enrolmentFile), &p); {
	case err == nil && p.V == version && bytes.Equal(p.Code, e.public()):
		return p.Seed, nil
	case err == nil, errors.Is(err, os.ErrNotExist), errors.Is(err, errDamaged):
	default:
		return "", err
	}
	key, err := nkeys.CreateUser()
	if err != nil {
		return "", err
	}
	seed, err := key.Seed()
	if err != nil {
		return "", err
	}
	return string(seed), writeOwn(e.path(enrolmentFile), pending{V: version, Code: e.public(), Seed: string(seed)})
}

func writeOwn(path string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable.Replace(path, append(body, '\n'))
}

// request is what is sent: the public half of the key, with what proves code and key.
func (e *enrolment) request(key nkeys.KeyPair) (*wire.EnrolRequest, error) {
	public, err := key.PublicKey()
	if err != nil {
		return nil, err
	}
	r := &wire.EnrolRequest{PublicKey: public, Nonce: make([]byte, wire.MinNonce)}
	rand.Read(r.Nonce)
	statement := r.Statement(e.code.Org, e.code.Gateway)
	r.Proof = ed25519.Sign(e.secret, statement)
	r.Signature, err = key.Sign(statement)
	return r, err
}

// post sends the request, and reads the answer of the service or its refusal.
func (e *enrolment) post(ctx context.Context, request *wire.EnrolRequest) (*wire.EnrolAnswer, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	at := e.base.JoinPath("v1", "orgs", string(e.code.Org), "gateways", string(e.code.Gateway), "enrolment")
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	post.Header.Set("Content-Type", "application/json")
	answer, err := e.client.Do(post)
	if err != nil {
		return nil, fmt.Errorf("the service does not answer at %s; try again with the same code: %w", e.URL, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, wire.MaxEnrolment+1))
	if err != nil || len(text) > wire.MaxEnrolment {
		return nil, fmt.Errorf("the answer of %s did not come whole; try again with the same code", e.URL)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, e.refusal(answer, text)
	}
	var a wire.EnrolAnswer
	if err := wire.AskBounds.Check(text); err != nil {
		return nil, fmt.Errorf("%s: %w", e.URL, err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("what answers at %s is not Gatehouse; check the address", e.URL)
	}
	return &a, nil
}

// refusal reads why the service refuses (RFC 9457).
func (e *enrolment) refusal(answer *http.Response, text []byte) error {
	var p struct{ Code, Detail string }
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/problem+json") || json.Unmarshal(text, &p) != nil || p.Code == "" {
		return fmt.Errorf("what answers at %s is not Gatehouse, it says %s; check the address", e.URL, answer.Status)
	}
	return &RefusedError{p.Code, p.Detail}
}
