package eventstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// blockPause is the pause between two blocks of the slow walk. A block is 8 MB at
	// most, some 8,000 commits: a million of them take four minutes, and some hundredths of
	// one processor.
	blockPause = 2 * time.Second
	// blockTries is how often a block is read that looks damaged, before it is taken for
	// that: the server may be writing to it.
	blockTries = 4
	blockAgain = 50 * time.Millisecond
)

// checkFiles walks once through the files of every stream, as the server within the
// process has them on its disk. It does not ask the server for messages, which would cut
// a damaged block at that.
func (s *Store) checkFiles(ctx context.Context, rest time.Duration) error {
	for _, want := range wanted(1) {
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
	f := fileWalk{e: s.cfg.Embedded, stream: stream, take: func(record) {}}
	if stream == StreamLedger {
		f.take = func(r record) {
			if r.seq >= w.next {
				_ = w.take(r.seq, r.body) // it counts what it cannot read
			}
		}
	}
	if err := f.run(ctx, rest); err != nil {
		return fmt.Errorf("eventstore: check the files of %s: %w", stream, err)
	}
	if stream == StreamLedger {
		w.found.unread += f.end.Last + 1 - min(w.next, f.end.Last+1)
		s.checked(w.found)
	}
	if f.absent == 0 {
		return nil
	}
	if stream == StreamLedger { // what is stored from now on may be lost as well
		s.streams.mu.Lock()
		s.streams.lost = max(s.streams.lost, f.absent)
		s.streams.mu.Unlock()
		s.streams.changed.signal()
	}
	return f.e.noteAbsent(stream, f.absent)
}

// fileWalk is one way through the blocks of a stream.
type fileWalk struct {
	e      *Embedded
	stream string
	take   func(record)

	end    streamEnd // before the walk
	last   uint64    // sequence
	hurt   bool      // the block before is damaged
	absent uint64    // messages that the server has and no file holds, but for those in damaged blocks
}

func (f *fileWalk) run(ctx context.Context, rest time.Duration) error {
	ends, err := f.e.streamEnds()
	if err != nil {
		return err
	}
	f.end = ends[f.stream]
	blocks, err := listBlocks(f.e.cfg.Dir)
	if err != nil {
		return err
	}
	gone := f.end.Last - f.end.Msgs // as the server knows it
	for _, b := range blocks {
		if b.stream != f.stream {
			continue
		}
		if err := f.block(b); err != nil {
			return err
		}
		if err := pause(ctx, rest); err != nil {
			return err
		}
	}
	if now, err := f.e.streamEnds(); err == nil { // some may have been taken out meanwhile
		gone = max(gone, now[f.stream].Last-now[f.stream].Msgs)
	}
	f.absent -= min(f.absent, gone)
	f.absent += f.end.Last - min(f.end.Last, f.last) // the last message of a stream is never taken out
	return nil
}

// block reads one block, and keeps it aside when it is damaged.
func (f *fileWalk) block(b block) error {
	var content []byte
	var found findings
	for try := 1; ; try++ {
		var err error
		if content, err = os.ReadFile(b.path); errors.Is(err, os.ErrNotExist) {
			return nil // the server has taken it out, or what it held is found absent
		} else if err != nil {
			return err
		}
		if found, err = b.check(content, func(record) {}); err != nil {
			return err
		}
		if found.damage == nil || b.last && !found.behind && found.last >= f.end.Last {
			break // at the worst, a message is being written
		}
		if try == blockTries {
			if err := f.e.keep(b, content, found); err != nil {
				return err
			}
			break
		}
		time.Sleep(blockAgain)
	}
	if found.damage == nil && !f.hurt && found.first > f.last+1 {
		f.absent += found.first - f.last - 1
	}
	f.hurt = found.damage != nil
	if _, err := b.check(content, f.take); err != nil {
		return err
	}
	f.last = max(f.last, found.last)
	if b.last && found.damage == nil && found.last < f.end.Last {
		found.damage, found.at = fmt.Errorf("it ends at message %d, and the server has stored %d", found.last, f.end.Last), len(content)
		return f.e.keep(b, content, found)
	}
	return nil
}

// noteAbsent writes down that files of a running server are gone, or older than they
// were, unless that is known.
func (e *Embedded) noteAbsent(stream string, absent uint64) error {
	e.aside.mu.Lock()
	known := e.aside.absent[stream]
	if e.aside.absent == nil {
		e.aside.absent = map[string]uint64{}
	}
	e.aside.absent[stream] = max(known, absent)
	e.aside.mu.Unlock()
	if absent <= known {
		return nil
	}
	return e.note(stream, fmt.Sprintf("%d messages of %s were stored and are in no file any more: files were deleted, cut or put back while the server ran. "+
		"Restart this instance, which then tells what is lost.", absent, stream))
}

// lookAtFiles finds blocks that were changed as the server never does it, and reads the
// streams that they are of.
func (s *Store) lookAtFiles(ctx context.Context) error {
	now, err := filesAs(s.cfg.Embedded.cfg.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil // one was taken out just now
	}
	if err != nil {
		return err
	}
	was := s.files
	s.files = now
	suspects := map[string]bool{}
	for name, before := range was {
		after, there := now[name]
		if filepath.Ext(name) != ".blk" {
			continue
		}
		stream := filepath.Base(filepath.Dir(filepath.Dir(name)))
		replaced := !there || after.Inode != before.Inode
		switch {
		case replaced && (slices.Contains(purged, stream) || stream == StreamRefusals): // the server takes out what is purged
		case replaced, after.Size < before.Size, after.Size == before.Size && after.Modified != before.Modified:
			suspects[stream] = true
		}
	}
	for _, want := range wanted(1) {
		if suspects[want.Name] {
			if err := s.checkFilesOf(ctx, want.Name, 0); err != nil {
				return err
			}
		}
	}
	return nil
}
