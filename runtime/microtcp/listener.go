package microtcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/internal/liveness"
	"github.com/msctl/msctl/runtime/micro"
)

// Listener is the micro.Listener of NestJS's TCP transport. Create it with Listen.
type Listener struct {
	address  string
	limits   limits
	maxConns int
	bound    chan struct{} // closed when addr is set
	addr     net.Addr

	server *micro.Server
	watch  lead.Watch

	mu       sync.Mutex // guards conns and draining
	conns    map[*serverConn]struct{}
	draining bool
	wg       sync.WaitGroup // of connections, and of the goroutines that accept them
	served   atomic.Bool
	endGrace time.Duration

	drainGrace time.Duration
	after      func(time.Duration) <-chan time.Time // time.After, except in tests
}

// Listen returns a listener for an address: "host:port", where port 0 selects a free port, or
// "unix:///path" for a Unix socket, like a path as the port of a NestJS server. The port is opened when a server serves the listener, unless a supervisor has opened a socket
// for it (micro.InheritEnv). A listener can serve once.
func Listen(address string, opts ...ListenOption) *Listener {
	l := &Listener{
		address:  strings.TrimPrefix(address, unixScheme),
		limits:   defaultLimits(),
		maxConns: 10000,
		bound:    make(chan struct{}),
		conns:    map[*serverConn]struct{}{},
		endGrace: endGrace,
		after:    time.After,
	}
	l.limits.attempts, l.limits.delay = 5, 3*time.Second
	for _, o := range opts {
		o.applyListen(l)
	}
	return l
}

// Ready waits until the port is open, or ctx ends.
func (l *Listener) Ready(ctx context.Context) error {
	_, err := l.Addr(ctx)
	return err
}

// Addr waits until the port is open, or ctx ends, and returns its address.
func (l *Listener) Addr(ctx context.Context) (net.Addr, error) {
	select {
	case <-l.bound:
		return l.addr, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Serve accepts connections until ctx ends, and then drains. After the time of WithDrainGrace,
// which is 0 by default, it accepts no more connections, and asks its peers to leave, which our own clients understand. A quarter of a second
// later, it rejects requests on the remaining connections. It closes each connection when
// all requests in flight on it have been answered, or after s.DrainTimeout.
func (l *Listener) Serve(ctx context.Context, s *micro.Server) error {
	if l.served.Swap(true) {
		return fmt.Errorf("listen on %s: a listener serves once: create another with Listen", l.address)
	}
	l.server = s
	socket, err := micro.InheritedListener(l.address)
	inherited := socket != nil
	if err == nil && !inherited {
		socket, err = l.open(ctx)
	}
	if err != nil {
		return err
	}
	if socket == nil {
		return nil // ctx has ended first
	}
	probe, err := micro.InheritedListener("probe")
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	l.addr = socket.Addr()
	close(l.bound)
	s.Logger().Info("listening", "transport", "tcp", "address", l.addr.String(), "tls", l.limits.tls != nil)

	stopWatch := l.watch.Start()
	defer stopWatch()
	ctx, stop := l.withGrace(ctx, inherited)
	defer stop()
	closing := context.AfterFunc(ctx, func() {
		_ = socket.Close()
		if probe != nil {
			_ = probe.Close()
		}
	})
	defer closing()
	if probe != nil {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			_ = l.accept(ctx, probe, make(chan struct{}, probeConns))
		}()
	}
	err = l.accept(ctx, socket, make(chan struct{}, max(l.maxConns, 1)))
	l.drain()
	return err
}

// withGrace returns a context that ends when the drain grace has passed after the end of ctx. If
// the socket is inherited, another process accepts from it, and there is no grace.
func (l *Listener) withGrace(ctx context.Context, inherited bool) (context.Context, context.CancelFunc) {
	if l.drainGrace <= 0 || inherited {
		return context.WithCancel(ctx)
	}
	later, end := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		defer end()
		select {
		case <-l.after(l.drainGrace):
		case <-later.Done():
		}
	})
	return later, func() {
		forget()
		end()
	}
}

// probeConns limits a supervisor's connections, which have a limit of their own.
const probeConns = 16

// open opens the port. While the port is in use, it retries.
func (l *Listener) open(ctx context.Context) (net.Listener, error) {
	for attempt := 0; ; attempt++ {
		socket, err := openSocket(ctx, l.address)
		switch {
		case err == nil:
			return socket, nil
		case ctx.Err() != nil:
			return nil, nil
		case attempt >= l.limits.attempts:
			return nil, fmt.Errorf("listen on %s: %w", l.address, err)
		}
		l.server.Logger().Warn("cannot listen yet", "address", l.address, "error", err, "again_in", l.limits.delay)
		if sleep(ctx, l.limits.delay) != nil {
			return nil, nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// accept accepts connections until the socket is closed, at most as many at a time as slots
// has room for. After a temporary failure, such as too many open files, it continues.
func (l *Listener) accept(ctx context.Context, socket net.Listener, slots chan struct{}) error {
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := socket.Accept()
		if err != nil {
			<-slots
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept on %s: %w", l.address, err)
			}
			l.server.Logger().Error("accept", "address", l.address, "error", err)
			if sleep(ctx, 100*time.Millisecond) != nil {
				return nil
			}
			continue
		}
		l.adopt(conn, slots)
	}
}

// adopt starts to serve a connection. One that was accepted just before the listener ended
// is served too, and drained with the others: if another process shares the socket, the
// peer does not notice.
func (l *Listener) adopt(raw net.Conn, slots chan struct{}) {
	liveness.Watch(raw, l.limits.peer)
	conn := raw
	if l.limits.tls != nil {
		conn = tls.Server(raw, l.limits.tls)
	}
	c := newServerConn(l, conn)
	c.slot = slots
	l.mu.Lock()
	if l.draining {
		l.mu.Unlock()
		_ = conn.Close()
		<-slots
		return
	}
	l.conns[c] = struct{}{}
	l.wg.Add(1) // until gone
	l.mu.Unlock()
	go c.serve()
}

// gone removes a closed connection.
func (l *Listener) gone(c *serverConn) {
	l.mu.Lock()
	_, known := l.conns[c]
	delete(l.conns, c)
	l.mu.Unlock()
	if known {
		<-c.slot
		l.wg.Done()
	}
}

// drain waits for the requests in flight, and then closes all connections.
func (l *Listener) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), l.server.DrainTimeout())
	defer cancel()
	l.mu.Lock()
	l.draining = true
	open := slices.Collect(maps.Keys(l.conns))
	l.mu.Unlock()
	l.each(open, func(c *serverConn) { c.goAway(ctx) })
	if err := l.server.Wait(ctx); err != nil {
		l.server.Logger().Warn("handlers still run after the drain timeout", "timeout", l.server.DrainTimeout())
	}
	l.each(open, func(c *serverConn) { c.finish(ctx) })
	l.wg.Wait()
	_ = l.server.Wait(ctx) // for events that arrived last
}

// each runs f for all connections concurrently, so that a peer that does not read delays no
// other.
func (l *Listener) each(conns []*serverConn, f func(*serverConn)) {
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() { f(c) })
	}
	all.Wait()
}

func (l *Listener) logPeer(level slog.Level, what string, c *serverConn, err error) {
	l.server.LogPeer(level, what, "peer", c.peer, "error", err)
}
