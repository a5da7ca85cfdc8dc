package mqtt

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unsent is how long the system tries to send what was written.
const unsent = 5 * time.Second

// forgetUnsent lets the system give up what it could not send within some seconds.
// Otherwise an order that was written while the network was down reaches the device
// minutes later, when it comes back.
func forgetUnsent(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unsent.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
