package micro

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// InheritEnv names the environment variable by which a supervisor hands open
// listening sockets to a service, so that a new process can take over a port
// while the old one still serves: words of the form PORT=FD, with spaces
// between them, and probe=FD for one more socket of the supervisor's own, to
// ask this very process whether it is ready.
const InheritEnv = "MSCTL_LISTENERS"

// InheritedListener returns the socket a supervisor has opened for address's
// port, or nil when there is none. The word probe in place of an address asks
// for the supervisor's own socket.
func InheritedListener(address string) (net.Listener, error) {
	key := address
	if _, port, err := net.SplitHostPort(address); err == nil {
		key = port
	}
	for word := range strings.FieldsSeq(os.Getenv(InheritEnv)) {
		name, fd, ok := strings.Cut(word, "=")
		if !ok || name != key {
			continue
		}
		n, err := strconv.Atoi(fd)
		if err != nil || n < 3 {
			return nil, fmt.Errorf("%s: %q is no PORT=FD", InheritEnv, word)
		}
		f := os.NewFile(uintptr(n), "inherited "+name)
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("take over the listening socket of %s: %w", address, err)
		}
		_ = f.Close() // the listener holds a copy
		return l, nil
	}
	return nil, nil
}
