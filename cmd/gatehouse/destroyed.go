package main

import (
	"context"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/restore"
)

// destroyedAgain is when a copy of the destroyed keys to the witness is tried again.
const destroyedAgain = 10 * time.Second

// keepDestroyed returns a function that notes keys in the data directory before they
// are destroyed. The notes are copied to the witness in the background: an erasure does
// not wait for a disk that hangs, and a vault put back from a copy finds them there.
func (s *service) keepDestroyed(witness string) func(domain.ID, []string) error {
	more := make(chan struct{}, 1)
	note := func(org domain.ID, keys []string) error {
		defer func() {
			select {
			case more <- struct{}{}:
			default: // it is known already
			}
		}()
		return restore.NoteDestroyed(s.cfg.Data, org, keys)
	}
	if witness == "" {
		return note
	}
	running, end := context.WithCancel(context.Background())
	s.onStop(func(context.Context) error { end(); return nil })
	go func() {
		for {
			var again <-chan time.Time
			if err := mark.CopyDestroyed(s.cfg.Data, witness); err != nil {
				s.cfg.Log.Error("the witness lacks the ids of destroyed keys; trying again", "witness", witness, "error", err)
				again = time.After(destroyedAgain)
			}
			select {
			case <-running.Done():
				return
			case <-more:
			case <-again:
			}
		}
	}()
	return note
}
