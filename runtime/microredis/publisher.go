package microredis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/micro"
)

// publisher publishes the messages of many goroutines in the order in which they
// were added, those that have gathered in one write. It outlives sessions.
type publisher struct {
	hold time.Duration // how long a message may wait for a session; 0: not at all

	mu      sync.Mutex // guards what follows
	changed sync.Cond  // anything below has
	queue   []message
	spare   []message
	bytes   int // in queue
	session *session
	busy    bool // some are being published
	closed  bool
	done    chan struct{} // closed when the goroutine has ended
}

// message is one to publish.
type message struct {
	channel string
	body    []byte
	trace   *micro.Trace
	receipt receipt // unless nil, told what became of it
	expires int64   // by clock; 0: never
}

// receipt is told, once, how many have received a message, or why it is not known.
// errUnsent says that nobody has.
type receipt interface {
	published(receivers int64, err error)
}

const (
	highWater  = 8 << 20   // bytes that wait before those who add must wait too
	batchBytes = 256 << 10 // in one write, unless one message alone is more
	batchCount = 1024
)

var (
	// errUnsent: the message has certainly not been published.
	errUnsent = fmt.Errorf("%w: the connection to Redis was lost before the message was sent", micro.ErrUnreachable)
	errStale  = errors.New("there was no connection to Redis for too long")
	errFull   = errors.New("there is no connection to Redis, and too much waits for one")
)

func newPublisher(hold time.Duration) *publisher {
	p := &publisher{hold: hold, done: make(chan struct{})}
	p.changed.L = &p.mu
	go p.run()
	return p
}

// add adds a message. While far too much waits it blocks, until ctx ends.
func (p *publisher) add(ctx context.Context, m message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes > highWater && p.session != nil {
		if err := p.awaitRoom(ctx); err != nil {
			return err
		}
	}
	switch {
	case p.closed:
		return micro.ErrClosed
	case p.session == nil && p.hold == 0:
		return errUnsent
	case p.session == nil && p.bytes > highWater:
		return errFull
	case p.hold > 0:
		m.expires = clock() + int64(p.hold)
	}
	p.bytes += len(m.body)
	p.queue = append(p.queue, m)
	if len(p.queue) == 1 {
		p.changed.Broadcast()
	}
	return nil
}

// awaitRoom waits until less is waiting; it is called with mu held.
func (p *publisher) awaitRoom(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		p.changed.Broadcast()
		p.mu.Unlock()
	})
	defer stop()
	for p.bytes > highWater && p.session != nil && !p.closed {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.changed.Wait()
	}
	return nil
}

// attach gives the publisher a session to publish by.
func (p *publisher) attach(s *session) {
	p.mu.Lock()
	p.session = s
	p.changed.Broadcast()
	p.mu.Unlock()
}

// detach takes the session away. What waits goes on waiting, or is returned to
// who added it.
func (p *publisher) detach() {
	p.mu.Lock()
	p.session = nil
	var unsent []message
	if p.hold == 0 {
		unsent, p.queue, p.bytes = p.queue, nil, 0
	}
	p.changed.Broadcast()
	p.mu.Unlock()
	tell(unsent, errUnsent)
}

func tell(all []message, err error) {
	for i := range all {
		if all[i].receipt != nil {
			all[i].receipt.published(0, err)
		}
	}
}

// settle waits until everything added has been published.
func (p *publisher) settle(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		p.changed.Broadcast()
		p.mu.Unlock()
	})
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for (len(p.queue) > 0 || p.busy) && ctx.Err() == nil {
		p.changed.Wait()
	}
}

// close ends the publisher; what waits is dropped.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	unsent := p.queue
	p.queue, p.bytes = nil, 0
	p.changed.Broadcast()
	p.mu.Unlock()
	tell(unsent, micro.ErrClosed)
	<-p.done
}

func (p *publisher) run() {
	defer close(p.done)
	var work batch
	for {
		s := p.take(&work)
		if s == nil {
			return
		}
		work.publish(s)
		p.mu.Lock()
		p.busy = false
		if len(p.queue) == 0 || p.bytes > highWater/2 {
			p.changed.Broadcast()
		}
		p.mu.Unlock()
	}
}

// take moves what has gathered into work, when there is something and a session
// to publish it by. It returns nil at the end.
func (p *publisher) take(work *batch) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 || p.session == nil {
		if p.closed {
			return nil
		}
		p.changed.Wait()
		if len(p.queue) > 0 {
			p.mu.Unlock()
			runtime.Gosched() // others may be about to add theirs
			p.mu.Lock()
		}
	}
	n, size := 0, 0
	for n < len(p.queue) && n < batchCount && (n == 0 || size+len(p.queue[n].body) <= batchBytes) {
		size += len(p.queue[n].body)
		n++
	}
	work.messages = append(work.messages[:0], p.queue[:n]...)
	rest := copy(p.queue, p.queue[n:])
	clear(p.queue[rest:])
	p.queue = p.queue[:rest]
	crowded := p.bytes > highWater
	p.bytes -= size
	p.busy = true
	if crowded {
		p.changed.Broadcast()
	}
	return p.session
}

// batch is what is published in one write.
type batch struct {
	messages []message
	counts   []*redis.IntCmd
}

func (b *batch) publish(s *session) {
	ctx := context.Background()
	pipe := s.pub.Pipeline()
	b.counts = b.counts[:0]
	now, wall := clock(), time.Time{}
	for i := range b.messages {
		m := &b.messages[i]
		if m.expires != 0 && m.expires < now {
			b.counts = append(b.counts, nil)
			continue
		}
		if m.trace != nil && m.trace.Wrote != nil {
			if wall.IsZero() {
				wall = time.Now()
			}
			m.trace.Wrote(wall, m.body)
		}
		b.counts = append(b.counts, pipe.Publish(ctx, m.channel, m.body))
	}
	if pipe.Len() > 0 {
		if _, err := pipe.Exec(ctx); err != nil && !isAnswer(err) {
			s.fail(err)
		}
	}
	for i := range b.messages {
		b.tell(i)
	}
	clear(b.messages)
	clear(b.counts)
}

// tell tells who added message i what became of it.
func (b *batch) tell(i int) {
	m := &b.messages[i]
	if m.receipt == nil {
		return
	}
	if b.counts[i] == nil {
		m.receipt.published(0, errStale)
		return
	}
	n, err := b.counts[i].Result()
	switch {
	case err == nil:
	case isAnswer(err):
		err = fmt.Errorf("%w: publish on %s: %w", micro.ErrUnreachable, m.channel, err)
	default:
		err = fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
	}
	m.receipt.published(n, err)
}

// isAnswer reports whether err is an error that Redis answered a command with.
func isAnswer(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}
