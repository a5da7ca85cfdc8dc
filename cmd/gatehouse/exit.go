package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/alecthomas/kong"

	"gatehouse/cmd/gatehouse/bulk"
	"gatehouse/cmd/gatehouse/client"
	"gatehouse/eventstore/backup"
	"gatehouse/eventstore/natsserver"
	"gatehouse/eventstore/vault"
	"gatehouse/gateways/tables"
)

// The exit codes, as the help of gatehouse tells them.
const (
	exitDone        = 0
	exitFailure     = 1
	exitUsage       = 2
	exitRefused     = 3
	exitForbidden   = 4
	exitUnavailable = 5
)

func usage(format string, args ...any) error { return client.Usagef(format, args...) }

// codedError is an error with an exit code of its own.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, context.Canceled) {
		return exitFailure
	}
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	if _, ok := errors.AsType[*client.UsageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*tables.Error](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*kong.ParseError](err); ok {
		return exitUsage
	}
	if errors.Is(err, vault.ErrMalformedMaster) || errors.Is(err, backup.ErrRecipients) {
		return exitUsage
	}
	if _, ok := errors.AsType[*bulk.RefusedError](err); ok {
		return exitRefused
	}
	if errors.Is(err, client.ErrNoToken) {
		return exitForbidden
	}
	if e, ok := errors.AsType[*client.AnswerError](err); ok {
		return exitOfAnswer(e)
	}
	if _, ok := errors.AsType[*client.UnreachableError](err); ok {
		return exitUnavailable
	}
	for _, unavailable := range []error{natsserver.ErrLocked, vault.ErrInUse, vault.ErrHeld, vault.ErrUnavailable, context.DeadlineExceeded,
		backup.ErrBusy, backup.ErrUnreachable} {
		if errors.Is(err, unavailable) {
			return exitUnavailable
		}
	}
	return exitFailure
}

// exitOfAnswer is the exit code for an answer that is no success.
func exitOfAnswer(e *client.AnswerError) int {
	switch {
	case e.Refused():
		return exitRefused
	case e.Unavailable():
		return exitUnavailable
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitForbidden
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return exitUsage
	}
	return exitFailure
}

// codes name the exit codes for programs.
var codes = map[int]string{exitFailure: "failed", exitUsage: "usage", exitRefused: "refused", exitForbidden: "forbidden", exitUnavailable: "unavailable"}

// problemOf is an error as programs read it: what the service answered, or else a
// code for the exit code.
func problemOf(err error) any {
	if e, ok := errors.AsType[*client.AnswerError](err); ok && e.Code != "" {
		return e.Problem
	}
	code, detail := codes[exitCode(err)], err.Error()
	if errors.Is(err, context.Canceled) {
		code, detail = "interrupted", "stopped by a signal"
	}
	return struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{code, detail}
}
