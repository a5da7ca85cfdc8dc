package backup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"gatehouse/eventstore/streams"
)

// appending copies the new messages of one stream.
type appending struct {
	ctx     context.Context // of the run
	w       *Writer
	stream  *Stream // of the manifest
	state   StreamState
	result  *Result
	checker *checker
	closed  uint64 // the last sequence of closed segments

	buffer   []byte // messages of the segment that is being filled
	first    uint64
	last     *Message
	messages int
	old      uint64 // up to this sequence the messages were in the backup before
	reopened bool   // the last segment of the stream is to be replaced by the next one written
}

// standBehindClosed moves the checker past the closed segments and returns the open
// one.
func (a *appending) standBehindClosed(ctx context.Context) (open *Segment, err error) {
	segments := a.stream.Segments
	if n := len(segments); n > 0 && segments[n-1].Open {
		open, segments = &segments[n-1], segments[:n-1]
	}
	if n := len(segments); n > 0 {
		a.closed = segments[n-1].Last
	}
	a.checker = a.w.checkers[a.state.Name]
	if a.checker == nil || a.checker.at != a.closed {
		if a.checker, err = a.walk(ctx, segments); err != nil {
			return nil, err
		}
		a.w.checkers[a.state.Name] = a.checker
	}
	a.checker.rewind()
	return open, nil
}

// walk returns a checker that stands after the closed segments. The ledger is read from
// its first message and compared with each segment at its end, unless that state was
// saved. In the other streams the chains start with the first message that is seen.
func (a *appending) walk(ctx context.Context, closed []Segment) (*checker, error) {
	c := newChecker(a.state.Name, 1)
	if a.state.Name == streams.Ledger && a.closed > 0 {
		if saved := a.w.savedChecker(closed[len(closed)-1]); saved != nil {
			saved.at = a.closed
			saved.keep()
			return saved, nil
		}
		err := a.w.source.Read(ctx, a.state.Name, 1, a.closed, func(m *Message) error {
			if m.Seq == closed[0].Last {
				if err := a.sameTail(m, closed[0]); err != nil {
					return err
				}
				closed = closed[1:]
			}
			return c.take(m)
		})
		if err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
		if c.next != a.closed+1 {
			return nil, fmt.Errorf("backup: %w: message %d of %s cannot be read: %s", ErrBroken, c.next, a.state.Name, streams.DamageAdvice)
		}
	}
	c.at = a.closed
	c.keep()
	return c, nil
}

// sameTail requires that the stream has the last message of a segment at that position.
func (a *appending) sameTail(m *Message, s Segment) error {
	if Hash(sha256.Sum256(m.Body)) == s.Tail {
		return nil
	}
	return fmt.Errorf("%w: message %d of %s (%s) is another than object %s of %s ends with: one of them was changed; keep both, and give another target",
		ErrOther, m.Seq, a.state.Name, m.Subject, s.Name, a.w.target)
}

// reopen reads the messages of the open segment again and returns the next sequence to
// read. They are written together with the messages after them. A segment from which
// retention has removed messages stays as it is.
func (a *appending) reopen(ctx context.Context, open Segment) (from uint64, err error) {
	a.old, a.reopened = open.Last, true
	again := 0
	err = a.w.source.Read(ctx, a.state.Name, a.closed+1, open.Last, func(m *Message) error {
		again++
		if m.Seq == open.Last {
			if err := a.sameTail(m, open); err != nil {
				return err
			}
		}
		return a.take(m)
	})
	if err != nil {
		return 0, fmt.Errorf("backup: %w", err)
	}
	if again >= open.Messages {
		return open.Last + 1, nil
	}
	if a.state.Name == streams.Ledger {
		return 0, fmt.Errorf("backup: %w: %s has %d messages from %d to %d, and object %s has %d: %s", ErrBroken,
			a.state.Name, again, a.closed+1, open.Last, open.Name, open.Messages, streams.DamageAdvice)
	}
	a.reopened = false
	a.stream.Segments[len(a.stream.Segments)-1].Open = false
	a.buffer, a.messages, a.last, a.closed = nil, 0, nil, open.Last
	a.checker.keep()
	a.checker.at = open.Last
	return open.Last + 1, nil
}

// take takes one message, and writes the segment when it is full.
func (a *appending) take(m *Message) error {
	if err := a.checker.take(m); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if a.messages == 0 {
		a.first = m.Seq
	}
	if m.Seq > a.old {
		a.result.Messages[a.state.Name]++
	}
	a.buffer, a.last = m.append(a.buffer), m
	if a.messages++; len(a.buffer) < a.w.segmentSize {
		return nil
	}
	return a.flush(a.ctx, false)
}

// flush writes the messages collected so far, as the open segment or as a closed one.
func (a *appending) flush(ctx context.Context, open bool) error {
	if a.messages == 0 {
		return nil
	}
	h := SegmentHeader{Format, a.w.manifest.Ledger, a.state.Name, a.first, a.last.Seq, a.messages}
	stored, err := a.w.sealer.segment(h, a.buffer)
	if err != nil {
		return err
	}
	seg := Segment{First: a.first, Last: a.last.Seq, Messages: a.messages, Newest: a.last.Time.Truncate(time.Second).UTC(), Size: int64(len(stored)),
		Tail: Hash(sha256.Sum256(a.last.Body)), Open: open}
	seg.Name, seg.SHA256, err = a.w.put(ctx, "segments/"+a.state.Name, fmt.Sprintf("%020d-%020d", seg.First, seg.Last), stored)
	if err != nil {
		return err
	}
	if a.reopened {
		n := len(a.stream.Segments) - 1
		a.w.manifest.Replaced = append(a.w.manifest.Replaced, Replaced{a.stream.Segments[n].Name, a.w.opts.Now().UTC()})
		a.stream.Segments, a.reopened = a.stream.Segments[:n], false
	}
	a.stream.Segments = append(a.stream.Segments, seg)
	a.stream.Last = max(a.stream.Last, seg.Last)
	a.result.Written += seg.Size
	a.w.unsaved += seg.Size
	a.buffer, a.messages, a.last = a.buffer[:0], 0, nil
	if open {
		return nil
	}
	a.closed = seg.Last
	a.checker.keep()
	a.checker.at = seg.Last
	if a.w.unsaved < saveEvery {
		return nil
	}
	return a.w.save(ctx)
}
