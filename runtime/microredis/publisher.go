package microredis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// publisher publishes the messages of many goroutines in the order in which they were
// added, and writes all pending messages at once. It outlives sessions.
type publisher struct {
	hold     time.Duration // how long a message may wait for a session; 0 means not at all
	done     chan struct{} // closed when run has returned
	settling atomic.Int32  // the number of goroutines in settle

	mu      sync.Mutex // guards the fields below
	changed sync.Cond  // signals a change of the fields below
	queue   []message
	text    []byte // the commands of queue, one after another
	session *session
	corked  bool // the reader will call flush after it has processed all messages
	writing bool // a goroutine is writing
	closed  bool

	spare     []message // buffers of the last write, for reuse
	spareText []byte
}

// message is a message to publish.
type message struct {
	channel string
	trace   *micro.Trace
	receipt receipt // receives the outcome; may be nil
	expires int64   // the clock after which the message is not sent; 0 means never

	start, body, end int // offsets in text of the command, its message body, and its end
}

// receipt receives the outcome of a message, once: the number of receivers, or an error
// if that is unknown. errUnsent means that the message was not published.
type receipt interface {
	published(receivers int64, err error)
}

const (
	highWater = 8 << 20               // pending bytes above which add waits
	flushAt   = 64 << 10              // pending bytes that are written even while corked
	slowWrite = 10 * time.Millisecond // a write after which messages may have expired
	maxKept   = 1 << 20               // the maximum size in bytes of a buffer that is kept for reuse
)

var (
	// errUnsent means that the message has certainly not been published.
	errUnsent = fmt.Errorf("%w: the connection to Redis was lost before the message was sent", micro.ErrUnreachable)
	errStale  = errors.New("no connection to Redis for too long")
	errLate   = fmt.Errorf("%w: too many messages were waiting to be sent", micro.ErrTimeout)
	errFull   = errors.New("no connection to Redis, and too many messages are waiting for one")
)

func newPublisher(hold time.Duration) *publisher {
	p := &publisher{hold: hold, done: make(chan struct{})}
	p.changed.L = &p.mu
	go p.run()
	return p
}

// add adds a message of about size bytes, which build appends. It blocks while too much
// data is pending, until ctx ends or the message expires.
func (p *publisher) add(ctx context.Context, m message, size int, build func(dst []byte) []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.text) > highWater && p.session != nil {
		if err := p.awaitRoom(ctx, m.expires); err != nil {
			return err
		}
	}
	switch {
	case p.closed:
		return micro.ErrClosed
	case p.session == nil && p.hold == 0:
		return errUnsent
	case p.session == nil && len(p.text) > highWater:
		return errFull
	case p.hold > 0:
		m.expires = clock() + int64(p.hold)
	}
	m.start = len(p.text)
	p.text, m.body = appendPublish(p.text, m.channel, size, build)
	m.end = len(p.text)
	p.queue = append(p.queue, m)
	if len(p.queue) == 1 && !p.corked || p.corked && len(p.text) > flushAt {
		p.changed.Broadcast()
	}
	return nil
}

// appendPublish appends a PUBLISH command in Redis's protocol and returns the offset of
// the message body. size is an estimate of the body's length. The body must be moved if
// its length has another number of digits.
func appendPublish(dst []byte, channel string, size int, build func(dst []byte) []byte) (text []byte, body int) {
	dst = slices.Grow(dst, size+len(channel)+64)
	dst = append(dst, "*3\r\n$7\r\nPUBLISH\r\n$"...)
	dst = strconv.AppendInt(dst, int64(len(channel)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, channel...)
	dst = append(dst, "\r\n$"...)
	head := len(dst)
	dst = strconv.AppendInt(dst, int64(size), 10)
	dst = append(dst, "\r\n"...)
	body = len(dst)
	dst = build(dst)
	if n := len(dst) - body; n != size {
		var room [24]byte
		right := append(strconv.AppendInt(room[:0], int64(n), 10), "\r\n"...)
		if move := head + len(right) - body; move != 0 {
			dst = append(dst, right...) // room for the move
			copy(dst[body+move:], dst[body:body+n])
			body += move
		}
		copy(dst[head:], right)
		dst = dst[:body+n]
	}
	return append(dst, "\r\n"...), body
}

func (p *publisher) awaitRoom(ctx context.Context, expires int64) error {
	if expires != 0 {
		timed, cancel := context.WithTimeout(ctx, time.Duration(expires-clock()))
		defer cancel()
		ctx = timed
	}
	return p.await(ctx, func() bool { return len(p.text) <= highWater || p.session == nil || p.closed })
}

// await waits until ok returns true or ctx ends. The caller holds mu.
func (p *publisher) await(ctx context.Context, ok func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		p.changed.Broadcast()
		p.mu.Unlock()
	})
	defer stop()
	for !ok() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.changed.Wait()
	}
	return nil
}

// ping sends a PING after the pending messages.
func (p *publisher) ping(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil {
		return nil
	}
	start := len(p.text)
	p.text = append(p.text, "*1\r\n$4\r\nPING\r\n"...)
	p.queue = append(p.queue, message{start: start, body: start, end: len(p.text)})
	p.changed.Broadcast()
	return nil
}

// cork holds back added messages until flush, or until they exceed flushAt.
func (p *publisher) cork() {
	p.mu.Lock()
	p.corked = true
	p.mu.Unlock()
}

// flush writes the pending messages, unless another goroutine is writing.
func (p *publisher) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.corked = false
	if p.ready() {
		p.write()
	}
}

// attach sets the session to publish on. With nil there is none, and the pending
// messages fail or, with hold, wait for the next session.
func (p *publisher) attach(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session = s
	if s == nil {
		p.dismiss()
	} else {
		p.expire()
	}
	p.changed.Broadcast()
}

// dismiss fails the pending messages, unless they may wait for another session.
func (p *publisher) dismiss() {
	err := errUnsent
	switch {
	case p.closed:
		err = micro.ErrClosed
	case p.hold > 0:
		return
	}
	tell(p.queue, err)
	p.queue, p.text = nil, nil
}

// expire drops messages that have waited too long.
func (p *publisher) expire() {
	err := errLate
	if p.hold > 0 {
		err = errStale
	}
	now, kept, text := clock(), p.queue[:0], []byte(nil)
	for _, m := range p.queue {
		if m.expires != 0 && m.expires < now {
			tell([]message{m}, err)
			continue
		}
		move := len(text) - m.start
		text = append(text, p.text[m.start:m.end]...)
		m.start, m.body, m.end = m.start+move, m.body+move, m.end+move
		kept = append(kept, m)
	}
	clear(p.queue[len(kept):])
	p.queue, p.text = kept, text
}

func tell(all []message, err error) {
	for i := range all {
		if all[i].receipt != nil {
			all[i].receipt.published(0, err)
		}
	}
}

// settle waits until Redis has confirmed all added messages, or ctx ends: a connection that is
// closed while a confirmation is on its way is reset, and Redis may not read the message.
func (p *publisher) settle(ctx context.Context) {
	p.settling.Add(1)
	defer p.settling.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.await(ctx, func() bool {
		return !p.writing && len(p.queue) == 0 && (p.session == nil || p.session.outlet.idle())
	})
}

// confirmed is called when Redis has confirmed a message.
func (p *publisher) confirmed() {
	// Subtle: settle counts itself before it looks whether the outlet is idle, and the outlet
	// has removed the message before this looks at the count. One of the two sees the other.
	if p.settling.Load() > 0 {
		p.mu.Lock()
		p.changed.Broadcast()
		p.mu.Unlock()
	}
}

// close ends the publisher and fails the pending messages.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed, p.session = true, nil
	p.dismiss()
	p.changed.Broadcast()
	p.mu.Unlock()
	<-p.done
}

// run writes the messages that are not written by flush.
func (p *publisher) run() {
	defer close(p.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	for waited := false; !p.closed; {
		switch {
		case !p.ready():
			p.changed.Wait()
			waited = true
		case waited:
			waited = false
			p.mu.Unlock()
			runtime.Gosched() // let other goroutines add their messages first
			p.mu.Lock()
		default:
			p.write()
		}
	}
}

// ready reports whether there are messages to write, a session to write them to, and no
// other goroutine writing.
func (p *publisher) ready() bool {
	return len(p.queue) > 0 && p.session != nil && !p.writing && (!p.corked || len(p.text) > flushAt)
}

// write writes all pending messages. The caller holds mu, which write releases during
// the write.
func (p *publisher) write() {
	all, text, s := p.queue, p.text, p.session
	crowded := len(text) > highWater
	p.queue, p.text = p.spare[:0], p.spareText[:0]
	p.spare, p.spareText = nil, nil
	p.writing = true
	if crowded {
		p.changed.Broadcast()
	}
	p.mu.Unlock()
	began := clock()
	err := s.publish(all, text)
	p.mu.Lock()
	p.writing = false
	if clock()-began > int64(slowWrite) {
		p.expire() // what has been added meanwhile
		p.changed.Broadcast()
	}
	switch {
	case err != nil:
		p.unsent(all, text)
	case cap(text) <= maxKept:
		clear(all)
		p.spare, p.spareText = all, text
	}
	if p.ready() || p.settling.Load() > 0 {
		p.changed.Broadcast()
	}
}

// unsent puts messages that could not be written back at the front of the queue, or
// fails them.
func (p *publisher) unsent(all []message, text []byte) {
	for _, m := range p.queue {
		m.start, m.body, m.end = m.start+len(text), m.body+len(text), m.end+len(text)
		all = append(all, m)
	}
	p.queue, p.text = all, append(text, p.text...)
	p.session = nil // it has ended; the link will call attach(nil) shortly
	p.dismiss()
}
