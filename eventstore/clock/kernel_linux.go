package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Elapsed is the time since the machine was started, with the time that it slept: the
// monotonic clock of the runtime stands still meanwhile.
func Elapsed() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Since(started) // no Linux of this century is without it
	}
	return time.Duration(ts.Nano())
}

// started has a monotonic reading.
var started = time.Now()

// Synced reports whether the kernel says that a time source keeps the wall clock. It
// takes no privilege.
func Synced() bool {
	var t unix.Timex // nothing is set
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
