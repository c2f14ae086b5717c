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

// socket is a connection whose Write neither blocks nor fails.
//
// The driver writes while it holds a lock that every message needs. If Write waited for a
// peer that does not read, no call could end at its deadline. So the socket keeps bytes that the peer
// does not accept at once, for a goroutine that writes them and ends. Senders of large
// messages call awaitRoom first.
//
// If Write failed, the driver would close the connection and lose replies that have arrived
// but have not been read. So only Read reports the end of the connection, after everything
// that has arrived. If the peer keeps the connection open, it is closed after lastReads.
type socket struct {
	net.Conn
	stall   time.Duration // stallTimeout, except in tests
	waiting atomic.Int64  // bytes kept
	failed  atomic.Bool   // what is written is dropped

	mu      sync.Mutex  // guards what follows
	unbind  func() bool // see bind
	kept    []byte
	writing bool
	err     error
	changed chan struct{} // closed and replaced when bytes have been written, and at the end
}

const (
	fullWire     = 1 << 20 // the number of kept bytes from which on senders wait
	takesAtOnce  = 2 * time.Millisecond
	stallTimeout = 10 * time.Second // for the peer to take some of what is kept
	lastReads    = time.Second      // after a failed write
	writeSize    = 64 << 10
)

func newSocket(conn net.Conn) *socket {
	return &socket{Conn: conn, stall: stallTimeout, changed: make(chan struct{})}
}

// bind closes the connection when ctx ends.
func (w *socket) bind(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unbind = context.AfterFunc(ctx, func() { _ = w.Close() })
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

// keep keeps b for the writing goroutine if that is running. With must, it starts the goroutine.
// It drops b if writing has failed. It returns an error if the socket has been closed.
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

// fail stops writing, and leaves time for reading what has arrived.
func (w *socket) fail(err error) {
	w.end(err)
	if !w.failed.Swap(true) {
		time.AfterFunc(lastReads, func() { _ = w.Conn.Close() })
	}
}

// write writes the kept bytes until there are none.
func (w *socket) write() {
	for written := 0; ; {
		chunk := w.next(written)
		if chunk == nil {
			return
		}
		n, err := w.writeFor(chunk, w.stall)
		if err != nil {
			w.fail(err)
		}
		written = n
	}
}

// next removes the bytes that have been written and returns the next ones, or nil at the
// end.
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

// awaitRoom waits until the socket is not full, or has failed or been closed.
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

// Close closes the connection. Bytes that are still kept are lost.
func (w *socket) Close() error {
	w.mu.Lock()
	unbind := w.unbind
	w.mu.Unlock()
	if unbind != nil {
		unbind()
	}
	w.end(net.ErrClosed)
	return w.Conn.Close()
}

// SetDeadline sets the deadline of reads. Writes have their own.
func (w *socket) SetDeadline(t time.Time) error { return w.Conn.SetReadDeadline(t) }

// SetWriteDeadline does nothing.
func (w *socket) SetWriteDeadline(time.Time) error { return nil }
