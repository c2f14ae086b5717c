package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// seenRequest is what a handler knows about its message.
type seenRequest struct {
	Metadata map[string]string
	ID       string
	Attempt  int
	Left     time.Duration // until the deadline; 0 is none
	Event    bool
}

// inspect returns what a handler knows about its message, besides the data.
func inspect(ctx context.Context) seenRequest {
	req := micro.RequestFromContext(ctx)
	seen := seenRequest{maps.Collect(req.Metadata.All()), req.CorrelationID(), req.Attempt, 0, req.Event}
	if deadline, ok := ctx.Deadline(); ok {
		seen.Left = time.Until(deadline)
	}
	return seen
}

// metadata checks that metadata arrives unchanged, with requests and with events.
func metadata(e *env) {
	s, _ := e.server()
	events := make(chan seenRequest, 1)
	micro.Handle(s, micro.Cmd("look"), func(ctx context.Context, _ micro.None) (seenRequest, error) { return inspect(ctx), nil })
	micro.HandleEvent(s, note, func(ctx context.Context, _ json.RawMessage) error {
		events <- inspect(ctx)
		return nil
	})
	c := e.start(s)
	pairs := map[string]string{
		"plain": "text", "UPPER-Case": "As It Is", "empty": "", "padded": "  a b  ", "colon": "a: b", "quotes": `"\`, "unicode": "é 😀",
		"lines": "a\r\nb\nc", "number": "42", "json": `{"a":[1]}`, "long": strings.Repeat("z", 4000), "control": "a\x00\x1f",
		micro.MetaTraceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", micro.MetaCorrelationID: "order-7",
	}
	for _, event := range []bool{false, true} {
		req := &micro.Request{Pattern: micro.Cmd("look"), Data: []byte("1"), Event: event}
		if event {
			req.Pattern = note
		}
		for key, value := range pairs {
			req.Metadata.Set(key, value)
		}
		got := e.sees(c, req, events)
		delete(got.Metadata, micro.MetaTimeout)
		e.same(fmt.Sprintf("metadata, event %t", event), pairs, got.Metadata)
		e.same("correlation id", "order-7", got.ID)
		e.same("event", event, got.Event)
	}
	one := e.sees(c, &micro.Request{Pattern: micro.Cmd("look")}, events)
	two := e.sees(c, &micro.Request{Pattern: micro.Cmd("look")}, events)
	if one.ID == "" || one.ID == two.ID {
		e.Errorf("correlation IDs of two calls: %q and %q", one.ID, two.ID)
	}
}

// ownMetadata checks that a handler sees only the metadata that its caller has set if the client adds none, and that what the
// server adds is not part of it.
func ownMetadata(e *env) {
	far, look, events := e.farServer()
	c := e.client(far, micro.WithoutMetadata(), micro.WithTimeout(time.Hour))

	s, _ := e.server()
	micro.Handle(s, micro.Cmd("hop"), func(ctx context.Context, _ micro.None) (seenRequest, error) {
		return micro.Call[seenRequest](ctx, c, look, 1)
	})
	near := e.start(s)

	ids := map[string]bool{}
	for _, set := range []map[string]string{{}, {"mine": "1"}, {"mine": "1", micro.MetaTimeout: "60000", micro.MetaAttempt: "7"}} {
		for _, event := range []bool{false, true} {
			req := &micro.Request{Pattern: look, Event: event, Attempt: 3, Deadline: time.Now().Add(2 * e.timeout)}
			if event {
				req.Pattern = note
			}
			for key, value := range set {
				req.Metadata.Set(key, value)
			}
			got := e.sees(c, req, events)
			e.same(fmt.Sprintf("metadata, event %t", event), set, got.Metadata)
			e.same("attempt", max(1, len(set)/3*7), got.Attempt)
			e.same("has a deadline", len(set) == 3, got.Left > 0)
			if got.ID == "" || ids[got.ID] {
				e.Errorf("correlation ID %q, want a new one", got.ID)
			}
			ids[got.ID] = true
		}
	}
	req := &micro.Request{Pattern: micro.Cmd("hop")}
	req.Metadata.Set(micro.MetaTraceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	e.same("metadata of the second hop", map[string]string{}, e.sees(near, req, nil).Metadata)
}

// farServer serves another link until the test ends. Its handlers return, or send to events, what they know about their message.
func (e *env) farServer() (far Link, look micro.Pattern, events chan seenRequest) {
	e.Helper()
	far = e.tr.Open(e)
	s, _ := e.server()
	look, events = micro.Cmd("look"), make(chan seenRequest, 1)
	micro.Handle(s, look, func(ctx context.Context, _ micro.None) (seenRequest, error) { return inspect(ctx), nil })
	micro.HandleEvent(s, note, func(ctx context.Context, _ json.RawMessage) error {
		events <- inspect(ctx)
		return nil
	})
	e.serve(far, s)
	return far, look, events
}

// sees sends a message and returns what its handler knows about it.
func (e *env) sees(c *micro.Client, req *micro.Request, events <-chan seenRequest) (seen seenRequest) {
	e.Helper()
	err := c.Do(e.Context(), req, micro.ReplyFunc(func(v micro.Value) error { return json.Unmarshal(v.Raw, &seen) }))
	e.is("message", err, nil)
	if req.Event {
		return await(e, "event", events)
	}
	return seen
}

// secondHop checks that the messages that a handler sends have the correlation ID, the trace, and the deadline of its own
// message.
func secondHop(e *env) {
	far, look, events := e.farServer()
	onward := e.client(far, micro.WithTimeout(time.Hour))

	s, _ := e.server()
	micro.Handle(s, micro.Cmd("hop"), func(ctx context.Context, _ micro.None) ([]seenRequest, error) {
		if err := onward.Emit(ctx, note, 1); err != nil {
			return nil, err
		}
		next, err := micro.Call[seenRequest](ctx, onward, look, 1)
		return []seenRequest{inspect(ctx), next}, err
	})
	c := e.start(s)
	req := &micro.Request{Pattern: micro.Cmd("hop"), Deadline: time.Now().Add(2 * e.timeout)}
	req.Metadata.Set(micro.MetaTraceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	req.Metadata.Set("private", "of the first hop")
	var hops []seenRequest
	e.is("hop", c.Do(e.Context(), req, micro.ReplyFunc(func(v micro.Value) error { return json.Unmarshal(v.Raw, &hops) })), nil)
	if len(hops) != 2 {
		e.Fatalf("%d hops, want 2", len(hops))
	}
	hops = append(hops, await(e, "event", events))
	for i, hop := range hops {
		if hop.ID == "" || hop.ID != hops[0].ID {
			e.Errorf("hop %d: correlation ID %q, want %q", i, hop.ID, hops[0].ID)
		}
		e.same("trace", req.Metadata.Get(micro.MetaTraceparent), hop.Metadata[micro.MetaTraceparent])
		if private := hop.Metadata["private"]; (private != "") != (i == 0) {
			e.Errorf("hop %d: private metadata %q", i, private)
		}
	}
	if hops[0].Left <= 0 || hops[0].Left > 2*e.timeout || hops[1].Left <= 0 || hops[1].Left > 2*e.timeout {
		e.Errorf("time left of %v: %v, then %v", 2*e.timeout, hops[0].Left, hops[1].Left)
	}
	if hops[2].Left != 0 {
		e.Errorf("the event has a deadline: %v", hops[2].Left)
	}
}

// deadlines checks that a handler knows the deadline of its caller, and that its context ends at that time.
func deadlines(e *env) {
	s, _ := e.server()
	micro.Handle(s, micro.Cmd("look"), func(ctx context.Context, _ micro.None) (seenRequest, error) { return inspect(ctx), nil })
	ended := make(chan error, 1)
	micro.Handle(s, hold, func(ctx context.Context, _ micro.None) (micro.None, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return micro.None{}, ctx.Err()
	})
	c := e.start(s)
	for _, left := range []time.Duration{0, time.Minute, 5 * time.Minute} {
		ctx, cancel, limit := e.Context(), func() {}, e.timeout // of the client
		if left > 0 {
			ctx, cancel = context.WithTimeout(ctx, left)
			limit = left
		}
		seen, err := micro.Call[seenRequest](ctx, c, micro.Cmd("look"), 1)
		cancel()
		if err != nil || seen.Left <= limit/2 || seen.Left > limit {
			e.Errorf("time left of %v: %v, %v", limit, seen.Left, err)
		}
	}
	ctx, cancel := context.WithTimeout(e.Context(), time.Second) // time to reach the handler
	defer cancel()
	if _, err := micro.Call[micro.None](ctx, c, hold, 1); err == nil {
		e.Error("a call without an answer succeeded")
	}
	e.is("the handler's context", await(e, "the end of the handler's context", ended), context.DeadlineExceeded)
}

// expired checks that a message is not handled after its deadline.
func expired(e *env) {
	s, _ := e.server()
	var runs atomic.Int64
	micro.Handle(s, echo, func(context.Context, micro.None) (int64, error) { return runs.Add(1), nil })
	micro.HandleEvent(s, note, func(context.Context, micro.None) error {
		runs.Add(1)
		return nil
	})
	c := e.start(s)
	event := &micro.Request{Pattern: note, Event: true} // an event has no deadline of its own
	event.Metadata.Set(micro.MetaTimeout, "0")
	e.is("event", c.Do(e.Context(), event, nil), nil)
	e.eventually("the event has been counted as expired", func() bool { return e.described(c, note).Expired == 1 })
	e.eventually("a request has been counted as expired", func() bool {
		err := c.Do(e.Context(), &micro.Request{Pattern: echo, Deadline: time.Now().Add(900 * time.Microsecond)}, micro.ReplyFunc(func(micro.Value) error { return nil }))
		if err == nil {
			e.Fatal("a request with an expired deadline was answered")
		}
		return e.described(c, echo).Expired > 0
	})
	if n := runs.Load(); n != 0 {
		e.Errorf("handlers ran %d times, want 0", n)
	}
}

// overtaken checks that a message is not sent after its deadline, which has come while an interceptor held it.
func overtaken(e *env) {
	s, _ := e.server()
	micro.HandleFunc(s, echo, passThrough)
	micro.HandleEvent(s, note, func(context.Context, micro.None) error { return nil })
	held := func(next micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			if req.Metadata.Get("held") != "" {
				<-time.After(time.Until(req.Deadline))
			}
			return next(ctx, req, reply)
		}
	}
	c := e.start(s, micro.WithInterceptors(held))
	e.same("before", next("1"), e.ask(c, echo, "1")) // establishes the connection
	for _, req := range []*micro.Request{{Pattern: echo}, {Pattern: note, Event: true}} {
		req.Metadata.Set("held", "yes")
		req.Deadline = time.Now().Add(10 * time.Millisecond)
		e.is(req.Pattern.Route(), c.Do(e.Context(), req, micro.ReplyFunc(func(micro.Value) error { return nil })), micro.ErrTimeout)
	}
	e.same("afterwards", next("1"), e.ask(c, echo, "1"))
	e.eventually("both calls have been counted", func() bool { return e.described(c, echo).Calls == 2 }) // after their replies
	if d := e.described(c, echo); d.Expired != 0 {
		e.Errorf("the server got requests after their deadline: %+v", d)
	}
	if d := e.described(c, note); d.Calls != 0 || d.Expired != 0 {
		e.Errorf("the server got an event after its deadline: %+v", d)
	}
}

// attempts checks that a handler knows the attempt of its message.
func attempts(e *env) {
	s, _ := e.server()
	micro.Handle(s, micro.Cmd("look"), func(ctx context.Context, _ micro.None) (seenRequest, error) { return inspect(ctx), nil })
	c := e.start(s)
	for sent, want := range map[int]int{0: 1, 1: 1, 2: 2, 17: 17} {
		got := e.sees(c, &micro.Request{Pattern: micro.Cmd("look"), Attempt: sent}, nil)
		e.same(fmt.Sprintf("attempt %d", sent), want, got.Attempt)
	}
}
