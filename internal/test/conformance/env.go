package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// env is the environment of a scenario.
type env struct {
	*testing.T
	tr      Transport
	link    Link
	timeout time.Duration
}

// Patterns that many scenarios use.
var (
	echo = micro.Cmd("echo")
	hold = micro.Cmd("hold")
	note = micro.Name("noted")
)

// server returns a server and its log.
func (e *env) server(opts ...micro.ServerOption) (*micro.Server, *testenv.Log) {
	book := &testenv.Log{}
	return micro.NewServer(append([]micro.ServerOption{micro.WithLogger(book.Logger())}, opts...)...), book
}

// running is a running server.
type running struct {
	stop context.CancelFunc
	done chan struct{} // closed when Serve has returned
	err  error         // returned by Serve; set before done is closed
}

// serve serves s on a link until the test ends. It returns when s is ready.
func (e *env) serve(link Link, s *micro.Server) *running {
	e.Helper()
	l := link.Listen()
	r := e.begin(l, s)
	ctx, giveUp := context.WithTimeout(e.Context(), e.timeout)
	defer giveUp()
	ready := make(chan error, 1)
	go func() { ready <- l.Ready(ctx) }()
	select {
	case err := <-ready:
		if err != nil {
			e.Fatalf("the server is not ready: %v", err)
		}
	case <-r.done:
		giveUp()
		_ = await(e, "the listener", ready) // the error of Serve is more specific
		e.Fatalf("Serve returned early: %v", r.err)
	}
	return r
}

// begin serves s on l until the test ends.
func (e *env) begin(l Listener, s *micro.Server) *running {
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.Context()))
	r := &running{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = s.Serve(ctx, l)
	}()
	e.Cleanup(func() {
		if err := r.end(e); err != nil {
			e.Errorf("Serve returned %v", err)
		}
	})
	return r
}

// end stops the server, waits until it has drained, and returns the error of Serve.
func (r *running) end(e *env) error {
	e.Helper()
	r.stop()
	select {
	case <-r.done:
		return r.err
	case <-time.After(2 * e.timeout):
		e.Fatal("the server did not stop in time")
		return nil
	}
}

// client returns a client of a link. The client is closed when the test ends.
func (e *env) client(link Link, opts ...micro.ClientOption) *micro.Client {
	c := link.Client(append([]micro.ClientOption{micro.WithTimeout(e.timeout)}, opts...)...)
	e.Cleanup(func() { _ = c.Close() }) // the scenario may have closed it
	return c
}

// start serves s on the scenario's link and returns a client.
func (e *env) start(s *micro.Server, opts ...micro.ClientOption) *micro.Client {
	e.Helper()
	e.serve(e.link, s)
	return e.client(e.link, opts...)
}

// await receives a value, or fails the test after the timeout.
func await[T any](e *env, what string, from <-chan T) T {
	e.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(e.timeout):
		e.Fatalf("timed out waiting for %s", what)
		panic("unreachable")
	}
}

// eventually polls until ok returns true, or fails the test after the timeout.
func (e *env) eventually(what string, ok func() bool) {
	e.Helper()
	every := time.NewTicker(2 * time.Millisecond)
	defer every.Stop()
	deadline := time.After(e.timeout)
	for !ok() {
		select {
		case <-every.C:
		case <-deadline:
			e.Fatalf("timed out waiting until %s", what)
		}
	}
}

// same compares two values.
func (e *env) same(what string, want, got any) {
	e.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		e.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// is checks that err matches want.
func (e *env) is(what string, err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// ask sends a request with raw data and returns what its caller observes.
func (e *env) ask(c *micro.Client, p micro.Pattern, data string) []string {
	return Observe(e.Context(), c, &micro.Request{Pattern: p, Data: []byte(data)}, 0)
}

// Observe sends a message through c and returns what its caller observes, in the
// format of the recorded NestJS callers (docs/wire.md 11): {"next":V} for each value,
// where V is "(undefined)" for an undefined value, and one line for the end:
// {"complete":true}, {"emitted":true}, or {"error":E}. If take is above 0, the caller
// leaves after that many values.
func Observe(ctx context.Context, c *micro.Client, req *micro.Request, take int) []string {
	var seen []string
	err := c.Do(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
		seen = append(seen, Next(v))
		if len(seen) == take {
			return errEnough
		}
		return nil
	}))
	if req.Event && err == nil {
		return []string{`{"emitted":true}`}
	}
	return append(seen, End(err))
}

var errEnough = errors.New("enough")

// Next returns the line of Observe for a value.
func Next(v micro.Value) string {
	if v.Undefined() {
		return `{"next":"(undefined)"}`
	}
	return `{"next":` + string(v.Raw) + `}`
}

// End returns the line of Observe for the end of a call. The error of a peer is its
// JSON text. A local error has NestJS's text if NestJS has that error.
func End(err error) string {
	var remote *micro.Error
	switch {
	case err == nil, errors.Is(err, errEnough):
		return `{"complete":true}`
	case errors.As(err, &remote) && remote.Remote():
		return `{"error":` + string(remote.Payload) + `}`
	case errors.Is(err, micro.ErrTimeout):
		return `{"error":{"name":"TimeoutError","message":"Timeout has occurred"}}`
	case errors.Is(err, micro.ErrConnectionLost):
		return `{"error":{"name":"Error","message":"Connection closed"}}`
	}
	return fmt.Sprintf(`{"error":%q}`, err)
}

const complete = `{"complete":true}`

// next returns the lines of a complete answer. An empty text is an undefined value.
func next(texts ...string) []string {
	var lines []string
	for _, text := range texts {
		if text == "" {
			text = `"(undefined)"`
		}
		lines = append(lines, `{"next":`+text+`}`)
	}
	return append(lines, complete)
}

// passThrough answers with the data that it receives.
func passThrough(_ context.Context, req *micro.Request, reply micro.Reply) error {
	return reply.Send(micro.Value{Raw: req.Data, Last: true})
}

// sends answers with JSON texts, and marks the last one as the last. An empty text is
// an undefined value.
func sends(texts ...string) micro.Handler {
	return func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		for i, text := range texts {
			v := micro.Value{Last: i == len(texts)-1}
			if text != "" {
				v.Raw = json.RawMessage(text)
			}
			if err := reply.Send(v); err != nil {
				return err
			}
		}
		return nil
	}
}

func parse(e *env, text string) micro.Pattern {
	e.Helper()
	p, err := micro.ParsePattern(text)
	if err != nil {
		e.Fatal(err)
	}
	return p
}
