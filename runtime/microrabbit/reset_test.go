package microrabbit

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
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
