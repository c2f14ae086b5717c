package microtcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// twin is the Go service with the handlers of testdata/nest/lib, so that what was recorded of NestJS can be asked of us.
//
// Some results exist in JavaScript only. NaN is null once it is JSON, a function is undefined, an Error is {}: the twin
// returns what those become. A BigInt and a circle cannot be encoded: NestJS sends nothing then, and its caller times
// out; our server answers with the internal error (see the tests that name returnBigInt).
type twin struct {
	addr   string
	server *micro.Server

	mu     sync.Mutex
	runs   int
	counts map[string]int
	held   chan struct{} // if not nil, the handler "slow" also waits until it is closed
}

// eventNames are the event handlers in the order in which the recorded events come. JavaScript keeps the counts in the
// order of first events; ours may begin in another, because nothing orders the messages of one connection.
func eventNames() []string {
	return []string{"user_created", `{"evt":"created"}`, "z-a-escape", "multi#1", "multi#2", "evt_throws", "evt_rpc_throws", "evt_stream", "evt_returns"}
}

// startTwin serves the twin on a free port until the test ends.
func startTwin(t testing.TB, opts ...microtcp.ListenOption) *twin {
	t.Helper()
	w := &twin{
		server: micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler))),
		counts: map[string]int{},
	}
	w.register()
	w.addr = serve(t, w.server, opts...)
	return w
}

// handled returns how many handlers have begun to run.
func (w *twin) handled() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs
}

// count records that an event handler of that name ran.
func (w *twin) count(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[name]++
}

// countsJSON is the object of all counts.
func (w *twin) countsJSON() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	var members []string
	for _, name := range eventNames() {
		if n := w.counts[name]; n > 0 {
			members = append(members, toJSON(name)+":"+toJSON(n))
		}
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}

func toJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// on registers a handler below the generic forms and counts its runs.
func (w *twin) on(p micro.Pattern, fn micro.Handler, opts ...micro.HandlerOption) {
	micro.HandleFunc(w.server, p, func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		w.mu.Lock()
		w.runs++
		w.mu.Unlock()
		return fn(ctx, req, reply)
	}, opts...)
}

// gives registers a handler that always answers with one JSON text; "" is undefined.
func (w *twin) gives(p micro.Pattern, text string) {
	w.on(p, func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: rawOf(text), Last: true})
	})
}

// fails registers a handler that always fails with what err makes.
func (w *twin) fails(name string, err func() error) {
	w.on(micro.Cmd(name), func(context.Context, *micro.Request, micro.Reply) error { return err() })
}

func rawOf(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func (w *twin) register() {
	w.registerBasic()
	w.registerStreams()
	w.registerReturns()
	w.registerErrors()
	w.registerEvents()
}

func (w *twin) registerBasic() {
	echo := func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: req.Data, Last: true})
	}
	sum := func(_ context.Context, numbers []float64) (total float64, _ error) {
		for _, n := range numbers {
			total += n
		}
		return total, nil
	}
	w.on(micro.Cmd("echo"), echo)
	w.on(micro.Name("echo"), echo)
	micro.Handle(w.server, micro.Cmd("sum"), sum)
	micro.Handle(w.server, micro.Name("math.sum"), sum)
	w.on(micro.Cmd("createItem"), wrapped(`{"id":1,"created":true,"item":`))
	w.on(micro.Fields(map[string]any{"b": 2, "a": map[string]any{"d": "x", "c": true}}), wrapped(`{"nested":`))
	w.on(micro.Cmd("slow"), w.slow)
	w.on(micro.Cmd("never"), func(ctx context.Context, _ *micro.Request, _ micro.Reply) error {
		<-ctx.Done()
		return ctx.Err()
	})
	w.on(micro.Cmd("ctx"), describeContext)
	w.on(micro.Name("wire.ctx"), describeContext)
	w.gives(mustPattern("42"), `"number-pattern"`)
	for _, name := range []string{"true", "null", "1e3", "1000"} {
		w.gives(micro.Name(name), `"string-`+name+`"`)
	}
	w.gives(micro.Name("[1,2]"), `"string-array"`)
	w.on(micro.Cmd("eventCount"), func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: w.countsJSON(), Last: true})
	})
	w.on(micro.Cmd("payloadProp"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		var in struct{ Name json.RawMessage }
		if err := json.Unmarshal(req.Data, &in); err != nil {
			return err
		}
		if in.Name == nil {
			in.Name = json.RawMessage("null")
		}
		return reply.Send(micro.Value{Raw: json.RawMessage(`{"prop":` + string(in.Name) + `}`), Last: true})
	})
}

// wrapped answers with the data as the last member of an object.
func wrapped(start string) micro.Handler {
	return func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		return reply.Send(micro.Value{Raw: json.RawMessage(start + string(req.Data) + "}"), Last: true})
	}
}

// hold makes the handler "slow" wait until release is called, so that what a test does meanwhile comes first on a busy
// machine too.
func (w *twin) hold() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = make(chan struct{})
	return sync.OnceFunc(func() { close(w.held) })
}

func (w *twin) slow(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	in := struct{ Ms int }{100}
	if err := json.Unmarshal(req.Data, &in); err != nil {
		return err
	}
	if err := pause(ctx, in.Ms); err != nil {
		return err
	}
	w.mu.Lock()
	held := w.held
	w.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return reply.Send(micro.Value{Any: map[string]int{"slept": in.Ms}, Last: true})
}

// pause waits as a handler does that has something to wait for.
func pause(ctx context.Context, ms int) error {
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// describeContext returns what NestJS 12 reports of a TcpContext. Our metadata are strings, so whatever looks like a
// number is reported as one.
func describeContext(_ context.Context, req *micro.Request, reply micro.Reply) error {
	metadata := "null"
	var members []string
	for key, value := range req.Metadata.All() {
		if !json.Valid([]byte(value)) {
			value = toJSON(value)
		}
		members = append(members, toJSON(key)+":"+value)
	}
	if len(members) > 0 {
		metadata = "{" + strings.Join(members, ",") + "}"
	}
	text := `{"ctor":"TcpContext","pattern":` + toJSON(req.Pattern.Route()) + `,"metadata":` + metadata + `}`
	return reply.Send(micro.Value{Raw: json.RawMessage(text), Last: true})
}

func (w *twin) registerStreams() {
	type plan struct{ N, Delay, Size int }
	// numbers sends 0 to n-1, the last of them disposed, as a stream that ends with its last value.
	numbers := func(delay bool, value func(i int, p plan) any) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			p := plan{N: 3, Delay: 5, Size: 1000}
			if err := json.Unmarshal(req.Data, &p); err != nil {
				return err
			}
			for i := range p.N {
				if delay {
					if err := pause(ctx, p.Delay); err != nil {
						return err
					}
				}
				if err := reply.Send(micro.Value{Any: value(i, p), Last: i == p.N-1}); err != nil {
					return err
				}
			}
			return nil
		}
	}
	itself := func(i int, _ plan) any { return i }
	w.on(micro.Cmd("stream"), numbers(true, itself))
	w.on(micro.Cmd("streamSync"), numbers(false, itself))
	w.on(micro.Cmd("streamBig"), numbers(false, func(_ int, p plan) any { return strings.Repeat("z", p.Size) }))
	micro.HandleStream(w.server, micro.Cmd("streamLateComplete"), sequence([]int{1, 2}, nil))
	micro.HandleStream(w.server, micro.Cmd("streamThenError"), sequence([]int{1, 2}, micro.NewError("stream failed")))
	micro.HandleStream(w.server, micro.Cmd("streamThenLateError"), sequence([]int{1, 2}, micro.NewError("stream failed late")))
	micro.HandleStream(w.server, micro.Cmd("streamEmpty"), sequence[int](nil, nil))
	w.on(micro.Cmd("streamUndefined"), values("", ""))
	w.on(micro.Cmd("streamNulls"), values("null", "1", "null"))
	w.on(micro.Cmd("promiseObservable"), values(`"p1"`, `"p2"`))
	w.gives(micro.Cmd("observableOfPromise"), "{}")
}

// sequence is a handler that streams values and then ends, with an error if there is one.
func sequence[T any](list []T, end error) func(context.Context, struct{}) iter.Seq2[T, error] {
	return func(context.Context, struct{}) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			for _, v := range list {
				if !yield(v, nil) {
					return
				}
			}
			if end != nil {
				var zero T
				yield(zero, end)
			}
		}
	}
}

// values is a handler that sends JSON texts, the last of them disposed.
func values(texts ...string) micro.Handler {
	return func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		for i, text := range texts {
			if err := reply.Send(micro.Value{Raw: rawOf(text), Last: i == len(texts)-1}); err != nil {
				return err
			}
		}
		return nil
	}
}

func (w *twin) registerReturns() {
	micro.Handle(w.server, micro.Cmd("returnNull"), returns[*int](nil))
	micro.Handle(w.server, micro.Cmd("returnUndefined"), returns(micro.None{}))
	micro.Handle(w.server, micro.Cmd("returnFalse"), returns(false))
	micro.Handle(w.server, micro.Cmd("returnZero"), returns(0))
	micro.Handle(w.server, micro.Cmd("returnEmptyString"), returns(""))
	micro.Handle(w.server, micro.Cmd("returnArray"), returns([]any{1, "a", nil, nil}))
	micro.Handle(w.server, micro.Cmd("returnEmptyObject"), returns(map[string]any{}))
	micro.Handle(w.server, micro.Cmd("returnDate"), returns("1970-01-01T00:00:00.000Z"))
	micro.Handle(w.server, micro.Cmd("returnEmoji"), returns("a😀b"))
	micro.Handle(w.server, micro.Cmd("returnBigInt"), returns[any](func() {}))
	micro.Handle(w.server, micro.Cmd("returnCircular"), returns[any](make(chan int)))
	w.gives(micro.Cmd("returnBuffer"), `{"type":"Buffer","data":[1,2,255]}`)
	w.gives(micro.Cmd("returnNaN"), "null")
	w.gives(micro.Cmd("returnFunction"), "")
	w.gives(micro.Cmd("returnEnvelopeLike"), `{"response":1,"isDisposed":true}`)
	w.gives(micro.Cmd("returnLoneSurrogate"), `"x\ud83dy"`) // no Go string holds one; JSON does
	w.gives(micro.Cmd("returnRpcException"), `{"error":"returned, not thrown","message":"returned, not thrown"}`)
	w.gives(micro.Cmd("returnError"), "{}")
}

func returns[T any](v T) func(context.Context, struct{}) (T, error) {
	return func(context.Context, struct{}) (T, error) { return v, nil }
}

func (w *twin) registerErrors() {
	payloads := map[string]any{
		"rpcEmptyString":  "",
		"rpcObject":       json.RawMessage(`{"code":404,"message":"not found","extra":{"a":[1]}}`),
		"rpcObjectStatus": json.RawMessage(`{"status":"fail","code":7}`),
		"rpcEmptyObject":  struct{}{},
		"rpcArray":        []int{1, 2},
		"rpcNumber":       123,
		"rpcBoolean":      false,
		"rpcNull":         nil,
		"rpcUndefined":    json.RawMessage(`{"status":"error"}`),
		"rpcError":        struct{}{},
		"rpcSubclass": struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}{"SUB", "sub"},
		"rpcObjectUndefined": json.RawMessage(`{"code":1,"n":null}`),
		"rejectRpc":          "rejected rpc",
		"observableRpc":      json.RawMessage(`{"code":9,"message":"observable rpc"}`),
	}
	for name, payload := range payloads {
		w.fails(name, func() error { return micro.NewError(payload) })
	}
	w.fails("rpcString", func() error { return micro.NewError("boom string") })
	for _, name := range []string{"error", "typeError", "domainError", "http404", "http500", "rejectError", "observableError", "observableRaw"} {
		w.fails(name, func() error { return errors.New(name) })
	}
	thrown := map[string]any{"throwString": "a string", "throwObject": map[string]any{"code": 1}, "throwUndefined": errors.New("x"), "throwNull": 0}
	for name, value := range thrown {
		w.fails(name, func() error { panic(value) })
	}
	w.fails("validated", func() error { return errors.New("name must be a string") })
	w.on(micro.Cmd("guarded"), values(`"never"`), micro.WithGuards(func(context.Context, *micro.Request) (bool, error) { return false, nil }))
}

func (w *twin) registerEvents() {
	event := func(p micro.Pattern, name string, err error) {
		micro.HandleEvent(w.server, p, func(context.Context, json.RawMessage) error {
			w.mu.Lock()
			w.runs++
			w.mu.Unlock()
			w.count(name)
			return err
		})
	}
	event(micro.Name("user_created"), "user_created", nil)
	event(micro.Fields(map[string]any{"evt": "created"}), `{"evt":"created"}`, nil)
	event(micro.Fields(map[string]any{"z": 1, "a": `q"\`}), "z-a-escape", nil)
	event(micro.Name("multi"), "multi#1", nil)
	event(micro.Name("multi"), "multi#2", nil)
	event(micro.Name("evt_throws"), "evt_throws", errors.New("event handler failed"))
	event(micro.Name("evt_rpc_throws"), "evt_rpc_throws", micro.NewError("event rpc failed"))
	event(micro.Name("evt_stream"), "evt_stream", nil)
	// Only a message handler of ours returns something.
	w.on(micro.Name("evt_returns"), func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		w.count("evt_returns")
		return reply.Send(micro.Value{Raw: json.RawMessage(`{"fromEventHandler":true}`), Last: true})
	})
}
