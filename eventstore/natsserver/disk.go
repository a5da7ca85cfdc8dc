package natsserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// probeSize is how much must fit on a disk that was full before the server is
// restarted: in bytes, what it writes at a start and some commits.
const probeSize = 4 << 20

// Room returns how many bytes may still be written to the disk of the server.
func (e *Embedded) Room() (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(e.cfg.Dir, &st); err != nil {
		return 0, fmt.Errorf("natsserver: look at the disk of %s: %w", e.cfg.Dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// Full returns an error when the server stores nothing until [Embedded.Restart]. A write
// has failed for want of room then, or a restart after that has failed. A write that failed for another reason is not mended by a restart: the disk may then
// hold something other than what was written.
func (e *Embedded) Full() error {
	if !e.Server().Running() {
		return errors.New("natsserver: the embedded server is not started")
	}
	for _, found := range e.Server().Healthz(&server.HealthzOptions{Details: true}).Errors {
		if noRoom(found.Error) {
			return fmt.Errorf("natsserver: %s", found.Error)
		}
	}
	return nil
}

// noRoom reads the text of an error of the server, which does not hand on the error
// itself.
func noRoom(text string) bool {
	return strings.Contains(text, syscall.ENOSPC.Error()) || strings.Contains(text, syscall.EDQUOT.Error())
}

// Probe writes to the disk of the server, to see whether it takes anything.
func (e *Embedded) Probe() error {
	path := filepath.Join(e.cfg.Dir, "probe")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeSize))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(path))
}

// Restart stops the server and starts it again on its directory. All that it had
// acknowledged is on the disk. It drops a write that was cut off.
func (e *Embedded) Restart() error {
	e.Stop()
	if err := e.start(); err != nil {
		return err
	}
	return e.CheckStreamEnds()
}
