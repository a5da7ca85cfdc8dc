//go:build unix

package edge

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockDir takes the lock of a directory: two gateways in one would both count records.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("edge: %s is locked: another gateway runs in this directory: %w", path, err)
	}
	return f, nil
}
