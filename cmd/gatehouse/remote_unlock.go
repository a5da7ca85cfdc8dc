package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain"
)

// outcomeWait is how long do waits for what becomes of a remote unlock, in seconds:
// a second longer than its gateway may take.
const outcomeWait = "6"

// tellOutcomes waits for what becomes of the remote unlocks that an answer tells of,
// and tells it. A door that did not open is an error.
func tellOutcomes(w *world, remote *client.Client, result []byte) error {
	var told struct {
		Position string `json:"position"`
		Events   []struct {
			Type string `json:"type"`
			Data struct {
				Request string `json:"request"`
			} `json:"data"`
		} `json:"events"`
	}
	if err := json.Unmarshal(result, &told); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	var errs []error
	for _, e := range told.Events {
		if e.Type == "remote_unlock.requested" {
			errs = append(errs, tellOutcome(w.ctx, w, remote, e.Data.Request, told.Position))
		}
	}
	return errors.Join(errs...)
}

func tellOutcome(ctx context.Context, w *world, remote *client.Client, request, position string) error {
	var r domain.UnlockRequest
	if err := remote.Get(ctx, remote.OrgPath("remote-unlocks", request), url.Values{"at_least": {position}, "wait": {outcomeWait}}, &r); err != nil {
		return err
	}
	switch r.Outcome {
	case domain.UnlockExecuted:
		w.say("The door %s opened.", r.Door)
		return nil
	case domain.UnlockRefused:
		return &codedError{exitRefused, fmt.Errorf("the door %s did not open: its gateway refused with %s", r.Door, r.Code)}
	case domain.UnlockUnreachable:
		return &codedError{exitUnavailable, fmt.Errorf("the door %s did not open: no gateway was reached", r.Door)}
	}
	return fmt.Errorf("it is not known whether the door %s opened: its gateway did not say", r.Door)
}
