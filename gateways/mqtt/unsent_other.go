//go:build !linux

package mqtt

import "syscall"

// forgetUnsent does nothing where the system has no such setting.
func forgetUnsent(string, string, syscall.RawConn) error { return nil }
