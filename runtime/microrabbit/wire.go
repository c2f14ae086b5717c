package microrabbit

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// socket is the connection that the driver speaks AMQP over. Messages do not go
// through the driver: their frames are taken out of what is read and put into
// what is written, here. The driver makes three writes for a message, and hands a
// delivery through three goroutines and a queue without bound; here whoever reads
// hands the messages of a read on, so that a server that is full reads no more,
// and whatever is to be written at a time leaves in one write.
//
// One goroutine at a time leads: it reads, cuts frames, and runs the functions of
// the planes. Should one of them take long, another goroutine may take over.
type socket struct {
	net.Conn
	opened atomic.Uint32                     // the channel that was opened last
	planes atomic.Pointer[map[uint16]*plane] // by channel; the map does not change

	// Of the leader alone.
	in       []byte
	start    int // in[start:end] has been read and not dealt with
	end      int
	theirs   int // bytes of the frame at start that go to the driver
	extended time.Time

	patience atomic.Int64 // nanoseconds that a read may take

	driver driverPipe
	out    wireOut
	ended  chan struct{} // closed when nobody leads any more
}

func newSocket(conn net.Conn) *socket {
	w := &socket{Conn: conn, in: make([]byte, readBuffer), ended: make(chan struct{})}
	w.planes.Store(&map[uint16]*plane{})
	w.driver.some.L = &w.driver.mu
	w.out.init(conn)
	return w
}

// attach gives the messages of the channel that was opened last to p.
func (w *socket) attach(p *plane) (channel uint16) {
	channel = uint16(w.opened.Load()) //nolint:gosec // it was one
	planes := map[uint16]*plane{channel: p}
	for ch, other := range *w.planes.Load() {
		if ch != channel {
			planes[ch] = other
		}
	}
	w.planes.Store(&planes)
	return channel
}

// Read is for the driver: it gives the frames that are its own.
func (w *socket) Read(p []byte) (int, error) { return w.driver.read(p) }

// Write is for the driver.
func (w *socket) Write(b []byte) (int, error) { return w.out.writeDriver(b) }

// SetReadDeadline is for the driver.
func (w *socket) SetReadDeadline(t time.Time) error {
	w.patience.Store(int64(max(time.Until(t), 0)))
	return w.Conn.SetReadDeadline(t)
}

// Close closes the connection; what has not been written is dropped.
func (w *socket) Close() error {
	w.out.fail(net.ErrClosed)
	return nil
}

// driverPipe holds what has been read for the driver until it takes it.
type driverPipe struct {
	mu   sync.Mutex
	some sync.Cond
	data []byte
	err  error
}

func (d *driverPipe) read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.data) == 0 && d.err == nil {
		d.some.Wait()
	}
	if len(d.data) == 0 {
		return 0, d.err
	}
	n := copy(p, d.data)
	d.data = d.data[:copy(d.data, d.data[n:])]
	return n, nil
}

// add gives the driver more to read, and then, unless it is nil, an error.
func (d *driverPipe) add(b []byte, err error) {
	d.mu.Lock()
	d.data = append(d.data, b...)
	if d.err == nil {
		d.err = err
	}
	d.some.Signal()
	d.mu.Unlock()
}
