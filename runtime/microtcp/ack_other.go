//go:build !linux && !windows

package microtcp

// Other systems have no such option for one socket.
const ackControl = ackNever

func ackAtOnce(uintptr) {}
