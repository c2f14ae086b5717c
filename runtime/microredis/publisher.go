package microredis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// publisher publishes the messages of many goroutines in the order in which they
// were added, those that have gathered in one write. It outlives sessions.
type publisher struct {
	hold time.Duration // how long a message may wait for a session; 0: not at all
	done chan struct{} // closed when the goroutine has ended

	mu       sync.Mutex // guards what follows
	changed  sync.Cond  // anything below has
	queue    []message
	text     []byte // the commands of queue, one after another
	session  *session
	corked   bool // who reads messages will flush when all have been dealt with
	writing  bool // somebody writes what was in queue
	closed   bool
	settling int // who waits until nothing waits

	spare     []message // the memory of the last write, for the next
	spareText []byte
}

// message is one to publish.
type message struct {
	channel string
	trace   *micro.Trace
	receipt receipt // unless nil, told what became of it
	expires int64   // by clock, when it is not worth sending any more; 0: never

	start, body, end int // of its command, and of the message in it, in text
}

// receipt is told, once, how many have received a message, or why it is not known.
// errUnsent says that nobody has.
type receipt interface {
	published(receivers int64, err error)
}

const (
	highWater = 8 << 20  // bytes that wait before those who add must wait too
	flushAt   = 64 << 10 // bytes that are written even while corked
	maxKept   = 1 << 20  // bytes of memory kept for the next write
)

var (
	// errUnsent: the message has certainly not been published.
	errUnsent = fmt.Errorf("%w: the connection to Redis was lost before the message was sent", micro.ErrUnreachable)
	errStale  = errors.New("no connection to Redis for too long")
	errFull   = errors.New("no connection to Redis, and too many messages are waiting for one")
)

func newPublisher(hold time.Duration) *publisher {
	p := &publisher{hold: hold, done: make(chan struct{})}
	p.changed.L = &p.mu
	go p.run()
	return p
}

// add adds a message of about size bytes that build appends. While far too much
// waits it blocks, until ctx ends or the message expires.
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

// appendPublish appends the command PUBLISH as Redis' protocol has it, and returns
// where the message begins. It is about as long as it was guessed to be; another
// length costs a move.
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

// await waits until ok holds, or ctx ends; it is called with mu held.
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

// ping asks for a sign of life, after what waits.
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

// cork holds back what is added until flush, unless it gets much.
func (p *publisher) cork() {
	p.mu.Lock()
	p.corked = true
	p.mu.Unlock()
}

// flush writes what has gathered, unless somebody else does.
func (p *publisher) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.corked = false
	if p.ready() {
		p.write()
	}
}

// attach gives the publisher a session to publish by, or takes it away with nil.
// Then what waits goes on waiting, or those who added it are told.
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

// dismiss tells those who added what waits that it is not sent, unless it is to
// wait for another session.
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

// expire drops what has waited for too long.
func (p *publisher) expire() {
	now, kept, text := clock(), p.queue[:0], []byte(nil)
	for _, m := range p.queue {
		if m.expires < now {
			tell([]message{m}, errStale)
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

// settle waits until everything added has been published, or ctx ends.
func (p *publisher) settle(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settling++
	defer func() { p.settling-- }()
	_ = p.await(ctx, func() bool { return !p.writing && len(p.queue) == 0 })
}

// close ends the publisher; what waits is dropped.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed, p.session = true, nil
	p.dismiss()
	p.changed.Broadcast()
	p.mu.Unlock()
	<-p.done
}

// run writes what nobody flushes.
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
			runtime.Gosched() // others may be about to add theirs
			p.mu.Lock()
		default:
			p.write()
		}
	}
}

// ready reports whether there is something to write, a way, and nobody at it.
func (p *publisher) ready() bool {
	return len(p.queue) > 0 && p.session != nil && !p.writing && (!p.corked || len(p.text) > flushAt)
}

// write writes all that waits. It is called with mu held, and gives it up
// meanwhile.
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
	err := s.publish(all, text)
	p.mu.Lock()
	p.writing = false
	switch {
	case err != nil:
		p.unsent(all, text)
	case cap(text) <= maxKept:
		clear(all)
		p.spare, p.spareText = all, text
	}
	if p.ready() || p.settling > 0 {
		p.changed.Broadcast()
	}
}

// unsent puts what could not be written back in front of what waits, or tells
// those who added it.
func (p *publisher) unsent(all []message, text []byte) {
	for _, m := range p.queue {
		m.start, m.body, m.end = m.start+len(text), m.body+len(text), m.end+len(text)
		all = append(all, m)
	}
	p.queue, p.text = all, append(text, p.text...)
	p.session = nil // it has ended; link says so too in a moment
	p.dismiss()
}
