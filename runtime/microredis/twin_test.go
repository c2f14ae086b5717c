package microredis

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// twin is a Go service with the handlers of testdata/nest/lib that the Redis recordings
// call.
type twin struct {
	server *micro.Server

	mu     sync.Mutex
	counts map[string]int    // runs of event handlers
	runs   []string          // handlers with globs that have run, and their data
	events []json.RawMessage // the response of wire.events
}

func startTwin(t testing.TB, url string, opts ...ListenOption) *twin {
	t.Helper()
	w := &twin{server: quietServer(), counts: map[string]int{}}
	w.register()
	l := Listen(url, opts...)
	if l.wildcards {
		w.registerGlobs()
	}
	start(t, w.server, l)
	return w
}

// answer registers a handler that answers with the result of text for its request; ""
// means undefined.
func (w *twin) answer(p micro.Pattern, text func(context.Context, *micro.Request) string) {
	micro.HandleFunc(w.server, p, func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: raw(text(ctx, req)), Last: true})
	})
}

func raw(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func always(text string) func(context.Context, *micro.Request) string {
	return func(context.Context, *micro.Request) string { return text }
}

func data(_ context.Context, req *micro.Request) string { return string(req.Data) }

func (w *twin) register() {
	w.answer(micro.Cmd("echo"), data)
	w.answer(micro.Name("echo"), data)
	micro.Handle(w.server, micro.Name("math.sum"), func(_ context.Context, numbers []int) (sum int, _ error) {
		for _, n := range numbers {
			sum += n
		}
		return sum, nil
	})
	w.answer(micro.Cmd("createItem"), func(_ context.Context, req *micro.Request) string {
		return `{"id":1,"created":true,"item":` + string(req.Data) + "}"
	})
	w.answer(micro.Fields(map[string]any{"b": 2, "a": map[string]any{"d": "x", "c": true}}), func(_ context.Context, req *micro.Request) string {
		return `{"nested":` + string(req.Data) + "}"
	})
	number, _ := micro.ParsePattern("42")
	w.answer(number, always(`"number-pattern"`))
	for _, name := range []string{"true", "null", "1e3", "1000"} {
		w.answer(micro.Name(name), always(`"string-`+name+`"`))
	}
	w.answer(micro.Name("wire.ctx"), describe)
	w.answer(micro.Cmd("returnNull"), always("null"))
	w.answer(micro.Cmd("returnUndefined"), always(""))
	micro.Handle(w.server, micro.Cmd("slow"), func(ctx context.Context, in struct{ Ms int }) (map[string]int, error) {
		return map[string]int{"slept": in.Ms}, pause(ctx, time.Duration(in.Ms)*time.Millisecond)
	})
	w.registerStreams()
	w.registerErrors()
	w.registerEvents()
}

// describe returns NestJS 12's description of a RedisContext.
func describe(ctx context.Context, req *micro.Request) string {
	metadata := "null"
	for key, value := range req.Metadata.All() {
		if key == micro.MetaCorrelationID {
			continue // added by us to an event without one
		}
		metadata = `{"` + key + `":"` + value + `"}`
	}
	return `{"ctor":"RedisContext","metadata":` + metadata + `,"channel":"` + DeliveryFromContext(ctx).Channel + `"}`
}

func (w *twin) registerStreams() {
	numbers := func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		for i := range 3 {
			if err := reply.Send(micro.Value{Any: i, Last: i == 2}); err != nil {
				return err
			}
		}
		return nil
	}
	micro.HandleFunc(w.server, micro.Cmd("stream"), numbers)
	micro.HandleFunc(w.server, micro.Cmd("streamSync"), numbers)
	micro.HandleStream(w.server, micro.Cmd("streamLateComplete"), sequence([]int{1, 2}, nil))
	micro.HandleStream(w.server, micro.Cmd("streamThenError"), sequence([]int{1, 2}, micro.NewError("stream failed")))
	micro.HandleStream(w.server, micro.Cmd("streamEmpty"), sequence(nil, nil))
}

func sequence(list []int, end error) func(context.Context, micro.None) iter.Seq2[int, error] {
	return func(context.Context, micro.None) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for _, v := range list {
				if !yield(v, nil) {
					return
				}
			}
			if end != nil {
				yield(0, end)
			}
		}
	}
}

func (w *twin) registerErrors() {
	for name, err := range map[string]error{
		"rpcString": micro.NewError("boom string"),
		"rpcObject": micro.NewError(json.RawMessage(`{"code":404,"message":"not found","extra":{"a":[1]}}`)),
		"error":     errors.New("plain error"),
	} {
		micro.HandleFunc(w.server, micro.Cmd(name), func(context.Context, *micro.Request, micro.Reply) error { return err })
	}
}

func (w *twin) registerEvents() {
	event := func(p micro.Pattern, name string, err error) {
		micro.HandleEvent(w.server, p, func(context.Context, json.RawMessage) error {
			w.count(name)
			return err
		})
	}
	event(micro.Name("user_created"), "user_created", nil)
	event(micro.Fields(map[string]any{"evt": "created"}), `{"evt":"created"}`, nil)
	event(micro.Fields(map[string]any{"z": 1, "a": `q"\`}), "z-a-escape", nil)
	event(micro.Name("evt_throws"), "evt_throws", errors.New("event handler failed"))
	w.answer(micro.Name("evt_returns"), func(context.Context, *micro.Request) string {
		w.count("evt_returns")
		return `{"fromEventHandler":true}`
	})
	w.answer(micro.Cmd("eventCount"), func(context.Context, *micro.Request) string { return w.countsJSON() })
}

func (w *twin) count(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[name]++
}

// countsJSON returns the object with all counts, in the order of the recorded events.
func (w *twin) countsJSON() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var members []string
	for _, name := range []string{"user_created", `{"evt":"created"}`, "z-a-escape", "evt_throws", "evt_returns"} {
		if n := w.counts[name]; n > 0 {
			key, _ := json.Marshal(name)
			value, _ := json.Marshal(n)
			members = append(members, string(key)+":"+string(value))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (w *twin) registerGlobs() {
	for _, glob := range []string{"orders.*", "h?llo", "x[ab]"} {
		w.answer(micro.Name(glob), func(ctx context.Context, req *micro.Request) string {
			w.ran(glob, req)
			return `{"matched":"` + glob + `","data":` + string(req.Data) + `,"ctx":` + describe(ctx, req) + "}"
		})
	}
	micro.HandleFunc(w.server, micro.Name("evt.*"), func(ctx context.Context, req *micro.Request, _ micro.Reply) error {
		w.ran("evt.*", req)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, json.RawMessage(`{"pattern":"evt.*","data":`+string(req.Data)+`,"ctx":`+describe(ctx, req)+"}"))
		return nil
	})
	micro.Handle(w.server, micro.Name("wire.events"), func(context.Context, micro.None) ([]json.RawMessage, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.runs = append(w.runs, "wire.events 1")
		return w.events, nil
	})
}

func (w *twin) ran(glob string, req *micro.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = append(w.runs, glob+" "+string(req.Data))
}
