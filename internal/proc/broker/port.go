package broker

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// freePort returns a free port of the loopback interface below the ephemeral range,
// from which the system picks ports for programs that ask for any. The port therefore
// stays free while the broker restarts, and no client that dials it meanwhile is
// connected to itself.
func freePort() (int, error) {
	const first = 10_000
	end := firstEphemeralPort()
	for range 100 {
		port := first + rand.N(end-first)
		if isFree(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port from %d to %d: 100 attempts failed", first, end-1)
}

// isFree reports whether a port of the loopback interface is free.
func isFree(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // it does not block
	return err == nil && l.Close() == nil
}

// firstEphemeralPort returns the first port of the ephemeral range.
func firstEphemeralPort() int {
	const usual, least = 32_768, 12_000
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range") // Linux; the range of other systems begins higher
	if err != nil {
		return usual
	}
	var first int
	if _, err := fmt.Sscan(string(text), &first); err != nil || first < least {
		return usual
	}
	return first
}
