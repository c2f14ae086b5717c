package microrabbit

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// onPipes serves messages that a test delivers as the broker would. Its connections are pipes
// on which the driver takes no part.
type onPipes struct {
	*Listener

	intake, outbox net.Conn // of the listener
}

// piped returns a connection on a pipe with one open channel.
func piped(conn net.Conn) *connection {
	c := &connection{name: "a pipe", wire: newSocket(conn), frameMax: frameLimit, down: make(chan struct{})}
	c.wire.out.left, c.wire.out.inline = 0, true
	c.wire.opened.Store(1)
	c.wg.Go(c.wire.out.run)
	return c
}

func (l onPipes) Serve(_ context.Context, s *micro.Server) error {
	l.server, l.work = s, s.Context()
	defer l.watch.Start()()
	out := &outbox{connection: piped(l.outbox), listener: l.Listener, replies: 1}
	l.out.current.Store(&out)
	go out.wire.lead()
	in := newIntake(l.Listener, piped(l.intake))
	in.channel = 1
	in.wire.attach(&plane{deliver: in.take, idle: in.begin})
	go in.wire.lead()
	<-in.wire.ended
	_ = s.Wait(context.Background())
	in.wait()
	out.wait()
	return nil
}

// frames passes each frame that is written to a pipe to f, until the pipe is closed.
func frames(conn net.Conn, f func(kind byte, payload []byte)) {
	head := make([]byte, frameHead)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[3:])+1)
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		f(head[0], payload[:len(payload)-1])
	}
}

// TestTimeOfWaitingMessages checks that the time of a message counts from when it was read, also
// while the server is at its limit, that what has expired is answered and not handled, and that
// a message is acknowledged on receipt only when it is about to be handled.
func TestTimeOfWaitingMessages(t *testing.T) {
	for _, noAck := range []bool{true, false} {
		t.Run(fmt.Sprint("noAck ", noAck), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testTimeOfWaitingMessages(t, noAck) })
		})
	}
}

func testTimeOfWaitingMessages(t *testing.T, noAck bool) {
	t.Helper()
	s := quietServer(micro.WithMaxInFlight(1))
	handled, left := 0, make(chan time.Duration, 1)
	micro.Handle(s, micro.Name("work"), func(ctx context.Context, wait time.Duration) (micro.None, error) {
		handled++
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		<-time.After(wait)
		return micro.None{}, nil
	})
	intake, broker := net.Pipe()
	outbox, replies := net.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- s.Serve(t.Context(), onPipes{Listen("amqp://localhost", "q", WithAck(ackMode(noAck))), intake, outbox})
	}()
	acks := make(chan uint64, 100)
	go frames(broker, func(_ byte, payload []byte) {
		if binary.BigEndian.Uint16(payload[2:]) == basicAck {
			acks <- binary.BigEndian.Uint64(payload[4:])
		}
	})
	outcomes := map[string]bool{}
	answered := make(chan struct{}, 100)
	go func() {
		id := ""
		frames(replies, func(kind byte, payload []byte) {
			switch kind {
			case frameHeader:
				var in incoming
				_, _ = in.parseHeader(payload)
				id = string(in.correlationID)
			case frameBody:
				p, _ := wire.Parse(payload)
				outcomes[id] = p.Err == nil
				answered <- struct{}{}
			}
		})
	}()
	send := func(tag uint64, wait, timeout time.Duration) {
		id := fmt.Sprint(tag)
		body := wire.AppendRequest(nil, `"work"`, fmt.Append(nil, int64(wait)), fmt.Appendf(nil, `{"timeout-ms":"%d"}`, timeout.Milliseconds()), fmt.Appendf(nil, "%q", id))
		if _, err := broker.Write(deliverRequest(tag, id, string(body))); err != nil {
			t.Error(err)
		}
	}
	send(1, time.Second, time.Minute)
	want := map[string]bool{"1": true}
	for tag := uint64(2); tag <= 10; tag++ { // each in a read of its own
		send(tag, 0, 500*time.Millisecond)
		want[fmt.Sprint(tag)] = false
		<-time.After(10 * time.Millisecond)
	}
	send(11, 0, 5*time.Second)
	want["11"] = true
	if got := <-left; got != time.Minute {
		t.Errorf("the first handler had %v left", got)
	}
	synctest.Wait()
	if n, early := len(acks), map[bool]int{true: 1, false: 0}[noAck]; n != early {
		t.Errorf("%d messages were acknowledged while one was being handled, want %d", n, early)
	}
	for range want {
		<-answered
	}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("which requests succeeded (-want +got):\n%s", diff)
	}
	if handled != 2 {
		t.Errorf("%d requests were handled, want 2", handled)
	}
	if got, want := <-left, 5*time.Second-910*time.Millisecond; got != want {
		t.Errorf("the handler had %v left, want %v", got, want)
	}
	synctest.Wait()
	for tag := uint64(1); tag <= 11; tag++ {
		if got := <-acks; got != tag {
			t.Errorf("acknowledged %d, want %d", got, tag)
		}
	}
	_ = broker.Close()
	_ = replies.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// deliverRequest returns the frames of a delivered request.
func deliverRequest(tag uint64, id, body string) []byte {
	method := deliverFrames(1, tag, "q", "", frameLimit)
	method = method[:frameHead+int(binary.BigEndian.Uint32(method[3:]))+1]
	request := appendPublish(nil, 1, &publishing{properties: properties{correlationID: id, replyTo: "replies"}, body: []byte(body)}, frameLimit)
	return append(method, request[frameHead+int(binary.BigEndian.Uint32(request[3:]))+1:]...)
}

// TestTimeOfBlockedRequest checks that a request that waited for the broker to accept messages
// is sent with the time that is left.
func TestTimeOfBlockedRequest(t *testing.T) {
	b := broker(t)
	p := dialPeer(t, b.URL)
	q := p.queue(unique(t, "blocked-time"), nil)
	conn := Dial(b.URL, q)
	c := micro.NewClient(conn)
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Emit(t.Context(), noted, "connect"); err != nil {
		t.Fatal(err)
	}
	s, _ := conn.link.now()
	s.block(amqp.Blocking{Active: true, Reason: "low on memory"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	began := time.Now()
	called := make(chan error, 1)
	go func() {
		_, err := micro.Call[string](ctx, c, echo, "x")
		called <- err
	}()
	const wait = 50 * time.Millisecond
	eventually(t, "the request waits", func() bool { return conn.table.Len() == 1 && time.Since(began) > wait })
	s.block(amqp.Blocking{})
	messages := p.consume(q)
	take(t, "the event", messages)
	d := take(t, "the request", messages)
	text, _ := d.Headers[micro.MetaTimeout].(string)
	for what, text := range map[string]string{"timeout": text, "expiration": d.Expiration} {
		var ms int64
		if _, err := fmt.Sscan(text, &ms); err != nil || ms <= 0 || time.Duration(ms)*time.Millisecond > time.Hour-wait {
			t.Errorf("the %s is %q", what, text)
		}
	}
	cancel()
	take(t, "the end of the call", called)
}
