package micronats

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// twin is the Go service with the handlers of testdata/nest/lib, as far as the
// recorded messages want them.
type twin struct {
	*micro.Server

	mu     sync.Mutex
	counts map[string]int
	events []string // JSON
}

func newTwin() *twin {
	w := &twin{Server: micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler))), counts: map[string]int{}}
	w.registerMessages()
	w.registerStreams()
	w.registerErrors()
	w.registerEvents()
	w.registerWildcards()
	return w
}

func (w *twin) on(p micro.Pattern, f func(context.Context, *micro.Request) string) {
	micro.HandleFunc(w.Server, p, func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		v := micro.Value{Last: true}
		if text := f(ctx, req); text != "" {
			v.Raw = json.RawMessage(text)
		}
		return reply.Send(v)
	})
}

func (w *twin) gives(p micro.Pattern, text string) {
	w.on(p, func(context.Context, *micro.Request) string { return text })
}

func (w *twin) registerMessages() {
	data := func(_ context.Context, req *micro.Request) string { return string(req.Data) }
	w.on(micro.Cmd("echo"), data)
	w.on(micro.Name("echo"), data)
	w.on(micro.Cmd("createItem"), func(_ context.Context, req *micro.Request) string {
		return `{"id":1,"created":true,"item":` + string(req.Data) + `}`
	})
	w.on(micro.Fields(map[string]any{"b": 2, "a": map[string]any{"d": "x", "c": true}}), func(_ context.Context, req *micro.Request) string {
		return `{"nested":` + string(req.Data) + `}`
	})
	w.on(micro.Name("wire.ctx"), func(ctx context.Context, _ *micro.Request) string { return describe(ctx) })
	w.on(micro.Cmd("eventCount"), func(context.Context, *micro.Request) string { return w.countsJSON() })
	w.gives(must(micro.ParsePattern("42")), `"number-pattern"`)
	for _, name := range []string{"true", "null", "1e3", "1000"} {
		w.gives(micro.Name(name), `"string-`+name+`"`)
	}
	w.gives(micro.Cmd("returnNull"), "null")
	w.gives(micro.Cmd("returnUndefined"), "")
	micro.Handle(w.Server, micro.Name("math.sum"), func(_ context.Context, numbers []float64) (sum float64, _ error) {
		for _, n := range numbers {
			sum += n
		}
		return sum, nil
	})
	micro.Handle(w.Server, micro.Cmd("slow"), func(ctx context.Context, in struct{ Ms int }) (map[string]int, error) {
		return map[string]int{"slept": in.Ms}, sleep(ctx, time.Duration(in.Ms)*time.Millisecond)
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// toJSON encodes v as JSON.stringify would.
func toJSON(v any) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// describe prints the message as NestJS's handlers print a NatsContext.
func describe(ctx context.Context) string {
	d := DeliveryFromContext(ctx)
	return `{"ctor":"NatsContext","subject":` + toJSON(d.Subject) + `,"headers":` + toJSON(d.Header) + `}`
}

func (w *twin) registerStreams() {
	stream := func(name string, end error, values ...micro.Value) {
		micro.HandleFunc(w.Server, micro.Cmd(name), func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
			for _, v := range values {
				if err := reply.Send(v); err != nil {
					return err
				}
			}
			return end
		})
	}
	n := func(v int, last bool) micro.Value { return micro.Value{Any: v, Last: last} }
	stream("stream", nil, n(0, false), n(1, false), n(2, true))
	stream("streamSync", nil, n(0, false), n(1, false), n(2, true))
	stream("streamLateComplete", nil, n(1, false), n(2, false))
	stream("streamThenError", micro.NewError("stream failed"), n(1, false), n(2, false))
	stream("streamEmpty", nil)
}

func (w *twin) registerErrors() {
	fails := func(name string, err error) {
		micro.HandleFunc(w.Server, micro.Cmd(name), func(context.Context, *micro.Request, micro.Reply) error { return err })
	}
	fails("rpcString", micro.NewError("boom string"))
	fails("rpcObject", micro.NewError(json.RawMessage(`{"code":404,"message":"not found","extra":{"a":[1]}}`)))
	fails("error", errors.New("plain error"))
}

func (w *twin) registerEvents() {
	event := func(p micro.Pattern, name string, err error) {
		micro.HandleEvent(w.Server, p, func(context.Context, json.RawMessage) error {
			w.count(name)
			return err
		})
	}
	event(micro.Name("user_created"), "user_created", nil)
	event(micro.Fields(map[string]any{"evt": "created"}), `{"evt":"created"}`, nil)
	event(micro.Fields(map[string]any{"z": 1, "a": `q"\`}), "z-a-escape", nil)
	event(micro.Name("evt_throws"), "evt_throws", errors.New("event handler failed"))
	w.on(micro.Name("evt_returns"), func(context.Context, *micro.Request) string {
		w.count("evt_returns")
		return `{"fromEventHandler":true}`
	})
}

func (w *twin) registerWildcards() {
	matched := func(pattern string) {
		w.on(micro.Name(pattern), func(ctx context.Context, req *micro.Request) string {
			return `{"matched":` + toJSON(pattern) + `,"data":` + string(req.Data) + `,"ctx":` + describe(ctx) + `}`
		})
	}
	matched("orders.*")
	matched("logs.>")
	for _, pattern := range []string{"evt.*", "evtdeep.>"} {
		micro.HandleEvent(w.Server, micro.Name(pattern), func(ctx context.Context, data json.RawMessage) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, `{"pattern":`+toJSON(pattern)+`,"data":`+string(data)+`,"ctx":`+describe(ctx)+`}`)
			return nil
		})
	}
	w.on(micro.Name("wire.events"), func(context.Context, *micro.Request) string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return "[" + strings.Join(w.events, ",") + "]"
	})
}

func (w *twin) count(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[name]++
}

func (w *twin) countsJSON() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var members []string
	for _, name := range []string{"user_created", `{"evt":"created"}`, "z-a-escape", "evt_throws", "evt_returns"} {
		if n := w.counts[name]; n > 0 {
			members = append(members, toJSON(name)+":"+toJSON(n))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// settled returns when every message that was sent before has been handled and
// answered: each handler's subject takes them in order.
func (w *twin) settled(t *testing.T, p *rawPeer) {
	t.Helper()
	for range 2 {
		p.ask(t, `{"cmd":"echo"}`, `{"data":1,"id":"settled"}`)
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		err := w.Wait(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	p.caughtUp(t)
}
