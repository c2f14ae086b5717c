package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/msctl/msctl/runtime/internal/bounded"
)

const (
	portRetry    = 250 * time.Millisecond // between attempts to open a port that is in use
	headerTime   = 5 * time.Second        // limits how long the header of a request takes
	idleTime     = 2 * time.Minute        // limits the time between two requests of a connection
	maxHeader    = 16 << 10               // bytes
	loopbackHost = "127.0.0.1"
)

// Port is an open private port. Its goroutine ends with Close.
type Port struct {
	address string
	log     *slog.Logger
	checks  checks
	mux     *http.ServeMux
	server  *http.Server    // nil without an address
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	done    chan struct{} // closed when the goroutine has ended
	opened  chan struct{} // closed when the port is open
	bound   net.Addr      // valid when opened is closed
}

// Option configures [Listen].
type Option interface{ apply(*Port) }

type option func(*Port)

func (f option) apply(p *Port) { f(p) }

// Readiness is a part of a program that /ready asks, such as a *micro.Server or a
// *gateway.Gateway.
type Readiness interface {
	// Ready returns nil, or the reason why the part should get no messages or requests now.
	Ready(ctx context.Context) error
}

// WithReady adds parts of the program that must all be ready for /ready.
func WithReady(parts ...Readiness) Option {
	return option(func(p *Port) { p.checks.parts = append(p.checks.parts, parts...) })
}

// WithLogger sets the logger. The default is slog.Default().
func WithLogger(log *slog.Logger) Option {
	return option(func(p *Port) { p.log = log })
}

// WithHandler serves more on the port. The pattern is one of http.ServeMux, such as
// "GET /metrics".
func WithHandler(pattern string, handler http.Handler) Option {
	return option(func(p *Port) { p.mux.Handle(pattern, handler) })
}

// Listen serves the private port at address, "host:port", in the background until Close:
//
//	/live   200 while the process serves HTTP
//	/ready  200 if every part is ready ([WithReady]), and otherwise 503 with the reason;
//	        503 with "shutting_down" from the moment that ctx ends, while servers drain
//
// Use another port than the public one: what it serves is not for strangers. Without a host,
// ":9464", it listens on the loopback interface only; "0.0.0.0:9464" is for all of them, as
// Kubernetes needs it. The empty address opens none.
//
// An address that cannot be used is an error. A port that is in use is logged and tried again,
// because the previous process of the service may be draining.
func Listen(ctx context.Context, address string, opts ...Option) (*Port, error) {
	p := &Port{
		log: slog.Default(), mux: http.NewServeMux(),
		done: make(chan struct{}), opened: make(chan struct{}),
	}
	for _, o := range opts {
		o.apply(p)
	}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if address == "" {
		close(p.done)
		return p, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		p.cancel()
		return nil, fmt.Errorf("private port: %w", err)
	}
	if host == "" {
		host = loopbackHost
	}
	p.address = net.JoinHostPort(host, port)
	p.addProbes(ctx)
	p.server = &http.Server{
		Handler: withoutBody(p.mux), ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("private port: listen on %s: %w", p.address, err)
	}
	return p, nil
}

// Addr returns the address of the port once it is open. It returns an error if ctx ends or the
// port is closed before, and if there is none.
func (p *Port) Addr(ctx context.Context) (net.Addr, error) {
	select {
	case <-p.opened:
		return p.bound, nil
	case <-p.done:
		return nil, errors.New("there is no private port")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close closes the port and its connections.
func (p *Port) Close() {
	p.cancel()
	if p.server != nil {
		_ = p.server.Close() // the listener was closed, or was never opened
	}
	<-p.done
}

// open opens the port and serves it. It returns an error unless the port is open or in use.
func (p *Port) open() error {
	socket, err := p.listen()
	switch {
	case err == nil:
		p.announce(socket)
		go p.serve(socket)
	case inUse(err):
		p.log.Warn("the private port is in use; trying again until it is free", "address", p.address)
		go p.retry()
	default:
		p.cancel()
		return err
	}
	return nil
}

// inUse reports whether another process has opened the port.
func inUse(err error) bool {
	const windows = syscall.Errno(10048) // WSAEADDRINUSE, which syscall does not define
	return errors.Is(err, syscall.EADDRINUSE) || runtime.GOOS == "windows" && errors.Is(err, windows)
}

func (p *Port) listen() (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(p.ctx, "tcp", p.address)
}

func (p *Port) retry() {
	tick := time.NewTicker(portRetry)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			close(p.done)
			return
		case <-tick.C:
		}
		if socket, err := p.listen(); err == nil {
			p.announce(socket)
			p.serve(socket)
			return
		}
	}
}

func (p *Port) announce(socket net.Listener) {
	p.bound = socket.Addr()
	close(p.opened)
	p.log.Info("listening", "transport", "http (private)", "address", p.bound.String())
}

func (p *Port) serve(socket net.Listener) {
	defer close(p.done)
	if err := p.server.Serve(&bounded.Listener{Listener: socket, Open: new(atomic.Int64), Max: maxConnections, Stalled: stalledTime}); !errors.Is(err, http.ErrServerClosed) {
		p.log.Error("the private port has failed", "address", p.address, "error", err)
	}
}
