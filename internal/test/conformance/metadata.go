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

// seenRequest is what a handler knows of its message.
type seenRequest struct {
	Metadata map[string]string
	ID       string
	Attempt  int
	Left     time.Duration // until the deadline, 0 for none
	Event    bool
}

// looks returns what a handler sees beside the data.
func looks(ctx context.Context) seenRequest {
	req := micro.RequestFromContext(ctx)
	seen := seenRequest{maps.Collect(req.Metadata.All()), req.CorrelationID(), req.Attempt, 0, req.Event}
	if deadline, ok := ctx.Deadline(); ok {
		seen.Left = time.Until(deadline)
	}
	return seen
}

// metadata: the pairs beside the data arrive as they were set, with requests and with events.
func metadata(e *env) {
	s, _ := e.server()
	events := make(chan seenRequest, 1)
	micro.Handle(s, micro.Cmd("look"), func(ctx context.Context, _ micro.None) (seenRequest, error) { return looks(ctx), nil })
	micro.HandleEvent(s, note, func(ctx context.Context, _ json.RawMessage) error {
		events <- looks(ctx)
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
		e.Errorf("two calls have the correlation ids %q and %q", one.ID, two.ID)
	}
}

// sees sends a message and returns what its handler saw.
func (e *env) sees(c *micro.Client, req *micro.Request, events <-chan seenRequest) (seen seenRequest) {
	e.Helper()
	err := c.Do(e.Context(), req, micro.ReplyFunc(func(v micro.Value) error { return json.Unmarshal(v.Raw, &seen) }))
	e.is("message", err, nil)
	if req.Event {
		return await(e, "event", events)
	}
	return seen
}

// secondHop: what one message causes carries its correlation id, its trace and its deadline on.
func secondHop(e *env) {
	far := e.tr.Open(e)
	deep, _ := e.server()
	look, events := micro.Cmd("look"), make(chan seenRequest, 1)
	micro.Handle(deep, look, func(ctx context.Context, _ micro.None) (seenRequest, error) { return looks(ctx), nil })
	micro.HandleEvent(deep, note, func(ctx context.Context, _ json.RawMessage) error {
		events <- looks(ctx)
		return nil
	})
	e.serve(far, deep)
	onward := e.client(far, micro.WithTimeout(time.Hour))

	s, _ := e.server()
	micro.Handle(s, micro.Cmd("hop"), func(ctx context.Context, _ micro.None) ([]seenRequest, error) {
		if err := onward.Emit(ctx, note, 1); err != nil {
			return nil, err
		}
		next, err := micro.Call[seenRequest](ctx, onward, look, 1)
		return []seenRequest{looks(ctx), next}, err
	})
	c := e.start(s)
	req := &micro.Request{Pattern: micro.Cmd("hop"), Deadline: time.Now().Add(2 * e.patience)}
	req.Metadata.Set(micro.MetaTraceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	req.Metadata.Set("private", "of the first hop")
	var hops []seenRequest
	e.is("hop", c.Do(e.Context(), req, micro.ReplyFunc(func(v micro.Value) error { return json.Unmarshal(v.Raw, &hops) })), nil)
	if len(hops) != 2 {
		e.Fatalf("%d hops", len(hops))
	}
	hops = append(hops, await(e, "event", events))
	for i, hop := range hops {
		if hop.ID == "" || hop.ID != hops[0].ID {
			e.Errorf("hop %d: correlation id %q, at first %q", i, hop.ID, hops[0].ID)
		}
		e.same("trace", req.Metadata.Get(micro.MetaTraceparent), hop.Metadata[micro.MetaTraceparent])
		if private := hop.Metadata["private"]; (private != "") != (i == 0) {
			e.Errorf("hop %d: private metadata %q", i, private)
		}
	}
	if hops[0].Left <= 0 || hops[0].Left > 2*e.patience || hops[1].Left <= 0 || hops[1].Left > 2*e.patience {
		e.Errorf("left of %v: %v, then %v", 2*e.patience, hops[0].Left, hops[1].Left)
	}
	if hops[2].Left != 0 {
		e.Errorf("the event has a deadline: %v", hops[2].Left)
	}
}

// deadlines: a handler knows how long its caller waits, and its context ends then.
func deadlines(e *env) {
	s, _ := e.server()
	micro.Handle(s, micro.Cmd("look"), func(ctx context.Context, _ micro.None) (seenRequest, error) { return looks(ctx), nil })
	ended := make(chan error, 1)
	micro.Handle(s, hold, func(ctx context.Context, _ micro.None) (micro.None, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return micro.None{}, ctx.Err()
	})
	c := e.start(s)
	for _, left := range []time.Duration{0, 5 * time.Second, 5 * time.Minute} {
		ctx, cancel, most := e.Context(), func() {}, e.patience // the client's own
		if left > 0 {
			ctx, cancel = context.WithTimeout(ctx, left)
			most = left
		}
		seen, err := micro.Call[seenRequest](ctx, c, micro.Cmd("look"), 1)
		cancel()
		if err != nil || seen.Left <= most/2 || seen.Left > most {
			e.Errorf("of %v the handler sees %v, %v", most, seen.Left, err)
		}
	}
	ctx, cancel := context.WithTimeout(e.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := micro.Call[micro.None](ctx, c, hold, 1); err == nil {
		e.Error("a call outlived its deadline")
	}
	e.is("the handler's context", await(e, "the end of the handler's context", ended), context.DeadlineExceeded)
}

// expired: work that nobody waits for any more is not started.
func expired(e *env) {
	s, _ := e.server()
	var runs atomic.Int64
	micro.Handle(s, echo, func(context.Context, micro.None) (int64, error) { return runs.Add(1), nil })
	micro.HandleEvent(s, note, func(context.Context, micro.None) error {
		runs.Add(1)
		return nil
	})
	c := e.start(s)
	event := &micro.Request{Pattern: note, Event: true} // an event has only the time it is given
	event.Metadata.Set(micro.MetaTimeout, "0")
	e.is("event", c.Do(e.Context(), event, nil), nil)
	e.eventually("the event is counted as expired", func() bool { return e.described(c, note).Expired == 1 })
	e.eventually("a request is counted as expired", func() bool {
		err := c.Do(e.Context(), &micro.Request{Pattern: echo, Deadline: time.Now().Add(900 * time.Microsecond)}, micro.ReplyFunc(func(micro.Value) error { return nil }))
		if err == nil {
			e.Fatal("a request without time was answered")
		}
		return e.described(c, echo).Expired > 0
	})
	if n := runs.Load(); n != 0 {
		e.Errorf("%d runs of handlers", n)
	}
}

// attempts: a handler knows which attempt a message is.
func attempts(e *env) {
	s, _ := e.server()
	micro.Handle(s, micro.Cmd("look"), func(ctx context.Context, _ micro.None) (seenRequest, error) { return looks(ctx), nil })
	c := e.start(s)
	for sent, want := range map[int]int{0: 1, 1: 1, 2: 2, 17: 17} {
		got := e.sees(c, &micro.Request{Pattern: micro.Cmd("look"), Attempt: sent}, nil)
		e.same(fmt.Sprintf("attempt %d", sent), want, got.Attempt)
	}
}
