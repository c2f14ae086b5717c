package observe

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	reported "github.com/msctl/msctl/runtime/tap"
)

// TestNATS, TestRedis, TestRabbitMQ, and TestProxy observe the same messages on all transports.
func TestNATS(t *testing.T) {
	broker := testenv.NATS(t)
	observed(t, broker.URL, "nats", "nats")
}

func TestRedis(t *testing.T) {
	broker := testenv.Redis(t)
	observed(t, broker.URL, "redis", "redis")
}

func TestRabbitMQ(t *testing.T) {
	broker := testenv.RabbitMQ(t)
	queue := testenv.Unique(t, "items")
	observed(t, broker.URL+"/"+queue, "rmq", queue)
}

func TestProxy(t *testing.T) {
	l := microtcp.Listen("127.0.0.1:0")
	serve(t, l)
	served, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v := newView(t)
	to := target.Target{Scheme: target.SchemeTCP, Addresses: []string{served.String()}, Service: "items"}
	p, err := Listen(t.Context(), "127.0.0.1:0", to, nil, Options{Note: v.note})
	if err != nil {
		t.Fatal(err)
	}
	v.watch(p)
	sendAll(t, v, "tcp://"+p.Address, "tcp", "items")
}

// observed starts a service on a broker, and checks what is seen of messages to it.
func observed(t *testing.T, address, transport, name string) {
	t.Helper()
	at := parseTarget(t, address)
	l, err := new(target.Flags).Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l)
	v := newView(t)
	o, err := Connect(t.Context(), new(target.Flags), at, Options{Note: v.note})
	if err != nil {
		t.Fatal(err)
	}
	v.watch(o)
	sendAll(t, v, address, transport, name)
}

// sendAll sends one message of each kind, and checks what is seen of them.
func sendAll(t *testing.T, v *view, address, transport, name string) {
	t.Helper()
	c := client(t, address)
	ctx := t.Context()
	in := input{"a", "hunter2-seen"}
	cause := reported.NewRef(reported.Ref{})

	marked := client(t, address, micro.WithInterceptors(func(next micro.Handler) micro.Handler {
		return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			req.Metadata.Set("authorization", "Bearer bearer-of-secrets")
			req.Metadata.Set("tenant", "acme")
			req.Metadata.Set(reported.Key, cause.String())
			return next(ctx, req, reply)
		}
	}))
	if _, err := micro.Call[output](ctx, marked, echo, in); err != nil {
		t.Fatal(err)
	}
	m := v.message("the request", of(echo))
	if m.Kind != reported.Handle || m.Outcome != reported.OK || m.Transport != transport || m.Service != name || m.Values != 1 || m.Took <= 0 || len(m.ID) == 0 || m.Correlation == "" {
		t.Errorf("the request: %+v", m)
	}
	if data, reply := string(m.Data), string(m.Reply); data != `{"name":"a","password":"***"}` || reply != `{"name":"a","token":"***"}` {
		t.Errorf("the data %s and the reply %s", data, reply)
	}
	if m.Metadata["tenant"] != "acme" || m.Metadata["authorization"] != "***" {
		t.Errorf("the metadata %v", m.Metadata)
	}
	if m.Trace != cause.Trace() || m.Record.Parent != cause.Span() || m.Span == cause.Span() {
		t.Errorf("trace %s, parent %s, span %s, of %s", m.Trace, m.Record.Parent, m.Span, cause)
	}

	if _, err := micro.Call[output](ctx, c, fail, in); err == nil {
		t.Fatal("no error")
	}
	m = v.message("the error", of(fail))
	if m.Outcome != reported.Failed || m.Error == nil || m.Error.Message != "sold out" || m.Error.Status != 409 || !m.Error.Own {
		t.Errorf("the error: %+v %+v", m, m.Error)
	}

	limit := soon
	if transport == "nats" || transport == "redis" {
		limit = time.Second // without a subscriber, nothing replies
	}
	within(t, limit, func(ctx context.Context) {
		if _, err := micro.Call[output](ctx, c, micro.Cmd("unknown"), in); err == nil {
			t.Error("no error")
		}
	})
	m = v.message("the request without a handler", of(micro.Cmd("unknown")))
	if want := map[string]reported.Outcome{"nats": reported.TimedOut, "redis": reported.TimedOut}[transport]; m.Outcome != want && (want != "" || m.Outcome != reported.NoHandler) {
		t.Errorf("the request without a handler: %+v", m)
	}

	if err := c.Emit(ctx, noted, in); err != nil {
		t.Fatal(err)
	}
	m = v.message("the event", of(noted))
	if !m.Event || m.Outcome != reported.OK || m.Service != name || m.Values != 0 || string(m.Data) != `{"name":"a","password":"***"}` {
		t.Errorf("the event: %+v", m)
	}

	values := 0
	for _, err := range micro.Stream[output](ctx, c, watch, in) {
		if err != nil {
			t.Fatal(err)
		}
		values++
	}
	m = v.message("the stream", of(watch))
	if values != 3 || m.Values != 3 || m.Outcome != reported.OK || string(m.Reply) != `{"name":"c","token":"***"}` {
		t.Errorf("the stream: %+v", m)
	}

	limit = time.Second
	if transport == "rmq" {
		limit = 5 * time.Second // a consumer must receive it before that
	}
	within(t, limit, func(ctx context.Context) {
		if _, err := micro.Call[output](ctx, c, silent, in); !errors.Is(err, micro.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	m = v.message("the request without a reply", of(silent))
	if m.Outcome != reported.TimedOut || m.Values != 0 || m.Error == nil || !strings.Contains(m.Error.Message, "no reply was seen") {
		t.Errorf("the request without a reply: %+v %+v", m, m.Error)
	}
	if transport == "rmq" && !strings.Contains(m.Error.Message, "a consumer has received") {
		t.Errorf("the consumer is not mentioned: %s", m.Error.Message)
	}
	v.await("the open request", func() bool {
		return slices.ContainsFunc(v.all, func(o tap.Message) bool { return o.Open && o.Span == m.Span })
	})

	if _, err := micro.Call[map[string]any](ctx, c, micro.HealthPattern, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Emit(ctx, micro.Name("item.last"), in); err != nil {
		t.Fatal(err)
	}
	v.message("the last event", of(micro.Name("item.last")))
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range v.all {
		if strings.Contains(m.Pattern, "msctl.") || m.Outcome == reported.NoRequest || m.Dropped > 0 {
			t.Errorf("it is not expected: %+v %+v", m, m.Error)
		}
	}
}

// within calls do with a context that has a deadline.
func within(t *testing.T, d time.Duration, do func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	do(ctx)
}
