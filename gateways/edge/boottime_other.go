//go:build !linux

package edge

import "time"

func bootTime() time.Duration { return time.Since(processStart) }

// bootID names the start of the machine to which boot times belong; empty: unknown.
func bootID() string { return "" }
