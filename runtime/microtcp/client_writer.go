package microtcp

import (
	"context"
	"errors"
	"time"
)

// The client's way into the writer: a caller waits no longer than its deadline
// for a peer that does not read, and learns whether its message may have been
// sent.

// errNoRoom: the peer read nothing in time; nothing was added.
var errNoRoom = errors.New("the peer does not read")

// errRefused: the writer had ended before anything was added or written to the
// connection. The message was certainly not sent.
var errRefused = errors.New("the writer has ended")

// offer is add for a caller that waits until deadline, or the end of ctx, at the
// longest. It returns where the frame lies in the stream of bytes, for await.
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
		return start, end, w.flushLocked(true)
	}
	w.writing = true
	w.spawn(w.goOn) // under mu: afterwards the connection's reader may have ended
	w.mu.Unlock()
	return start, end, nil
}

// refuse ends offers; what was added before is still written.
func (w *writer) refuse() {
	w.mu.Lock()
	w.refused = true
	w.mu.Unlock()
}

// maxUnread is what a peer that reads nothing takes all the same, since the
// buffers of the two kernels are larger: writing so much does not block, so the
// caller does it. More is written by a goroutine, for which no deadline waits.
const maxUnread = 32 << 10

// ack records that the peer answered a frame that ends at end, so it has read everything
// before it.
func (w *writer) ack(end int64) {
	for {
		old := w.acked.Load()
		if end <= old || w.acked.CompareAndSwap(old, end) {
			return
		}
	}
}

// await waits until the connection has taken everything up to end, as long as
// offer would. start is where the caller's frame begins: when the writer ends
// before it has been handed over, the error is errRefused.
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

// waitLocked waits with mu held until ok holds or the writer has ended. It returns
// false if deadline passed or ctx ended first.
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
