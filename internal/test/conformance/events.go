package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/msctl/msctl/runtime/micro"
)

// happened is an event as its handler received it.
type happened struct {
	Handler string
	Data    string
	Attempt int
}

// report registers an event handler that reports each run.
func report(s *micro.Server, p micro.Pattern, name string, to chan<- happened, err func(attempt int) error) {
	micro.HandleEvent(s, p, func(ctx context.Context, data json.RawMessage) error {
		attempt := micro.RequestFromContext(ctx).Attempt
		to <- happened{name, string(data), attempt}
		if err == nil {
			return nil
		}
		return err(attempt)
	})
}

// emit sends an event and checks that the transport accepts it.
func (e *env) emit(c *micro.Client, p micro.Pattern, data string) {
	e.Helper()
	e.same("event "+p.String(), []string{`{"emitted":true}`}, Observe(e.Context(), c, &micro.Request{Pattern: p, Data: []byte(data), Event: true}, 0))
}

// events checks that each event arrives once, with its data.
func events(e *env) {
	s, _ := e.server()
	got := make(chan happened, 1000)
	report(s, note, "name", got, nil)
	report(s, parse(e, `{"evt":"created","v":[1,{"b":2,"a":"q\"\\"}]}`), "object", got, nil)
	c := e.start(s)
	for _, data := range []string{`null`, `0`, `""`, `{"é":"😀"}`, `"\ud83d"`, `[1]`, `12345678901234567890`, `"` + string(make64("z", 100000)) + `"`} {
		e.emit(c, note, data)
		e.same("event", happened{"name", data, 1}, await(e, "event "+data[:min(20, len(data))], got))
	}
	e.emit(c, parse(e, `{"v":[1,{"a":"q\"\\","b":2}],"evt":"created"}`), `1`)
	e.same("event with an object for pattern", happened{"object", "1", 1}, await(e, "event", got))
	want := map[string]int{}
	for i := range 200 {
		e.emit(c, note, fmt.Sprint(i))
		want[fmt.Sprint(i)] = 1
	}
	seen := map[string]int{}
	for range 200 {
		seen[await(e, "each of many events", got).Data]++
	}
	e.same("many events", want, seen)
	e.nothingMore(c, got)
}

func make64(text string, n int) []byte {
	out := make([]byte, 0, n)
	for len(out) < n {
		out = append(out, text...)
	}
	return out
}

// nothingMore checks that no further event has arrived when a message that was sent after all others has been handled.
func (e *env) nothingMore(c *micro.Client, got <-chan happened) {
	e.Helper()
	if _, err := micro.Call[micro.Health](e.Context(), c, micro.HealthPattern, micro.None{}); err != nil {
		e.Errorf("health: %v", err)
	}
	select {
	case h := <-got:
		e.Errorf("unexpected event: %+v", h)
	default:
	}
}

// twoEventHandlers checks that every handler of an event runs, even if another one fails.
func twoEventHandlers(e *env) {
	s, _ := e.server()
	got := make(chan happened, 100)
	report(s, note, "first", got, func(int) error { return errors.New("failed") })
	report(s, note, "second", got, func(int) error { panic("failed") })
	report(s, note, "third", got, nil)
	c := e.start(s)
	for _, data := range []string{`1`, `2`} {
		e.emit(c, note, data)
		for _, name := range []string{"first", "second", "third"} {
			e.same("event", happened{name, data, 1}, await(e, "event for the "+name, got))
		}
	}
	e.nothingMore(c, got)
}

// failingEvent checks that the failure of an event handler is logged, and that a transport with redelivery redelivers the
// event with its attempt.
func failingEvent(e *env) {
	s, book := e.server()
	got := make(chan happened, 100)
	report(s, note, "moody", got, func(attempt int) error {
		if attempt < 3 {
			return errors.New("not today")
		}
		return nil
	})
	c := e.start(s)
	e.emit(c, note, `{"a":1}`)
	for attempt := 1; attempt <= 3; attempt++ {
		e.same("event", happened{"moody", `{"a":1}`, attempt}, await(e, fmt.Sprintf("attempt %d", attempt), got))
		if !e.tr.Facts.Redelivers {
			break
		}
	}
	e.eventually("the failure is logged", func() bool { return containsText(book.String(), "not today") })
	e.nothingMore(c, got)
}

// requestToEvents checks that a request to event handlers is answered after they have run.
func requestToEvents(e *env) {
	s, _ := e.server()
	got := make(chan happened, 10)
	one, two, bad := micro.Name("one"), micro.Name("two"), micro.Name("bad")
	report(s, one, "one", got, nil)
	report(s, two, "two#1", got, nil)
	report(s, two, "two#2", got, nil)
	report(s, bad, "bad", got, func(int) error { return micro.Errorf(418, "no coffee") })
	c := e.start(s)
	e.same("one handler", []string{complete}, e.ask(c, one, `"x"`))
	e.same("one handler", happened{"one", `"x"`, 1}, await(e, "run", got))
	e.same("two handlers", next("{}"), e.ask(c, two, `1`))
	e.same("two handlers", happened{"two#1", `1`, 1}, await(e, "run", got))
	e.same("two handlers", happened{"two#2", `1`, 1}, await(e, "run", got))
	e.same("a failing handler", []string{`{"error":{"status":418,"message":"no coffee"}}`}, e.ask(c, bad, `1`))
	e.same("a failing handler", happened{"bad", `1`, 1}, await(e, "run", got))
	e.nothingMore(c, got)
}

// eventToMessage checks that a message handler runs for an event, and that its answer is dropped.
func eventToMessage(e *env) {
	s, _ := e.server()
	got := make(chan string, 10)
	micro.HandleFunc(s, echo, func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		got <- fmt.Sprint(req.Event, " ", string(req.Data))
		return reply.Send(micro.Value{Raw: req.Data, Last: true})
	})
	c := e.start(s)
	e.emit(c, echo, `1`)
	e.same("event", "true 1", await(e, "event", got))
	e.same("request", next("2"), e.ask(c, echo, `2`))
	e.same("request", "false 2", await(e, "request", got))
}
