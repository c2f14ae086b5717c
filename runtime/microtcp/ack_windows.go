package microtcp

import (
	"syscall"
	"unsafe"
)

const ackControl = ackOnce

// sioTCPSetAckFrequency is the control code of SIO_TCP_SET_ACK_FREQUENCY. With a
// frequency of 1, every segment is acknowledged at once.
const sioTCPSetAckFrequency = 0x98000017

func ackAtOnce(fd uintptr) {
	frequency, returned := uint32(1), uint32(0)
	_ = syscall.WSAIoctl(syscall.Handle(fd), sioTCPSetAckFrequency, (*byte)(unsafe.Pointer(&frequency)), uint32(unsafe.Sizeof(frequency)), nil, 0, &returned, nil, 0)
}
