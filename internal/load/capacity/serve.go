package capacity

import (
	"context"
	"log/slog"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// Running is a service that is served.
type Running struct {
	*Service
	// Address is where it listens, host:port; "" where the listener is a broker's.
	Address string

	ended chan struct{}
	err   error // read it after ended
}

// Serve serves a service over NestJS' TCP transport at address, host:port, until ctx
// ends; port 0 takes a free one. It answers the patterns given, every pattern when
// none is. It returns when the port is open, or with the error that keeps it shut.
//
// Nothing is logged, and a port that is taken is not waited for.
func Serve(ctx context.Context, address string, c Config, patterns ...micro.Pattern) (*Running, error) {
	listener := microtcp.Listen(address, microtcp.WithRetry(0, 0))
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

// ServeOn is Serve over any transport. ready waits until the listener takes
// messages, and returns the error that keeps it from that, at the latest when its
// context ends.
func ServeOn(ctx context.Context, listener micro.Listener, ready func(context.Context) error, c Config, patterns ...micro.Pattern) (*Running, error) {
	r := &Running{Service: New(c), ended: make(chan struct{})}
	server := r.server(patterns)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, r.Close) // so that the server has nothing to wait for
	go func() {
		defer close(r.ended)
		defer cancel()
		defer stop()
		r.err = server.Serve(ctx, listener)
		r.Close()
	}()
	if err := ready(ctx); err != nil { // ctx ends when serving does
		cancel()
		if failed := r.Wait(); failed != nil {
			err = failed
		}
		return nil, err
	}
	return r, nil
}

// Wait returns when the service has ended and nothing of it is left, with the
// error that ended it before its context did.
func (r *Running) Wait() error {
	<-r.ended
	return r.err
}

// drainTimeout bounds how long answers are delivered after the end.
const drainTimeout = time.Second

func (r *Running) server(patterns []micro.Pattern) *micro.Server {
	server := micro.NewServer(
		micro.WithName("mock", ""),
		micro.WithLogger(slog.New(slog.DiscardHandler)),
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

// spareInFlight are the messages that the server holds beside those that wait or
// are worked on: the refused, and those that ask how it is.
const spareInFlight = 1000
