package microtcp

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Connections acknowledge what they read without the kernel's usual delay. NestJS leaves
// Nagle's algorithm on, so its socket holds a small packet back until the previous one
// has been acknowledged. A kernel that delays an acknowledgment sends it with the next
// packet in the other direction, or after 40 ms, and until then replies wait for the next
// request, and requests for a slow reply. So both sides ask for the acknowledgment
// themselves. They do so rarely where their next packet is near anyway: with many calls in
// flight, or while reads follow each other quickly.

const (
	fewCalls  = 8                      // up to here a read is acknowledged at once,
	quickRead = 100 * time.Microsecond // unless it follows the previous one so quickly;
	ackDelay  = 2 * time.Millisecond   // others after this, unless a request was first
)

// acker asks the kernel for the acknowledgments of one connection. The goroutine that
// reads owns it, except for stop.
type acker struct {
	conn  syscall.RawConn // nil if there is nothing to ask for
	last  time.Time       // of the last read after which calls were pending
	timer atomic.Pointer[time.Timer]
	armed atomic.Bool
}

func (a *acker) init(conn net.Conn) {
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = tls.NetConn()
	}
	socket, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return // the connection has ended, which its reader is about to notice
	}
	switch ackControl {
	case ackOnce:
		_ = raw.Control(ackAtOnce)
	case ackEachTime:
		a.conn = raw
	}
}

// When the kernel must be asked to acknowledge without delay.
const (
	ackNever    = iota // it cannot be asked
	ackOnce            // once for a connection
	ackEachTime        // after each read
)

// read is called after each read, with the number of calls that still wait for replies.
// Without any, the acknowledgment travels with the next packet of this side.
func (a *acker) read(pending int) {
	if a.conn == nil || pending == 0 {
		return
	}
	now := time.Now()
	quick := now.Sub(a.last) < quickRead
	a.last = now
	switch {
	case pending <= fewCalls && !quick:
		a.ask()
	case !a.armed.Swap(true):
		a.arm()
	}
}

// ask asks for the acknowledgment. If it fails, the reader is about to notice why.
func (a *acker) ask() { _ = a.conn.Control(ackAtOnce) }

func (a *acker) arm() {
	if t := a.timer.Load(); t != nil {
		t.Reset(ackDelay)
		return
	}
	a.timer.Store(time.AfterFunc(ackDelay, func() {
		a.armed.Store(false)
		a.ask()
	}))
}

// stop is called when the connection ends.
func (a *acker) stop() {
	if t := a.timer.Load(); t != nil {
		t.Stop()
	}
}
