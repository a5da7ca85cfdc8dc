package eventstore

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/eventstore/vault"
)

// ErrStorageFull says that the disk of the embedded server has no room for the
// commit. Nothing was stored.
var ErrStorageFull = errors.New("the disk of the ledger is full")

const (
	// diskEvery is the pause between two looks at the disk.
	diskEvery = time.Second
	// reserve is the room, in bytes, kept for commands that take access away: with less,
	// no others are accepted. It holds 32 of the largest commits.
	reserve = 16 << 20
)

// disk is what is known of the disk of the embedded server.
type disk struct {
	low  atomic.Bool           // less than the reserve is left
	full atomic.Pointer[error] // why the server stores nothing any more; nil: it does
}

// Disk reports low while the disk of the embedded server is nearly full. Only commands
// that take access away are accepted then. An error means that the disk is full and
// nothing is accepted.
func (s *Store) Disk() (low bool, full error) {
	if err := s.disk.full.Load(); err != nil {
		return true, *err
	}
	return s.disk.low.Load(), nil
}

// watchDisk looks after the disk of the embedded server, which stores nothing more
// once a write has failed: it must be started again.
func (s *Store) watchDisk() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(diskEvery):
			s.lookAtDisk()
		}
	}
}

// lookAtDisk notes how much room the disk has, and restarts the server once a full disk
// has room again. All that the server had acknowledged is on the disk. It drops a write
// that was cut off, and those who wait for an answer to that write read the tail.
func (s *Store) lookAtDisk() {
	e := s.cfg.Embedded
	room, err := e.Room()
	if err != nil {
		s.log.Warn("the room on the disk of the ledger is not known", "error", err)
		return
	}
	switch low := room < reserve; {
	case s.disk.low.Swap(low) == low:
	case low:
		s.log.Error("the disk of the ledger is almost full: only what takes access away is taken until there is room", "room_bytes", room, "reserve_bytes", reserve)
	default:
		s.log.Info("there is more room on the disk of the ledger than the reserve again", "room_bytes", room)
	}
	s.metrics.Room.Set(float64(room))
	s.noteSlow("embedded", e.Server().NumSlowConsumers())
	full := e.Full()
	if full == nil {
		s.disk.full.Store(nil)
		return
	}
	if s.disk.full.Swap(&full) == nil {
		s.log.Error("the disk of the ledger is full, so that nothing is committed; this instance goes on by itself when there is room", "error", full)
	}
	if e.Probe() != nil {
		return // it is full still
	}
	if err := e.Restart(); err != nil {
		s.log.Error("there is room for the ledger, and its server does not start; trying again", "error", err)
		return
	}
	s.disk.full.Store(nil)
	s.unsettledSince.Store(0)
	s.log.Info("there is room for the ledger again, and its server was started again")
}

// isFull reports whether a disk takes nothing more for want of room.
func isFull(err error) bool {
	return errors.Is(err, vault.ErrFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
