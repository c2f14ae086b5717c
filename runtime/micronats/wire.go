package micronats

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// dialer makes the connections of one nats.Conn, one after another, as sockets.
type dialer struct {
	ctx        context.Context // its end ends the dials, and the sockets
	timeout    time.Duration
	beforeRead func() // may hold the reading up; nil is nothing
	current    atomic.Pointer[socket]
	err        atomic.Pointer[error] // of the last attempt that failed
}

// Dial is called by the driver.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil {
		d.err.Store(&err)
		return nil, err
	}
	w := &socket{Conn: conn, beforeRead: d.beforeRead, changed: make(chan struct{})}
	w.unbind = context.AfterFunc(d.ctx, func() { _ = w.Close() })
	d.current.Store(w)
	return w, nil
}

// full reports whether the broker does not keep up with what is written to it.
func (d *dialer) full() bool {
	w := d.current.Load()
	return w != nil && w.waiting.Load() > fullWire
}

// failed reports whether nothing more can be written, although the driver does not know yet.
func (d *dialer) failed() bool {
	w := d.current.Load()
	return w != nil && w.failed.Load()
}

// awaitRoom returns when the broker keeps up, or with the error of ctx.
func (d *dialer) awaitRoom(ctx context.Context) error {
	if d.full() {
		return d.current.Load().awaitRoom(ctx)
	}
	return nil
}

// socket is a connection whose Write does not wait for a peer that does not read:
// the driver writes while it holds the lock that every message needs, so no call could end
// at its deadline. Bytes that the peer does not read at once are kept, and a goroutine
// writes them and ends. Senders of large messages call awaitRoom first.
//
// Nor does Write fail: the driver would close the connection, and with it lose the replies
// that have arrived but have not been read. Only a Read reports the end, when it has
// returned everything. If the peer keeps the connection open, it is closed after lastReads.
type socket struct {
	net.Conn
	beforeRead func()
	unbind     func() bool
	waiting    atomic.Int64 // bytes kept
	failed     atomic.Bool  // what is written is dropped

	mu      sync.Mutex // guards what follows
	kept    []byte
	writing bool
	err     error
	changed chan struct{} // closed and replaced when bytes were taken, and at the end
}

const (
	fullWire     = 1 << 20 // bytes kept, past which senders wait
	takesAtOnce  = 2 * time.Millisecond
	stallTimeout = 10 * time.Second // for the peer to take some of what is kept
	lastReads    = time.Second      // after a failed write
	writeSize    = 64 << 10
)

// Read reads, when the reader has room.
func (w *socket) Read(b []byte) (int, error) {
	if w.beforeRead != nil {
		w.beforeRead()
	}
	return w.Conn.Read(b)
}

// Write writes b or keeps it. The driver calls it for one goroutine at a time.
func (w *socket) Write(b []byte) (int, error) {
	done, err := w.keep(b, false)
	if done || err != nil {
		return len(b), err
	}
	n, err := w.writeFor(b, takesAtOnce)
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		_, err = w.keep(b[n:], true)
		return len(b), err
	default:
		w.fail(err)
	}
	return len(b), nil
}

func (w *socket) writeFor(b []byte, d time.Duration) (int, error) {
	if err := w.Conn.SetWriteDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

// keep keeps b for the writing goroutine, if there is one or has to be. It drops b if writing has
// failed. The error is that of a closed socket.
func (w *socket) keep(b []byte, must bool) (done bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case errors.Is(w.err, net.ErrClosed):
		return false, w.err
	case w.err != nil:
		return true, nil
	case !must && !w.writing:
		return false, nil
	}
	w.kept = append(w.kept, b...)
	w.waiting.Store(int64(len(w.kept)))
	if !w.writing {
		w.writing = true
		go w.write() // Close or the stall timeout ends it
	}
	return true, nil
}

// fail ends the writing, and leaves some time for reading what has arrived.
func (w *socket) fail(err error) {
	w.end(err)
	if !w.failed.Swap(true) {
		time.AfterFunc(lastReads, func() { _ = w.Conn.Close() })
	}
}

// write writes what is kept until nothing is.
func (w *socket) write() {
	for written := 0; ; {
		chunk := w.next(written)
		if chunk == nil {
			return
		}
		n, err := w.writeFor(chunk, stallTimeout)
		if err != nil {
			w.fail(err)
		}
		written = n
	}
}

// next forgets what has been written and returns what is to be written next; nil
// is the end.
func (w *socket) next(written int) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kept = w.kept[written:]; len(w.kept) == 0 || w.err != nil {
		w.kept, w.writing = nil, false
	}
	w.waiting.Store(int64(len(w.kept)))
	if written > 0 {
		w.change()
	}
	return w.kept[:min(len(w.kept), writeSize)]
}

func (w *socket) change() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// end wakes all waiters.
func (w *socket) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		w.waiting.Store(0)
		w.change()
	}
}

// awaitRoom waits until the wire is not full, broken or closed.
func (w *socket) awaitRoom(ctx context.Context) error {
	for {
		w.mu.Lock()
		full, changed := len(w.kept) > fullWire && w.err == nil, w.changed
		w.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close closes the connection; what is still kept is lost.
func (w *socket) Close() error {
	w.unbind()
	w.end(net.ErrClosed)
	return w.Conn.Close()
}

// SetDeadline sets that of reads: writes have their own.
func (w *socket) SetDeadline(t time.Time) error { return w.Conn.SetReadDeadline(t) }

// SetWriteDeadline does nothing.
func (w *socket) SetWriteDeadline(time.Time) error { return nil }
