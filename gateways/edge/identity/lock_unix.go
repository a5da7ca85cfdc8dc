//go:build unix

package identity

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock lets one program at a time enrol in a directory: of two keys one would be lost.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s is locked: another program enrols in this directory; wait until it has ended: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}
