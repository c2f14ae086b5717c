package microrabbit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestAcknowledgmentTimeout handles an event for longer than the broker waits for its
// acknowledgment: the broker takes it back, but it is not begun again, and it is acknowledged
// in the end. Other messages are handled in the meantime.
func TestAcknowledgmentTimeout(t *testing.T) {
	b := testenv.RabbitMQ(t, "consumer_timeout = 1000")
	for name, send := range map[string]func(p *peer, c *micro.Client) error{
		"with an ID":    func(_ *peer, c *micro.Client) error { return c.Emit(t.Context(), micro.Name("slow"), "x") },
		"without an ID": func(p *peer, _ *micro.Client) error { p.send("slow", `{"pattern":"slow","data":"x"}`); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			log := &testenv.Log{}
			s := quietServer(micro.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
			var begun atomic.Int64
			begins, leave := make(chan struct{}, 100), make(chan struct{})
			micro.HandleEvent(s, micro.Name("slow"), func(context.Context, string) error {
				begun.Add(1)
				begins <- struct{}{}
				<-leave
				return nil
			})
			handled := make(chan string, 1)
			micro.HandleEvent(s, noted, func(_ context.Context, in string) error { handled <- in; return nil })
			stop := start(t, s, Listen(b.URL, "slow", WithAck(AckAfterHandling)))
			c := dial(t, b.URL, "slow")
			if err := send(dialPeer(t, b.URL), c); err != nil {
				t.Fatal(err)
			}
			take(t, "the event", begins)
			const line = "the broker took back a message that was not acknowledged in time"
			for n := 1; n <= 3; n++ {
				eventually(t, fmt.Sprint("timeout ", n), func() bool { return strings.Count(log.String(), line) >= n })
				if err := c.Emit(t.Context(), noted, "meanwhile"); err != nil {
					t.Fatal(err)
				}
				take(t, "another event", handled)
			}
			for _, part := range []string{"pattern=slow", "timeout=1s"} {
				if !strings.Contains(log.String(), part) {
					t.Errorf("the log lacks %q: %s", part, log)
				}
			}
			close(leave)
			p := dialPeer(t, b.URL)
			if err := stop(); err != nil { // the queue gets back what has not been acknowledged
				t.Error(err)
			}
			if n, left := begun.Load(), p.depth("slow"); n != 1 || left != 0 {
				t.Errorf("the event was begun %d times, and is %d times in the queue", n, left)
			}
		})
	}
}

// TestHeldAcrossConnections cuts the connection of a server while it handles messages. Those that
// come back are not begun again, however they are settled.
func TestHeldAcrossConnections(t *testing.T) {
	b := broker(t)
	r := startRelay(t, b)
	for _, named := range []bool{true, false} {
		for how, want := range map[string]string{"ack": "", "fail": "failed", "early ack": "", "early nack": ""} {
			t.Run(fmt.Sprint(how, " named ", named), func(t *testing.T) {
				dead, letters := deadLetters(t, b.URL)
				q := unique(t, "held")
				s := quietServer()
				var begun atomic.Int64
				begins, leave := make(chan struct{}, 100), make(chan struct{})
				micro.HandleEvent(s, micro.Name("slow"), func(ctx context.Context, _ string) error {
					begun.Add(1)
					begins <- struct{}{}
					<-leave
					switch d := DeliveryFromContext(ctx); how {
					case "early ack":
						return d.Ack()
					case "early nack":
						return d.Nack(false)
					case "fail":
						return micro.Errorf(500, "it failed")
					}
					return nil
				})
				handled := make(chan string, 1)
				micro.HandleEvent(s, noted, func(_ context.Context, in string) error { handled <- in; return nil })
				stop := start(t, s, Listen(r.url, q, WithTopology(Topology{DeadLetter: dead}), WithRedelivery(Redelivery{Attempts: 1}), WithReconnect(-1, 20*time.Millisecond)))
				p := dialPeer(t, b.URL)
				msg := amqp.Publishing{Body: []byte(`{"pattern":"slow","data":"x"}`)}
				if named {
					msg.MessageId = "the message"
				}
				p.publish("", q, msg)
				take(t, "the event", begins)
				for range 2 {
					r.cut()
					p.send(q, `{"pattern":"noted","data":"marker"}`) // behind the copy
					take(t, "the marker", handled)
				}
				close(leave)
				if want != "" {
					if d := take(t, "the dead letter", letters); d.Headers[headerReason] != want {
						t.Errorf("headers %v", d.Headers)
					}
				}
				if err := stop(); err != nil { // the queue gets back what has not been settled
					t.Error(err)
				}
				if n, left := begun.Load(), p.depth(q); n != 1 || left != 0 {
					t.Errorf("the event was begun %d times, and is %d times in the queue", n, left)
				}
			})
		}
	}
}

// TestHeldRequest cuts the connections of a server while it handles a request. The request is
// not begun again, and its caller gets the reply.
func TestHeldRequest(t *testing.T) {
	b := broker(t)
	r := startRelay(t, b)
	q := unique(t, "held-request")
	s := quietServer()
	begins, leave := make(chan struct{}, 100), make(chan struct{})
	micro.Handle(s, micro.Name("slow"), func(_ context.Context, in string) (string, error) {
		begins <- struct{}{}
		<-leave
		return in, nil
	})
	handled := make(chan string, 1)
	micro.HandleEvent(s, noted, func(_ context.Context, in string) error { handled <- in; return nil })
	start(t, s, Listen(r.url, q, WithAck(AckAfterHandling), WithReconnect(-1, 20*time.Millisecond)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	replied := make(chan error, 1)
	c := dial(t, b.URL, q)
	go func() {
		got, err := micro.Call[string](ctx, c, micro.Name("slow"), "x")
		if err == nil && got != "x" {
			err = fmt.Errorf("the reply is %q", got)
		}
		replied <- err
	}()
	take(t, "the request", begins)
	r.cut()
	if err := c.Emit(ctx, noted, "marker"); err != nil {
		t.Fatal(err)
	}
	take(t, "the marker", handled)
	close(leave)
	if err := take(t, "the reply", replied); err != nil || len(begins) != 0 {
		t.Errorf("%v; the request was begun %d more times", err, len(begins))
	}
}

// TestLostAcknowledgment loses an acknowledgment together with its connection. The message
// comes back, and is not handled again.
func TestLostAcknowledgment(t *testing.T) {
	b := broker(t)
	for _, noAck := range []bool{true, false} {
		for _, request := range []bool{true, false} {
			t.Run(fmt.Sprint("noAck ", noAck, " request ", request), func(t *testing.T) {
				q := unique(t, "lost-ack")
				r := startRelay(t, b)
				var lost atomic.Int64
				r.mu.Lock()
				r.forwards = func(sent []byte) bool { // the class basic and the method ack
					return !bytes.Contains(sent, []byte{0, classBasic, 0, basicAck}) || lost.Add(1) > 1
				}
				r.mu.Unlock()
				s := quietServer()
				handled := make(chan string, 100)
				micro.Handle(s, micro.Name("work"), func(_ context.Context, in string) (string, error) { handled <- in; return in, nil })
				micro.HandleEvent(s, noted, func(_ context.Context, in string) error { handled <- in; return nil })
				stop := start(t, s, Listen(r.url, q, WithAck(ackMode(noAck)), WithReconnect(-1, 20*time.Millisecond)))
				c := dial(t, b.URL, q)
				if request {
					go func() { _, _ = micro.Call[string](t.Context(), c, micro.Name("work"), "x") }() // its reply may be lost
				} else if err := c.Emit(t.Context(), noted, "x"); err != nil {
					t.Fatal(err)
				}
				if got := take(t, "the message", handled); got != "x" {
					t.Errorf("handled %q", got)
				}
				eventually(t, "the acknowledgment is lost", func() bool { return lost.Load() > 0 })
				if err := c.Emit(t.Context(), noted, "marker"); err != nil {
					t.Fatal(err)
				}
				if got := take(t, "the marker", handled); got != "marker" {
					t.Errorf("handled again: %q", got)
				}
				p := dialPeer(t, b.URL)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if left := p.depth(q); left != 0 || len(handled) != 0 {
					t.Errorf("%d messages are in the queue, %d more were handled", left, len(handled))
				}
			})
		}
	}
}

// TestLedger checks which copies are recognized, and for how long.
func TestLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen("amqp://localhost", "q", WithAck(AckAfterHandling))
		g := &l.ledger
		connect := func() *intake { return newIntake(l, &connection{}) }
		message := func(in *intake, d Delivery) *Delivery {
			return &Delivery{listener: l, in: in, MessageID: d.MessageID, CorrelationID: d.CorrelationID, ReplyTo: d.ReplyTo, Body: d.Body, retries: d.retries}
		}
		named, unnamed := Delivery{MessageID: "m", Body: []byte("a")}, Delivery{Body: []byte("b")}
		request := Delivery{CorrelationID: "1", ReplyTo: "r", Body: []byte("c")}
		check := func(what string, in *intake, d *Delivery, want string) {
			t.Helper()
			known, settle, how := g.recognize(message(in, *d))
			got := "unknown"
			switch {
			case settle:
				got = map[settlement]string{acked: "acked", rejected: "rejected"}[how]
			case known:
				got = "held"
			}
			if got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}

		first := connect()
		held, done, finished := message(first, named), message(first, request), message(first, unnamed)
		for _, d := range []*Delivery{held, done, finished} {
			if !g.begin(d) || !g.claim(d) || g.claim(d) {
				t.Error("a new message cannot be begun and claimed once")
			}
		}
		g.settle(done, rejected)
		g.settle(finished, acked) // without an ID, it is not known once it is settled
		check("while the connection lasts", first, &named, "unknown")
		if lost := g.end(first); len(lost) != 1 || lost[0] != held || g.end(first) != nil {
			t.Errorf("%d messages are held", len(lost))
		}
		if g.begin(message(first, named)) {
			t.Error("a message of an ended connection was begun")
		}

		second := connect()
		other := named
		other.MessageID = "other"
		retried := named
		retried.retries = 1
		check("another message", second, &other, "unknown")
		check("another attempt", second, &retried, "unknown")
		check("a settled message", second, &unnamed, "unknown")
		check("a settled request", second, &request, "rejected")
		check("the same again", second, &request, "unknown")
		check("a held message", second, &named, "held")
		check("the same again", second, &named, "unknown")
		g.end(second)

		third := connect()
		check("held across two connections", third, &named, "held")
		if in, _ := g.settle(held, acked); in != third {
			t.Error("it is not settled where it came back")
		}
		loose := message(third, unnamed)
		g.begin(loose)
		g.end(third)
		g.settle(loose, acked)

		fourth := connect()
		check("settled, and the acknowledgment may be lost", fourth, &named, "acked")
		check("settled after the end of its connection", fourth, &unnamed, "acked")

		d := message(fourth, unnamed)
		g.begin(d)
		g.begin(message(fourth, named))
		returned := message(fourth, request)
		g.begin(returned)
		g.end(fourth)
		g.settle(d, acked)
		g.settle(returned, requeued)
		fifth := connect()
		check("a message that was returned to the queue", fifth, &request, "unknown")
		<-time.After(2 * recallBody)
		check("long after it was settled", fifth, &unnamed, "unknown")
		<-time.After(2 * recall)
		check("held for long", fifth, &named, "held")
		if g.end(connect()); len(g.lost) != 0 {
			t.Errorf("%d messages are remembered", len(g.lost))
		}
	})
}

// TestLedgerBounds checks that the memory for settled messages is bounded.
func TestLedgerBounds(t *testing.T) {
	for _, prefetch := range []int{1, 3, 100, -1} {
		l := Listen("amqp://localhost", "q", WithPrefetch(prefetch, false))
		in := newIntake(l, &connection{})
		var all sync.WaitGroup
		for i := range 2 * maxSettled {
			all.Go(func() { l.ledger.begin(&Delivery{listener: l, in: in, noAck: true, MessageID: fmt.Sprint(i)}) })
		}
		all.Wait()
		want := prefetch
		if prefetch < 0 {
			want = maxSettled
		}
		if l.ledger.end(in); len(l.ledger.lost) != want {
			t.Errorf("a prefetch count of %d: %d messages are remembered, want %d", prefetch, len(l.ledger.lost), want)
		}
	}
}
