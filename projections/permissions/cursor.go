package permissions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
)

// cursorDelay is how long commits that change no row wait for the cursor.
const cursorDelay = time.Second

// cursorsKept is how many messages the cursor's subject may have before the old
// ones are purged.
const cursorsKept = 64

// cursor is what an org's last cursor message says.
type cursor struct {
	known   bool
	done    uint64
	seq     uint64
	written int // since the last purge
}

// cursorBody says up to which commit everything is published. Sites of which
// nothing is published then are published whole.
type cursorBody struct {
	Format int       `json:"format"`
	Org    domain.ID `json:"org"`
	Done   uint64    `json:"done"`
	At     time.Time `json:"at"`
}

// cursorSubject is beside those of the sites: no site has this id.
func cursorSubject(org domain.ID) string { return "permissions." + string(org) + "._" }

func (p *Projector) readCursor(ctx context.Context, org domain.ID) (cursor, error) {
	msg, err := p.stream.GetLastMsgForSubject(ctx, cursorSubject(org))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return cursor{}, nil
	}
	if err != nil {
		return cursor{}, err
	}
	var body cursorBody
	if err := json.Unmarshal(msg.Data, &body); err != nil {
		return cursor{}, fmt.Errorf("read the cursor: %w", err)
	}
	return cursor{known: true, done: body.Done, seq: msg.Sequence, written: cursorsKept}, nil
}

// writeCursor says that an org is published up to commit n, unless another
// instance has said more. It never goes back, so that no snapshot is beyond it.
func (p *Projector) writeCursor(ctx context.Context, o *org, n uint64) outcome {
	body, err := json.Marshal(cursorBody{Format: 1, Org: o.id, Done: n, At: p.cfg.Now().UTC()})
	if err != nil {
		p.cfg.Log.Error("the cursor of permissions cannot be written", "org", o.id, "error", err)
		return retry
	}
	subject := cursorSubject(o.id)
	seq, err := p.cfg.Store.GuardedAppend(ctx, streams.Permissions, subject, [][]byte{body}, o.cursor.seq)
	if errors.Is(err, eventstore.ErrConflict) {
		c, err := p.readCursor(ctx, o.id)
		if err == nil && c.known {
			o.cursor = c
			o.madeDurable(c.done)
			return more
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			p.cfg.Log.Warn("the cursor of permissions cannot be written; trying again", "org", o.id, "error", err)
		}
		return retry
	}
	o.cursor.known, o.cursor.done, o.cursor.seq = true, n, seq
	o.madeDurable(n)
	if o.cursor.written++; o.cursor.written >= cursorsKept {
		o.cursor.written = 0
		if err := p.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeKeep(1)); err != nil && ctx.Err() == nil {
			p.cfg.Log.Warn("old cursors of permissions stay", "org", o.id, "error", err)
		}
	}
	return more
}

// askCursor asks for the cursor now.
func (o *org) askCursor() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = true
	o.wakeLocked()
}

// delayCursor asks for the cursor in a moment, for commits that no delta tells of.
// The org is locked.
func (o *org) delayCursor() {
	if o.delay != nil || o.durable >= o.head.N || o.ended {
		return
	}
	o.delay = time.AfterFunc(cursorDelay, func() {
		o.mu.Lock()
		o.delay = nil
		o.mu.Unlock()
		o.askCursor()
	})
}
