package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"gatehouse/eventstore/budget"
)

const (
	// maxBody is the greatest size of the body of a request in bytes.
	maxBody = 1 << 20
	// leastRoom is what a body counts at least: a connection costs something too.
	leastRoom = 32 << 10
	// bodyTimeout is how long a body may take.
	bodyTimeout = 15 * time.Second
)

// readBody reads the body of a request, for which there is room until free is called.
func readBody(w http.ResponseWriter, r *http.Request, room *budget.Pool) (free func(), err error) {
	control := http.NewResponseController(w)
	free = func() {}
	if r.ContentLength != 0 {
		size := r.ContentLength
		switch {
		case size > maxBody:
			return nil, bodyTooLarge()
		case size < 0: // it does not say
			size = maxBody
		}
		if free, err = room.Take(r.Context(), who(r), int(max(size, leastRoom))); err != nil {
			return nil, err
		}
		if err := setReadDeadline(control, time.Now().Add(bodyTimeout)); err != nil {
			free()
			return nil, err
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			free()
			return nil, notRead(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		infoOf(r.Context()).body = body
	}
	infoOf(r.Context()).read = true
	// From here on a read of the connection finds out when the client goes away; the
	// answer may take longer than a request may.
	if err := setReadDeadline(control, time.Time{}); err != nil {
		free()
		return nil, err
	}
	return free, nil
}

// setReadDeadline bounds reading where the connection can be bounded.
func setReadDeadline(control *http.ResponseController, at time.Time) error {
	if err := control.SetReadDeadline(at); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return problem(http.StatusBadRequest, "malformed", "the connection broke")
	}
	return nil
}

// notRead says why a body could not be read.
func notRead(err error) *Problem {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return bodyTooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return tooSlow()
	}
	return problem(http.StatusBadRequest, "malformed", "the body did not come whole")
}

// leaveUnread makes a refused request's answer go out at once though its body did not
// come: the server would wait for the rest of it.
func leaveUnread(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || infoOf(r.Context()).read {
		return
	}
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // where it cannot be set nothing is waited for
}

// bodyRead answers a request whose body is in memory: deadlines of the typed routes for
// reading it are without object, and would end the request.
type bodyRead struct{ http.ResponseWriter }

// SetReadDeadline does nothing.
func (bodyRead) SetReadDeadline(time.Time) error { return nil }

// Unwrap gives the writer below, for other deadlines.
func (w bodyRead) Unwrap() http.ResponseWriter { return w.ResponseWriter }
