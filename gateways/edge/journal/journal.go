// Package journal keeps byte strings in order in files that are only appended to: what a
// gateway must not lose in a power cut.
//
// # Frames
//
// A frame is its length (32 bits, big endian), the CRC-32C (Castagnoli) of length and
// body, and the body. Frames have numbers without gaps. A file is a row of frames and
// nothing else, named after the number of its first.
//
// # A torn end
//
// A power cut leaves at most one unfinished frame at the end of the last file. It is cut
// off at the next start, and its size told: nothing in it was ever said to be durable.
// Damage elsewhere is no torn end. Reading stops before it with [ErrDamaged], and
// nothing behind it is taken for what it may not be.
package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gatehouse/durable"
	"gatehouse/failpoint"
)

const (
	// MaxFrame is the greatest body of a frame in bytes.
	MaxFrame = 1 << 20
	// MaxFile is the size in bytes after which an append begins a new file.
	MaxFile = 4 << 20

	header    = 8
	extension = ".journal"
)

// ErrDamaged is wrapped by the error of a frame that is not as it was written.
var ErrDamaged = errors.New("the journal is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Journal is an open journal. It is not safe for concurrent use, but for Sync, which may
// run beside Append.
type Journal struct {
	dir   string
	mu    sync.Mutex // guards file between Append and Sync
	file  *os.File
	size  int64 // of the file
	total int64 // of all files
	torn  int64
}

// Open opens the journal of a directory, which it makes, and cuts off a torn end.
func Open(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{dir: dir}
	names, err := j.names()
	if err != nil || len(names) == 0 {
		return j, err
	}
	path := filepath.Join(dir, names[len(names)-1])
	whole, total, err := measure(path)
	if err != nil {
		return nil, err
	}
	if j.file, err = os.OpenFile(path, os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if j.torn = total - whole; j.torn > 0 {
		if err := errors.Join(j.file.Truncate(whole), j.file.Sync()); err != nil {
			return nil, errors.Join(fmt.Errorf("journal: cut off the torn end of %s: %w", path, err), j.file.Close())
		}
	}
	for _, n := range names {
		info, err := os.Stat(filepath.Join(dir, n))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("journal: %w", err), j.file.Close())
		}
		j.total += info.Size()
	}
	j.size = whole
	if _, err := j.file.Seek(whole, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), j.file.Close())
	}
	return j, nil
}

// measure returns the size of a file up to its torn end, and its whole size. An end
// that looks torn but is followed by a whole frame is damage, and is left as it is.
func measure(path string) (whole, total int64, err error) {
	data, err := os.ReadFile(path) // at most MaxFile and a frame
	if err != nil {
		return 0, 0, fmt.Errorf("journal: %w", err)
	}
	total = int64(len(data))
	for rest := data; ; {
		n, ok := frame(rest)
		if !ok {
			break
		}
		whole, rest = whole+int64(n), rest[n:]
	}
	for i := whole + 1; i+header < total; i++ {
		if n, ok := frame(data[i:]); ok && n > header {
			return total, total, nil
		}
	}
	return whole, total, nil
}

// frame returns the size of the whole frame that begins here.
func frame(data []byte) (int, bool) {
	if len(data) < header {
		return 0, false
	}
	n := int64(binary.BigEndian.Uint32(data))
	if n > MaxFrame || int64(len(data)) < header+n {
		return 0, false
	}
	if sum(data[:4], data[header:header+n]) != binary.BigEndian.Uint32(data[4:]) {
		return 0, false
	}
	return header + int(n), true
}

func sum(length, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, body)
}

// Torn is how many bytes of an unfinished frame Open cut off.
func (j *Journal) Torn() int64 { return j.torn }

// Size is how many bytes the files of the journal have.
func (j *Journal) Size() int64 { return j.total }

// Append writes a frame behind the last one, whose number is one less. The frame is
// durable once Sync returns.
func (j *Journal) Append(number uint64, body []byte) error {
	if len(body) == 0 || len(body) > MaxFrame {
		return fmt.Errorf("journal: a frame of %d bytes; 1 to %d are taken", len(body), MaxFrame)
	}
	if j.file == nil || j.size >= MaxFile {
		if err := j.begin(number); err != nil {
			return err
		}
	}
	buf := make([]byte, header, header+len(body))
	binary.BigEndian.PutUint32(buf, uint32(len(body)))
	binary.BigEndian.PutUint32(buf[4:], sum(buf[:4], body))
	if _, err := j.file.Write(append(buf, body...)); err != nil {
		// Nothing of it stays, so that the next one follows the last.
		_, sought := j.file.Seek(j.size, io.SeekStart)
		return errors.Join(fmt.Errorf("journal: %w", err), j.file.Truncate(j.size), sought)
	}
	j.size += int64(len(buf) + len(body))
	j.total += int64(len(buf) + len(body))
	return nil
}

// begin begins a new file. The frames of the one before are durable first, so that a torn
// end is in the last file alone.
func (j *Journal) begin(number uint64) error {
	if j.file != nil {
		if err := errors.Join(j.file.Sync(), j.file.Close()); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		j.use(nil)
	}
	f, err := os.OpenFile(filepath.Join(j.dir, name(number)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.size = 0
	j.use(f)
	if err := durable.SyncDir(j.dir); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// use makes a file the one to append to; nil: there is none.
func (j *Journal) use(f *os.File) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.file = f
}

// Sync returns when every frame that was appended before the call is on the disk.
func (j *Journal) Sync() error {
	j.mu.Lock()
	f := j.file
	j.mu.Unlock()
	if f == nil {
		return nil
	}
	if err := f.Sync(); err != nil && !errors.Is(err, fs.ErrClosed) { // closed: begin has synced it
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Close makes everything durable and closes the journal.
func (j *Journal) Close() error {
	if j.file == nil {
		return nil
	}
	return errors.Join(j.file.Sync(), j.file.Close())
}

func name(number uint64) string { return fmt.Sprintf("%020d%s", number, extension) }

// names lists the files in their order.
func (j *Journal) names() ([]string, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := numberOf(e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func numberOf(name string) (uint64, bool) {
	text, ok := strings.CutSuffix(name, extension)
	n, err := strconv.ParseUint(text, 10, 64)
	return n, ok && err == nil && len(text) == 20
}

// Read calls f with each frame from a number on, in order, until f returns false. f may
// keep the bytes.
func (j *Journal) Read(from uint64, f func(number uint64, body []byte) bool) error {
	names, err := j.names()
	if err != nil {
		return err
	}
	for i, n := range names {
		if i+1 < len(names) {
			if next, _ := numberOf(names[i+1]); next <= from {
				continue
			}
		}
		more, err := j.readFile(n, from, f)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (j *Journal) readFile(name string, from uint64, f func(number uint64, body []byte) bool) (more bool, err error) {
	number, _ := numberOf(name)
	data, err := os.ReadFile(filepath.Join(j.dir, name))
	if err != nil {
		return false, fmt.Errorf("journal: %w", err)
	}
	for at := 0; len(data) > 0; {
		n, ok := frame(data)
		if !ok {
			return false, fmt.Errorf("journal: %s from byte %d on: %w", name, at, ErrDamaged)
		}
		if number >= from && !f(number, data[header:n]) {
			return false, nil
		}
		data, at, number = data[n:], at+n, number+1
	}
	return true, nil
}

// Drop deletes the files whose frames all come before number. The file that is appended
// to stays.
func (j *Journal) Drop(number uint64) error {
	names, err := j.names()
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(names); i++ {
		if next, _ := numberOf(names[i+1]); next > number {
			break
		}
		path := filepath.Join(j.dir, names[i])
		info, err := os.Stat(path)
		if err = errors.Join(err, os.Remove(path)); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		j.total -= info.Size()
	}
	return nil
}

// Finish puts a journal in its place whose replacement was cut short. It comes before Open.
func Finish(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return os.RemoveAll(dir + draft) // it was not whole
	}
	if err := os.Rename(dir+draft, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// draft is what the directory of a replacement ends with.
const draft = ".new"

// Replace puts a journal with other frames in the place of this one, which it closes. The
// first of them has the number from. The files of this one stay in the directory aside.
// After a crash there is the one journal or the other, whole ([Finish]).
func (j *Journal) Replace(from uint64, bodies [][]byte, aside string) (*Journal, error) {
	if err := os.RemoveAll(j.dir + draft); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	next, err := Open(j.dir + draft)
	if err != nil {
		return nil, err
	}
	for i, body := range bodies {
		err = errors.Join(err, next.Append(from+uint64(i), body))
	}
	if err := errors.Join(err, next.Close()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(j.dir+draft)) // this one goes on
	}
	if err := j.Close(); err != nil {
		return nil, err
	}
	parent := filepath.Dir(j.dir)
	failpoint.Reached(failpoint.JournalDraft)
	err = errors.Join(durable.SyncDir(j.dir+draft), os.Rename(j.dir, aside), durable.SyncDir(parent))
	failpoint.Reached(failpoint.JournalAside)
	if err == nil {
		err = errors.Join(os.Rename(j.dir+draft, j.dir), durable.SyncDir(parent))
	}
	failpoint.Reached(failpoint.JournalReplaced)
	if err != nil {
		return nil, fmt.Errorf("journal: replace %s: %w", j.dir, err)
	}
	return Open(j.dir)
}
