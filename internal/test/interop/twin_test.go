package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// twin is our counterpart of the NestJS service: it has the handlers of testdata/nest/lib that the scenarios call.
type twin struct {
	server *micro.Server

	mu   sync.Mutex
	runs []string
}

func newTwin() *twin {
	w := &twin{server: micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))}
	w.answers()
	w.streams()
	w.failures()
	w.events()
	return w
}

// newWildTwin returns the twin with wildcard patterns. Its handlers have the order of testdata/nest/lib/events.mjs.
func newWildTwin(broker string) *twin {
	w := &twin{server: micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))}
	names := map[string]struct{ messages, events []string }{
		"rmq":   {[]string{"orders.*", "logs.#", "a.#.b", "exact.key"}, []string{"evt.*", "evt.deep.#"}},
		"nats":  {[]string{"orders.*", "logs.>"}, []string{"evt.*", "evtdeep.>"}},
		"redis": {[]string{"orders.*", "h?llo", "x[ab]"}, []string{"evt.*"}},
	}[broker]
	for _, name := range names.messages {
		w.on(micro.Name(name), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
			return reply.Send(micro.Value{Raw: json.RawMessage(fmt.Sprintf(`{"matched":%q,"data":%s}`, name, req.Data)), Last: true})
		})
	}
	for _, name := range names.events {
		w.event(micro.Name(name), 1, nil)
	}
	return w
}

// handled returns the runs of handlers so far, in the format of the scenarios.
func (w *twin) handled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs[:len(w.runs):len(w.runs)]
}

// run records a run of the nth handler of a pattern.
func (w *twin) run(p micro.Pattern, n int, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = append(w.runs, runLine(p.JSON(), n, string(data)))
}

func runLine(pattern string, n int, data string) string {
	return fmt.Sprintf("%s#%d %s", pattern, n, data)
}

func (w *twin) on(p micro.Pattern, fn micro.Handler, opts ...micro.HandlerOption) {
	micro.HandleFunc(w.server, p, func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		w.run(p, 1, req.Data)
		return fn(ctx, req, reply)
	}, opts...)
}

func (w *twin) event(p micro.Pattern, n int, err error) {
	micro.HandleEvent(w.server, p, func(_ context.Context, data json.RawMessage) error {
		w.run(p, n, data)
		return err
	})
}

// gives answers with JSON texts. The last one ends the answer.
func gives(texts ...string) micro.Handler {
	return func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		for i, text := range texts {
			if err := reply.Send(micro.Value{Raw: json.RawMessage(text), Last: i == len(texts)-1}); err != nil {
				return err
			}
		}
		return nil
	}
}

func parse(text string) micro.Pattern {
	p, err := micro.ParsePattern(text)
	if err != nil {
		panic(err)
	}
	return p
}

func (w *twin) answers() {
	w.on(micro.Cmd("echo"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: req.Data, Last: true})
	})
	w.on(micro.Cmd("é😀"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: req.Data, Last: true})
	})
	w.on(micro.Name("math.sum"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		var numbers []int
		if err := json.Unmarshal(req.Data, &numbers); err != nil {
			return err
		}
		total := 0
		for _, n := range numbers {
			total += n
		}
		return reply.Send(micro.Value{Any: total, Last: true})
	})
	w.on(parse(`{"b":2,"a":{"d":"x","c":true}}`), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: json.RawMessage(`{"nested":` + string(req.Data) + `}`), Last: true})
	})
	w.on(micro.Cmd("ctx"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		text := fmt.Sprintf(`{"data":%s,"correlation":%q,"tenant":%q}`, req.Data, req.CorrelationID(), req.Metadata.Get("tenant"))
		return reply.Send(micro.Value{Raw: json.RawMessage(text), Last: true})
	})
	w.on(parse(`42`), gives(`"number-pattern"`))
	w.on(micro.Cmd("returnNull"), gives("null"))
	w.on(micro.Cmd("returnUndefined"), gives())
	w.on(micro.Cmd("returnEmoji"), gives(`"a😀b"`))
	w.on(micro.Cmd("returnLoneSurrogate"), gives(`"x\ud83dy"`))
	w.on(micro.Cmd("guarded"), gives(`"never"`), micro.WithGuards(func(context.Context, *micro.Request) (bool, error) { return false, nil }))
}

func (w *twin) streams() {
	w.on(micro.Cmd("stream"), func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		var plan struct{ N, Delay int }
		if err := json.Unmarshal(req.Data, &plan); err != nil {
			return err
		}
		every := time.NewTicker(time.Duration(max(plan.Delay, 1)) * time.Millisecond)
		defer every.Stop()
		for i := range plan.N {
			<-every.C
			if err := reply.Send(micro.Value{Any: i, Last: i == plan.N-1}); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	w.on(micro.Cmd("streamSync"), gives("0", "1", "2", "3", "4"))
	w.on(micro.Cmd("streamNulls"), gives("null", "1", "null"))
	w.on(micro.Cmd("streamUndefined"), func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		return errors.Join(reply.Send(micro.Value{}), reply.Send(micro.Value{Last: true}))
	})
	w.sequence("streamEmpty", nil)
	w.sequence("streamLateComplete", nil, 1, 2)
	w.sequence("streamThenError", micro.NewError("stream failed"), 1, 2)
	w.sequence("streamThenLateError", micro.NewError("stream failed late"), 1, 2)
}

// sequence streams values and then fails with end unless it is nil.
func (w *twin) sequence(name string, end error, list ...int) {
	p := micro.Cmd(name)
	micro.HandleStream(w.server, p, func(_ context.Context, data json.RawMessage) iter.Seq2[int, error] {
		w.run(p, 1, data)
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
	})
}

func (w *twin) failures() {
	for name, err := range map[string]error{
		"rpcString": micro.NewError("boom string"),
		"rpcObject": micro.NewError(json.RawMessage(`{"code":404,"message":"not found","extra":{"a":[1]}}`)),
		"rpcArray":  micro.NewError([]int{1, 2}),
		"rpcNumber": micro.NewError(123),
		"error":     errors.New("plain error"),
	} {
		w.on(micro.Cmd(name), func(context.Context, *micro.Request, micro.Reply) error { return err })
	}
}

func (w *twin) events() {
	w.event(micro.Name("user_created"), 1, nil)
	w.event(parse(`{"evt":"created"}`), 1, nil)
	w.event(micro.Name("multi"), 1, nil)
	w.event(micro.Name("multi"), 2, nil)
	w.event(micro.Name("evt_throws"), 1, errors.New("event handler failed"))
}
