package microrabbit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// resetConn is a connection that a peer has reset: a write fails. Data that has arrived
// before can still be read, but only after the write has failed.
type resetConn struct {
	net.Conn

	written chan struct{} // closed by the first write
	closed  chan struct{}
	once    sync.Once
	closing sync.Once
	arrived []byte
}

func (c *resetConn) Write([]byte) (int, error) {
	c.once.Do(func() { close(c.written) })
	return 0, syscall.ECONNRESET
}

func (c *resetConn) Read(p []byte) (int, error) {
	<-c.written
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	if len(c.arrived) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.arrived[:min(7, len(c.arrived))]) // several reads
	c.arrived = c.arrived[n:]
	return n, nil
}

func (c *resetConn) SetReadDeadline(time.Time) error { return nil }

func (c *resetConn) Close() error {
	c.closing.Do(func() { close(c.closed) })
	return nil
}

// TestReadAfterFailedWrite checks that a failed write does not lose what has arrived: it is
// delivered, and only then does the connection end.
func TestReadAfterFailedWrite(t *testing.T) {
	conn := &resetConn{written: make(chan struct{}), closed: make(chan struct{}), arrived: deliverFrames(1, 7, "q", "reply", 64)}
	w := newSocket(conn)
	w.opened.Store(1)
	var got []uint64
	w.attach(&plane{deliver: func(in *incoming) { got = append(got, in.tag) }})
	go w.out.run()
	go w.lead()
	frame := func(dst []byte) []byte { return appendAck(dst, 1, 1, false) }
	w.out.follow(make([]byte, preamble))
	if err := w.out.put(t.Context(), time.Now().Add(time.Minute), frame); err != nil {
		t.Fatal(err)
	}
	<-w.ended
	if len(got) != 1 || got[0] != 7 {
		t.Errorf("delivered are the messages %v, want 7", got)
	}
	if _, err := w.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the driver got %v, want the end of the data", err)
	}
	if err := w.out.put(context.Background(), time.Now(), frame); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("writing after the end: %v", err)
	}
	<-conn.closed
}

// TestReplyBeforeReset calls a service through a proxy that resets the connection right
// behind each reply, while events are written: each call that was handled gets its reply.
func TestReplyBeforeReset(t *testing.T) {
	b := broker(t)
	q := unique(t, "reset")
	serveQuietly(t, Listen(b.URL, q))
	conn := Dial(resetBehindReplies(t, b), q, WithReconnect(-1, time.Millisecond), WithWait())
	c := micro.NewClient(conn)
	done := make(chan struct{})
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
					_ = c.Emit(t.Context(), noted, "x") // many fail together with their connection
				}
			}
		})
	}
	for i := range 50 {
		if err := c.Emit(t.Context(), noted, "connect"); err != nil {
			t.Fatal(err)
		}
		s, ok := conn.link.now()
		if !ok {
			t.Fatal("there is no session")
		}
		got, err := micro.Call[int](t.Context(), c, echo, i)
		if err != nil || got != i {
			t.Errorf("call %d: %d, %v", i, got, err)
		}
		<-s.lost() // the next call must not be sent on it
	}
	close(done)
	writers.Wait()
	_ = c.Close()
}

// resetBehindReplies starts a proxy that resets a connection when it has delivered the end
// of a reply.
func resetBehindReplies(t *testing.T, b *testenv.Broker) (url string) {
	t.Helper()
	all, err := parseAddresses(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := socket.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", all[0].host)
			if err != nil {
				_ = client.Close()
				continue
			}
			wg.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
			wg.Go(func() { resetBehind(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = socket.Close()
		wg.Wait()
	})
	return "amqp://guest:guest@" + socket.Addr().String()
}

func resetBehind(client, server net.Conn) {
	defer server.Close()
	defer client.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
		if bytes.Contains(buffer[:n], []byte(`"isDisposed":true`)) {
			_ = client.(*net.TCPConn).SetLinger(0)
			return
		}
	}
}
