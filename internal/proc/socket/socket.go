// Package socket opens listening sockets and passes them to other processes.
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// PortError reports that the port of a service cannot be opened.
type PortError struct {
	Service string
	Address string // host:port
	// Owner is the process that uses the port, such as "pid 4711 (node)". It is empty
	// if the port is not in use or the system does not reveal the owner.
	Owner string
	Err   error
}

// Error names the service, the port, and the owner of the port if it is known.
func (e *PortError) Error() string {
	if !errors.Is(e.Err, syscall.EADDRINUSE) {
		return "service " + e.Service + ": cannot listen on " + e.Address + ": " + e.Err.Error()
	}
	text := "service " + e.Service + ": port " + e.Address + " is in use"
	if e.Owner != "" {
		text += " by " + e.Owner
	}
	return text
}

// Unwrap returns the system's error.
func (e *PortError) Unwrap() error { return e.Err }

// Listen opens the listening socket of a service at address. Only the processes that
// inherit the socket accept connections. The error is a *[PortError].
func Listen(ctx context.Context, service, address string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		err = sys.Err
	}
	return nil, &PortError{Service: service, Address: address, Owner: owner(address), Err: err}
}

// CheckFree returns a *[PortError] if a service could not listen at address now.
func CheckFree(ctx context.Context, service, address string) error {
	l, err := Listen(ctx, service, address)
	if err != nil {
		return err
	}
	return l.Close()
}

func owner(address string) string {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return ""
	}
	return portOwner(port)
}

// Private opens a listening socket on a free port of the loopback interface, for one
// process: its descriptor, and its address. The caller closes the file when the
// process has inherited it, so that the socket closes when the process ends.
func Private(ctx context.Context) (f *os.File, address string, err error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("open a private socket: %w", err)
	}
	defer l.Close()
	f, err = Descriptor(l)
	if err != nil {
		return nil, "", fmt.Errorf("open a private socket: %w", err)
	}
	return f, l.Addr().String(), nil
}
