package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
	"github.com/msctl/msctl/runtime/microrabbit"
	"github.com/msctl/msctl/runtime/microredis"
	"github.com/msctl/msctl/runtime/microtcp"
)

// serve runs the Go service: typed versions of the handlers in testdata/nest/bench-server.mjs, and one that passes JSON
// through. It prints the same line when it is listening.
func serve(ctx context.Context, o options) error {
	if o.unread {
		return echoUnread(ctx, o.addr, func(string) { fmt.Println(`{"event":"listening"}`) })
	}
	s := newServer(o)
	l := listen(o)
	go func() {
		if l.ready(ctx) == nil {
			fmt.Println(`{"event":"listening"}`)
		}
	}()
	return s.Serve(ctx, l)
}

// newServer returns a server with the handlers of all rows and axes.
func newServer(o options) *micro.Server {
	list := items(listLength)
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Cmd("echo"), func(_ context.Context, in item) (item, error) { return in, nil })
	micro.Handle(s, micro.Cmd("raw"), func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	micro.Handle(s, micro.Cmd("text"), func(_ context.Context, in document) (document, error) { return in, nil })
	for i := range o.handlers {
		micro.Handle(s, micro.Cmd(fmt.Sprintf("handler%d", i)), func(_ context.Context, in item) (item, error) { return in, nil })
	}
	micro.Handle(s, micro.Cmd("createItem"), func(_ context.Context, in newOrder) (newOrder, error) { return in, nil })
	micro.Handle(s, micro.Cmd("list"), func(context.Context, struct{}) ([]item, error) { return list, nil })
	return s
}

// listener is a listener with a readiness check.
type listener struct {
	micro.Listener
	ready func(context.Context) error
}

// listen returns the listener of a transport with its default configuration.
func listen(o options) listener {
	switch o.transport {
	case "nats":
		l := micronats.Listen(o.addr)
		return listener{l, l.Ready}
	case "redis":
		l := microredis.Listen(o.addr)
		return listener{l, l.Ready}
	case "rmq":
		if o.driver {
			l := newDriverListener(o.addr, o.queue)
			return listener{l, l.Ready}
		}
		l := microrabbit.Listen(o.addr, o.queue)
		return listener{l, l.Ready}
	}
	l := microtcp.Listen(o.addr)
	return listener{l, func(ctx context.Context) error {
		_, err := l.Addr(ctx)
		return err
	}}
}

// dial returns the connection of a transport with its default configuration.
func dial(o options) micro.Conn {
	switch o.transport {
	case "nats":
		return micronats.Dial(o.addr)
	case "redis":
		return microredis.Dial(o.addr)
	case "rmq":
		return microrabbit.Dial(o.addr, o.queue)
	}
	return microtcp.Dial(o.addr)
}

// callInALoop runs the Go client: one goroutine per call in flight, on one connection. It prints the same lines as
// testdata/nest/bench-client.mjs.
func callInALoop(ctx context.Context, o options) error {
	c := micro.NewClient(dial(o))
	defer c.Close()
	echo, list, one := micro.Cmd("echo"), micro.Cmd("list"), items(1)[0] // created once, as in a real program
	call := func() error {
		_, err := micro.Call[item](ctx, c, echo, one)
		return err
	}
	if o.row == "list" {
		call = func() error {
			list, err := micro.Call[[]item](ctx, c, list, struct{}{})
			if err == nil && len(list) != listLength {
				err = fmt.Errorf("wrong reply: %d items", len(list))
			}
			return err
		}
	}
	loop := inClosedLoop
	if o.rate > 0 {
		loop = openLoop
	}
	took, err := loop(call, o)
	if err != nil {
		return err
	}
	err = json.NewEncoder(os.Stdout).Encode(mark{
		Event:     "done",
		Calls:     len(took),
		Latencies: []float64{millis(quantile(took, 0.5)), millis(quantile(took, 0.99))},
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin) // keeps running until the parent has read its memory
	return err
}

// inClosedLoop calls from o.inFlight goroutines through warm-up and measurement. It prints a line at the start of the
// measurement, and returns the sorted latencies of the calls that completed in it.
func inClosedLoop(call func() error, o options) ([]time.Duration, error) {
	var phase atomic.Int32
	took := make([][]time.Duration, o.inFlight)
	var group errgroup.Group
	for i := range took {
		took[i] = make([]time.Duration, 0, 1<<14)
		group.Go(func() error {
			for phase.Load() != stopping {
				start := time.Now()
				if err := call(); err != nil {
					return err
				}
				if phase.Load() == measuring {
					took[i] = append(took[i], time.Since(start))
				}
			}
			return nil
		})
	}
	<-time.After(o.warm)
	phase.Store(measuring)
	if err := json.NewEncoder(os.Stdout).Encode(mark{Event: "start"}); err != nil {
		return nil, err
	}
	<-time.After(o.length)
	phase.Store(stopping)
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return all, nil
}

// openLoop calls at o.rate through warm-up and measurement, whether or not earlier calls have ended. It begins with two
// calls at once. It returns the sorted latencies of the measurement.
func openLoop(call func() error, o options) ([]time.Duration, error) {
	var (
		mu    sync.Mutex // guards took
		took  []time.Duration
		group errgroup.Group
	)
	start := time.Now()
	ticks := time.NewTicker(time.Second / time.Duration(o.rate))
	defer ticks.Stop()
	one := func(measured bool) {
		group.Go(func() error {
			began := time.Now()
			err := call()
			mu.Lock()
			defer mu.Unlock()
			if measured {
				took = append(took, time.Since(began))
			}
			return err
		})
	}
	one(false)
	for started := false; ; <-ticks.C {
		at := time.Since(start)
		if at >= o.warm+o.length {
			break
		}
		if at >= o.warm && !started {
			started = true
			if err := json.NewEncoder(os.Stdout).Encode(mark{Event: "start"}); err != nil {
				return nil, err
			}
		}
		one(started)
	}
	err := group.Wait()
	slices.Sort(took)
	return took, err
}

// quantile returns the quantile q of sorted latencies, or 0 if there are none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*q))]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
