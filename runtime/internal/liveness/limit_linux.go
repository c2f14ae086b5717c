package liveness

import (
	"syscall"
	"time"
)

// userTimeout is TCP_USER_TIMEOUT of linux/tcp.h, which package syscall lacks on some
// architectures. It counts milliseconds.
const userTimeout = 18

func limit(fd uintptr, timeout time.Duration) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, int(timeout.Milliseconds()))
}
