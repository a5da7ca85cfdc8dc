package edge

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is the time since the machine started. It goes on while the machine sleeps,
// which Go's monotonic clock does not: a lease must not outlive a night in between.
func bootTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Since(processStart)
	}
	return time.Duration(t.Nano())
}

// bootID names the start of the machine to which boot times belong; empty: unknown.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
