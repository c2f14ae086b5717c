package micro

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// InheritEnv names the environment variable by which a supervisor hands open
// listening sockets to a service, so that a new process can take over a port
// while the old one still serves: words of the form PORT=FD, with spaces
// between them, and one more socket of the supervisor's own, to ask this very
// process whether it is ready: probe=FD, on which the listener of the port
// serves as well, or ready=FD, on which Server.Serve gives everybody who
// connects its Health, one line of JSON, as soon as all listeners are ready.
// The processes share the socket and its mode, so a supervisor must not make it
// block, which the Fd method of net.TCPListener's File does: it duplicates the
// descriptor through SyscallConn instead.
const InheritEnv = "MSCTL_LISTENERS"

// inheriting is held while somebody takes a socket out of the environment.
var inheriting sync.Mutex

// InheritedListener returns the socket a supervisor has opened for address's
// port, or nil when there is none. The word probe in place of an address asks
// for the supervisor's own socket. Each socket is given once: its word is taken
// out of the environment, so that neither a second listener nor a child of this
// process takes a descriptor that is something else by then.
func InheritedListener(address string) (net.Listener, error) {
	key := address
	if _, port, err := net.SplitHostPort(address); err == nil {
		key = port
	}
	inheriting.Lock()
	defer inheriting.Unlock()
	words := strings.Fields(os.Getenv(InheritEnv))
	for i, word := range words {
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
		if err := os.Setenv(InheritEnv, strings.Join(slices.Delete(words, i, i+1), " ")); err != nil {
			return nil, errors.Join(fmt.Errorf("take over the listening socket of %s: %w", address, err), l.Close())
		}
		return l, nil
	}
	return nil, nil
}
