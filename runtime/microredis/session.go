package microredis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/internal/lead"
)

// session is a pair of connections, one for subscriptions and one for publishing. When
// either is lost, the session ends, and the link opens a new one.
type session struct {
	link    *link
	in, out *socket
	outlet  *outlet       // uses out
	signIn  *redis.Client // uses out
	subs    *redis.Client // uses in
	sub     *redis.PubSub
	leader  lead.Leader // of a server: leads reading from in
	cluster bool        // the receiver counts cover only one node
	settled int64       // the clock until which servers may still be reconnecting; 0 for the first session

	ending  atomic.Bool    // one connection has ended, and what has arrived on the other is read
	lost    chan struct{}  // closed when the session has ended
	nudge   chan struct{}  // switches to the fast heartbeat
	relaxed atomic.Bool    // the heartbeat is slow
	readers sync.WaitGroup // read, count, and beat

	order   sync.Mutex // held while a command is written, so that changes has the order of the commands
	mu      sync.Mutex // guards the fields below
	changes []*change
	err     error
	first   error                    // why the first connection ended
	open    int                      // the connections that are read
	replies map[string]*replyChannel // of a client
}

// change is a command that has been sent on the subscribed connection. Redis confirms
// SUBSCRIBE and the like once for each name, and replies to a PING once.
type change struct {
	left int
	err  error
	done chan struct{} // closed when err is set or left is 0
}

// open opens a session and signs in on both connections.
func (l *link) open(ctx context.Context) (*session, error) {
	s := &session{link: l, lost: make(chan struct{}), nudge: make(chan struct{}, 1), replies: map[string]*replyChannel{}}
	ctx, cancel := context.WithTimeout(ctx, l.options.DialTimeout)
	defer cancel()
	current, err := l.at(ctx)
	if err != nil {
		return nil, connectError(l.options, err)
	}
	for _, w := range []**socket{&s.out, &s.in} {
		conn, err := dial(ctx, current)
		if err != nil {
			s.shut()
			return nil, connectError(l.options, err)
		}
		*w = newSocket(conn)
	}
	if l.watch != nil {
		s.leader.Init(l.watch, func() { go s.read() })
		s.in.before, s.in.after = s.awaitMessages, l.out.cork
	}
	stop := context.AfterFunc(ctx, s.cut)
	defer stop()
	if err := s.greet(ctx); err != nil {
		s.shut()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, connectError(l.options, err)
	}
	return s, nil
}

// greet signs in on both connections. An error in reply to a PING that is not about the
// login, such as that Redis cannot save, or that the user may not send a PING, is a sign
// of life like any other reply.
func (s *session) greet(ctx context.Context) error {
	out := *s.link.options
	out.Dialer = once(s.out)
	s.signIn = redis.NewClient(&out)
	if err := s.signIn.Ping(ctx).Err(); err != nil && (!isAnswer(err) || isLoginError(err)) {
		return err
	}
	s.cluster = isCluster(s.signIn.Do(ctx, "HELLO").Slice())
	s.outlet = &outlet{socket: s.out}
	in := *s.link.options
	in.Dialer = once(s.in)
	s.subs = redis.NewClient(&in)
	s.sub = s.subs.Subscribe(ctx)
	if err := s.pingSub(ctx); err != nil {
		return err
	}
	// Remove the deadlines of signing in. From now on beat detects a silent peer.
	return errors.Join(s.in.SetReadDeadline(time.Time{}), s.out.SetReadDeadline(time.Time{}))
}

// awaitMessages is called when all messages read so far have been processed.
func (s *session) awaitMessages() {
	s.leader.Rest()
	s.link.out.flush()
}

// isCluster reports whether the reply to HELLO contains the pair "mode", "cluster". A
// Redis that does not support HELLO is not a cluster.
func isCluster(pairs []any, err error) bool {
	for i := 0; err == nil && i+1 < len(pairs); i += 2 {
		if pairs[i] == "mode" {
			return pairs[i+1] == "cluster"
		}
	}
	return false
}

// begin starts reading.
func (s *session) begin() {
	s.open = 2
	s.readers.Add(3)
	go s.read()
	go s.count()
	go func() {
		defer s.readers.Done()
		s.beat()
	}()
}

// read handles messages until the connection ends or another goroutine takes over
// reading.
func (s *session) read() {
	for {
		got, err := s.sub.ReceiveTimeout(context.Background(), -1)
		if err != nil && !s.refused(err) {
			s.finished(err)
			s.readers.Done()
			return
		}
		switch m := got.(type) {
		case *redis.Message:
			if leading := s.link.receive(s, m); !leading {
				return
			}
		case *redis.Subscription, *redis.Pong:
			s.confirm(nil)
		}
	}
}

// refused reports whether err is an error reply to a command, which does not affect the
// connection. If so, it passes err to the oldest change.
func (s *session) refused(err error) bool {
	select {
	case <-s.lost:
		return false
	default:
	}
	if !isAnswer(err) {
		return false
	}
	s.confirm(err)
	return true
}

// isAnswer reports whether err is an error reply of Redis.
func isAnswer(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}

// confirm counts one reply to the oldest change.
func (s *session) confirm(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.changes) == 0 {
		return
	}
	c := s.changes[0]
	c.left--
	if c.err = err; err != nil || c.left == 0 {
		s.changes = s.changes[1:]
		close(c.done)
	}
}

// maxNames limits the number of names in one command.
const maxNames = 256

// command is a method of the subscribed connection.
type command func(ctx context.Context, names ...string) error

// write sends a command for names. c receives the replies. The caller holds order.
func (s *session) write(c *change, send command, names ...string) {
	c.left = len(names)
	if c.done == nil {
		c.done = make(chan struct{})
	}
	s.mu.Lock()
	s.changes = append(s.changes, c)
	s.mu.Unlock()
	if err := send(context.Background(), names...); err != nil {
		s.end(err)
	}
}

// alter sends a command for names and returns the change that receives the replies.
func (s *session) alter(send command, names ...string) *change {
	s.order.Lock()
	defer s.order.Unlock()
	c := &change{}
	s.write(c, send, names...)
	return c
}

// await waits until the change has been confirmed.
func (s *session) await(ctx context.Context, c *change) error {
	select {
	case <-c.done:
		return c.err
	case <-s.lost:
		return s.reason()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// all sends a command for any number of names and waits for the replies.
func (s *session) all(ctx context.Context, send command, names []string) error {
	var sent []*change
	for some := range slices.Chunk(names, maxNames) {
		sent = append(sent, s.alter(send, some...))
	}
	for i, c := range sent {
		if err := s.await(ctx, c); err != nil {
			return fmt.Errorf("channels %s: %w", list(names[i*maxNames:min((i+1)*maxNames, len(names))]), err)
		}
	}
	return nil
}

// lastReads limits how long a connection is read after the other one has ended. If Redis
// has ended, both end at once.
const lastReads = 250 * time.Millisecond

// end begins the end of the session: one of its connections has ended. Nothing more is
// sent, and what has already arrived on the other connection is still read.
func (s *session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first = err
		s.ending.Store(true)
		for _, w := range []*socket{s.in, s.out} {
			if w != nil {
				_ = w.SetReadDeadline(time.Now().Add(lastReads)) // fails if it has ended
			}
		}
	}
}

// finished is called when everything has been read from one of the connections.
func (s *session) finished(err error) {
	s.end(err)
	s.mu.Lock()
	s.open--
	open, first := s.open, s.first
	s.mu.Unlock()
	if open <= 0 {
		s.fail(first)
	}
}

// fail ends the session at once.
func (s *session) fail(err error) {
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = err
		close(s.lost)
	}
	s.mu.Unlock()
	if first {
		s.cut()
	}
}

// cut closes both sockets.
func (s *session) cut() {
	for _, w := range []*socket{s.in, s.out} {
		if w != nil {
			_ = w.Conn.Close()
		}
	}
}

// shut closes everything that a session has opened.
func (s *session) shut() {
	s.cut()
	if s.sub != nil {
		_ = s.sub.Close()
	}
	for _, c := range []*redis.Client{s.subs, s.signIn} {
		if c != nil {
			_ = c.Close()
		}
	}
}

// over reports whether nothing more can be sent.
func (s *session) over() bool {
	if s.ending.Load() {
		return true
	}
	select {
	case <-s.lost:
		return true
	default:
		return false
	}
}

func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
