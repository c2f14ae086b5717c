package liveness

import (
	"syscall"
	"time"
)

// maxRetransmissionTime is TCP_MAXRT of ws2ipdef.h.
const maxRetransmissionTime = 5

func limit(fd uintptr, timeout time.Duration) {
	_ = syscall.SetsockoptInt(syscall.Handle(fd), syscall.IPPROTO_TCP, maxRetransmissionTime, seconds(timeout))
}
