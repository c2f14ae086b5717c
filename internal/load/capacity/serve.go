package capacity

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// Running is a service that is being served.
type Running struct {
	*Service
	// Address is the TCP address, host:port; "" for other listeners.
	Address string

	ended chan struct{}
	err   error // valid after ended is closed
}

// Serve serves a service over NestJS's TCP transport on address, host:port, until ctx
// ends; port 0 selects a free one. It handles the given patterns, or every pattern if
// there are none. It returns once the port is open, or with the error.
//
// It does not wait for a port that is in use.
func Serve(ctx context.Context, address string, c Config, patterns ...micro.Pattern) (*Running, error) {
	listener := microtcp.Listen(address, microtcp.WithListenRetry(0, 0))
	var bound string
	r, err := ServeOn(ctx, listener, func(ctx context.Context) error {
		addr, err := listener.Addr(ctx)
		if err == nil {
			bound = addr.String()
		}
		return err
	}, c, patterns...)
	if err == nil {
		r.Address = bound
	}
	return r, err
}

// ServeOn is Serve over any transport. ready waits until the listener accepts
// messages. It returns an error if that fails, and when its context ends.
func ServeOn(ctx context.Context, listener micro.Listener, ready func(context.Context) error, c Config, patterns ...micro.Pattern) (*Running, error) {
	r := &Running{Service: New(c), ended: make(chan struct{})}
	server := r.server(patterns)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, r.Close) // so that the server does not wait for jobs in progress
	go func() {
		defer close(r.ended)
		defer cancel()
		defer stop()
		r.err = server.Serve(ctx, listener)
		r.Close()
	}()
	if err := ready(ctx); err != nil { // ctx ends if serving fails
		cancel()
		if failed := r.Wait(); failed != nil {
			err = failed
		}
		return nil, err
	}
	return r, nil
}

// Wait waits until the service has ended and all its goroutines are done. It returns
// the error that ended the service, or nil if its context did.
func (r *Running) Wait() error {
	<-r.ended
	return r.err
}

// drainTimeout bounds how long replies are delivered after the end.
const drainTimeout = time.Second

func (r *Running) server(patterns []micro.Pattern) *micro.Server {
	server := micro.NewServer(
		micro.WithName("mock", ""),
		micro.WithLogger(cmp.Or(r.config.Log, slog.New(slog.DiscardHandler))),
		micro.WithDrainTimeout(drainTimeout),
		micro.WithMaxInFlight(MaxWaiting+r.config.workers()+spareInFlight),
	)
	for _, p := range patterns {
		micro.HandleFunc(server, p, r.Handler())
	}
	if len(patterns) == 0 {
		micro.HandleUnknown(server, r.Handler())
	}
	return server
}

// spareInFlight is the number of messages in the server in addition to those in the
// queue and in progress: those being refused, and health checks.
const spareInFlight = 1000
