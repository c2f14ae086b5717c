package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/msctl/msctl/internal/workspace"
)

// PortError says that a service's port belongs to somebody else.
type PortError struct {
	Service string
	Address string // host:port
	// Owner is who has it, such as "pid 4711 (node)"; empty where the system
	// does not tell.
	Owner string
	Err   error
}

// Error names the service, the port and, where known, who has it.
func (e *PortError) Error() string {
	text := "service " + e.Service + ": port " + e.Address + " is taken"
	if !errors.Is(e.Err, syscall.EADDRINUSE) {
		return "service " + e.Service + ": cannot listen on " + e.Address + ": " + e.Err.Error()
	}
	if e.Owner != "" {
		text += " by " + e.Owner
	}
	return text
}

// Unwrap gives the system's error.
func (e *PortError) Unwrap() error { return e.Err }

// listen opens the listening socket of a service. Nobody here accepts on it:
// its processes do.
func listen(ctx context.Context, s *workspace.Service) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address(s))
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		var sys *os.SyscallError
		if errors.As(err, &sys) {
			err = sys.Err
		}
		return nil, &PortError{Service: s.Name, Address: address(s), Owner: portOwner(s.Port), Err: err}
	}
	return l, nil
}

// checkFree says who has the port of a service that opens it itself.
func checkFree(ctx context.Context, s *workspace.Service) error {
	if s.Port == 0 {
		return nil
	}
	l, err := listen(ctx, s)
	if err != nil {
		return err
	}
	return l.Close()
}

// probe opens the private socket of one start: its descriptor for the process,
// and the address to ask. The caller closes the file once the process has it, so
// that the socket lives and dies with the process.
func probe(ctx context.Context) (f *os.File, addr string, err error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("open a socket to ask for readiness: %w", err)
	}
	defer l.Close()
	f, err = descriptor(l)
	if err != nil {
		return nil, "", fmt.Errorf("open a socket to ask for readiness: %w", err)
	}
	return f, l.Addr().String(), nil
}
