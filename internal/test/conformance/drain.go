package conformance

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// drain checks that a server that stops answers the requests in flight, and accepts no further ones.
func drain(e *env) {
	g := newGate()
	s, _ := e.server(micro.WithDrainTimeout(e.timeout))
	micro.Handle(s, hold, g.handle)
	micro.HandleFunc(s, echo, passThrough)
	r := e.serve(e.link, s)
	c := e.client(e.link)
	const n = 20
	answers := make(chan []string, n)
	for i := range n {
		go func() { answers <- e.ask(c, hold, strconv.Itoa(i)) }()
	}
	for range n {
		await(e, "the handler", g.entered)
	}
	r.stop()
	select {
	case <-r.done:
		e.Fatalf("the server did not wait for its handlers: %v", r.err)
	case <-time.After(500 * time.Millisecond): // it is draining
	}
	close(g.open)
	seen := map[string]int{}
	for range n {
		got := await(e, "the answer to a request in flight", answers)
		if len(got) != 2 || got[1] != complete {
			e.Errorf("in flight: %v", got)
		}
		seen[got[0]]++
	}
	e.same("different answers", n, len(seen))
	e.is("serve", r.end(e), nil)
	ctx, cancel := context.WithTimeout(e.Context(), time.Second)
	defer cancel()
	if _, err := micro.Call[int](ctx, c, echo, 1); err == nil || errors.As(err, new(*micro.Error)) {
		e.Errorf("after the end: %v", err)
	}
}

// drainEvents checks that a server that stops lets the running handlers of events finish.
func drainEvents(e *env) {
	s, _ := e.server(micro.WithDrainTimeout(e.timeout))
	entered, open, handled := make(chan struct{}), make(chan struct{}), atomic.Int64{}
	micro.HandleEvent(s, note, func(ctx context.Context, _ int) error {
		entered <- struct{}{}
		<-open
		if ctx.Err() == nil { // the event must outlive its connection
			handled.Add(1)
		}
		return nil
	})
	r := e.serve(e.link, s)
	c := e.client(e.link)
	for i := range 5 {
		e.emit(c, note, strconv.Itoa(i))
	}
	for range 5 {
		await(e, "the handler", entered)
	}
	e.is("close", c.Close(), nil)
	r.stop()
	close(open)
	e.is("serve", r.end(e), nil)
	e.same("handled", int64(5), handled.Load())
}

// drainUnderLoad checks that every call to a server that stops under load gets its own answer or an error with the reason.
func drainUnderLoad(e *env) {
	s, _ := e.server(micro.WithDrainTimeout(e.timeout))
	micro.Handle(s, micro.Cmd("double"), func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	r := e.serve(e.link, s)
	c := e.client(e.link, micro.WithTimeout(3*time.Second)) // the timeout of calls that are sent after the server has stopped
	var answered, failed atomic.Int64
	var callers sync.WaitGroup
	for w := range 16 {
		callers.Go(func() {
			for n := w; ; n++ {
				got, err := micro.Call[int](e.Context(), c, micro.Cmd("double"), n)
				if err != nil {
					failed.Add(1)
					if !expectedAtTheEnd(err) {
						e.Errorf("while the server stopped: %v", err)
					}
					return
				}
				if got != 2*n {
					e.Errorf("double of %d: %d", n, got)
				}
				answered.Add(1)
			}
		})
	}
	e.eventually("calls are answered", func() bool { return answered.Load() > 100 })
	e.is("serve", r.end(e), nil)
	callers.Wait()
	e.same("callers with an error", int64(16), failed.Load())
}

// expectedAtTheEnd reports whether an error is one of a server that has stopped.
func expectedAtTheEnd(err error) bool {
	var remote *micro.Error
	if errors.As(err, &remote) {
		return remote.Status == 503
	}
	return errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrConnectionLost) || errors.Is(err, micro.ErrTimeout)
}
