package liveness

import (
	"syscall"
	"time"
)

func limit(fd uintptr, timeout time.Duration) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_RXT_CONNDROPTIME, seconds(timeout))
}
