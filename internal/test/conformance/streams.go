package conformance

import (
	"context"
	"errors"
	"iter"
	"strconv"

	"github.com/msctl/msctl/runtime/micro"
)

// numbers streams 0 to n-1, and then fails with end unless it is nil.
func numbers(end error) func(context.Context, int) iter.Seq2[int, error] {
	return func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			if end != nil {
				yield(0, end)
			}
		}
	}
}

// streams checks that each value of a stream arrives once and in order, and then the end.
func streams(e *env) {
	s, _ := e.server()
	count, marked := micro.Cmd("count"), micro.Cmd("marked")
	micro.HandleStream(s, count, numbers(nil))
	micro.HandleFunc(s, marked, func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		n, err := strconv.Atoi(string(req.Data))
		for i := 0; i < n && err == nil; i++ {
			err = reply.Send(micro.Value{Any: i, Last: i == n-1}) // the last value also ends the stream
		}
		return err
	})
	c := e.start(s)
	for _, n := range []int{0, 1, 2, 5, 1000} {
		var want []string
		for i := range n {
			want = append(want, strconv.Itoa(i))
		}
		for name, p := range map[string]micro.Pattern{"count": count, "marked": marked} {
			e.same(name+" "+strconv.Itoa(n), next(want...), e.ask(c, p, strconv.Itoa(n)))
		}
		got := 0
		for v, err := range micro.Stream[int](e.Context(), c, count, n) {
			if err != nil || v != got {
				e.Errorf("stream of %d: got %d, %v, want %d", n, v, err, got)
			}
			got++
		}
		e.same("values of "+strconv.Itoa(n), n, got)
	}
	last, err := micro.Call[int](e.Context(), c, count, 5)
	e.is("call", err, nil)
	e.same("the last value", 4, last)
}

// streamThenError checks that an error arrives after the values that precede it.
func streamThenError(e *env) {
	s, _ := e.server()
	micro.HandleStream(s, micro.Cmd("public"), numbers(micro.Errorf(409, "enough of %s", "that")))
	micro.HandleStream(s, micro.Cmd("private"), numbers(errors.New("secret")))
	micro.HandleFunc(s, micro.Cmd("panics"), func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		_ = reply.Send(micro.Value{Any: 0}) // ignored, like everything else before a panic
		panic("at the disco")
	})
	c := e.start(s)
	e.same("an error for the caller", []string{`{"next":0}`, `{"next":1}`, `{"error":{"status":409,"message":"enough of that"}}`}, e.ask(c, micro.Cmd("public"), "2"))
	e.same("at once", []string{`{"error":{"status":409,"message":"enough of that"}}`}, e.ask(c, micro.Cmd("public"), "0"))
	e.same("an internal error", []string{`{"next":0}`, `{"error":` + micro.InternalServerError + `}`}, e.ask(c, micro.Cmd("private"), "1"))
	e.same("panic", []string{`{"next":0}`, `{"error":` + micro.InternalServerError + `}`}, e.ask(c, micro.Cmd("panics"), "1"))
	var values int
	var end error
	for _, err := range micro.Stream[int](e.Context(), c, micro.Cmd("public"), 100) {
		if end = err; err == nil {
			values++
		}
	}
	var remote *micro.Error
	if values != 100 || !errors.As(end, &remote) || remote.Status != 409 || !remote.Remote() {
		e.Errorf("%d values, then %v", values, end)
	}
}

// streamLeft checks that a caller that leaves a stream does not disturb other calls.
func streamLeft(e *env) {
	s, _ := e.server()
	count := micro.Cmd("count")
	micro.HandleStream(s, count, numbers(nil))
	micro.HandleFunc(s, echo, passThrough)
	c := e.start(s)
	for range 20 {
		got := Observe(e.Context(), c, &micro.Request{Pattern: count, Data: []byte("500")}, 3)
		e.same("the first values", next("0", "1", "2"), got)
	}
	for v, err := range micro.Stream[int](e.Context(), c, count, 500) {
		if err != nil || v > 10 {
			e.Errorf("%d, %v", v, err)
		}
		if v == 10 {
			break
		}
	}
	e.same("afterwards", next("1"), e.ask(c, echo, "1"))
}

// streamGaps checks that null and undefined are values of a stream like any other.
func streamGaps(e *env) {
	s, _ := e.server()
	micro.HandleFunc(s, micro.Cmd("nulls"), sends("null", "1", "null"))
	micro.HandleFunc(s, micro.Cmd("undefined"), sends("", "1", "", "2"))
	c := e.start(s)
	e.same("nulls", next("null", "1", "null"), e.ask(c, micro.Cmd("nulls"), "1"))
	e.same("undefined", next("", "1", "", "2"), e.ask(c, micro.Cmd("undefined"), "1"))
}
