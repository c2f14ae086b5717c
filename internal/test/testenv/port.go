package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// quietPort returns a free TCP port of 127.0.0.1 outside of the range from which the system assigns ports. It therefore
// stays free while a broker is down, and a client that dials it in the meantime cannot connect to itself.
func quietPort() (int, error) {
	const first = 10_000
	end := firstEphemeralPort()
	for range 100 {
		port := first + rand.IntN(end-first)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("find a free port from %d to %d: 100 attempts failed", first, end-1)
}

// firstEphemeralPort returns the first port of the range from which the system assigns ports.
func firstEphemeralPort() int {
	const usual, atLeast = 32768, 12_000
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return usual
	}
	var first int
	if _, err := fmt.Sscan(string(text), &first); err != nil || first < atLeast {
		return usual
	}
	return first
}
