package micronats

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// endless returns a server with two streams that do not end by themselves, and a channel that
// receives why their contexts ended.
func endless(opts ...micro.ServerOption) (*micro.Server, <-chan error) {
	s := quietServer(opts...)
	ended := make(chan error, 100)
	micro.HandleStream(s, micro.Name("stream.ticking"), func(ctx context.Context, _ any) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for n := 0; yield(n, nil); n++ {
				_ = sleep(ctx, time.Millisecond)
			}
			ended <- context.Cause(ctx)
		}
	})
	micro.HandleStream(s, micro.Name("stream.silent"), func(ctx context.Context, _ any) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			yield(0, nil)
			<-ctx.Done()
			ended <- context.Cause(ctx)
		}
	})
	return s, ended
}

// listenTo starts a stream as a client of another kind does, and returns its subscription when a value has arrived.
func listenTo(t *testing.T, p *rawPeer, subject string) *nats.Subscription {
	t.Helper()
	inbox := nats.NewInbox()
	sub, err := p.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	p.send(t, &nats.Msg{Subject: subject, Reply: inbox, Data: []byte(`{"pattern":"x","data":1,"id":"1"}`)})
	if _, err := sub.NextMsg(soon); err != nil {
		t.Fatal(err)
	}
	return sub
}

func wantLeft(t *testing.T, ended <-chan error) {
	t.Helper()
	testenv.Within(t, soon, "to stop the stream", func() {
		if err := <-ended; !errors.Is(err, errLeft) {
			t.Errorf("it ended because: %v", err)
		}
	})
}

// TestStopWithoutCallers: a stopping server does not wait for streams whose callers have left,
// before the stop or after it.
func TestStopWithoutCallers(t *testing.T) {
	b := testenv.NATS(t)
	for _, subject := range []string{"stream.ticking", "stream.silent"} {
		for _, early := range []bool{true, false} {
			s, ended := endless(micro.WithDrainTimeout(time.Hour))
			r := start(t, s, b.URL)
			p := dialRaw(t, b.URL)
			sub := listenTo(t, p, subject)
			leave := func() {
				_ = sub.Unsubscribe()
				p.flush(t)
			}
			if early {
				leave()
			}
			r.stop()
			if !early {
				eventually(t, "the server to drain", func() bool { return !served(p) })
				leave()
			}
			wantLeft(t, ended)
			testenv.Within(t, soon, "to stop", func() { <-r.done })
		}
	}
}

// served reports whether a server is subscribed to the subject of its health.
func served(p *rawPeer) bool {
	_, err := p.Request("msctl.health", []byte(`{"pattern":"msctl.health","data":{},"id":"h"}`), soon)
	return !errors.Is(err, nats.ErrNoResponders)
}

// TestStopWithCallers: while a caller is there, a stopping server lets its stream continue until the drain timeout.
func TestStopWithCallers(t *testing.T) {
	b := testenv.NATS(t)
	s, ended := endless(micro.WithDrainTimeout(2 * probeInterval))
	r := start(t, s, b.URL)
	sub := listenTo(t, dialRaw(t, b.URL), "stream.silent")
	r.stop()
	testenv.Within(t, soon, "to stop", func() { <-r.done })
	if err := <-ended; errors.Is(err, errLeft) {
		t.Error("the caller was there")
	}
	msg, err := sub.NextMsg(soon)
	if err != nil || string(msg.Data) != string(probe) {
		t.Errorf("%v, %v", msg, err)
	}
}

// TestCallerLeaves: a stream is stopped while the server runs, too: when the caller of a client that
// stays connected leaves, and when its values have had no receiver for a while.
func TestCallerLeaves(t *testing.T) {
	b := testenv.NATS(t)
	s, ended := endless()
	l := Listen(b.URL)
	l.goneAfter = 50 * time.Millisecond
	serve(t, s, l)
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.URL)
	for range micro.Stream[int](t.Context(), c, micro.Name("stream.ticking"), nil) {
		break
	}
	wantLeft(t, ended)
	p := dialRaw(t, b.URL)
	_ = listenTo(t, p, "stream.ticking").Unsubscribe()
	wantLeft(t, ended)
	if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestHeard: gaps of receivers shorter than the limit are forgiven.
func TestHeard(t *testing.T) {
	l := Listen("nats://a")
	in := newIntake(l)
	m := &inbound{intake: in}
	m.ctx.Context = t.Context()
	m.number, in.streams.active[1] = 1, m
	missed := func(n string) {
		in.streams.heard(&nats.Msg{Subject: in.streams.prefix + "1-" + n, Header: nats.Header{statusHeader: {noResponders}}})
	}
	missed("1")
	m.unheard = time.Now().Add(-time.Hour)
	missed("3") // the second had one
	if m.left {
		t.Error("the caller was there for the second value")
	}
	m.unheard = time.Now().Add(-time.Hour)
	missed("4")
	if !m.left || context.Cause(&m.ctx) == nil {
		t.Error("it is not stopped after an hour without a receiver")
	}
	in.streams.heard(&nats.Msg{Subject: in.streams.prefix + "nonsense"})
}

// TestStreamsOfRestricted: without the permissions to learn of callers that leave, or to report it, streams work.
func TestStreamsOfRestricted(t *testing.T) {
	b := testenv.PrivateNATS(t, `authorization { users: [
		{user: server, password: x, permissions: {subscribe: {deny: "_INBOX.>"}}}
		{user: client, password: x, permissions: {publish: "stream.>", subscribe: "_INBOX.>"}}
		{user: open, password: x}
	] }`)
	var log testenv.Log
	for _, user := range []string{"server", "open"} {
		s, _ := endless(micro.WithLogger(log.Logger()), micro.WithDrainTimeout(time.Millisecond))
		micro.HandleStream(s, micro.Name("stream.count"), countTo)
		r := start(t, s, withUser(b.URL, user+":x"))
		c := client(t, withUser(b.URL, "client:x"))
		for range micro.Stream[int](t.Context(), c, micro.Name("stream.ticking"), nil) {
			break
		}
		for range 3 {
			var got []int
			for n, err := range micro.Stream[int](t.Context(), c, micro.Name("stream.count"), 3) {
				if err != nil {
					t.Error(err)
				}
				got = append(got, n)
			}
			if !slices.Equal(got, []int{0, 1, 2}) {
				t.Errorf("%s: %v", user, got)
			}
		}
		r.stop()
		<-r.done
	}
	if strings.Contains(log.String(), "the broker reports an error\" transport=nats error=\"nats: permissions violation: Permissions Violation for Subscription to \\\"_INBOX") {
		t.Error(log.String())
	}
}
