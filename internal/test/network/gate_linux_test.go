package network

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// gate is a port that forwards connections to another one, and breaks them. "Near" is the side that connects to the gate.
type gate struct {
	testing.TB
	addr, to string

	mu     sync.Mutex // guards the fields to wg
	socket net.Listener
	closed bool
	conns  map[net.Conn]bool
	wg     sync.WaitGroup

	mute   chan chan struct{} // the next connection forwards nothing; the channel is closed when near gives up
	toNear atomic.Pointer[damage]
	toFar  atomic.Pointer[damage]
}

// damage happens once, to the first data that contains a text. It replaces the forwarding of that data, and of what follows.
type damage struct {
	text string
	do   func(from, to net.Conn, data []byte, at int) // at is where the text begins
	done chan uint16                                  // receives the port of near
}

// half forwards the beginning of a message, and nothing more, while both connections stay open.
func half(_, to net.Conn, data []byte, at int) { _, _ = to.Write(data[:at]) }

// last forwards data, and closes both connections right behind it.
func last(from, to net.Conn, data []byte, _ int) {
	_, _ = to.Write(data)
	_ = to.Close()
	_ = from.Close()
}

// newGate opens a gate at an address, with port 0 at any port.
func newGate(tb testing.TB, at, to string) *gate {
	tb.Helper()
	g := &gate{TB: tb, addr: at, to: to, conns: map[net.Conn]bool{}, mute: make(chan chan struct{}, 1)}
	g.open()
	tb.Cleanup(func() {
		g.close()
		g.wg.Wait()
	})
	return g
}

func (g *gate) open() {
	g.Helper()
	socket, err := net.Listen("tcp", g.addr)
	if err != nil {
		g.Fatal(err)
	}
	g.mu.Lock()
	g.socket, g.addr, g.closed = socket, socket.Addr().String(), false
	g.mu.Unlock()
	g.wg.Go(func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			g.wg.Go(func() { g.serve(conn) })
		}
	})
}

// close refuses connections, and ends those that are open.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	_ = g.socket.Close()
	g.cutLocked()
}

// cut ends the connections that are open.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cutLocked()
}

func (g *gate) cutLocked() {
	for conn := range g.conns {
		_ = conn.Close()
	}
}

// keep makes cut and close end a connection. It reports false if the gate has been closed.
func (g *gate) keep(conn net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns[conn] = true
	return !g.closed
}

func (g *gate) drop(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
	_ = conn.Close()
}

func (g *gate) serve(near net.Conn) {
	defer g.drop(near)
	if !g.keep(near) {
		return
	}
	select {
	case gone := <-g.mute:
		_, _ = io.Copy(io.Discard, near)
		close(gone)
		return
	default:
	}
	far, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer g.drop(far)
	if !g.keep(far) {
		return
	}
	var both sync.WaitGroup
	port := near.RemoteAddr().(*net.TCPAddr).AddrPort().Port()
	both.Go(func() { forward(near, far, port, &g.toFar) })
	both.Go(func() { forward(far, near, port, &g.toNear) })
	both.Wait()
}

// forward forwards data until its end, which it passes on. After an error, it closes both connections.
func forward(from, to net.Conn, port uint16, next *atomic.Pointer[damage]) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if d := next.Load(); d != nil {
			if at := bytes.Index(buf[:n], []byte(d.text)); at >= 0 && next.CompareAndSwap(d, nil) {
				d.do(from, to, buf[:n], at)
				d.done <- port
				_, _ = io.Copy(io.Discard, from)
				return
			}
		}
		_, failed := to.Write(buf[:n])
		switch {
		case failed != nil || err != nil && !errors.Is(err, io.EOF):
			_ = from.Close()
			_ = to.Close()
			return
		case err != nil:
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
	}
}
