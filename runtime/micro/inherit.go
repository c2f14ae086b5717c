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

// InheritEnv names the environment variable by which a supervisor passes open listening
// sockets to a service, so that a new process can take over a port while the old one is
// still serving. Its value is a space-separated list of words PORT=FD. One further socket
// lets the supervisor ask this very process whether it is ready: with probe=FD, the
// listener of the port also serves on it; with ready=FD, Server.Serve writes its Health,
// one line of JSON, to every connection as soon as all listeners are ready.
//
// The processes share the socket and its mode, so a supervisor must not make it blocking,
// as the Fd method of net.TCPListener's File does; it duplicates the descriptor through
// SyscallConn instead.
const InheritEnv = "MSCTL_LISTENERS"

// inheriting is held while a socket is removed from the environment.
var inheriting sync.Mutex

// InheritedListener returns the socket that a supervisor has opened for the port of
// address, or nil if there is none. The address probe stands for the supervisor's own
// socket. Each socket is returned once: its word is removed from the environment, so that
// neither a second listener nor a child process uses a descriptor that has been
// reused.
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
			return nil, fmt.Errorf("%s: %q is not of the form PORT=FD", InheritEnv, word)
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
