package microrabbit

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

// wireOut is what is written to a connection: frames of the driver and of ours,
// which gather until somebody writes them all. Should that fail, the connection
// is closed, which the reader notices.
type wireOut struct {
	conn net.Conn
	wake chan struct{} // there is something for run to write
	// inline: who adds frames writes them, unless somebody does already. It may
	// block then for as long as the broker does not read.
	inline bool

	mu      sync.Mutex    // guards what follows
	pending []byte        // to be written
	spare   []byte        // the buffer of the last write
	writing bool          // somebody writes
	corked  int           // as many will write later what is added now
	changed chan struct{} // closed when pending or the driver's frame change; nil: nobody waits
	err     error         // why nothing more is written

	// Of the frame that the driver is writing.
	left    int
	head    [frameHead]byte
	headLen int // bytes of head that are known
}

const (
	maxPending = 1 << 20  // bytes that wait to be written; past it everybody waits
	flushAt    = 64 << 10 // bytes that are written even while corked
	maxRounds  = 4        // writes that somebody does for others
	preamble   = 8        // bytes that the driver writes before its first frame
)

func (o *wireOut) init(conn net.Conn) {
	o.conn, o.wake, o.left = conn, make(chan struct{}, 1), preamble
}

// writeDriver notes what the driver writes.
func (o *wireOut) writeDriver(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) >= maxPending && !o.inFrame() && o.err == nil {
		o.await(nil, nil)
	}
	if o.err != nil {
		return 0, o.err
	}
	o.pending = append(o.pending, b...)
	o.follow(b)
	o.tell()
	o.rouse()
	return len(b), nil
}

// inFrame reports whether the driver has written a part of a frame.
func (o *wireOut) inFrame() bool { return o.left > 0 || o.headLen > 0 }

// follow keeps count of where the driver's frames end.
func (o *wireOut) follow(b []byte) {
	for len(b) > 0 {
		if o.left > 0 {
			n := min(o.left, len(b))
			o.left -= n
			b = b[n:]
			continue
		}
		n := copy(o.head[o.headLen:], b)
		o.headLen += n
		b = b[n:]
		if o.headLen == frameHead {
			o.left = int(binary.BigEndian.Uint32(o.head[3:])) + 1
			o.headLen = 0
		}
	}
}

// rouse makes run write.
func (o *wireOut) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// tell wakes who waits for a change.
func (o *wireOut) tell() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// await waits, without mu, for a change; false tells that over or done came first.
func (o *wireOut) await(over <-chan time.Time, done <-chan struct{}) bool {
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	changed := o.changed
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-changed:
		return true
	case <-over:
		return false
	case <-done:
		return false
	}
}

var errNoRoom = errors.New("the broker does not read")

// put appends whole frames with build. It waits for room until deadline, or the
// end of ctx; after an error nothing has been added.
func (o *wireOut) put(ctx context.Context, deadline time.Time, build func([]byte) []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.crowded() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		for o.crowded() {
			if !o.await(timer.C, ctx.Done()) {
				return errNoRoom
			}
		}
	}
	if o.err != nil {
		return o.err
	}
	o.pending = build(o.pending)
	switch {
	case o.writing || o.corked > 0 && len(o.pending) < flushAt:
	case o.inline:
		o.flush(o.corked == 0)
	default:
		o.rouse()
	}
	return nil
}

func (o *wireOut) crowded() bool {
	return o.err == nil && (o.inFrame() || len(o.pending) >= maxPending)
}

// flush writes what is there; mu is held, though not all the time. With yield it
// lets the other goroutines that are ready add theirs first.
func (o *wireOut) flush(yield bool) {
	o.writing = true
	if yield {
		o.mu.Unlock()
		runtime.Gosched()
		o.mu.Lock()
	}
	for range maxRounds {
		if len(o.pending) == 0 || o.err != nil {
			break
		}
		buf := o.pending
		o.pending, o.spare = o.spare[:0], nil
		o.tell()
		o.mu.Unlock()
		_, err := o.conn.Write(buf)
		o.mu.Lock()
		if err != nil {
			o.failed(err)
		}
		if cap(buf) <= 4*flushAt {
			o.spare = buf
		}
	}
	o.writing = false
	if len(o.pending) > 0 {
		o.rouse()
	}
}

// cork holds what is put back until uncork.
func (o *wireOut) cork() {
	o.mu.Lock()
	o.corked++
	o.mu.Unlock()
}

// uncork writes what has gathered.
func (o *wireOut) uncork() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.corked--; o.corked > 0 || o.writing || len(o.pending) == 0 {
		return
	}
	o.flush(false)
}

// run writes what others leave to it until the connection is closed.
func (o *wireOut) run() {
	for range o.wake {
		o.mu.Lock()
		if !o.writing {
			o.flush(true)
		}
		ended := o.err != nil
		o.mu.Unlock()
		if ended {
			return
		}
	}
}

// fail ends the connection.
func (o *wireOut) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed(err)
}

func (o *wireOut) failed(err error) {
	if o.err == nil {
		o.err = err
		_ = o.conn.Close()
	}
	o.tell()
	o.rouse()
}
