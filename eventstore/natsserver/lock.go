package natsserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrLocked says that another process holds the data directory.
var ErrLocked = errors.New("the data directory is in use")

// A DataLock is the exclusive right of this process to a data directory.
type DataLock struct{ file *os.File }

// LockData takes the exclusive lock DATA/lock and makes the directory if it is
// absent. nats-server takes no lock of its own: two servers on one store directory
// acknowledge the same sequences twice and lose half, so this comes before it
// starts. The lock ends with the process, however it ends. The error wraps
// [ErrLocked] and names the process that holds it.
func LockData(dir string) (*DataLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("natsserver: make the data directory: %w", err)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("natsserver: open the lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		closeErr := f.Close()
		return nil, errors.Join(fmt.Errorf("natsserver: %s: %w by process %s: stop it first, or serve from another directory with --data",
			dir, ErrLocked, strings.TrimSpace(string(holder))), closeErr)
	}
	if err := f.Truncate(0); err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
		if err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) { // the lock holds without a name
			return nil, fmt.Errorf("natsserver: write the lock: %w", err)
		}
	}
	return &DataLock{f}, nil
}

// Release gives the directory free.
func (l *DataLock) Release() error { return l.file.Close() }
