package backup

import (
	"fmt"
	"strings"
	"time"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
	"gatehouse/schemas"
	"gatehouse/schemas/wire"
)

// Head is the last commit in the chain of an org.
type Head struct {
	Position wire.Position `json:"position"`
	Hash     wire.Hash     `json:"hash"` // of the last body
	At       time.Time     `json:"at"`   // of the last commit
	Commits  uint64        `json:"commits"`
}

// A checker verifies that each message of one stream follows the one before.
type checker struct {
	stream string
	at     uint64                  // the last sequence of closed segments, at which keep was called
	next   uint64                  // of the ledger: the expected sequence
	heads  map[domain.ID]Head      // of the ledger
	tails  map[string]activityTail // of activity, by subject
	flaws  []string                // of activity
	broken map[string]bool         // subjects that flaws tells of

	// The kept fields hold the values at the last call of keep. A zero value in a map
	// means that the key was absent.
	keptNext  uint64
	keptHeads map[domain.ID]Head
	keptTails map[string]activityTail
}

type activityTail struct {
	k    uint64
	hash wire.Hash
}

// maxFlaws bounds how many broken chains of activity are reported by name.
const maxFlaws = 20

func newChecker(stream string, first uint64) *checker {
	c := &checker{stream: stream, next: first, heads: map[domain.ID]Head{}, tails: map[string]activityTail{}, broken: map[string]bool{}}
	c.keep()
	return c
}

// keep saves the present state for rewind.
func (c *checker) keep() {
	c.keptNext, c.keptHeads, c.keptTails = c.next, map[domain.ID]Head{}, map[string]activityTail{}
}

// rewind goes back to the state that keep saved.
func (c *checker) rewind() {
	c.next = c.keptNext
	restore(c.heads, c.keptHeads)
	restore(c.tails, c.keptTails)
	c.keep()
}

func restore[K, V comparable](now, kept map[K]V) {
	var absent V
	for key, value := range kept {
		if value == absent {
			delete(now, key)
		} else {
			now[key] = value
		}
	}
}

// set puts a value into a map. The first time since keep it saves the replaced value in
// kept.
func set[K comparable, V any](now, kept map[K]V, key K, value V) {
	if _, known := kept[key]; !known {
		kept[key] = now[key]
	}
	now[key] = value
}

// take checks the next message. After an error the message must not be copied.
func (c *checker) take(m *Message) error {
	switch c.stream {
	case streams.Ledger:
		return c.takeCommit(m)
	case streams.Activity:
		c.takeActivity(m)
	}
	return nil
}

// takeCommit checks a message of the ledger. None may be absent, and each is a commit
// that follows its org's head.
func (c *checker) takeCommit(m *Message) error {
	if m.Seq != c.next {
		return fmt.Errorf("%w: message %d of %s is not there, message %d comes in its place: %s", ErrBroken, c.next, c.stream, m.Seq, streams.DamageAdvice)
	}
	commit, err := schemas.DecodeCommit(m.Body)
	if err != nil {
		return fmt.Errorf("%w: message %d of %s is no commit: %w", ErrBroken, m.Seq, c.stream, err)
	}
	head := c.heads[commit.Org]
	if !strings.HasPrefix(m.Subject, "ledger.") || !strings.HasSuffix(m.Subject, "."+string(commit.Org)) {
		return fmt.Errorf("%w: commit %s of org %q (message %d) lies on the subject %s", ErrBroken, commit.Position(), commit.Org, m.Seq, m.Subject)
	}
	if err := commit.Follows(head.Position, head.Hash); err != nil {
		return fmt.Errorf("%w: org %s: commit %s (message %d) does not follow %s: %w", ErrBroken, commit.Org, commit.Position(), m.Seq, head.Position, err)
	}
	set(c.heads, c.keptHeads, commit.Org, Head{commit.Position(), wire.HashOf(m.Body), commit.At, head.Commits + 1})
	c.next++
	return nil
}

// takeActivity checks a record of a gateway. Records may be absent before the first
// one, and between the end of an earlier segment and the first that was left later:
// retention removed them.
func (c *checker) takeActivity(m *Message) {
	a, err := wire.DecodeActivity(m.Body)
	if err != nil {
		c.flaw(m, "message %d is no record", m.Seq)
		return
	}
	tail, known := c.tails[m.Subject]
	switch {
	case known && a.K <= tail.k:
		c.flaw(m, "record %d (message %d) comes behind record %d", a.K, m.Seq, tail.k)
	case known && a.K == tail.k+1 && a.Prev != tail.hash:
		c.flaw(m, "record %d (message %d) does not follow the one before", a.K, m.Seq)
	}
	set(c.tails, c.keptTails, m.Subject, activityTail{a.K, wire.HashOf(m.Body)})
}

func (c *checker) flaw(m *Message, format string, args ...any) {
	if c.broken[m.Subject] {
		return
	}
	c.broken[m.Subject] = true
	if len(c.flaws) < maxFlaws {
		c.flaws = append(c.flaws, m.Subject+": "+fmt.Sprintf(format, args...))
	}
}
