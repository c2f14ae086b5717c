package microtcp

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// writer combines the frames of many goroutines into few writes. Frames are appended to a
// buffer. The first goroutine to find no write in progress writes everything in it; the
// others return immediately.
type writer struct {
	conn  net.Conn
	limit int           // maxSendBufferSize in bytes; 0 means no limit
	high  int           // bytes in the buffer above which producers wait
	stall time.Duration // a write without progress fails after this time
	fail  func(error)   // receives why nothing more can be written; called without holding mu
	spawn func(func())  // runs a write that may block on another goroutine; may be nil

	acked   atomic.Int64 // bytes the peer has certainly read, because it has replied to them
	crowded atomic.Bool  // the result of the last call to crowd

	mu       sync.Mutex // guards the following fields
	room     sync.Cond  // the buffer has been written, or the writer has failed
	buf      []byte     // frames not yet handed to the connection
	spare    []byte     // the buffer of the previous write, for reuse
	inWrite  int        // bytes in the current call of Write
	writing  bool       // a goroutine is writing
	corked   bool       // the reader of a batch writes when the batch is done
	muted    bool       // nothing more is sent
	refused  bool       // a client accepts no more frames
	err      error
	handed   int64     // total bytes passed to Write; after it has failed, equal to taken
	taken    int64     // total bytes that Write has accepted
	deadline time.Time // the connection's write deadline
}

const (
	flushAt   = 64 << 10 // bytes that are written even while corked
	highWater = 1 << 20  // the largest value of a writer's high
	oneWrite  = 1 << 18  // bytes written under one deadline
)

var (
	errSendBuffer = errors.New("maxSendBufferSize exceeded: the peer does not read")
	errMuted      = errors.New("nothing is sent after a framing error")
)

func newWriter(conn net.Conn, limit int, stall time.Duration, fail func(error)) *writer {
	w := &writer{conn: conn, limit: limit, high: highWater, stall: stall, fail: fail}
	if limit > 0 {
		w.high = min(highWater, limit/2) // so that a peer that is only slow is not disconnected
	}
	w.room.L = &w.mu
	return w
}

// add appends a frame of about size bytes with build, and writes it unless another
// goroutine will. If the buffer is too full, a producer that has more to send waits for
// the peer to read; the others return, so that they occupy no worker.
func (w *writer) add(size int, more bool, build func(dst []byte) []byte) error {
	w.mu.Lock()
	if err := w.refusal(); err != nil {
		w.mu.Unlock()
		return err
	}
	w.buf = build(grown(w.buf, size))
	return w.added(more)
}

// added completes an append. It is called with mu held, and unlocks it.
func (w *writer) added(more bool) error {
	if w.overLimit() {
		return w.overflow()
	}
	for w.crowd() && more && w.err == nil {
		w.room.Wait()
	}
	if w.writing || w.err != nil || w.corked && len(w.buf) < flushAt {
		err := w.err
		w.mu.Unlock()
		return err
	}
	return w.flushLocked(!w.corked)
}

// overLimit reports whether the buffer exceeds the limit. Up to highWater, the bytes of the
// current write do not count: the connection may be accepting them right now.
func (w *writer) overLimit() bool {
	return w.limit > 0 && w.writing && (len(w.buf) > w.limit || len(w.buf)+w.inWrite > w.limit+highWater)
}

// overflow ends the connection. It is called with mu held, and unlocks it.
func (w *writer) overflow() error {
	w.err = errSendBuffer
	w.room.Broadcast()
	w.mu.Unlock()
	w.fail(errSendBuffer)
	return errSendBuffer
}

// crowd reports whether the buffer is so full that producers must wait for the peer.
func (w *writer) crowd() bool {
	crowded := w.writing && len(w.buf) > w.high
	w.crowded.Store(crowded)
	return crowded
}

// awaitRoom makes the reader of a batch wait, uncorked, as long as producers must wait. It
// reports whether it has waited. If they need not, it costs one atomic read.
func (w *writer) awaitRoom() (waited bool) {
	if !w.crowded.Load() {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.crowd() && w.err == nil && !w.muted {
		waited = true
		w.corked = false
		w.room.Wait()
	}
	return waited
}

func (w *writer) refusal() error {
	if w.muted {
		return errMuted
	}
	return w.err
}

// flushLocked writes until the buffer is empty. It is called with mu held, and unlocks it.
// With yield, it first lets other goroutines that are ready append their frames, so that
// one write carries many.
func (w *writer) flushLocked(yield bool) error {
	w.writing = true
	if yield {
		w.mu.Unlock()
		runtime.Gosched()
		w.mu.Lock()
	}
	for rounds := 0; len(w.buf) > 0 && w.err == nil && !w.muted && !(w.corked && yield); rounds++ {
		if rounds == maxRounds && w.spawn != nil { // the caller must read its own reply
			// Subtle: writing stays set, so no other goroutine starts to write in between.
			w.spawn(w.writeRest)
			w.mu.Unlock()
			return nil
		}
		// This goroutine owns out during the write; others append to the spare buffer.
		out := w.buf
		w.buf, w.spare = w.spare[:0], nil
		w.inWrite = len(out)
		w.handed += int64(len(out))
		w.mu.Unlock()
		n, err := w.write(out)
		w.mu.Lock()
		w.inWrite = 0
		w.spare = out
		w.taken += int64(n)
		if err != nil {
			w.handed = w.taken
			if w.err == nil {
				w.err = err
			}
		}
		w.room.Broadcast()
	}
	w.writing = false
	w.room.Broadcast() // even if nothing was written: settled may be waiting for writing to end
	if len(w.buf) == 0 {
		w.shrink()
	}
	err := w.err
	w.mu.Unlock()
	if err != nil {
		w.fail(err)
	}
	return err
}

// maxRounds limits the number of writes that a caller does for others.
const maxRounds = 4

// writeRest continues a flush on another goroutine. writing is already set.
func (w *writer) writeRest() {
	w.mu.Lock()
	_ = w.flushLocked(true) // it has reported the error to fail
}

// shrink releases large buffers when the buffer is empty.
func (w *writer) shrink() {
	if cap(w.buf) > smallBuffer {
		giveBack(w.buf)
		w.buf = nil
	}
	if cap(w.spare) > smallBuffer {
		giveBack(w.spare)
		w.spare = nil
	}
}

// write writes out to the connection, and returns how many bytes the connection has
// accepted. Only the goroutine that has set writing calls it.
func (w *writer) write(out []byte) (accepted int, err error) {
	for accepted < len(out) {
		if now := time.Now(); w.stall > 0 && w.deadline.Sub(now) < w.stall {
			w.deadline = now.Add(w.stall + time.Second) // with a margin, so that not every write sets it
			if err := w.conn.SetWriteDeadline(w.deadline); err != nil {
				return accepted, err
			}
		}
		n, err := w.conn.Write(out[accepted:min(len(out), accepted+oneWrite)])
		if accepted += n; err != nil {
			return accepted, err
		}
	}
	return accepted, nil
}

// cork holds back the frames added from now on until uncork.
func (w *writer) cork() {
	w.mu.Lock()
	w.corked = true
	w.mu.Unlock()
}

// uncork writes the frames held back. If the buffer is too full, it waits for the peer.
func (w *writer) uncork() {
	w.mu.Lock()
	w.corked = false
	for w.crowd() && w.err == nil {
		w.room.Wait()
	}
	if w.writing || len(w.buf) == 0 || w.err != nil {
		w.mu.Unlock()
		return
	}
	_ = w.flushLocked(false) // it has reported the error to fail
}

// mute drops everything in the buffer, and everything added later.
func (w *writer) mute() {
	w.mu.Lock()
	w.muted, w.buf = true, nil
	w.room.Broadcast()
	w.mu.Unlock()
}

// close makes every later add fail with err, and wakes all waiting producers.
func (w *writer) close(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.buf = nil
	w.room.Broadcast()
	w.mu.Unlock()
}

// settled waits until the connection has accepted everything added so far.
func (w *writer) settled() {
	w.mu.Lock()
	for (w.writing || len(w.buf) > 0) && w.err == nil && !w.muted {
		w.room.Wait()
	}
	w.mu.Unlock()
}
