package eventstore

import (
	"context"
	"slices"
	"time"

	"gatehouse/eventstore/streams"
)

// blockPause is the pause between two blocks of the slow walk. A block is 8 MB at most,
// some 8,000 commits: a million of them take four minutes, and some hundredths of one
// processor.
const blockPause = 2 * time.Second

// checkFiles walks once through the files of every stream, as the server within the
// process has them on its disk.
func (s *Store) checkFiles(ctx context.Context, rest time.Duration) error {
	for _, want := range streams.Wanted(1) {
		if err := s.checkFilesOf(ctx, want.Name, rest); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) checkFilesOf(ctx context.Context, stream string, rest time.Duration) error {
	s.walking.Lock()
	defer s.walking.Unlock()
	w := newWalk()
	found, err := s.cfg.Embedded.Walk(ctx, stream, rest, func(seq uint64, body []byte) {
		if stream == streams.Ledger && seq >= w.next {
			_ = w.take(seq, body) // it counts what it cannot read
		}
	})
	if err != nil {
		return err
	}
	if stream == streams.Ledger {
		w.found.unread += found.Last + 1 - min(w.next, found.Last+1)
		s.checked(w.found)
	}
	if found.Absent == 0 {
		return nil
	}
	if stream == streams.Ledger { // what is stored from now on may be lost as well
		s.streams.mu.Lock()
		s.streams.lost = max(s.streams.lost, found.Absent)
		s.streams.mu.Unlock()
		s.streams.changed.signal()
	}
	return s.cfg.Embedded.NoteAbsent(stream, found.Absent)
}

// lookAtFiles reads the streams of which blocks were changed as the server never does it.
func (s *Store) lookAtFiles(ctx context.Context) error {
	suspects, err := s.files.Suspects()
	if err != nil {
		return err
	}
	for _, want := range streams.Wanted(1) {
		if slices.Contains(suspects, want.Name) {
			if err := s.checkFilesOf(ctx, want.Name, 0); err != nil {
				return err
			}
		}
	}
	return nil
}
