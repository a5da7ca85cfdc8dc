package backup

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Message is one message of a stream as it is stored there.
type Message struct {
	Seq     uint64
	Time    time.Time
	Subject string
	Header  map[string][]string // nil: none
	Body    []byte
}

// The limits of a message: the streams accept a MiB, and the server headers of 64 KiB.
const (
	maxSubject = 4 << 10
	maxHeader  = 64 << 10
	maxBody    = 4 << 20
)

// append appends the encoded message to b.
func (m *Message) append(b []byte) []byte {
	b = binary.AppendUvarint(b, m.Seq)
	b = binary.AppendVarint(b, m.Time.UnixNano())
	b = appendBytes(b, m.Subject)
	b = appendBytes(b, headerText(m.Header))
	return appendBytes(b, m.Body)
}

func appendBytes[T string | []byte](b []byte, part T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

func headerText(h map[string][]string) string {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[key] {
			text.WriteString(key + ": " + value + "\r\n")
		}
	}
	return text.String()
}

// readMessage reads the next message. io.EOF means that there is none.
func readMessage(r *bufio.Reader) (*Message, error) {
	seq, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err // io.EOF where a message would begin
	}
	m, err := readRest(r, seq)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("message %d: %w", seq, err)
	}
	return m, nil
}

func readRest(r *bufio.Reader, seq uint64) (*Message, error) {
	ns, err := binary.ReadVarint(r)
	if err != nil {
		return nil, err
	}
	subject, err := readBytes(r, maxSubject)
	if err != nil {
		return nil, err
	}
	header, err := readBytes(r, maxHeader)
	if err != nil {
		return nil, err
	}
	m := &Message{Seq: seq, Time: time.Unix(0, ns).UTC(), Subject: string(subject)}
	if m.Header, err = parseHeader(header); err != nil {
		return nil, err
	}
	m.Body, err = readBytes(r, maxBody)
	return m, err
}

func readBytes(r *bufio.Reader, most uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > most {
		return nil, fmt.Errorf("a part of %d bytes, at most %d are possible", n, most)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, err
}

func parseHeader(b []byte) (map[string][]string, error) {
	if len(b) == 0 {
		return nil, nil
	}
	h := map[string][]string{}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(b, []byte("\r\n")), []byte("\r\n")) {
		key, value, ok := bytes.Cut(line, []byte(": "))
		if !ok {
			return nil, fmt.Errorf("%q is no header", line)
		}
		h[string(key)] = append(h[string(key)], string(value))
	}
	return h, nil
}
