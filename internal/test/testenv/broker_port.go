package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// quietPort returns a TCP port of 127.0.0.1 that nobody listens on and that the system gives to nobody who asks for any
// port. So it stays free while a broker is down, and a client that dials it meanwhile cannot connect to itself.
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
	return 0, fmt.Errorf("find a free port from %d to %d: none of 100 is", first, end-1)
}

// firstEphemeralPort returns where the ports begin that the system chooses from.
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
