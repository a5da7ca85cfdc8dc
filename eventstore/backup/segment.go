package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// SegmentHeader is the first line of a segment's plain form.
type SegmentHeader struct {
	Format   int       `json:"format"`
	Ledger   time.Time `json:"ledger"`
	Stream   string    `json:"stream"`
	First    uint64    `json:"first"`
	Last     uint64    `json:"last"`
	Messages int       `json:"messages"`
}

const (
	// maxPlain bounds a segment's plain form: one that is all but full, and the largest
	// message.
	maxPlain = SegmentSize + maxBody + maxHeader + maxSubject + (64 << 10)
	// maxStored bounds a segment as it is stored: what cannot be compressed grows a little.
	maxStored = maxPlain + 1<<20
)

// sealer makes objects of plain bytes.
type sealer struct {
	recipients []age.Recipient // none: plain
	zip        *zstd.Encoder
}

func newSealer(recipients []age.Recipient) (*sealer, error) {
	// One encoder on one core: a backup is never urgent.
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return nil, fmt.Errorf("backup: make an encoder: %w", err)
	}
	return &sealer{recipients, zip}, nil
}

// segment makes the object of a segment.
func (s *sealer) segment(h SegmentHeader, messages []byte) ([]byte, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("backup: write a segment: %w", err)
	}
	plain := append(append(line, '\n'), messages...)
	return s.seal(s.zip.EncodeAll(plain, make([]byte, 0, len(plain)/2)))
}

// seal encrypts a few bytes.
func (s *sealer) seal(clear []byte) ([]byte, error) {
	var sealed bytes.Buffer
	w, err := s.to(&sealed)
	if err == nil {
		_, err = w.Write(clear)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("backup: encrypt: %w", err)
	}
	return sealed.Bytes(), nil
}

// to encrypts what is written until it is closed.
func (s *sealer) to(w io.Writer) (io.WriteCloser, error) {
	if len(s.recipients) == 0 {
		return unsealed{w}, nil
	}
	return age.Encrypt(w, s.recipients...)
}

// unsealed is what a plain backup is written to.
type unsealed struct{ io.Writer }

// Close does nothing.
func (unsealed) Close() error { return nil }

// opener reads objects.
type opener struct {
	plain      bool
	identities []age.Identity
	unzip      *zstd.Decoder
}

func newOpener(plain bool, identities []age.Identity) (*opener, error) {
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPlain))
	if err != nil {
		return nil, fmt.Errorf("backup: make a decoder: %w", err)
	}
	return &opener{plain, identities, unzip}, nil
}

// decrypt gives what lies in an object.
func (o *opener) decrypt(stored io.Reader) (io.Reader, error) {
	if o.plain {
		return stored, nil
	}
	if len(o.identities) == 0 {
		return nil, fmt.Errorf("%w: the backup is encrypted, and no identity was given", ErrWrongKey)
	}
	r, err := age.Decrypt(stored, o.identities...)
	if _, none := errors.AsType[*age.NoIdentityMatchError](err); none {
		return nil, fmt.Errorf("%w: none of the identities given opens it", ErrWrongKey)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}

// segment checks a stored segment as a whole and gives the messages in it. want is what
// the manifest says of it, ledger and stream where it belongs.
func (o *opener) segment(stored []byte, want Segment, ledger time.Time, stream string) ([]*Message, error) {
	if int64(len(stored)) != want.Size || Hash(sha256.Sum256(stored)) != want.SHA256 {
		return nil, fmt.Errorf("%w: its bytes are others than those that were written", ErrDamaged)
	}
	r, err := o.decrypt(bytes.NewReader(stored))
	if err != nil {
		return nil, err
	}
	zipped, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	plain, err := o.unzip.DecodeAll(zipped, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	messages, err := readSegment(plain, SegmentHeader{Format, ledger.UTC(), stream, want.First, want.Last, want.Messages})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return messages, nil
}

func readSegment(plain []byte, want SegmentHeader) ([]*Message, error) {
	line, rest, _ := bytes.Cut(plain, []byte("\n"))
	var h SegmentHeader
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	if !h.Ledger.Equal(want.Ledger) {
		return nil, fmt.Errorf("it is of the ledger made %s, not %s", h.Ledger, want.Ledger)
	}
	if h.Ledger = want.Ledger; h != want {
		return nil, fmt.Errorf("it holds %+v, and the manifest says %+v", h, want)
	}
	messages := make([]*Message, 0, min(h.Messages, len(rest)))
	last := h.First - 1
	for r := bufio.NewReader(bytes.NewReader(rest)); ; {
		m, err := readMessage(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if m.Seq <= last || m.Seq > h.Last || len(messages) == 0 && m.Seq != h.First {
			return nil, fmt.Errorf("message %d comes behind message %d", m.Seq, last)
		}
		last = m.Seq
		messages = append(messages, m)
	}
	if len(messages) != h.Messages || last != h.Last {
		return nil, fmt.Errorf("it has %d messages up to %d, and %d up to %d were written", len(messages), last, h.Messages, h.Last)
	}
	return messages, nil
}
