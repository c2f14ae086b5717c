package microtcp

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// A client's caller waits for a peer that does not read no longer than its own deadline,
// and learns whether its message may have been sent.

// errNoRoom means that the peer read nothing in time. Nothing was added.
var errNoRoom = errors.New("the peer does not read")

// errRefused means that the writer had ended before the frame was passed to the
// connection. The message was certainly not sent.
var errRefused = errors.New("the writer has ended")

// offer is like add, but waits no longer than until deadline, or until ctx ends. It returns
// the position of the frame in the connection's stream of bytes, for await and unsent. An
// error means that the frame was certainly not sent. Without one, it may have been: then the
// reader of the connection finds out how the message ends, because the peer may have replied
// before it closed the connection.
func (w *writer) offer(ctx context.Context, deadline time.Time, size int, build func(dst []byte) []byte) (start, end int64, err error) {
	w.mu.Lock()
	if w.crowd() && w.err == nil {
		if !w.waitLocked(ctx, deadline, func() bool { return !w.crowd() }) {
			w.mu.Unlock()
			return 0, 0, errNoRoom
		}
	}
	if w.err != nil || w.refused {
		w.mu.Unlock()
		return 0, 0, errRefused
	}
	start = w.handed + int64(len(w.buf))
	w.buf = build(grown(w.buf, size))
	end = w.handed + int64(len(w.buf))
	switch {
	case w.overLimit():
		return start, end, w.overflow()
	case w.writing:
		w.mu.Unlock()
		return start, end, nil
	case end-w.acked.Load() <= maxUnread:
		_ = w.flushLocked(true) // it has reported the error to fail
		if w.unsent(start) {
			return 0, 0, errRefused
		}
		return start, end, nil
	}
	w.writing = true
	// Subtle: spawn is called while mu is held. Once mu is released, the reader of the
	// connection may end, and the client's WaitGroup may reach zero.
	w.spawn(w.writeRest)
	w.mu.Unlock()
	return start, end, nil
}

// unsent reports whether the writer has ended before the frame that starts at start was
// passed to the connection, even in part.
func (w *writer) unsent(start int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil && start >= w.handed
}

// position returns the position of the next frame in the connection's stream of bytes.
func (w *writer) position() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.handed + int64(len(w.buf))
}

// refuse makes later offers fail. Frames added before are still written.
func (w *writer) refuse() {
	w.mu.Lock()
	w.refused = true
	w.mu.Unlock()
}

// maxUnread is the number of bytes that a write accepts even if the peer reads nothing,
// because the buffers of the two kernels are larger. The caller writes that much itself.
// A write of more may block, so a goroutine without a deadline does it.
const maxUnread = 32 << 10

// ack records that the peer has replied to the frame that ends at end, and so has read
// everything up to there.
func (w *writer) ack(end int64) { raise(&w.acked, end) }

// raise sets n to at least least.
func raise(n *atomic.Int64, least int64) {
	for {
		old := n.Load()
		if least <= old || n.CompareAndSwap(old, least) {
			return
		}
	}
}

// await waits until the connection has accepted everything up to end, no longer than until
// deadline, or until ctx ends. start is where the caller's frame begins: if the writer ends
// before the frame is passed to the connection, the error is errRefused.
func (w *writer) await(ctx context.Context, deadline time.Time, start, end int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken >= end {
		return nil
	}
	ok := w.waitLocked(ctx, deadline, func() bool { return w.taken >= end })
	switch {
	case w.taken >= end:
		return nil
	case w.err != nil && start >= w.handed:
		return errRefused
	case !ok:
		return errNoRoom
	}
	return w.err
}

// waitLocked waits, with mu held, until ok returns true or the writer has ended. It returns
// false if the deadline passes, or ctx ends, first.
func (w *writer) waitLocked(ctx context.Context, deadline time.Time, ok func() bool) bool {
	wake := func() {
		w.mu.Lock()
		w.room.Broadcast()
		w.mu.Unlock()
	}
	timer := time.AfterFunc(time.Until(deadline), wake)
	defer timer.Stop()
	stop := context.AfterFunc(ctx, wake)
	defer stop()
	for !ok() && w.err == nil {
		if ctx.Err() != nil || !time.Now().Before(deadline) {
			return false
		}
		w.room.Wait()
	}
	return true
}
