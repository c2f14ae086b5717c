package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// mebibyte is the size of large payloads, unless the transport's limit is lower.
const mebibyte = 1 << 20

// largePayloads sends a mebibyte in each direction, and several of them in a stream.
func largePayloads(e *env) {
	size := mebibyte
	if limit := e.tr.Facts.MaxPacket; limit > 0 {
		size = min(size, limit-1024) // leaves space for the rest of the packet
	}
	s, _ := e.server()
	micro.HandleFunc(s, echo, passThrough)
	micro.HandleFunc(s, micro.Cmd("length"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Any: len(req.Data), Last: true})
	})
	got := make(chan int, 1)
	micro.HandleFunc(s, note, func(_ context.Context, req *micro.Request, _ micro.Reply) error {
		got <- len(req.Data)
		return nil
	})
	micro.HandleStream(s, micro.Cmd("bigStream"), func(_ context.Context, n int) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for i := 0; i < n && yield(strings.Repeat(strconv.Itoa(i), size-2), nil); i++ {
			}
		}
	})
	c := e.start(s)
	ascii := `"` + strings.Repeat("z", size-2) + `"`
	wide := `"` + strings.Repeat("é😀", (size-2)/6) + `"`
	for name, text := range map[string]string{"ASCII": ascii, "more than ASCII": wide} {
		e.sameLong(name+", there and back", text, e.ask(c, echo, text))
		e.same(name+", there", next(strconv.Itoa(len(text))), e.ask(c, micro.Cmd("length"), text))
		e.emit(c, note, text)
		e.same(name+", event", len(text), await(e, "event", got))
	}
	i := 0
	for v, err := range micro.Stream[string](e.Context(), c, micro.Cmd("bigStream"), 5) {
		if err != nil || v != strings.Repeat(strconv.Itoa(i), size-2) {
			e.Errorf("value %d: %d bytes, %v", i, len(v), err)
		}
		i++
	}
	e.same("values", 5, i)
}

func (e *env) sameLong(what, want string, got []string) {
	e.Helper()
	if len(got) != 2 || got[0] != `{"next":`+want+`}` || got[1] != complete {
		e.Errorf("%s: %.200s", what, fmt.Sprint(got))
	}
}

// tooLarge checks that a packet above the limit fails at its sender, immediately, with both sizes in the error.
func tooLarge(e *env) {
	limit := e.tr.Facts.MaxPacket
	s, book := e.server()
	ran := make(chan struct{}, 10)
	micro.HandleFunc(s, echo, func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		ran <- struct{}{}
		return passThrough(ctx, req, reply)
	})
	micro.Handle(s, micro.Cmd("make"), func(_ context.Context, n int) (string, error) { return strings.Repeat("z", n), nil })
	micro.HandleStream(s, micro.Cmd("makeTwo"), func(_ context.Context, n int) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			_ = yield("small", nil) && yield(strings.Repeat("z", n), nil)
		}
	})
	c := e.start(s)
	data := append(append([]byte{'"'}, bytes.Repeat([]byte("z"), limit)...), '"')
	for _, event := range []bool{false, true} {
		start := time.Now()
		err := c.Do(e.Context(), &micro.Request{Pattern: echo, Data: data, Event: event}, micro.ReplyFunc(func(micro.Value) error { return nil }))
		e.checkTooLarge(err, limit)
		if took := time.Since(start); took > e.timeout/2 {
			e.Errorf("the error was returned after %v", took)
		}
	}
	if len(ran) > 0 {
		e.Error("a handler received a message above the limit")
	}
	for p, before := range map[micro.Pattern]int{micro.Cmd("make"): 0, micro.Cmd("makeTwo"): 1} {
		got := e.ask(c, p, strconv.Itoa(limit))
		if len(got) != before+1 || !strings.HasPrefix(got[before], `{"error":{"status":`) {
			e.Errorf("%s, an answer above the limit: %.200s", p, fmt.Sprint(got))
		}
	}
	e.eventually("the server logs the limit", func() bool { return containsText(book.String(), strconv.Itoa(limit)) })
	e.same("afterwards", next("1"), e.ask(c, echo, "1"))
}

func (e *env) checkTooLarge(err error, limit int) {
	e.Helper()
	var remote *micro.Error
	switch {
	case err == nil, errors.Is(err, micro.ErrTimeout), errors.Is(err, micro.ErrConnectionLost), errors.Is(err, micro.ErrUnreachable), errors.As(err, &remote):
		e.Errorf("a packet above the limit: %v", err)
	case !strings.Contains(err.Error(), strconv.Itoa(limit)):
		e.Errorf("the error does not contain the limit of %d: %v", limit, err)
	}
}

var _ testing.TB = (*env)(nil)
