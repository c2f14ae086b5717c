package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// quickRedelivery is a redelivery with short delays.
var quickRedelivery = WithRedelivery(Redelivery{Attempts: 3, Delay: 5 * time.Millisecond, Factor: 2})

// deadLetters declares a queue for dead letters and consumes it.
func deadLetters(t *testing.T, url string) (name string, c <-chan amqp.Delivery) {
	t.Helper()
	p := dialPeer(t, url)
	name = unique(t, "dead")
	p.queue(name, nil)
	return name, p.consume(name)
}

// deleteRetryQueues deletes the retry queues after the test.
func deleteRetryQueues(t *testing.T, url, queue string, delays ...int) {
	t.Helper()
	p := dialPeer(t, url)
	for _, d := range delays {
		p.deleteLater(fmt.Sprintf("%s.retry.%d", queue, d))
	}
}

// TestRedelivery checks that an event whose handler fails is redelivered, with growing
// delays and all its properties, until it is handled or its attempts are used up.
func TestRedelivery(t *testing.T) {
	b := broker(t)
	dead, letters := deadLetters(t, b.URL)
	q := unique(t, "events")
	deleteRetryQueues(t, b.URL, q, 5, 10)
	s := quietServer()
	type run struct {
		Data, ID, Exchange, Key, Header string
		Attempt, Request                int
		Metadata                        map[string]string
	}
	runs := make(chan run, 100)
	fails := map[string]int{"once": 1, "always": 100, "panic": 100}
	var mu sync.Mutex
	micro.HandleEvent(s, noted, func(ctx context.Context, in string) error {
		d := DeliveryFromContext(ctx)
		header, _ := d.Headers["x-mine"].(string)
		req := micro.RequestFromContext(ctx)
		seen := maps.Collect(req.Metadata.All())
		delete(seen, micro.MetaCorrelationID)
		runs <- run{in, d.MessageID, d.Exchange, d.RoutingKey, header, d.Attempt, req.Attempt, seen}
		mu.Lock()
		defer mu.Unlock()
		if fails[in]--; fails[in] < 0 {
			return nil
		}
		if in == "panic" {
			panic("in the handler")
		}
		return fmt.Errorf("%s fails", in)
	})
	start(t, s, Listen(b.URL, q, WithAck(AckAfterHandling), quickRedelivery, WithTopology(Topology{DeadLetter: dead})))
	c := dial(t, b.URL, q)
	for name, want := range map[string]int{"fine": 1, "once": 2, "always": 3, "panic": 3} {
		ctx := WithMessage(t.Context(), Message{MessageID: "id-" + name, Headers: map[string]any{"x-mine": "h", "CC": []any{"unserved"}}})
		if err := c.Emit(ctx, noted, name); err != nil {
			t.Fatal(err)
		}
		var got, all []run
		for i := range want {
			got = append(got, take(t, name, runs))
			all = append(all, run{name, "id-" + name, "", q, "h", i + 1, i + 1, map[string]string{"x-mine": "h"}})
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Error(diff)
		}
		if name == "fine" || name == "once" {
			continue
		}
		d := take(t, "the dead letter", letters)
		headers := []any{d.Headers[headerReason], d.Headers[headerQueue], d.Headers["x-mine"], d.Headers["CC"], d.MessageId, d.RoutingKey, d.Exchange}
		if diff := cmp.Diff([]any{"failed", q, "h", nil, "id-" + name, q, dead}, headers); diff != "" {
			t.Error(diff)
		}
		if text, _ := d.Headers[headerError].(string); !strings.Contains(text, map[string]string{"always": "always fails", "panic": "in the handler"}[name]) {
			t.Errorf("%s: unexpected error header %q", name, text)
		}
		if string(d.Body) != fmt.Sprintf(`{"pattern":"noted","data":%q}`, name) {
			t.Errorf("%s: the body is %s", name, d.Body)
		}
	}
	p := dialPeer(t, b.URL)
	eventually(t, "everything is acknowledged", func() bool { return p.depth(q)+p.depth(q+".retry.5")+p.depth(q+".retry.10") == 0 })
}

// TestRedeliveryKeepsExchange checks that an event that was sent to an exchange is
// redelivered with its original exchange and routing key.
func TestRedeliveryKeepsExchange(t *testing.T) {
	b := broker(t)
	q := unique(t, "events")
	deleteRetryQueues(t, b.URL, q, 5)
	s := quietServer()
	seen := make(chan string, 2)
	micro.HandleEvent(s, micro.Name("orders.*"), func(ctx context.Context, _ string) error {
		d := DeliveryFromContext(ctx)
		seen <- d.Exchange + " " + d.RoutingKey
		if d.Attempt == 1 {
			return errors.New("once")
		}
		return nil
	})
	start(t, s, Listen(b.URL, q, WithTopology(Topology{Wildcards: true}), WithAck(AckAfterHandling), quickRedelivery))
	if err := dial(t, b.URL, q, WithTopology(Topology{Wildcards: true})).Emit(t.Context(), micro.Name("orders.created"), "x"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := take(t, "the event", seen); got != q+" orders.created" {
			t.Error(got)
		}
	}
}

// TestPermanent checks that a message that cannot succeed is dead-lettered at once, and
// that a request is acknowledged even if its response is an error.
func TestPermanent(t *testing.T) {
	b := broker(t)
	dead, letters := deadLetters(t, b.URL)
	q := unique(t, "events")
	deleteRetryQueues(t, b.URL, q, 5, 10)
	s := quietServer()
	micro.HandleEvent(s, noted, func(_ context.Context, status int) error { return micro.Errorf(status, "no") })
	micro.Handle(s, micro.Cmd("fails"), func(context.Context, micro.None) (micro.None, error) {
		return micro.None{}, errors.New("broken")
	})
	start(t, s, Listen(b.URL, q, WithAck(AckAfterHandling), quickRedelivery, WithTopology(Topology{DeadLetter: dead})))
	tests := []struct{ body, reason string }{
		{`{"pattern":"noted","data":404}`, "permanent"},
		{`{"pattern":"noted","data":499}`, "permanent"},
		{`{"pattern":"noted","data":"no number"}`, "permanent"},
		{`{"pattern":"noted","data":500}`, "failed"},
		{`{"pattern":"noted","data":429}`, "failed"},
		{`{"pattern":"unknown","data":1}`, "no handler"},
		{`{"foreign":1}`, "no handler"},
		{`hello`, "not JSON"},
		{``, "not JSON"},
	}
	p := dialPeer(t, b.URL)
	for _, tt := range tests {
		p.send(q, tt.body)
		d := take(t, tt.body, letters)
		if string(d.Body) != tt.body || d.Headers[headerReason] != tt.reason {
			t.Errorf("%q: %q, %v", tt.body, d.Body, d.Headers)
		}
	}
	c := dial(t, b.URL, q)
	for range 2 {
		if _, err := micro.Call[string](t.Context(), c, micro.Cmd("fails"), nil); err == nil {
			t.Error("no error")
		}
		if _, err := micro.Call[string](t.Context(), c, micro.Cmd("unknown"), nil); !errors.Is(err, micro.ErrNoHandler) {
			t.Errorf("%v", err)
		}
	}
	for range 2 { // NestJS both rejects and answers an unknown request (docs/wire.md 4.3)
		if d := take(t, "the unknown request", letters); d.Headers[headerReason] != "no handler" || d.CorrelationId == "" {
			t.Errorf("%s %v", d.Body, d.Headers)
		}
	}
	eventually(t, "the queue is empty", func() bool { return p.depth(q) == 0 })
	if len(letters) != 0 {
		t.Errorf("unexpected dead letter: %s", (<-letters).Body)
	}
}

// TestRejected checks that without Topology.DeadLetter messages are rejected, so that the
// broker moves them to the queue's own dead-letter exchange.
func TestRejected(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	dead := p.queue(unique(t, "dead"), nil)
	letters := p.consume(dead)
	q := unique(t, "events")
	s := quietServer()
	micro.HandleEvent(s, noted, func(context.Context, string) error { return micro.Errorf(422, "no") })
	opt := WithTopology(Topology{Queue: QueueOptions{DeadLetterExchange: "amq.direct", DeadLetterRoutingKey: dead}})
	if err := p.ch.QueueBind(dead, dead, "amq.direct", false, nil); err != nil {
		t.Fatal(err)
	}
	start(t, s, Listen(b.URL, q, opt, WithAck(AckAfterHandling), quickRedelivery))
	for _, body := range []string{`{"pattern":"noted","data":"x"}`, `{"pattern":"unknown","data":"x"}`, "hello"} {
		p.send(q, body)
		d := take(t, body, letters)
		if deaths, _ := d.Headers["x-death"].([]any); string(d.Body) != body || len(deaths) != 1 || deaths[0].(amqp.Table)["reason"] != "rejected" {
			t.Errorf("%s: %s %v", body, d.Body, d.Headers)
		}
	}
}

// TestManualAck checks that a message that its handler has settled is not settled again,
// and that the handler's result is ignored.
func TestManualAck(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := unique(t, "events")
	s := quietServer()
	seen := make(chan string, 10)
	micro.HandleEvent(s, noted, func(ctx context.Context, how string) error {
		d := DeliveryFromContext(ctx)
		var err error
		switch {
		case how == "ack":
			err = d.Ack()
		case how == "requeue" && !d.Redelivered:
			err = d.Nack(true)
		case how == "requeue":
			err = d.Ack()
		case how == "reject":
			err = d.Nack(false)
		}
		if err != nil || !errors.Is(d.Ack(), ErrSettled) || !errors.Is(d.Nack(true), ErrSettled) {
			t.Errorf("%s: %v", how, err)
		}
		seen <- fmt.Sprint(how, d.Redelivered)
		return errors.New("this is ignored")
	})
	start(t, s, Listen(b.URL, q, WithAck(AckAfterHandling), quickRedelivery))
	c := dial(t, b.URL, q)
	for _, how := range []string{"ack", "requeue", "reject"} {
		if err := c.Emit(t.Context(), noted, how); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	for range 4 {
		got[take(t, "a run", seen)] = true
	}
	if diff := cmp.Diff(map[string]bool{"ackfalse": true, "requeuefalse": true, "requeuetrue": true, "rejectfalse": true}, got); diff != "" {
		t.Error(diff)
	}
	eventually(t, "the queue is empty", func() bool { return p.depth(q) == 0 })
}

// TestNoAckSettlesNothing checks that with noAck, acknowledging does nothing, even
// repeatedly.
func TestNoAckSettlesNothing(t *testing.T) {
	b := broker(t)
	q := unique(t, "events")
	s := quietServer()
	seen := make(chan error, 10)
	micro.HandleEvent(s, noted, func(ctx context.Context, _ string) error {
		d := DeliveryFromContext(ctx)
		seen <- errors.Join(d.Ack(), d.Ack(), d.Nack(true))
		return errors.New("the event is not redelivered")
	})
	start(t, s, Listen(b.URL, q))
	c := dial(t, b.URL, q)
	for range 2 {
		if err := c.Emit(t.Context(), noted, "x"); err != nil {
			t.Fatal(err)
		}
		if err := take(t, "the event", seen); err != nil {
			t.Error(err)
		}
	}
	if len(seen) > 0 {
		t.Error("an event was redelivered")
	}
}

// TestRetryQueueDeleted checks that a deleted retry queue is declared again.
func TestRetryQueueDeleted(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := unique(t, "events")
	deleteRetryQueues(t, b.URL, q, 5)
	s := quietServer()
	seen := make(chan int, 10)
	micro.HandleEvent(s, noted, func(ctx context.Context, _ string) error {
		d := DeliveryFromContext(ctx)
		seen <- d.Attempt
		if d.Attempt == 1 {
			return errors.New("once")
		}
		return nil
	})
	start(t, s, Listen(b.URL, q, WithAck(AckAfterHandling), quickRedelivery))
	c := dial(t, b.URL, q)
	for range 2 {
		if err := c.Emit(t.Context(), noted, "x"); err != nil {
			t.Fatal(err)
		}
		if a, b := take(t, "the first time", seen), take(t, "the second time", seen); a != 1 || b != 2 {
			t.Errorf("attempts %d, %d", a, b)
		}
		if _, err := p.ch.QueueDelete(q+".retry.5", false, false, false); err != nil {
			t.Fatal(err)
		}
	}
}

// TestQuorumCount checks that the delivery count of a quorum queue is part of Attempt.
func TestQuorumCount(t *testing.T) {
	b := broker(t)
	q := unique(t, "quorum")
	s := quietServer()
	seen := make(chan int, 10)
	micro.HandleEvent(s, noted, func(ctx context.Context, _ string) error {
		d := DeliveryFromContext(ctx)
		seen <- d.Attempt
		if d.Attempt < 3 {
			return d.Nack(true)
		}
		return nil
	})
	start(t, s, Listen(b.URL, q, WithAck(AckAfterHandling), WithTopology(Topology{Queue: QueueOptions{Arguments: map[string]any{"x-queue-type": "quorum"}}})))
	c := dial(t, b.URL, q, WithTopology(Topology{NoDeclare: true}))
	if err := c.Emit(t.Context(), noted, "x"); err != nil {
		t.Fatal(err)
	}
	for want := 1; want <= 3; want++ {
		if got := take(t, "a run", seen); got != want {
			t.Errorf("attempt %d, want %d", got, want)
		}
	}
}
