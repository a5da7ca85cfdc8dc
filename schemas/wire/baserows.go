package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"gatehouse/domain/unlock"
)

// readBase reads a base: its header and its rows. A gateway is to decide a second after its
// start, so rows are decoded by several goroutines, as many as there are processors.
func readBase(z io.Reader) (head baseHeader, rows []unlock.Row, err error) {
	r := bufio.NewReaderSize(z, RowBounds.Size)
	first, err := readLine(r)
	if err != nil {
		return head, nil, fmt.Errorf("it ends within a line: %w", err)
	}
	if err := errors.Join(RowBounds.Check(first), json.Unmarshal(first, &head)); err != nil {
		return head, nil, err
	}
	d := rowDecoder{places: make(chan struct{}, runtime.GOMAXPROCS(0))}
	err = d.read(r)
	d.running.Wait()
	if err != nil {
		return head, nil, err
	}
	for _, b := range d.batches {
		if b.err != nil {
			return head, nil, b.err
		}
		rows = append(rows, b.rows...)
	}
	if len(rows) != head.Rows {
		return head, nil, fmt.Errorf("it has %d rows, not %d", len(rows), head.Rows)
	}
	return head, rows, nil
}

// readLine reads a line with its end. The bytes are good until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		err = &BoundError{"bytes in one row", RowBounds.Size}
	}
	return line, err
}

// The size of what one goroutine decodes at a time.
const (
	batchRows  = 512
	batchBytes = 1 << 20
)

// rowDecoder decodes the rows of a base in batches, which stay in their order.
type rowDecoder struct {
	batches []*rowBatch
	places  chan struct{} // one for each batch that is being decoded
	running sync.WaitGroup
}

// rowBatch is some lines, and what became of them.
type rowBatch struct {
	text []byte
	ends []int // of the lines in text
	rows []unlock.Row
	err  error
}

// read reads all lines and has them decoded. It returns before the last are.
func (d *rowDecoder) read(r *bufio.Reader) error {
	b := new(rowBatch)
	for {
		line, err := readLine(r)
		if errors.Is(err, io.EOF) && len(line) == 0 {
			d.decode(b)
			return nil
		}
		if err != nil {
			return fmt.Errorf("it ends within a line: %w", err)
		}
		b.text = append(b.text, line...)
		b.ends = append(b.ends, len(b.text))
		if len(b.ends) == batchRows || len(b.text) >= batchBytes {
			d.decode(b)
			b = new(rowBatch)
		}
	}
}

// decode decodes a batch in a goroutine, once there is a place.
func (d *rowDecoder) decode(b *rowBatch) {
	d.batches = append(d.batches, b)
	d.places <- struct{}{}
	d.running.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				b.err = fmt.Errorf("its rows cannot be decoded: %v", p)
			}
			<-d.places
		}()
		b.decode()
	})
}

func (b *rowBatch) decode() {
	b.rows = make([]unlock.Row, 0, len(b.ends))
	from := 0
	for _, end := range b.ends {
		line := b.text[from:end]
		from = end
		if b.err = RowBounds.Check(line); b.err != nil {
			return
		}
		row, err := unlock.DecodeExact(bytes.TrimSuffix(line, []byte{'\n'}))
		if err != nil {
			b.err = err
			return
		}
		b.rows = append(b.rows, row)
	}
	b.text, b.ends = nil, nil
}
