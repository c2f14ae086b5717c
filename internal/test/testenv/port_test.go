package testenv

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestPortsOfProcesses checks that test processes that run at the same time get different ports, each of which is free, and
// none of which is in the range of scripts.
func TestPortsOfProcesses(t *testing.T) {
	const processes, calls = 8, 3 * blockSize
	if os.Getenv("MSCTL_TEST_PORTS") != "" {
		for range calls {
			port, err := FreePort()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println("port", port)
		}
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent has started all
		return
	}
	t.Parallel()
	seen := map[int]bool{}
	for range processes {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPortsOfProcesses$")
		child.Env = append(os.Environ(), "MSCTL_TEST_PORTS=1")
		stdin, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = stdin.Close()
			_ = child.Wait()
		})
		for range calls {
			var port int
			if _, err := fmt.Fscanf(stdout, "port %d\n", &port); err != nil {
				t.Fatal(err)
			}
			if seen[port] {
				t.Errorf("port %d was given out twice", port)
			}
			if port >= firstOfScripts && port <= lastOfScripts {
				t.Errorf("port %d belongs to scripts", port)
			}
			seen[port] = true
		}
	}
}

// TestOccupiedPort checks that no port is given out on which something listens, at whichever loopback address.
func TestOccupiedPort(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		listener, err := net.Listen("tcp", host+":0")
		if err != nil {
			if strings.Contains(err.Error(), "assign requested address") {
				continue // a machine without IPv6
			}
			t.Fatal(err)
		}
		if port := listener.Addr().(*net.TCPAddr).Port; portIsFree(port) {
			t.Errorf("port %d is free, but %s is in use", port, listener.Addr())
		}
		_ = listener.Close()
	}
}
