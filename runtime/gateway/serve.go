package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/bounded"
	"github.com/msctl/msctl/runtime/micro"
)

// serveConfig holds the settings for connections.
type serveConfig struct {
	grace, drain       time.Duration
	header, read, idle time.Duration
	maxHeader          int
	maxURL, maxLines   int
	maxOpen            int64         // connections
	stalled            time.Duration // of a client that does not read
}

func defaultServeConfig() serveConfig {
	return serveConfig{
		grace: time.Second, drain: 10 * time.Second,
		header: 5 * time.Second, read: 30 * time.Second, idle: 120 * time.Second,
		maxHeader: 64 << 10, maxURL: 8 << 10, maxLines: 100,
		maxOpen: 20_000, stalled: 30 * time.Second,
	}
}

// Serve listens on address, "host:port", and serves until ctx ends. Then it drains
// ([WithDrain]) and returns nil. If a supervisor has opened a socket for the port, Serve
// uses it (micro.InheritEnv).
func (g *Gateway) Serve(ctx context.Context, address string) error {
	socket, err := micro.InheritedListener(address)
	inherited := socket != nil
	if err == nil && !inherited {
		var config net.ListenConfig
		socket, err = config.Listen(ctx, "tcp", address)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	probe, err := micro.InheritedListener("probe")
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	sockets := []net.Listener{socket}
	if probe != nil {
		sockets = append(sockets, probe)
	}
	return g.serve(ctx, sockets, inherited)
}

// ServeListener is Serve on an open listener.
func (g *Gateway) ServeListener(ctx context.Context, l net.Listener) error {
	return g.serve(ctx, []net.Listener{l}, false)
}

// Ready returns the reason why the gateway should get no requests now, or nil: it does not listen
// yet, or it drains. Whether its services are healthy does not matter, since no other gateway
// reaches them better.
func (g *Gateway) Ready(context.Context) error {
	switch {
	case g.draining.Load():
		return errors.New("the gateway is stopping")
	case !g.listening.Load():
		return errors.New("the gateway has not been started")
	}
	return nil
}

func (g *Gateway) serve(ctx context.Context, sockets []net.Listener, inherited bool) error {
	config, err := g.serverTLS()
	if err != nil {
		for _, socket := range sockets {
			err = errors.Join(err, socket.Close())
		}
		return err
	}
	var open atomic.Int64
	server := &http.Server{
		TLSConfig:         config,
		HTTP2:             http2Limits(),
		Handler:           g.Handler(),
		ReadHeaderTimeout: g.serving.header,
		ReadTimeout:       g.serving.read,
		IdleTimeout:       g.serving.idle,
		MaxHeaderBytes:    g.serving.maxHeader,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
		ConnState:         counter(&open),
	}
	scheme := "http"
	if config != nil {
		scheme = "https"
	}
	g.log.Info("listening", "transport", scheme, "address", sockets[0].Addr().String())
	var accepted atomic.Int64
	for i, socket := range sockets {
		sockets[i] = &bounded.Listener{Listener: socket, Open: &accepted, Max: g.serving.maxOpen, Stalled: g.serving.stalled}
	}
	g.listening.Store(true) // the system accepts connections, which wait for Serve
	failed := make(chan error, len(sockets))
	var serving sync.WaitGroup
	for i, socket := range sockets {
		serving.Go(func() {
			accept := server.Serve
			if config != nil && i == 0 { // the second is the supervisor's probe
				accept = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
			}
			if err := accept(socket); err != nil && !errors.Is(err, http.ErrServerClosed) && !g.draining.Load() {
				failed <- err
			}
		})
	}
	select {
	case <-ctx.Done():
		g.drain(server, sockets, inherited, &open)
	case err = <-failed:
		_ = server.Close()
	}
	serving.Wait()
	if err != nil {
		return fmt.Errorf("serve %s: %w", sockets[0].Addr(), err)
	}
	return nil
}

// counter counts open connections.
func counter(open *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
}

// drain stops without failing a request. A supervisor's socket is released at once, because
// the next process accepts from it. Our own socket keeps accepting during the grace
// period, until load balancers have noticed.
func (g *Gateway) drain(server *http.Server, sockets []net.Listener, inherited bool, open *atomic.Int64) {
	g.draining.Store(true)
	if inherited {
		g.stop() // the clients of streams connect to the next process
		for _, socket := range sockets {
			_ = socket.Close()
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(g.serving.grace)
grace:
	for !inherited || open.Load() > 0 {
		select {
		case <-end:
			break grace
		case <-tick.C:
		}
	}
	g.stop()
	ctx, cancel := context.WithTimeout(context.Background(), g.serving.drain)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && errors.Is(err, context.DeadlineExceeded) {
		g.log.Warn("requests still run after the drain timeout", "timeout", g.serving.drain)
		_ = server.Close()
	}
}
