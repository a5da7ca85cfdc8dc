//go:build !linux

package clock

import "time"

// Elapsed is the time since the process was started.
func Elapsed() time.Duration { return time.Since(started) }

// started has a monotonic reading.
var started = time.Now()

// Synced reports false: what the kernel knows of a time source is not asked here.
func Synced() bool { return false }
