package uhppote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/durable"
)

// cursor is how far the events of a board were read. It is kept here: that of the board is
// everybody's. A gateway that ends at once may have taken events that it did not record
// yet, as for any record.
type cursor struct {
	Known bool   `json:"known"`
	Index uint32 `json:"index"`
	// Print tells the event from another one of the same index. It has no number of a card.
	Print string `json:"print,omitempty"`
}

func (c cursor) isZero() bool { return !c.Known }

func cursorOf(e *boardEvent) cursor {
	return cursor{true, e.Index, fmt.Sprintf("%s/%d/%d/%d", e.At.Format("20060102150405"), e.Type, e.Door, e.Reason)}
}

// begin puts the cursor on the last event of a board.
func (b *board) begin(ctx context.Context, last uint32) error {
	b.cursor = cursor{Known: true}
	if last > 0 {
		e, err := b.event(ctx, last)
		if err != nil {
			b.cursor = cursor{}
			return err
		}
		b.cursor = cursorOf(&e)
		b.cursor.Index = last
	}
	b.save()
	return nil
}

func (b *board) file() string { return filepath.Join(b.d.dir, fmt.Sprintf("%d.json", b.serial)) }

// load reads the stored cursor. One that cannot be read is told, and started over.
func (b *board) load() cursor {
	var c cursor
	if b.d.dir == "" {
		return b.cursor
	}
	text, err := os.ReadFile(b.file())
	if errors.Is(err, os.ErrNotExist) {
		return cursor{}
	}
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		b.d.log.Error("uhppote: nobody knows how far the events of a board were read; what happened while the gateway was off is not told", "board", b.serial, "err", err)
		return cursor{}
	}
	return c
}

func (b *board) save() {
	if b.d.dir == "" {
		return
	}
	text, err := json.Marshal(b.cursor)
	if err == nil {
		err = durable.Replace(b.file(), text)
	}
	if err != nil {
		b.d.log.Error("uhppote: how far the events of a board were read is not kept", "board", b.serial, "err", err)
	}
}
