package microrabbit

import (
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// socket is the connection over which the driver speaks AMQP. Messages bypass the
// driver: socket extracts their frames from the data it reads, and inserts frames into
// the data that the driver writes. The driver would make three writes per message, and
// pass each delivery through three goroutines and an unbounded queue. Here the reading
// goroutine delivers the messages of each read itself, so a server at its limit stops
// reading, and everything that is pending is sent in one write.
//
// One goroutine at a time leads: it reads, splits the data into frames, and calls the
// functions of the planes. If one of them takes long, another goroutine may take over.
type socket struct {
	net.Conn
	opened atomic.Uint32                     // the channel that was opened last
	planes atomic.Pointer[map[uint16]*plane] // by channel; the map is never modified

	// Used only by the leader.
	in       []byte
	start    int // in[start:end] has been read but not processed
	end      int
	theirs   int // the number of bytes of the frame at start that are still to go to the driver
	extended time.Time
	readAt   time.Time // when the last read returned

	patience atomic.Int64 // the read timeout in nanoseconds, set by the driver

	driver driverPipe
	out    wireOut
	ended  chan struct{} // closed when the last leader has returned
}

func newSocket(conn net.Conn) *socket {
	w := &socket{Conn: conn, in: make([]byte, readBuffer), ended: make(chan struct{})}
	w.planes.Store(&map[uint16]*plane{})
	w.driver.some.L = &w.driver.mu
	w.out.init(conn)
	return w
}

// attach makes p receive the messages of the channel that was opened last, or the driver
// if p is nil.
func (w *socket) attach(p *plane) {
	channel := uint16(w.opened.Load()) //nolint:gosec // stored from a uint16
	planes := maps.Clone(*w.planes.Load())
	delete(planes, channel) // a closed channel may have had the same number
	if p != nil {
		p.channel = channel
		planes[channel] = p
	}
	w.planes.Store(&planes)
}

// Read reads the driver's frames. Only the driver calls it.
func (w *socket) Read(p []byte) (int, error) { return w.driver.read(p) }

// Write queues the driver's frames for writing. Only the driver calls it.
func (w *socket) Write(b []byte) (int, error) { return w.out.writeDriver(b) }

// SetReadDeadline sets the read deadline, and the read timeout from now on. Only the
// driver calls it.
func (w *socket) SetReadDeadline(t time.Time) error {
	w.patience.Store(int64(max(time.Until(t), 0)))
	return w.out.setReadDeadline(t)
}

// Close closes the connection and drops data that has not been written.
func (w *socket) Close() error {
	w.out.fail(net.ErrClosed)
	return nil
}

// driverPipe holds data that has been read for the driver until the driver reads it.
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

// add appends data for the driver. A non-nil err is returned to the driver after it has
// read all data.
func (d *driverPipe) add(b []byte, err error) {
	d.mu.Lock()
	d.data = append(d.data, b...)
	if d.err == nil {
		d.err = err
	}
	d.some.Signal()
	d.mu.Unlock()
}
