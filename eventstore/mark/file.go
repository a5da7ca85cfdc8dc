package mark

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"gatehouse/domain"
	"gatehouse/durable"
)

// FileName is the name of the file of marks in its directory.
const FileName = "marks"

// ErrInUse says that another process has the file of marks of the directory open.
var ErrInUse = errors.New("the file of marks is in use by another process")

// File is an open file of marks. It is safe for concurrent use.
type File struct {
	file *os.File

	syncing sync.Mutex // held by a Sync

	mu      sync.Mutex // guards the fields below
	pairs   map[domain.ID]*pair
	used    int64 // pairs in the file that have an org or are damaged; the next org takes the pair after them
	size    int64 // of the file, in pairs
	damaged int
	moved   bool // since the last Sync
}

// pair is the place of an org and the content of its newer slot.
type pair struct {
	at      int64 // in pairs
	last    slot
	pending bool // the last mark could not be written
}

// Open opens the file of marks in a directory for writing, and makes both when they are
// absent. No other process can open it until it is closed.
func Open(dir string) (*File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mark: make the directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("mark: open: %w", err)
	}
	f, err := openFile(file, dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mark: %s: %w", file.Name(), err), file.Close())
	}
	return f, nil
}

func openFile(file *os.File, dir string) (*File, error) {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(ErrInUse, err)
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	f := &File{file: file, size: int64(len(content)+pairSize-1) / pairSize}
	f.pairs, f.used, f.damaged = scan(content)
	return f, durable.SyncDir(dir)
}

// Read returns the marks of a directory, by org, and the number of damaged pairs of
// slots. It takes no lock and makes nothing. An absent directory or file has no marks.
func Read(dir string) (marks []Mark, damaged int, err error) {
	content, err := os.ReadFile(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("mark: read: %w", err)
	}
	pairs, _, damaged := scan(content)
	return sorted(pairs), damaged, nil
}

// scan finds the pairs of a file. A pair that is not empty and has no valid slot is
// damaged: an org has lost its mark.
func scan(content []byte) (pairs map[domain.ID]*pair, used int64, damaged int) {
	pairs = map[domain.ID]*pair{}
	for at := int64(0); len(content) > 0; at++ {
		part := content[:min(pairSize, len(content))]
		content = content[len(part):]
		if !slices.ContainsFunc(part, func(b byte) bool { return b != 0 }) {
			continue
		}
		used = at + 1
		first, ok := decode(part[:min(slotSize, len(part))])
		if second, whole := decode(part[min(slotSize, len(part)):]); whole && (!ok || second.count > first.count) {
			first, ok = second, true
		}
		if !ok {
			damaged++
			continue
		}
		if known := pairs[first.Org]; known == nil || first.Beyond(known.last.Position()) {
			pairs[first.Org] = &pair{at: at, last: first}
		}
	}
	return pairs, used, damaged
}

func sorted(pairs map[domain.ID]*pair) []Mark {
	out := make([]Mark, 0, len(pairs))
	for p := range maps.Values(pairs) {
		out = append(out, p.last.Mark)
	}
	slices.SortFunc(out, func(a, b Mark) int { return cmp.Compare(a.Org, b.Org) })
	return out
}

// Of returns the mark of an org, and false when it has none.
func (f *File) Of(org domain.ID) (Mark, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pairs[org]
	if p == nil {
		return Mark{}, false
	}
	return p.last.Mark, true
}

// All returns every mark, by org.
func (f *File) All() []Mark {
	f.mu.Lock()
	defer f.mu.Unlock()
	return sorted(f.pairs)
}

// Damaged is the number of damaged pairs of slots when the file was opened.
func (f *File) Damaged() int { return f.damaged }

// Advance writes a mark of an org that covers the one before and more, and ignores any
// other. If it cannot be written for lack of space or because of a broken disk, it
// counts all the same, and Sync tries again.
func (f *File) Advance(m Mark) error {
	if m.Org == "" || len(m.Org) > maxOrg {
		return fmt.Errorf("mark: an org is named by 1 to %d bytes, not %q", maxOrg, m.Org)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pairs[m.Org]
	switch {
	case p == nil:
		p = &pair{at: f.used}
		f.pairs[m.Org] = p
		f.used++
	case p.last.Beyond(m.Position()) || m.N == p.last.N:
		return nil
	}
	p.last = slot{Mark: m, count: p.last.count + 1}
	f.moved = true
	return f.write(p)
}

// write writes the last mark of a pair over its older slot. The caller holds f.mu.
func (f *File) write(p *pair) error {
	p.pending = true
	for p.at >= f.size {
		// The zeros are written, not a hole: writing over them later needs no space on
		// a disk that is full by then.
		if _, err := f.file.WriteAt(make([]byte, growth*pairSize), f.size*pairSize); err != nil {
			return fmt.Errorf("mark: make room: %w", err)
		}
		f.size += growth
	}
	if _, err := f.file.WriteAt(p.last.encode(), p.at*pairSize+int64(p.last.count%2)*slotSize); err != nil {
		return fmt.Errorf("mark: write: %w", err)
	}
	p.pending = false
	return nil
}

// In returns an error unless the file is still the one in the directory: not deleted,
// not moved away with it, and not hidden by another disk.
func (f *File) In(dir string) error {
	ours, err := f.file.Stat()
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	there, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	if !os.SameFile(ours, there) {
		return fmt.Errorf("mark: %s is another file than the one that was opened; put that one back, or start again", filepath.Join(dir, FileName))
	}
	return nil
}

// Sync makes every mark durable that was written before the call.
func (f *File) Sync() error {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	if err := f.flush(); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		f.mu.Lock()
		f.moved = true
		f.mu.Unlock()
		return fmt.Errorf("mark: sync: %w", err)
	}
	return nil
}

// flush writes the marks that could not be written before.
func (f *File) flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.moved {
		return nil
	}
	for _, p := range f.pairs {
		if p.pending {
			if err := f.write(p); err != nil {
				return err
			}
		}
	}
	f.moved = false
	return nil
}

// Close makes the marks durable and closes the file.
func (f *File) Close() error { return errors.Join(f.Sync(), f.file.Close()) }
