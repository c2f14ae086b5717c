// Package socket opens listening sockets and passes them to other processes.
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
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
	return nil, &PortError{Service: service, Address: address, Owner: ownerText(ctx, address), Err: err}
}

// CheckFree returns a *[PortError] if a service could not listen at one of the addresses
// now, or if another process already listens there. IPv6 addresses that this machine does
// not have count as free.
func CheckFree(ctx context.Context, service string, addresses ...string) error {
	for _, address := range addresses {
		l, err := Listen(ctx, service, address)
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			if strings.HasPrefix(address, "[") && noSuchAddress(err) {
				continue
			}
			return err
		}
		// Some systems let two processes listen on the same port if one of them listens on
		// all addresses.
		if answers(ctx, address) {
			return &PortError{Service: service, Address: address, Owner: ownerText(ctx, address), Err: syscall.EADDRINUSE}
		}
	}
	return nil
}

// noSuchAddress reports whether a socket could not be opened because this machine does
// not have the address, such as ::1 without IPv6.
func noSuchAddress(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

// answers reports whether a process accepts connections at address.
func answers(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: 500 * time.Millisecond}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// Owner is a process that listens on a port.
type Owner struct {
	Pid  int
	Name string // of its program; the system may have shortened it
}

// String returns a text such as "pid 4711 (node)".
func (o Owner) String() string { return fmt.Sprintf("pid %d (%s)", o.Pid, o.Name) }

// Owners returns the processes that listen at address, host:port with the number of a
// host. It returns none if the system does not reveal them, as for processes of other
// users.
func Owners(ctx context.Context, address string) []Owner {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil
	}
	return ownersOf(ctx, at)
}

func ownerText(ctx context.Context, address string) string {
	for _, o := range Owners(ctx, address) {
		return o.String()
	}
	return ""
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
