package microredis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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
	text     []byte // the bodies of queue, one after another
	session  *session
	corked   bool // who reads messages will flush when all have been dealt with
	slow     bool // the last batch took Redis long
	closed   bool
	settling int // who waits until nothing waits

	busy  bool  // somebody publishes, and owns what follows
	batch batch // what has been taken out of queue, to be published next
}

// message is one to publish.
type message struct {
	channel any // a string, which is made an interface only once
	trace   *micro.Trace
	receipt receipt // unless nil, told what became of it
	expires int64   // by clock, when it is not worth sending any more; 0: never
	end     int     // where its body ends in text
}

// receipt is told, once, how many have received a message, or why it is not known.
// errUnsent says that nobody has.
type receipt interface {
	published(receivers int64, err error)
}

const (
	highWater = 8 << 20  // bytes that wait before those who add must wait too
	flushAt   = 64 << 10 // bytes that are published even while corked
)

var (
	// errUnsent: the message has certainly not been published.
	errUnsent = fmt.Errorf("%w: the connection to Redis was lost before the message was sent", micro.ErrUnreachable)
	errStale  = errors.New("it could not be published in time")
	errFull   = errors.New("there is no connection to Redis, and too much waits for one")
)

func newPublisher(hold time.Duration) *publisher {
	p := &publisher{hold: hold, done: make(chan struct{})}
	p.changed.L = &p.mu
	go p.run()
	return p
}

// add adds a message, whose body build appends. While far too much waits it
// blocks, until ctx ends.
func (p *publisher) add(ctx context.Context, m message, build func(dst []byte) []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.text) > highWater && p.session != nil {
		if m.expires != 0 {
			timed, cancel := context.WithTimeout(ctx, time.Duration(m.expires-clock()))
			defer cancel()
			ctx = timed
		}
		err := p.await(ctx, func() bool { return len(p.text) <= highWater || p.session == nil || p.closed })
		if err != nil {
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
	p.text = build(p.text)
	m.end = len(p.text)
	p.queue = append(p.queue, m)
	if len(p.queue) == 1 && !p.corked || p.corked && len(p.text) > flushAt {
		p.changed.Broadcast()
	}
	return nil
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

// cork holds back what is added until flush, unless it gets much.
func (p *publisher) cork() {
	p.mu.Lock()
	p.corked = true
	p.mu.Unlock()
}

// flush has what has gathered published: here, which is cheapest, unless Redis
// takes its time.
func (p *publisher) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.corked = false
	switch {
	case !p.ready():
	case p.slow:
		p.changed.Broadcast()
	default:
		p.publish()
	}
}

// attach gives the publisher a session to publish by, or takes it away with nil.
// Then what waits goes on waiting, or those who added it are told.
func (p *publisher) attach(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session = s
	p.changed.Broadcast()
	p.dismiss()
}

// dismiss returns what waits to those who added it, when there is no session and
// it is not to wait for one.
func (p *publisher) dismiss() {
	if p.session != nil || p.hold > 0 && !p.closed {
		return
	}
	err := errUnsent
	if p.closed {
		err = micro.ErrClosed
	}
	unsent := p.queue
	p.queue, p.text = nil, nil
	if !p.busy {
		unsent = append(p.batch.messages, unsent...)
		p.batch.reset()
	}
	tell(unsent, err)
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
	_ = p.await(ctx, func() bool { return len(p.queue)+len(p.batch.messages) == 0 && !p.busy })
}

// close ends the publisher; what waits is dropped.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed, p.session = true, nil
	p.changed.Broadcast()
	p.dismiss()
	p.mu.Unlock()
	<-p.done
}

// run publishes what nobody flushes.
func (p *publisher) run() {
	defer close(p.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	for waited := false; !p.closed; {
		if !p.ready() {
			p.changed.Wait()
			waited = true
			continue
		}
		if waited {
			waited = false
			p.mu.Unlock()
			runtime.Gosched() // others may be about to add theirs
			p.mu.Lock()
			continue
		}
		p.publish()
	}
}

// ready reports whether there is something to publish, and a way.
func (p *publisher) ready() bool {
	return p.session != nil && !p.busy && (len(p.batch.messages) > 0 || len(p.queue) > 0 && (!p.corked || len(p.text) > flushAt))
}

// slowPublish is how long Redis may take for a batch until those who read messages
// do not wait for it any more.
const slowPublish = time.Millisecond

// publish publishes some of what waits. It is called with mu held, and without
// anybody busy; it gives mu up meanwhile.
func (p *publisher) publish() {
	if len(p.batch.messages) == 0 {
		p.hand()
	}
	p.busy = true
	s := p.session
	p.mu.Unlock()
	began := clock()
	p.batch.publish(s)
	took := time.Duration(clock() - began)
	p.mu.Lock()
	p.busy, p.slow = false, took > slowPublish
	p.dismiss()
	if p.ready() || p.settling > 0 {
		p.changed.Broadcast()
	}
}

// hand moves everything that waits into the batch.
func (p *publisher) hand() {
	b := &p.batch
	crowded := len(p.text) > highWater
	b.messages, p.queue = p.queue, b.spare[:0]
	b.text, p.text = p.text, b.text[:0]
	b.spare = b.messages
	if crowded {
		p.changed.Broadcast()
	}
}
