package microtcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// TestReplyBeforeTheEnd checks that a reply is delivered although its server closes the
// connection right behind it.
func TestReplyBeforeTheEnd(t *testing.T) {
	var handled atomic.Int64
	p := scripted(t, func(c *peerConn) {
		if m, ok := c.next(); ok {
			handled.Add(1)
			c.reply(m.ID, `"response":"x","isDisposed":true`)
		}
	})
	const calls, callers = 2000, 4
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range calls / callers {
				c := client(t, p.addr())
				if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
				_ = c.Close()
			}
		})
	}
	all.Wait()
	if n := handled.Load(); n != calls {
		t.Errorf("%d calls were handled %d times", calls, n)
	}
}

// TestValuesBeforeAReset checks that all values of a stream are delivered although the
// connection is reset right behind them.
func TestValuesBeforeAReset(t *testing.T) {
	for _, last := range []bool{false, true} {
		p := scripted(t, func(c *peerConn) {
			m, _ := c.next()
			c.reply(m.ID, `"response":1`)
			c.reply(m.ID, `"response":2`)
			if last {
				c.reply(m.ID, `"response":3,"isDisposed":true`)
			}
			_ = c.SetLinger(0)
		})
		for range 50 {
			c := client(t, p.addr())
			values, failed := 0, error(nil)
			for _, err := range micro.Stream[int](t.Context(), c, echo, "x") {
				if failed = err; err == nil {
					values++
				}
			}
			switch _ = c.Close(); {
			case last && (values != 3 || failed != nil), !last && (values != 2 || !errors.Is(failed, micro.ErrConnectionLost)):
				t.Fatalf("last %t: %d values, %v", last, values, failed)
			}
		}
	}
}

// pretended is a connection whose peer is a test. Read returns what is sent to in, and
// then the error of its end.
type pretended struct {
	net.Conn // a real one, for everything else
	write    func([]byte) (int, error)
	in       chan []byte
	end      error
	rest     []byte
}

func pretend(t *testing.T) *pretended {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return &pretended{Conn: ours, in: make(chan []byte, 10), end: io.EOF}
}

func (c *pretended) Write(b []byte) (int, error)      { return c.write(b) }
func (c *pretended) SetWriteDeadline(time.Time) error { return nil }

func (c *pretended) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		var ok bool
		if c.rest, ok = <-c.in; !ok {
			return 0, c.end
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// packetIn returns the packet in a frame.
func packetIn(t *testing.T, frame []byte) wire.Packet {
	t.Helper()
	p, err := wire.Parse(bytes.Clone(frame[bytes.IndexByte(frame, '#')+1:]))
	if err != nil {
		t.Error(err)
	}
	return p
}

func answerTo(p wire.Packet) []byte {
	return AppendFrame(nil, wire.Reply{ID: p.ID, Response: []byte(`"x"`), Disposed: true}.Append(nil))
}

// use makes a client use a connection.
func use(t *testing.T, conn net.Conn) *micro.Client {
	t.Helper()
	p := scripted(t, func(c *peerConn) { c.answer() })
	c := Dial(p.addr())
	a := c.addresses[0]
	cc := newClientConn(a, conn)
	a.conn.Store(cc)
	c.wg.Go(cc.serve)
	client := micro.NewClient(c, micro.WithTimeout(soon))
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestEndDuringTheWrite checks that a call gets its reply although the connection ends
// before the write of its request returns.
func TestEndDuringTheWrite(t *testing.T) {
	conn := pretend(t)
	ended := make(chan struct{})
	conn.write = func(b []byte) (int, error) {
		conn.in <- answerTo(packetIn(t, b))
		close(conn.in)
		<-ended
		return len(b), nil
	}
	c := use(t, watched{conn, ended})
	if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// watched closes a channel when it is closed.
type watched struct {
	net.Conn
	closed chan struct{}
}

func (w watched) Close() error {
	close(w.closed)
	return w.Conn.Close()
}

// TestWriteErrorBeforeTheReply checks that a call gets the reply that has arrived when the
// next write fails, and that the message of that write is sent again elsewhere, since the
// connection has not accepted it.
func TestWriteErrorBeforeTheReply(t *testing.T) {
	conn := pretend(t)
	conn.end = syscall.ECONNRESET
	first := make(chan wire.Packet, 1)
	conn.write = func(b []byte) (int, error) {
		select {
		case first <- packetIn(t, b):
			return len(b), nil
		default:
		}
		conn.in <- answerTo(<-first)
		close(conn.in)
		return 0, syscall.EPIPE
	}
	c := use(t, conn)
	var call sync.WaitGroup
	call.Go(func() {
		if got, err := micro.Call[string](t.Context(), c, echo, "1"); got != "x" || err != nil {
			t.Errorf("the first call: %q, %v", got, err)
		}
	})
	eventually(t, "the first request", func() bool { return len(first) == 1 })
	if got, err := micro.Call[string](t.Context(), c, echo, "2"); got != "2" || err != nil {
		t.Errorf("the second call: %q, %v", got, err)
	}
	call.Wait()
}

// TestWriteErrorWithoutAnEnd checks that a connection ends soon after writing has failed,
// even if the peer never closes it.
func TestWriteErrorWithoutAnEnd(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := use(t, cannotWrite{ours})
	_, err := micro.Call[string](t.Context(), c, echo, "x")
	if !errors.Is(err, micro.ErrConnectionLost) || !errors.Is(err, errNoSpace) {
		t.Errorf("got %v", err)
	}
}

var errNoSpace = errors.New("no space")

type cannotWrite struct{ net.Conn }

func (cannotWrite) Write(b []byte) (int, error)      { return len(b) / 2, errNoSpace }
func (cannotWrite) SetWriteDeadline(time.Time) error { return nil }

// TestMessagesBeforeAReset checks that a server handles what a client sent before it closed
// the connection, although the reply to an earlier message cannot be written any more.
func TestMessagesBeforeAReset(t *testing.T) {
	s := quietServer()
	handled := make(chan string, 10)
	micro.HandleEvent(s, note, func(_ context.Context, text string) error {
		handled <- text
		return nil
	})
	l := Listen("127.0.0.1:0")
	startOn(t, s, l)
	conn := pretend(t)
	conn.end = syscall.ECONNRESET
	conn.write = func([]byte) (int, error) {
		conn.in <- AppendFrame(nil, []byte(`{"pattern":"noted","data":"late"}`))
		close(conn.in)
		return 0, syscall.EPIPE
	}
	conn.in <- AppendFrame(nil, []byte(`{"pattern":{"cmd":"echo"},"data":"x","id":"1"}`))
	slots := make(chan struct{}, 1)
	slots <- struct{}{}
	l.adopt(conn, slots)
	select {
	case got := <-handled:
		if got != "late" {
			t.Errorf("handled %q", got)
		}
	case <-time.After(soon):
		t.Error("the event was not handled")
	}
	eventually(t, "the end of the connection", func() bool { return len(slots) == 0 })
}

// TestEventsBeforeClose checks that events that a busy server has not read yet survive the
// end of their client, although a reply to a call that was given up arrives after it.
func TestEventsBeforeClose(t *testing.T) {
	const events = 20
	data, err := json.Marshal(strings.Repeat("x", 10<<10))
	if err != nil {
		t.Fatal(err)
	}
	closing, read := make(chan struct{}), make(chan int, 1)
	p := scripted(t, func(c *peerConn) {
		m, _ := c.next()
		<-closing
		c.reply(m.ID, `"response":"late","isDisposed":true`)
		n := 0
		for m, ok := c.next(); ok; m, ok = c.next() {
			if m.ID == nil {
				n++
			}
		}
		read <- n
	})
	conn := Dial(p.addr())
	conn.linger = soon
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := micro.Call[string](ctx, c, echo, "x"); !errors.Is(err, micro.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the call that is given up: %v", err)
	}
	if err := c.Emit(t.Context(), note, json.RawMessage(data)); err != nil { // connects if the call was too short for that
		t.Fatal(err)
	}
	for range events - 1 {
		if err := c.Emit(t.Context(), note, json.RawMessage(data)); err != nil {
			t.Fatal(err)
		}
	}
	used := conn.addresses[0].conn.Load()
	var end sync.WaitGroup
	end.Go(func() { _ = c.Close() })
	eventually(t, "the client is closing", used.dead.Load)
	close(closing)
	if n := <-read; n != events {
		t.Errorf("the server has read %d events of %d", n, events)
	}
	end.Wait()
}

// TestEventsOfABusyServer checks that a server at its limit handles every event of a client
// that has been closed.
func TestEventsOfABusyServer(t *testing.T) {
	const events = 100
	s := quietServer(micro.WithMaxInFlight(4))
	slow := micro.Cmd("slow")
	micro.Handle(s, slow, func(context.Context, micro.None) (micro.None, error) {
		<-time.After(20 * time.Millisecond)
		return micro.None{}, nil
	})
	var handled atomic.Int64
	micro.HandleEvent(s, note, func(context.Context, string) error {
		<-time.After(2 * time.Millisecond)
		handled.Add(1)
		return nil
	})
	r := start(t, s)
	conn := Dial(r.addr)
	conn.linger = soon
	c := micro.NewClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _ = micro.Call[micro.None](ctx, c, slow, nil)
	for range events {
		if err := c.Emit(t.Context(), note, strings.Repeat("x", 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "all events are handled", func() bool { return handled.Load() == events })
}

// TestCloseIsQuick checks that Close does not wait for a server that has read everything.
func TestCloseIsQuick(t *testing.T) {
	p := scripted(t, func(c *peerConn) {
		for range 2 {
			if m, _ := c.next(); m.ID != nil {
				c.reply(m.ID, `"response":1,"isDisposed":true`)
			}
		}
		<-t.Context().Done() // it never closes its half
	})
	conn := Dial(p.addr())
	conn.linger = time.Hour
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	if err := c.Emit(t.Context(), note, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := micro.Call[int](t.Context(), c, echo, "x"); err != nil {
		t.Fatal(err)
	}
	within(t, "Close", func() { _ = c.Close() })
}
