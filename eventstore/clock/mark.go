package clock

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"gatehouse/durable"
)

// mark is what a start knows of the time before it.
type mark struct {
	Good     time.Time `json:"good"`     // the last good time
	Sequence uint64    `json:"sequence"` // of the newest commit of the ledger then
}

// Keep writes the mark, unless the wall clock is not trusted. sequence is that of the
// newest commit.
func (c *Clock) Keep(sequence uint64) error {
	if c.cfg.File == "" || c.cfg.Elapsed == nil || c.Check() != nil {
		return nil
	}
	text, err := json.Marshal(mark{c.Now(), sequence})
	if err == nil {
		err = durable.Replace(c.cfg.File, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("clock: keep the last good time: %w", err)
	}
	return nil
}

func readMark(path string) (m mark, err error) {
	if path == "" {
		return m, os.ErrNotExist
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err == nil && m.Good.IsZero() {
		err = errors.New("it has no time")
	}
	return m, err
}
