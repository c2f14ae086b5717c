package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// gate is a handler that holds its requests until it is opened.
type gate struct {
	entered chan struct{} // receives a value for each request
	open    chan struct{}
}

func newGate() *gate { return &gate{make(chan struct{}, 1000), make(chan struct{})} }

// handle ignores its context, like a handler that cannot be interrupted.
func (g *gate) handle(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
	g.entered <- struct{}{}
	<-g.open
	return in, nil
}

// timeouts checks that a call ends at its deadline or at the client's own timeout,
// whichever is earlier.
func timeouts(e *env) {
	g := newGate()
	defer close(g.open)
	s, _ := e.server()
	micro.Handle(s, hold, g.handle)
	micro.HandleFunc(s, echo, passThrough)
	c := e.start(s)
	e.same("first call", next("1"), e.ask(c, echo, "1")) // establishes the connection
	short := e.client(e.link, micro.WithTimeout(500*time.Millisecond))
	for begun := time.Now(); time.Since(begun) < e.timeout; { // on a busy machine, connecting may take longer than one call
		if _, err := micro.Call[int](e.Context(), short, echo, 1); err == nil {
			break
		}
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(e.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := micro.Call[int](ctx, c, hold, 1)
	e.is("deadline", err, micro.ErrTimeout)
	e.is("deadline", err, context.DeadlineExceeded)
	_, err = micro.Call[int](e.Context(), short, hold, 1)
	e.is("timeout", err, micro.ErrTimeout)
	if took := time.Since(start); took < 600*time.Millisecond || took > e.timeout {
		e.Errorf("both calls took %v", took)
	}
	past, cancel := context.WithDeadline(e.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = micro.Call[int](past, c, echo, 1)
	e.is("a deadline in the past", err, micro.ErrTimeout)
	e.same("afterwards", next("1"), e.ask(c, echo, "1"))
}

// lateAnswers checks that an answer that arrives after its call has ended reaches no
// other call and is reported once.
func lateAnswers(e *env) {
	g := newGate()
	s, _ := e.server()
	micro.Handle(s, hold, g.handle)
	micro.HandleFunc(s, echo, passThrough)
	c := e.start(s)
	e.same("first call", next("1"), e.ask(c, echo, "1"))
	late := make(chan micro.LateReply, 100)
	var callers sync.WaitGroup
	for i := range 5 {
		callers.Go(func() {
			req := &micro.Request{
				Pattern: hold, Data: []byte(strconv.Itoa(i)), Deadline: time.Now().Add(time.Second), // time to reach the handler
				Trace: &micro.Trace{Late: func(l micro.LateReply) { late <- l }},
			}
			e.same("hold", []string{End(micro.ErrTimeout)}, Observe(e.Context(), c, req, 0))
		})
	}
	for range 5 {
		await(e, "the handler", g.entered)
	}
	callers.Wait()
	close(g.open)
	for range 5 {
		if l := await(e, "the late answer", late); l.By < 0 || l.By > 10*e.timeout || l.Err != nil {
			e.Errorf("late answer: %+v", l)
		}
	}
	for i := range 20 {
		e.same("afterwards", next(strconv.Itoa(i)), e.ask(c, echo, strconv.Itoa(i)))
	}
	e.same("late answers reported twice", 0, len(late))
}

// cancel checks that a call returns the cause when its context is canceled.
func cancel(e *env) {
	g := newGate()
	defer close(g.open)
	s, _ := e.server()
	micro.Handle(s, hold, g.handle)
	micro.HandleFunc(s, echo, passThrough)
	c := e.start(s)
	mine := errors.New("the user has left")
	ctx, leave := context.WithCancelCause(e.Context())
	called := make(chan error, 1)
	go func() {
		_, err := micro.Call[int](ctx, c, hold, 1)
		called <- err
	}()
	await(e, "the handler", g.entered)
	leave(mine)
	e.is("call", await(e, "the end of the call", called), mine)
	_, err := micro.Call[int](ctx, c, echo, 1)
	e.is("a call with a canceled context", err, mine)
	e.is("an event with a canceled context", c.Emit(ctx, note, 1), mine)
	e.same("afterwards", next("1"), e.ask(c, echo, "1"))
}

// closing checks that Close ends calls in flight and later calls with ErrClosed.
func closing(e *env) {
	g := newGate()
	defer close(g.open)
	s, _ := e.server()
	micro.Handle(s, hold, g.handle)
	c := e.start(s)
	called := make(chan error, 10)
	for range 10 {
		go func() {
			_, err := micro.Call[int](e.Context(), c, hold, 1)
			called <- err
		}()
	}
	for range 10 {
		await(e, "the handler", g.entered)
	}
	e.is("close", c.Close(), nil)
	for range 10 {
		e.is("a call in flight", await(e, "the end of the call", called), micro.ErrClosed)
	}
	_, err := micro.Call[int](e.Context(), c, hold, 1)
	e.is("a later call", err, micro.ErrClosed)
	e.is("a later event", c.Emit(e.Context(), note, 1), micro.ErrClosed)
	e.is("second close", c.Close(), nil)
	fresh := e.client(e.link)
	e.is("close of an unused client", fresh.Close(), nil)
	_, err = micro.Call[int](e.Context(), fresh, hold, 1)
	e.is("a call on it", err, micro.ErrClosed)
}

// manyCalls checks that each of 2,000 calls, 64 at a time, gets its own answer.
func manyCalls(e *env) {
	s, _ := e.server()
	var yields atomic.Int64
	micro.Handle(s, micro.Cmd("square"), func(ctx context.Context, n int) (int, error) {
		if n%7 == 0 && yields.Add(1) < 200 { // slower, so that answers overtake one another
			timer := time.NewTimer(time.Duration(n%5) * time.Millisecond)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		if n%11 == 0 {
			return 0, micro.Errorf(400, "%d", n)
		}
		return n * n, nil
	})
	c := e.start(s)
	var last atomic.Int64
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for n := int(last.Add(1)); n <= 2000; n = int(last.Add(1)) {
				got, err := micro.Call[int](e.Context(), c, micro.Cmd("square"), n)
				var remote *micro.Error
				switch {
				case n%11 == 0 && errors.As(err, &remote) && remote.Message == strconv.Itoa(n):
				case n%11 != 0 && err == nil && got == n*n:
				default:
					e.Errorf("square of %d: %d, %v", n, got, err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// manyPatterns calls many patterns with one client at the same time, before and after
// each pattern's first use.
func manyPatterns(e *env) {
	s, _ := e.server()
	var all []micro.Pattern
	for i := range 40 {
		p := micro.Cmd(fmt.Sprintf("p%d", i))
		all = append(all, p)
		micro.HandleFunc(s, p, func(_ context.Context, req *micro.Request, reply micro.Reply) error {
			return reply.Send(micro.Value{Raw: json.RawMessage(fmt.Sprintf(`[%d,%s]`, i, req.Data)), Last: true})
		})
	}
	c := e.start(s)
	var callers sync.WaitGroup
	for w := range 40 {
		callers.Go(func() {
			for n := range 25 {
				i := (w + n) % len(all)
				got := e.ask(c, all[i], strconv.Itoa(n))
				e.same("answer", next(fmt.Sprintf(`[%d,%d]`, i, n)), got)
			}
		})
	}
	callers.Wait()
}

// manyStreams checks that concurrent streams do not mix their values.
func manyStreams(e *env) {
	s, _ := e.server()
	micro.HandleStream(s, micro.Cmd("count"), func(_ context.Context, from int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range 100 {
				if !yield(from+i, nil) {
					return
				}
			}
		}
	})
	c := e.start(s)
	var callers sync.WaitGroup
	for w := range 20 {
		callers.Go(func() {
			from := 1000 * w
			want := from
			for v, err := range micro.Stream[int](e.Context(), c, micro.Cmd("count"), from) {
				if err != nil || v != want {
					e.Errorf("stream %d: %d instead of %d, %v", w, v, want, err)
					return
				}
				want++
			}
			e.same("values", 100, want-from)
		})
	}
	callers.Wait()
}

// unserved checks how a request ends while no server is running.
func unserved(e *env) {
	c := e.client(e.link)
	limit := 2 * time.Second
	if e.tr.Facts.UnservedAtOnce {
		limit = e.timeout
	}
	ctx, cancel := context.WithTimeout(e.Context(), limit)
	defer cancel()
	_, err := micro.Call[int](ctx, c, echo, 1)
	e.is("request", err, e.tr.Facts.unserved())
	if ctx.Err() != nil && e.tr.Facts.UnservedAtOnce {
		e.Error("the error was not returned before the deadline")
	}
	s, _ := e.server()
	micro.HandleFunc(s, echo, passThrough)
	e.serve(e.link, s)
	e.same("after a server has started", next("1"), e.ask(c, echo, "1"))
}
