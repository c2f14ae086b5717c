package microtcp

import "syscall"

// Subtle: TCP_QUICKACK also sends the acknowledgment that is being delayed just now, and
// the kernel forgets it when it thinks best, so it must be set after each read.
const ackControl = ackEachTime

func ackAtOnce(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
}
