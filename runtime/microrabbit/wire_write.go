package microrabbit

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

// wireOut is the output of a connection. It collects the frames of the driver and of
// messages until one goroutine writes them all. If a write fails, replies may have arrived
// before: the reader reads them, and then closes the connection.
type wireOut struct {
	conn net.Conn
	wake chan struct{} // run has data to write
	// inline makes put write the frames itself unless another goroutine is writing. put
	// may then block for as long as the broker does not read.
	inline bool

	mu      sync.Mutex    // guards the fields below
	pending []byte        // data to write
	spare   []byte        // the buffer of the last write
	writing bool          // a goroutine is writing
	corked  int           // the number of calls of cork without uncork
	changed chan struct{} // closed when pending or the driver's frame changes; nil if no goroutine waits
	err     error         // why nothing more is written
	broken  bool          // a write failed; the reader closes the connection

	// The frame that the driver is writing.
	left    int
	head    [frameHead]byte
	headLen int // the number of valid bytes in head
}

const (
	maxPending = 1 << 20  // pending bytes above which writers wait
	flushAt    = 64 << 10 // pending bytes that are written even while corked
	maxRounds  = 4        // writes in a row by one goroutine before run takes over
	preamble   = 8        // bytes that the driver writes before its first frame
)

func (o *wireOut) init(conn net.Conn) {
	o.conn, o.wake, o.left = conn, make(chan struct{}, 1), preamble
}

// writeDriver appends data that the driver writes.
func (o *wireOut) writeDriver(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.pending) >= maxPending && !o.inFrame() && o.err == nil {
		o.await(nil, nil)
	}
	switch {
	case o.broken:
		return len(b), nil // the driver learns from the reader that the connection has ended
	case o.err != nil:
		return 0, o.err
	}
	o.pending = append(o.pending, b...)
	o.follow(b)
	o.tell()
	o.rouse()
	return len(b), nil
}

// inFrame reports whether the driver has written only part of a frame.
func (o *wireOut) inFrame() bool { return o.left > 0 || o.headLen > 0 }

// follow tracks where the driver's frames end.
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

// rouse wakes run.
func (o *wireOut) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// tell wakes the goroutines in await.
func (o *wireOut) tell() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// await releases mu while it waits for a change. It returns false if over or done fired
// first.
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

var errNoRoom = errors.New("the broker is not reading")

// put appends whole frames with build. It waits for room until the deadline passes or
// ctx ends. If it returns an error, it has appended nothing.
func (o *wireOut) put(ctx context.Context, deadline time.Time, build func([]byte) []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := cmp.Or(o.awaitRoom(ctx, deadline), o.err); err != nil {
		return err
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

// room waits until put does not have to wait, or returns what put would.
func (o *wireOut) room(ctx context.Context, deadline time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return cmp.Or(o.awaitRoom(ctx, deadline), o.err)
}

// awaitRoom is called with mu held.
func (o *wireOut) awaitRoom(ctx context.Context, deadline time.Time) error {
	if !o.crowded() {
		return nil
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for o.crowded() {
		if !o.await(timer.C, ctx.Done()) {
			return errNoRoom
		}
	}
	return nil
}

func (o *wireOut) crowded() bool {
	return o.err == nil && (o.inFrame() || len(o.pending) >= maxPending)
}

// flush writes the pending data. The caller holds mu, which flush releases during the
// writes. With yield it first lets other runnable goroutines add their frames.
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
			o.breaks(err)
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

// cork holds back frames that are added with put until uncork.
func (o *wireOut) cork() {
	o.mu.Lock()
	o.corked++
	o.mu.Unlock()
}

// uncork ends one cork. The last uncork writes the pending data.
func (o *wireOut) uncork() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.corked--; o.corked > 0 || o.writing || len(o.pending) == 0 {
		return
	}
	o.flush(false)
}

// run writes the data that other goroutines leave to it, until the connection is closed.
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

// fail closes the connection because of err.
func (o *wireOut) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed(err)
}

func (o *wireOut) failed(err error) {
	if o.err == nil || o.broken {
		o.err, o.broken = cmp.Or(o.err, err), false
		_ = o.conn.Close()
	}
	o.tell()
	o.rouse()
}

// lastReads limits how long the reader continues after a failed write. Usually the
// connection has ended, and only what has arrived can be read.
const lastReads = time.Second

// breaks ends the output after a failed write.
func (o *wireOut) breaks(err error) {
	if o.err == nil {
		o.err, o.broken = err, true
		_ = o.conn.SetReadDeadline(time.Now().Add(lastReads)) // if it fails, so does the next read
	}
	o.tell()
	o.rouse()
}

// setReadDeadline sets the deadline of the reader, unless a write has failed.
func (o *wireOut) setReadDeadline(t time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken {
		return nil
	}
	return o.conn.SetReadDeadline(t)
}
