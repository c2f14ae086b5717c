package microrabbit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// serveOnce serves until Serve returns by itself, and returns its error.
func serveOnce(t *testing.T, l *Listener) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return quietServer().Serve(ctx, l)
}

// TestRefusals checks that when the broker rejects an operation, servers and clients fail
// with the operation, the broker's reason, and a hint, rather than retrying forever.
func TestRefusals(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	taken := p.queue(unique(t, "taken"), amqp.Table{"x-message-ttl": int64(60000)})
	fanout := unique(t, "fanout")
	if err := p.ch.ExchangeDeclare(fanout, "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		url, queue string
		opts       []Option
		want       []string
	}{
		"other arguments": {b.URL, taken, nil, []string{"declare the queue", taken, "x-message-ttl", "(406)", "Topology"}},
		"another exchange type": {b.URL, taken, []Option{WithTopology(Topology{NoDeclare: true, Exchange: fanout, Wildcards: true})},
			[]string{"declare the exchange", fanout, "(406)"}},
		"a reserved name":        {b.URL, "amq.mine", nil, []string{"declare the queue", "amq.mine", "reserved", "(403)"}},
		"a wrong password":       {strings.Replace(b.URL, ":guest@", ":s3cret@", 1), "q", nil, []string{"connect to amqp://127.0.0.1", "(403)", "the user and the password"}},
		"a missing virtual host": {b.URL + "/nowhere", "q", nil, []string{"connect to amqp://127.0.0.1", "nowhere", "virtual host"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var listen []ListenOption
			var dialing []DialOption
			for _, o := range tt.opts {
				listen, dialing = append(listen, o), append(dialing, o)
			}
			dialing = append(dialing, WithDeclare())
			served := serveOnce(t, Listen(tt.url, tt.queue, listen...))
			_, called := micro.Call[string](t.Context(), dial(t, tt.url, tt.queue, dialing...), echo, "x")
			for who, err := range map[string]error{"serve": served, "call": called} {
				for _, part := range tt.want {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("%s: %v: no %q", who, err, part)
					}
				}
				if err != nil && strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%s: the error contains the password: %v", who, err)
				}
			}
			if !errors.Is(called, micro.ErrRefused) || !errors.Is(called, micro.ErrUnreachable) {
				t.Errorf("call: %v is not ErrRefused", called)
			}
		})
	}
}

// TestMissing checks that with NoDeclare the queue must exist.
func TestMissing(t *testing.T) {
	b := broker(t)
	q := unique(t, "missing")
	err := serveOnce(t, Listen(b.URL, q, WithTopology(Topology{NoDeclare: true})))
	if err == nil || !strings.Contains(err.Error(), "no queue '"+q) || !strings.Contains(err.Error(), "(404)") {
		t.Errorf("serve: %v", err)
	}
	c := dial(t, b.URL, q, WithTopology(Topology{NoDeclare: true}))
	_, err = micro.Call[string](t.Context(), c, echo, "x") // does not wait for its deadline, which would be ErrTimeout
	if !errors.Is(err, micro.ErrNotServed) || !strings.Contains(err.Error(), `the broker has no queue "`+q) {
		t.Errorf("call: %v", err)
	}
	if err := c.Emit(t.Context(), noted, "x"); !errors.Is(err, micro.ErrNotServed) {
		t.Errorf("emit: %v", err)
	}
	// The same client uses the queue once it exists.
	serveQuietly(t, Listen(b.URL, q))
	if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
		t.Errorf("call: %q, %v", got, err)
	}
}

func serveQuietly(t *testing.T, l *Listener) {
	t.Helper()
	start(t, quietServer(), l)
}

// TestFixedQueue checks that a client that was refused recovers once the queue is fixed.
func TestFixedQueue(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := p.queue(unique(t, "fixed"), amqp.Table{"x-max-length": int64(5)})
	c := dial(t, b.URL, q, WithDeclare())
	if err := c.Emit(t.Context(), noted, "x"); !errors.Is(err, micro.ErrRefused) {
		t.Fatal(err)
	}
	if _, err := p.ch.QueueDelete(q, false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client tries again", func() bool { return c.Emit(t.Context(), noted, "x") == nil })
}

// TestQueueOptions checks that servers and clients pass queue options to the broker.
func TestQueueOptions(t *testing.T) {
	b := broker(t)
	q := unique(t, "options")
	opt := WithTopology(Topology{Queue: QueueOptions{MaxPriority: 5, Arguments: map[string]any{"x-queue-mode": "lazy"}}})
	start(t, quietServer(), Listen(b.URL, q, opt))
	if got, err := micro.Call[string](t.Context(), dial(t, b.URL, q, opt), echo, "x"); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := micro.Call[string](t.Context(), dial(t, b.URL, q), echo, "x"); err != nil || got != "x" {
		t.Errorf("a client that declares nothing: %q, %v", got, err)
	}
	if _, err := micro.Call[string](t.Context(), dial(t, b.URL, q, WithDeclare()), echo, "x"); err == nil || !strings.Contains(err.Error(), "x-max-priority") && !strings.Contains(err.Error(), "x-queue-mode") {
		t.Errorf("with other options: %v", err)
	}
}

// TestFanout checks that each bound queue receives each message, and that a request can
// receive the replies of all.
func TestFanout(t *testing.T) {
	b := broker(t)
	exchange := unique(t, "fan")
	opt := WithTopology(Topology{Exchange: exchange, ExchangeType: "fanout"})
	seen := make(chan string, 10)
	for _, name := range []string{"one", "two"} {
		s := quietServer()
		micro.HandleEvent(s, noted, func(_ context.Context, in string) error { seen <- name + in; return nil })
		micro.Handle(s, micro.Name("who"), func(context.Context, micro.None) (string, error) { return name, nil })
		start(t, s, Listen(b.URL, unique(t, name), opt))
	}
	s := quietServer() // the broker chooses the name of its queue
	micro.HandleEvent(s, noted, func(_ context.Context, in string) error { seen <- "three" + in; return nil })
	start(t, s, Listen(b.URL, "", WithTopology(Topology{Exchange: exchange, ExchangeType: "fanout", Queue: QueueOptions{Exclusive: true}})))
	c := dial(t, b.URL, "", opt)
	if err := c.Emit(t.Context(), noted, "!"); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for range 3 {
		got[take(t, "the event", seen)] = true
	}
	if !got["one!"] || !got["two!"] || !got["three!"] {
		t.Errorf("%v", got)
	}
	answers := map[string]bool{}
	req := &micro.Request{Pattern: micro.Name("who"), All: true, Deadline: time.Now().Add(2 * time.Second)}
	err := c.Do(t.Context(), req, micro.ReplyFunc(func(v micro.Value) error {
		answers[string(v.Raw)] = true
		return nil
	}))
	if !errors.Is(err, micro.ErrTimeout) || !answers[`"one"`] || !answers[`"two"`] {
		t.Errorf("all replies: %v, %v", answers, err)
	}
}

// TestWildcardClients checks that a request or an event for which no queue is bound fails
// at once.
func TestWildcardClients(t *testing.T) {
	b := broker(t)
	q := unique(t, "wildcards")
	s := quietServer()
	seen := make(chan *Delivery, 1)
	micro.HandleEvent(s, micro.Name("orders.*"), func(ctx context.Context, _ string) error { seen <- DeliveryFromContext(ctx); return nil })
	micro.HandleFunc(s, micro.Name(strings.Repeat("long.", 60)+"*"), nil) // logs a warning and is not bound
	start(t, s, Listen(b.URL, q, WithTopology(Topology{Wildcards: true})))
	c := dial(t, b.URL, q, WithTopology(Topology{Wildcards: true}))
	if err := c.Emit(t.Context(), micro.Name("orders.created"), "x"); err != nil {
		t.Error(err)
	}
	if d := take(t, "the event", seen); d.Exchange != q || d.RoutingKey != "orders.created" {
		t.Errorf("%+v", d)
	}
	if err := c.Emit(t.Context(), micro.Name("unserved.topic"), "x"); !errors.Is(err, micro.ErrNotServed) {
		t.Errorf("emit: %v", err)
	}
	_, err := micro.Call[string](t.Context(), c, micro.Name("unserved.topic"), "x")
	if !errors.Is(err, micro.ErrNotServed) || !strings.Contains(err.Error(), "unserved.topic") {
		t.Errorf("call: %v", err)
	}
	if err := c.Emit(t.Context(), micro.Name(strings.Repeat("l", 256)), "x"); err == nil || !strings.Contains(err.Error(), "the routing key is 256 bytes long") {
		t.Errorf("a long pattern: %v", err)
	}
	if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
		t.Errorf("an object for a pattern: %q, %v", got, err)
	}
}

// TestRoutingKey checks that a queue bound with its own routing key receives messages
// published with that key, and that a client with the same exchange still sends directly
// to the queue.
func TestRoutingKey(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	exchange, q := unique(t, "exchange"), unique(t, "bound")
	topology := WithTopology(Topology{Exchange: exchange, ExchangeType: "direct", RoutingKey: "mine"})
	s := quietServer()
	seen := make(chan string, 2)
	micro.HandleEvent(s, noted, func(_ context.Context, in string) error { seen <- in; return nil })
	start(t, s, Listen(b.URL, q, topology))
	p.publish(exchange, "mine", amqp.Publishing{Body: []byte(`{"pattern":"noted","data":"exchange"}`)})
	if got := take(t, "the event", seen); got != "exchange" {
		t.Error(got)
	}
	if err := dial(t, b.URL, q, topology).Emit(t.Context(), noted, "queue"); err != nil {
		t.Error(err)
	}
	if got := take(t, "the event", seen); got != "queue" {
		t.Error(got)
	}
}
