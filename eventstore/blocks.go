package eventstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

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
)

// keepDamagedBlocks reads the blocks of every stream before the server does, which
// cuts a block at the first damage in silence. A damaged one is copied aside as a
// whole, to DIR/damaged.
func keepDamagedBlocks(dir string, now time.Time) (kept []string, err error) {
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		return nil, err
	}
	for _, path := range blocks {
		content, err := os.ReadFile(path)
		if err != nil {
			return kept, fmt.Errorf("eventstore: read a block: %w", err)
		}
		stream := filepath.Base(filepath.Dir(filepath.Dir(path)))
		at, damage := checkBlock(stream+"-"+strings.TrimSuffix(filepath.Base(path), ".blk"), content)
		if damage == nil {
			continue
		}
		aside := filepath.Join(dir, "damaged", fmt.Sprintf("%s-%s-%s", now.UTC().Format("20060102T150405.000000000Z"), stream, filepath.Base(path)))
		if err := writeFile(aside, content); err != nil {
			return kept, fmt.Errorf("eventstore: keep a damaged block: %w", err)
		}
		kept = append(kept, fmt.Sprintf("%s at byte %d of %d: %v; kept whole as %s", path, at, len(content), damage, aside))
	}
	return kept, nil
}

// damagedBlocks are the damaged blocks of a stream that are kept, of this start and
// of earlier ones.
func (e *Embedded) damagedBlocks(stream string) []string {
	found, err := filepath.Glob(filepath.Join(e.cfg.Dir, "damaged", "*-"+stream+"-*.blk"))
	if err != nil { // of a malformed pattern alone
		return nil
	}
	return found
}

// checkBlock reads the records of a block and returns where the first damage is. The
// checksums are keyed by the block's name: stream, dash, number.
func checkBlock(name string, content []byte) (at int, damage error) {
	key := sha256.Sum256([]byte(name))
	hash, err := highwayhash.New64(key[:])
	if err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	for at < len(content) {
		rest := content[at:]
		if len(rest) < recordHead {
			return at, errors.New("a record is cut off")
		}
		size, subject := le.Uint32(rest), int(le.Uint16(rest[20:]))
		length := int(size &^ headersBit)
		skip := 0
		if size&headersBit != 0 {
			skip = lengthOfHead
		}
		if length > recordMax || length > len(rest) || recordHead+subject+skip+recordSum > length {
			return at, fmt.Errorf("a record of %d bytes does not fit", length)
		}
		if skip > 0 { // no checksum covers where the headers begin and end
			headers := rest[recordHead+subject+skip : length-recordSum]
			size := uint64(le.Uint32(rest[recordHead+subject:]))
			if size > uint64(len(headers)) || !bytes.HasPrefix(headers, []byte("NATS/1.0")) || !bytes.HasSuffix(headers[:size], []byte("\r\n\r\n")) {
				return at, errors.New("the headers of a record are damaged")
			}
		}
		hash.Reset()
		hash.Write(rest[4:20])
		hash.Write(rest[recordHead : recordHead+subject])
		hash.Write(rest[recordHead+subject+skip : length-recordSum])
		if !bytes.Equal(hash.Sum(nil), rest[length-recordSum:length]) {
			return at, errors.New("the checksum of a record is wrong")
		}
		at += length
	}
	return at, nil
}
