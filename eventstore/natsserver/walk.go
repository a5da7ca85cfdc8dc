package natsserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/streams"
)

const (
	// blockTries is how often a block is read that looks damaged, before it is taken for
	// that: the server may be writing to it.
	blockTries = 4
	blockAgain = 50 * time.Millisecond
)

// Walked is what a walk through the files of a stream found.
type Walked struct {
	Last   uint64 // sequence of the last message before the walk, as the server knew it
	Absent uint64 // messages that the server has and no file holds, but for those in damaged blocks
}

// Walk reads the files of a stream, with a pause behind each block, and gives every
// message once. It does not ask the server for messages, which would cut a damaged block
// at that. A damaged block is kept aside. A message in the last block may be given twice
// while the server writes to it.
func (e *Embedded) Walk(ctx context.Context, stream string, rest time.Duration, f func(seq uint64, body []byte)) (Walked, error) {
	w := fileWalk{e: e, stream: stream, take: func(r record) { f(r.seq, r.body) }}
	if err := w.run(ctx, rest); err != nil {
		return Walked{}, fmt.Errorf("natsserver: check the files of %s: %w", stream, err)
	}
	return Walked{Last: w.end.Last, Absent: w.absent}, nil
}

// fileWalk is one way through the blocks of a stream.
type fileWalk struct {
	e      *Embedded
	stream string
	take   func(record)

	end    mark.StreamEnd // before the walk
	last   uint64         // sequence
	hurt   bool           // the block before is damaged
	absent uint64         // messages that the server has and no file holds, but for those in damaged blocks
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

// NoteAbsent writes down that files of a running server are gone, or older than they
// were, unless that is known.
func (e *Embedded) NoteAbsent(stream string, absent uint64) error {
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

// FileWatch looks at the files of the streams again and again. It is for one goroutine.
type FileWatch struct {
	dir   string
	files map[string]fileAs // as they were seen last
}

// WatchFiles returns a watch over the files of the server that has seen none yet.
func (e *Embedded) WatchFiles() *FileWatch { return &FileWatch{dir: e.cfg.Dir} }

// Suspects returns the streams of which blocks were changed, since the call before, as
// the server never does it.
func (w *FileWatch) Suspects() ([]string, error) {
	now, err := filesAs(w.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // one was taken out just now
	}
	if err != nil {
		return nil, err
	}
	was := w.files
	w.files = now
	var suspects []string
	for name, before := range was {
		after, there := now[name]
		if filepath.Ext(name) != ".blk" {
			continue
		}
		stream := filepath.Base(filepath.Dir(filepath.Dir(name)))
		replaced := !there || after.Inode != before.Inode
		switch {
		case replaced && (slices.Contains(purged, stream) || stream == streams.Refusals): // the server takes out what is purged
		case replaced, after.Size < before.Size, after.Size == before.Size && after.Modified != before.Modified:
			suspects = append(suspects, stream)
		}
	}
	slices.Sort(suspects)
	return slices.Compact(suspects), nil
}

// pause waits, and returns an error when the context ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
