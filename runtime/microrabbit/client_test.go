package microrabbit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestMetadata checks that metadata is sent in headers and read from both headers and the
// packet, and that headers without a scalar value are not metadata.
func TestMetadata(t *testing.T) {
	b := broker(t)
	q := unique(t, "metadata")
	s := quietServer()
	type seen struct {
		Correlation, Trace, Mine string
		Attempt                  int
		Timed                    bool
		Headers                  map[string]any
	}
	micro.Handle(s, micro.Name("who"), func(ctx context.Context, _ json.RawMessage) (seen, error) {
		req := micro.RequestFromContext(ctx)
		got := seen{req.CorrelationID(), req.Metadata.Get(micro.MetaTraceparent), req.Metadata.Get("mine"), req.Attempt, !req.Deadline.IsZero(), DeliveryFromContext(ctx).Headers}
		delete(got.Headers, micro.MetaTimeout)
		return got, nil
	})
	start(t, s, Listen(b.URL, q))
	ask := func(c *micro.Client, req *micro.Request) (got seen) {
		t.Helper()
		err := c.Do(t.Context(), req, micro.ReplyFunc(func(v micro.Value) error { return json.Unmarshal(v.Raw, &got) }))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	req := &micro.Request{Pattern: micro.Name("who"), Attempt: 3}
	req.Metadata.Set(micro.MetaCorrelationID, "c1")
	req.Metadata.Set(micro.MetaTraceparent, "00-1")
	req.Metadata.Set("mine", "é")
	want := seen{"c1", "00-1", "é", 3, true, map[string]any{"correlation-id": "c1", "traceparent": "00-1", "mine": "é", "attempt": "3"}}
	if diff := cmp.Diff(want, ask(dial(t, b.URL, q), req)); diff != "" {
		t.Error(diff)
	}
	c := dial(t, b.URL, q, WithHeaders(map[string]any{"mine": "client's", "n": 5}))
	req = &micro.Request{Pattern: micro.Name("who")}
	req.Metadata.Set(micro.MetaCorrelationID, "c2")
	want = seen{"c2", "", "client's", 1, true, map[string]any{"correlation-id": "c2", "mine": "client's", "n": float64(5)}}
	if diff := cmp.Diff(want, ask(c, req)); diff != "" {
		t.Error(diff)
	}
	p := dialPeer(t, b.URL)
	replies := p.queue("", nil)
	p.publish("", q, amqp.Publishing{
		ReplyTo: replies, CorrelationId: "x",
		Headers: amqp.Table{"mine": []byte("bytes"), "n": int8(7), "yes": true, "when": time.Unix(0, 0), "table": amqp.Table{}},
		Body:    []byte(`{"pattern":"who","data":1,"metadata":{"correlation-id":"in the packet","mine":"hidden by the header"},"id":"x"}`),
	})
	d := take(t, "the reply", p.consume(replies))
	if body := string(d.Body); !strings.Contains(body, `"Correlation":"in the packet"`) || !strings.Contains(body, `"Mine":"bytes"`) {
		t.Errorf("%s", body)
	}
}

// TestProperties checks that the properties of a message reach the handler, and that a
// request expires with its call.
func TestProperties(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := p.queue(unique(t, "properties"), nil)
	messages := p.consume(q)
	c := dial(t, b.URL, q)
	ctx := WithMessage(t.Context(), Message{
		MessageID: "m", Priority: 3, Expiration: time.Minute, Persistent: true, ContentType: "application/json", ContentEncoding: "utf-8",
		Type: "t", AppID: "a", UserID: "guest", Timestamp: time.Unix(5, 0), Headers: map[string]any{"h": "v"},
	})
	if err := c.Emit(ctx, noted, "x"); err != nil {
		t.Fatal(err)
	}
	d := take(t, "the event", messages)
	got := []any{d.MessageId, d.Priority, d.Expiration, d.DeliveryMode, d.ContentType, d.ContentEncoding, d.Type, d.AppId, d.UserId, d.Timestamp.Unix(), d.Headers["h"]}
	want := []any{"m", uint8(3), "60000", uint8(2), "application/json", "utf-8", "t", "a", "guest", int64(5), "v"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	ids := map[string]bool{}
	for range 3 {
		if err := c.Emit(t.Context(), noted, "x"); err != nil {
			t.Fatal(err)
		}
		d := take(t, "an event", messages)
		if d.MessageId == "" || ids[d.MessageId] || d.Expiration != "" || d.CorrelationId != "" || d.ReplyTo != "" {
			t.Errorf("%+v", d)
		}
		ids[d.MessageId] = true
	}
	named := &micro.Request{Pattern: noted, Event: true}
	named.Metadata.Set(micro.MetaMessageID, "msg_1")
	if err := c.Do(t.Context(), named, micro.ReplyFunc(func(micro.Value) error { return nil })); err != nil {
		t.Fatal(err)
	}
	if d := take(t, "the named event", messages); d.MessageId != "msg_1" || d.Headers[micro.MetaMessageID] != "msg_1" {
		t.Errorf("%+v", d)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := micro.Call[string](short, c, echo, "x"); !errors.Is(err, micro.ErrTimeout) {
		t.Fatal(err)
	}
	d = take(t, "the request", messages)
	var ms int
	if _, err := fmt.Sscan(d.Expiration, &ms); err != nil || ms < 1 || ms > 300 {
		t.Errorf("the request expires after %q ms", d.Expiration)
	}
}

// TestUnsendable checks that a message that AMQP cannot encode fails without affecting
// others.
func TestUnsendable(t *testing.T) {
	b := broker(t)
	q := unique(t, "unsendable")
	start(t, quietServer(), Listen(b.URL, q))
	c := dial(t, b.URL, q)
	long := strings.Repeat("l", 256)
	tests := map[string]Message{
		"the message id is 256 bytes long":       {MessageID: long},
		"the content type is 256 bytes long":     {ContentType: long},
		"the reply queue is 256 bytes long":      {ReplyTo: long},
		"AMQP has no type for a struct {}":       {Headers: map[string]any{"x": struct{}{}}},
		"the name of a header is 256 bytes long": {Headers: map[string]any{long: 1}},
		"the user id is 256 bytes long":          {UserID: long},
		"the app id is 256 bytes long":           {AppID: long},
		"the type is 256 bytes long":             {Type: long},
		"the content encoding is 256 bytes long": {ContentEncoding: long},
	}
	for want, m := range tests {
		ctx := WithMessage(t.Context(), m)
		_, called := micro.Call[string](ctx, c, echo, "x")
		if called == nil || !strings.Contains(called.Error(), want) {
			t.Errorf("call: %v, want %q", called, want)
		}
		if err := c.Emit(ctx, micro.Name("unserved"), "x"); (err == nil || !strings.Contains(err.Error(), want)) && m.ReplyTo == "" {
			t.Errorf("emit: %v, want %q", err, want)
		}
	}
	if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// TestForeignUser checks that a message that makes the broker close the channel fails
// with the reason, and that the client recovers.
func TestForeignUser(t *testing.T) {
	b := broker(t)
	q := unique(t, "foreign")
	start(t, quietServer(), Listen(b.URL, q))
	c := dial(t, b.URL, q)
	err := c.Emit(WithMessage(t.Context(), Message{UserID: "another user"}), noted, "x")
	if !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), "user_id") {
		t.Errorf("%v", err)
	}
	if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// TestFullQueue checks that a message rejected by a full queue fails at once.
func TestFullQueue(t *testing.T) {
	b := broker(t)
	q := unique(t, "full")
	opt := WithTopology(Topology{Queue: QueueOptions{MaxLength: 1, Arguments: map[string]any{"x-overflow": "reject-publish"}}})
	c := dial(t, b.URL, q, opt, WithDeclare())
	eventually(t, "the queue is full", func() bool { return errors.Is(c.Emit(t.Context(), noted, "x"), micro.ErrShed) })
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrShed) || !strings.Contains(err.Error(), "full") {
		t.Errorf("call: %v", err)
	}
}

// TestNoConsumer checks that the timeout of a call mentions that the queue has no
// consumer, but not if the handler is just slow.
func TestNoConsumer(t *testing.T) {
	b := broker(t)
	q := unique(t, "deserted")
	c := dial(t, b.URL, q, WithDialTimeout(10*time.Second), WithDeclare())
	call := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := micro.Call[string](ctx, c, micro.Name("slow"), "x")
		return err
	}
	eventually(t, "the timeout mentions that there is no consumer", func() bool {
		err := call()
		return errors.Is(err, micro.ErrTimeout) && strings.Contains(err.Error(), fmt.Sprintf("the queue %q has no consumer", q))
	})
	s := quietServer()
	micro.Handle(s, micro.Name("slow"), func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() })
	start(t, s, Listen(b.URL, q))
	eventually(t, "the timeout does not mention consumers", func() bool {
		err := call()
		return errors.Is(err, micro.ErrTimeout) && !strings.Contains(err.Error(), "no consumer")
	})
}

// TestReplyQueue checks that replies can be received through a named queue, with and
// without acknowledgments.
func TestReplyQueue(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := unique(t, "requests")
	start(t, quietServer(), Listen(b.URL, q))
	for _, noAck := range []bool{true, false} {
		replies := p.queue(unique(t, "replies"), nil)
		c := dial(t, b.URL, q, WithReplyQueue(replies), WithAck(ackMode(noAck)))
		p.send(replies, "unexpected")
		for range 3 {
			if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
				t.Errorf("%q, %v", got, err)
			}
		}
		_ = c.Close()
		if n := p.depth(replies); n != 0 {
			t.Errorf("noAck %v: %d replies are left", noAck, n)
		}
	}
	_, err := micro.Call[string](t.Context(), dial(t, b.URL, q, WithReplyQueue(unique(t, "no"))), echo, "x")
	if !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), "consume replies from the queue") {
		t.Errorf("a missing reply queue: %v", err)
	}
}

// TestManyEvents checks that concurrent events are each confirmed after the broker has
// stored them.
func TestManyEvents(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := p.queue(unique(t, "many"), nil)
	c := dial(t, b.URL, q, WithPersistent())
	var all sync.WaitGroup
	const n = 50
	for i := range n {
		all.Go(func() {
			for j := range 20 {
				if err := c.Emit(t.Context(), noted, fmt.Sprint(i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := p.depth(q); got != 20*n {
		t.Errorf("%d events are in the queue, %d were confirmed", got, 20*n)
	}
}

// TestBigMessages checks bodies of many frames in both directions.
func TestBigMessages(t *testing.T) {
	b := broker(t)
	q := unique(t, "big")
	start(t, quietServer(), Listen(b.URL, q))
	c := dial(t, b.URL, q)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			data := strings.Repeat(fmt.Sprint(i, "é😀"), 1<<uint(3+2*i))
			if got, err := micro.Call[string](t.Context(), c, echo, data); err != nil || got != data {
				t.Errorf("%d bytes: %d, %v", len(data), len(got), err)
			}
		})
	}
	all.Wait()
}

// TestUnreachable checks that a call fails when its connection is refused, long before its
// deadline, and that with WithWait it waits until then. The error contains the address but
// not the password.
func TestUnreachable(t *testing.T) {
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("amqp://guest:s3cret@127.0.0.1:%d", port)
	long, end := context.WithTimeout(t.Context(), time.Hour)
	defer end()
	c := dial(t, url, "q", WithDialTimeout(time.Hour))
	for range 3 { // the first message, and later ones
		if err := c.Emit(long, noted, "x"); !errors.Is(err, micro.ErrUnreachable) || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%v", err)
		}
	}
	_, err = micro.Call[string](long, c, echo, "x")
	if !errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), fmt.Sprint("amqp://127.0.0.1:", port)) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	deadline, _ := ctx.Deadline()
	if err := dial(t, url, "q", WithWait()).Emit(ctx, noted, "x"); !errors.Is(err, micro.ErrUnreachable) || time.Now().Before(deadline) {
		t.Errorf("with WithWait: %v before the deadline", err)
	}
	cause := errors.New("the user left")
	ctx, leave := context.WithCancelCause(t.Context())
	leave(cause)
	if err := c.Emit(ctx, noted, "x"); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}

// TestSilentBroker checks that a broker that accepts connections but sends nothing counts
// as unreachable.
func TestSilentBroker(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	c := dial(t, "amqp://"+socket.Addr().String(), "q", WithDialTimeout(200*time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	eventually(t, "the error states the reason", func() bool {
		err := c.Emit(ctx, noted, "x")
		return errors.Is(err, micro.ErrUnreachable) && strings.Contains(err.Error(), "no response within 200ms")
	})
	l := Listen("amqp://"+socket.Addr().String(), "q", WithDialTimeout(200*time.Millisecond), WithReconnect(1, time.Millisecond))
	if err := serveOnce(t, l); err == nil || !strings.Contains(err.Error(), "no response within 200ms") {
		t.Errorf("serve: %v", err)
	}
}

// TestSecondAddress checks that the first broker that can be reached is used.
func TestSecondAddress(t *testing.T) {
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	b := broker(t)
	q := unique(t, "second")
	urls := fmt.Sprintf("amqp://127.0.0.1:%d,%s", port, b.URL)
	start(t, quietServer(), Listen(urls, q))
	if got, err := micro.Call[string](t.Context(), dial(t, urls, q), echo, "x"); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestBlocked checks that while the broker accepts no messages, senders wait until their
// deadline and fail with the reason, and that they continue when it accepts them again.
func TestBlocked(t *testing.T) {
	b := broker(t)
	q := unique(t, "blocked")
	start(t, quietServer(), Listen(b.URL, q))
	conn := Dial(b.URL, q)
	c := micro.NewClient(conn)
	t.Cleanup(func() { _ = c.Close() })
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Fatal(err)
	}
	s, _ := conn.link.now()
	s.block(amqp.Blocking{Active: true, Reason: "low on memory"})
	s.block(amqp.Blocking{Active: true, Reason: "low on disk"})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for what, err := range map[string]error{
		"emit": c.Emit(ctx, noted, "x"),
		"call": func() error { _, err := micro.Call[string](ctx, c, echo, "x"); return err }(),
	} {
		if !errors.Is(err, micro.ErrUnreachable) && !errors.Is(err, micro.ErrTimeout) || what == "emit" && !strings.Contains(err.Error(), "accepts no messages at the moment: low on memory") {
			t.Errorf("%s: %v", what, err)
		}
	}
	done := make(chan error)
	go func() { done <- c.Emit(t.Context(), noted, "x") }()
	s.block(amqp.Blocking{})
	if err := take(t, "the event", done); err != nil {
		t.Error(err)
	}
}

// TestAlarm checks a client and a server of a broker that is low on memory from the
// start.
func TestAlarm(t *testing.T) {
	b := testenv.RabbitMQ(t, "vm_memory_high_watermark.absolute = 1")
	q := testenv.Unique(t, "alarm")
	c := dial(t, b.URL, q)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	eventually(t, "the error states the reason", func() bool {
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		err := c.Emit(short, noted, "x")
		return err != nil && strings.Contains(err.Error(), "accepts no messages at the moment: low on memory")
	})
	// A server can still start and stop.
	stop := start(t, quietServer(micro.WithDrainTimeout(time.Second)), Listen(b.URL, q))
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestTrace checks that the trace of a call reports the packets, and the connection only
// once.
func TestTrace(t *testing.T) {
	b := broker(t)
	q := unique(t, "trace")
	start(t, quietServer(), Listen(b.URL, q))
	c := dial(t, b.URL, q)
	connected := 0
	for i := range 2 {
		var wrote, read []string
		req := &micro.Request{Pattern: echo, Data: []byte("1"), Trace: &micro.Trace{
			Connected: func(address string, took time.Duration) {
				connected++
				if took <= 0 || strings.Contains(address, "guest") || !strings.HasPrefix(address, "amqp://127.0.0.1:") {
					t.Errorf("%s after %v", address, took)
				}
			},
			Wrote: func(_ time.Time, packet []byte) { wrote = append(wrote, string(packet)) },
			Read:  func(_ time.Time, packet []byte) { read = append(read, string(packet)) },
		}}
		if err := c.Do(t.Context(), req, micro.ReplyFunc(func(micro.Value) error { return nil })); err != nil {
			t.Fatal(err)
		}
		if len(wrote) != 1 || !strings.HasPrefix(wrote[0], `{"pattern":{"cmd":"echo"},"data":1,"id":"`) || cmp.Diff([]string{`{"response":1,"isDisposed":true}`}, read) != "" {
			t.Errorf("call %d: wrote %q, read %q", i, wrote, read)
		}
	}
	if connected != 1 {
		t.Errorf("connected %d times", connected)
	}
}

// TestUnexpectedReplies checks that a reply that is not a packet is a value, and that a reply
// to no pending call is dropped (docs/wire.md 1.3).
func TestUnexpectedReplies(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := p.queue(unique(t, "strange"), nil)
	requests := p.consume(q)
	c := dial(t, b.URL, q)
	for body, want := range map[string]string{
		"hello": `"hello"`, "": `""`, `{"foo":1}`: `{"foo":1}`, "[1]": "[1]", "null": "null", "\xff": `"` + "\uFFFD" + `"`,
		`{"response":1,"isDisposed":true,"more":2}`: `{"response":1,"isDisposed":true,"more":2}`,
	} {
		got := make(chan string, 1)
		go func() {
			v, err := micro.Call[json.RawMessage](t.Context(), c, echo, "x")
			got <- fmt.Sprint(string(v), err)
		}()
		d := take(t, "the request", requests)
		p.publish("", d.ReplyTo, amqp.Publishing{CorrelationId: "unknown", Body: []byte(`{"response":0,"isDisposed":true}`)})
		p.publish("", d.ReplyTo, amqp.Publishing{Body: []byte(`{"response":0,"isDisposed":true}`)})
		p.publish("", d.ReplyTo, amqp.Publishing{CorrelationId: d.CorrelationId, Body: []byte(body)})
		p.publish("", d.ReplyTo, amqp.Publishing{CorrelationId: d.CorrelationId, Body: []byte(`{"response":"too late","isDisposed":true}`)})
		if got := take(t, "the reply", got); got != want+"<nil>" {
			t.Errorf("%q: %s, want %s", body, got, want)
		}
	}
}
