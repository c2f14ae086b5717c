package microtcp

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// writer combines the frames of many goroutines into few writes. What is
// appended waits in a buffer until one goroutine, whichever comes first, writes
// all that has gathered; the others return at once.
type writer struct {
	conn  net.Conn
	limit int           // maxSendBufferSize in bytes; 0 is none
	high  int           // past it producers wait until the peer has read
	stall time.Duration // a write that gets nowhere for so long fails
	fail  func(error)   // ends the connection; called without mu
	spawn func(func())  // runs a write that may block elsewhere; nil: where it is

	acked   atomic.Int64 // bytes the peer has read for certain, because it has answered them
	crowded atomic.Bool  // producers wait, or will

	mu       sync.Mutex // guards what follows
	room     sync.Cond  // the buffer has been written, or the writer has failed
	buf      []byte     // waiting
	spare    []byte     // the buffer of the last write, for the next
	inWrite  int        // bytes handed to the connection and not yet taken
	writing  bool       // a goroutine writes
	corked   bool       // the reader of a batch will write when it is done
	muted    bool       // nothing may be sent any more
	refused  bool       // a client's caller may add nothing more
	err      error
	handed   int64     // bytes handed to the connection, ever
	taken    int64     // bytes it has taken
	deadline time.Time // the connection's write deadline
}

const (
	flushAt   = 64 << 10 // what gathers before it is written even while corked
	highWater = 1 << 20  // the most a writer's high is
	oneWrite  = 1 << 18  // what is written under one deadline
)

var (
	errSendBuffer = errors.New("maxSendBufferSize exceeded: the peer does not read")
	errMuted      = errors.New("nothing is sent after a framing error")
)

func newWriter(conn net.Conn, limit int, stall time.Duration, fail func(error)) *writer {
	w := &writer{conn: conn, limit: limit, high: highWater, stall: stall, fail: fail}
	if limit > 0 {
		w.high = min(highWater, limit/2) // so that a peer that is merely slow is not cut off
	}
	w.room.L = &w.mu
	return w
}

// add appends a frame of about size bytes with build, and writes it unless
// another goroutine will. A producer that has more to send waits while far too much waits
// for the peer; others are done, and occupy no worker.
func (w *writer) add(size int, more bool, build func(dst []byte) []byte) error {
	w.mu.Lock()
	if err := w.refusal(); err != nil {
		w.mu.Unlock()
		return err
	}
	w.buf = build(grown(w.buf, size))
	return w.added(more)
}

// added does what follows an append; it is called with mu held and unlocks it.
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

// overLimit reports whether more waits than may. What is being written counts
// only when it is much: it may be taken this very moment.
func (w *writer) overLimit() bool {
	return w.limit > 0 && w.writing && (len(w.buf) > w.limit || len(w.buf)+w.inWrite > w.limit+highWater)
}

// overflow ends the connection; it is called with mu held and unlocks it.
func (w *writer) overflow() error {
	w.err = errSendBuffer
	w.room.Broadcast()
	w.mu.Unlock()
	w.fail(errSendBuffer)
	return errSendBuffer
}

// crowd reports whether so much waits for the peer that producers must wait too.
func (w *writer) crowd() bool {
	crowded := w.writing && len(w.buf) > w.high
	w.crowded.Store(crowded)
	return crowded
}

// awaitRoom is for the reader of a batch: it waits until producers need not, and
// lifts the cork while it does. It costs nothing while they need not. It reports
// whether it has waited.
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

// flushLocked writes until nothing waits. It is called with mu held and unlocks
// it. With yield it first lets the other goroutines that are ready add theirs:
// one write then carries many frames.
func (w *writer) flushLocked(yield bool) error {
	w.writing = true
	if yield {
		w.mu.Unlock()
		runtime.Gosched()
		w.mu.Lock()
	}
	for rounds := 0; len(w.buf) > 0 && w.err == nil && !w.muted && !(w.corked && yield); rounds++ {
		if rounds == maxRounds && w.spawn != nil { // the caller has an answer to take
			w.spawn(w.goOn)
			w.mu.Unlock()
			return nil
		}
		out := w.buf
		w.buf, w.spare = w.spare[:0], nil
		w.inWrite = len(out)
		w.handed += int64(len(out))
		w.mu.Unlock()
		err := w.write(out)
		w.mu.Lock()
		w.inWrite = 0
		w.spare = out
		if err == nil {
			w.taken += int64(len(out))
		} else if w.err == nil {
			w.err = err
		}
		w.room.Broadcast()
	}
	w.writing = false
	w.room.Broadcast() // also when nothing was written, because the reader will
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

// maxRounds bounds the writes a caller does for others.
const maxRounds = 4

// goOn writes what waits; writing has been set on its behalf.
func (w *writer) goOn() {
	w.mu.Lock()
	_ = w.flushLocked(true) // fail has been called
}

// shrink gives large buffers back when nothing waits any more.
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

// write hands out to the connection. Only the goroutine that set writing calls it.
func (w *writer) write(out []byte) error {
	for len(out) > 0 {
		if now := time.Now(); w.stall > 0 && w.deadline.Sub(now) < w.stall {
			w.deadline = now.Add(w.stall + time.Second) // a second ahead, so not for every write
			if err := w.conn.SetWriteDeadline(w.deadline); err != nil {
				return err
			}
		}
		n := min(len(out), oneWrite)
		if _, err := w.conn.Write(out[:n]); err != nil {
			return err
		}
		out = out[n:]
	}
	return nil
}

// cork holds what is added from now on back until uncork.
func (w *writer) cork() {
	w.mu.Lock()
	w.corked = true
	w.mu.Unlock()
}

// uncork writes what has gathered. While the peer does not read, it waits.
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
	_ = w.flushLocked(false) // fail has been called
}

// mute drops what waits and everything added later.
func (w *writer) mute() {
	w.mu.Lock()
	w.muted, w.buf = true, nil
	w.room.Broadcast()
	w.mu.Unlock()
}

// close makes every later add fail with err, and wakes those that wait.
func (w *writer) close(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.buf = nil
	w.room.Broadcast()
	w.mu.Unlock()
}

// settled waits until everything added has been taken by the connection.
func (w *writer) settled() {
	w.mu.Lock()
	for (w.writing || len(w.buf) > 0) && w.err == nil && !w.muted {
		w.room.Wait()
	}
	w.mu.Unlock()
}
