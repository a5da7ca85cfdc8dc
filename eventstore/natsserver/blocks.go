package natsserver

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
)

// The layout of a record in a block of nats-server 2.15: length with a bit for
// headers (4), sequence (8), time (8), length of the subject (2), the subject, with
// headers their length (4) and they themselves, the message, and a checksum (8) over
// sequence, time, subject, headers and message.
const (
	recordHead   = 22
	recordSum    = 8
	recordMax    = 32 << 20
	headersBit   = 1 << 31
	lengthOfHead = 4
	erasedBit    = 1 << 63 // of a sequence: the message was taken out
	tombstoneBit = 1 << 62 // of a sequence: the message of an earlier record was taken out
)

// maxLeap is how far the sequence of a record may be beyond that of the one before
// damage. Bytes that look like a record farther off are not one.
const maxLeap = 1 << 32

// record is one of a block. Its body is not copied out of what was read.
type record struct {
	seq  uint64 // without the bits of erased messages and of tombstones
	body []byte // the message; empty for a message that was taken out
	gone bool   // it says that a message was taken out
}

// block is one file of messages of a stream.
type block struct {
	stream string
	path   string
	number int
	last   bool // it is the one that is written to
}

// name is that by which the checksums of the block are keyed.
func (b block) name() string { return fmt.Sprintf("%s-%d", b.stream, b.number) }

// listBlocks returns the blocks of the streams in a directory, by stream and number.
func listBlocks(dir string) ([]block, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "jetstream", "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		return nil, err
	}
	var out []block
	for _, path := range paths {
		if n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".blk")); err == nil {
			out = append(out, block{stream: filepath.Base(filepath.Dir(filepath.Dir(path))), path: path, number: n})
		}
	}
	slices.SortFunc(out, func(a, b block) int {
		return cmp.Or(cmp.Compare(filepath.Dir(a.path), filepath.Dir(b.path)), cmp.Compare(a.number, b.number))
	})
	for i := range out {
		out[i].last = i+1 == len(out) || filepath.Dir(out[i+1].path) != filepath.Dir(out[i].path)
	}
	return out, nil
}

// A reader reads the records of blocks of one name.
type reader struct{ hash hash.Hash64 }

func (b block) reader() (reader, error) {
	key := sha256.Sum256([]byte(b.name()))
	h, err := highwayhash.New64(key[:])
	return reader{h}, err
}

// read gives the records of a block up to the first damage, and returns where that is.
func (r reader) read(content []byte, f func(record)) (at int, damage error) {
	for at < len(content) {
		rec, length, err := r.one(content[at:])
		if err != nil {
			return at, err
		}
		f(rec)
		at += length
	}
	return at, nil
}

// one reads the record with which a text begins.
func (r reader) one(text []byte) (rec record, length int, damage error) {
	le := binary.LittleEndian
	if len(text) < recordHead {
		return rec, 0, errCutOff
	}
	size, subject := le.Uint32(text), int(le.Uint16(text[20:]))
	length = int(size &^ headersBit)
	skip := 0
	if size&headersBit != 0 {
		skip = lengthOfHead
	}
	if length > recordMax || recordHead+subject+skip+recordSum > length {
		return rec, 0, fmt.Errorf("a record of %d bytes does not fit", length)
	}
	if length > len(text) {
		return rec, 0, errCutOff
	}
	body := text[recordHead+subject+skip : length-recordSum]
	r.hash.Reset()
	r.hash.Write(text[4:20])
	r.hash.Write(text[recordHead : recordHead+subject])
	r.hash.Write(body)
	if skip > 0 { // no checksum covers where the headers begin and end
		size := uint64(le.Uint32(text[recordHead+subject:]))
		if size > uint64(len(body)) || !bytes.HasPrefix(body, []byte("NATS/1.0")) || !bytes.HasSuffix(body[:size], []byte("\r\n\r\n")) {
			return rec, 0, errors.New("the headers of a record are damaged")
		}
		body = body[size:]
	}
	if !bytes.Equal(r.hash.Sum(nil), text[length-recordSum:length]) {
		return rec, 0, errors.New("the checksum of a record is wrong")
	}
	seq := le.Uint64(text[4:])
	return record{seq: seq &^ (erasedBit | tombstoneBit), body: body, gone: seq&(erasedBit|tombstoneBit) != 0}, length, nil
}

var errCutOff = errors.New("a record is cut off")

// next finds the first whole record behind damage whose sequence may follow the last
// that was read; at the end of the block there is none.
func (r reader) next(content []byte, at int, last uint64) int {
	for at++; at+recordHead <= len(content); at++ {
		seq := binary.LittleEndian.Uint64(content[at+4:]) &^ (erasedBit | tombstoneBit)
		if seq <= last || seq-last > maxLeap {
			continue
		}
		if _, _, err := r.one(content[at:]); err == nil {
			return at
		}
	}
	return len(content)
}

// findings are what is found in a block.
type findings struct {
	first, last uint64 // sequences of whole records; 0: there is none
	damage      error  // the first; nil: there is none
	at          int    // where it is
	behind      bool   // whole records stand behind it
}

// check reads a whole block, also what stands behind damage, and gives its records.
func (b block) check(content []byte, f func(record)) (found findings, err error) {
	r, err := b.reader()
	if err != nil {
		return found, err
	}
	take := func(rec record) {
		if found.first == 0 && !rec.gone {
			found.first = rec.seq
		}
		found.last = max(found.last, rec.seq)
		found.behind = found.damage != nil
		f(rec)
	}
	for at := 0; ; {
		stop, damage := r.read(content[at:], take)
		if damage == nil {
			return found, nil
		}
		at += stop
		if found.damage == nil {
			found.damage, found.at = damage, at
		}
		at = r.next(content, at, found.last)
	}
}
