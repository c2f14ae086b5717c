package microtcp

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// unixScheme precedes the path of a Unix socket in an address.
const unixScheme = "unix://"

// isPath reports whether an address without its scheme is the path of a Unix socket.
func isPath(address string) bool { return strings.HasPrefix(address, "/") }

// openSocket opens a port or a Unix socket. It replaces a socket that a process has left behind,
// to which nothing listens any more.
func openSocket(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	if !isPath(address) {
		return config.Listen(ctx, "tcp", address)
	}
	socket, err := config.Listen(ctx, "unix", address)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return socket, err
	}
	info, failure := os.Lstat(address)
	if failure != nil || info.Mode().Type() != fs.ModeSocket {
		return nil, err
	}
	var dialer net.Dialer
	conn, failure := dialer.DialContext(ctx, "unix", address)
	if failure == nil {
		_ = conn.Close() // it was only opened to see whether a process listens
		return nil, err
	}
	if !errors.Is(failure, syscall.ECONNREFUSED) || os.Remove(address) != nil {
		return nil, err
	}
	return config.Listen(ctx, "unix", address)
}
