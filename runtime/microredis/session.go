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
	"github.com/msctl/msctl/runtime/internal/stagger"
	"github.com/msctl/msctl/runtime/micro"
)

// session is a pair of connections, one for subscriptions and one for publishing. When
// either is lost, the session ends, and the link opens a new one.
type session struct {
	link    *link
	address string // of the server
	target  string // the one of the IP addresses of address that it uses
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

// open opens a session that has signed in.
func (l *link) open(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, l.options.DialTimeout)
	defer cancel()
	var s *session
	var err error
	if l.sentinels != nil {
		s, err = l.openBySentinel(ctx)
	} else {
		s, err = l.openHost(ctx, l.options.Addr)
	}
	if err != nil {
		return nil, connectError(l.options, err)
	}
	return s, nil
}

// openHost opens a session at the first of the IP addresses of an address that is ready.
func (l *link) openHost(ctx context.Context, address string) (*session, error) {
	targets, err := stagger.Resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	return stagger.First(ctx, l.memory.Order(targets), stagger.Noting(&l.memory, func(ctx context.Context, target string) (*session, error) {
		return l.openAt(ctx, address, target)
	}))
}

// openAt opens a session at one of the IP addresses of an address, and signs in on both
// connections.
func (l *link) openAt(ctx context.Context, address, target string) (*session, error) {
	s := &session{link: l, address: address, target: target, lost: make(chan struct{}), nudge: make(chan struct{}, 1), replies: map[string]*replyChannel{}}
	for _, w := range []**socket{&s.out, &s.in} {
		conn, err := l.connect(ctx, address, target)
		if err != nil {
			_ = s.Close()
			return nil, err
		}
		*w = newSocket(conn)
	}
	stop := context.AfterFunc(ctx, s.cut)
	defer stop()
	if err := s.greet(ctx); err != nil {
		err = s.explain(err)
		_ = s.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
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
	hello := pairs(s.signIn.Do(ctx, "HELLO").Slice())
	s.cluster = hello["mode"] == "cluster"
	if role := hello["role"]; s.link.sentinels != nil && role != nil && role != "master" {
		return fmt.Errorf("%s is a %s, not the master", s.address, role)
	}
	s.outlet = &outlet{socket: s.out}
	in := *s.link.options
	in.Dialer = once(s.in)
	s.subs = redis.NewClient(&in)
	s.sub = s.subs.Subscribe(ctx)
	if err := s.pingSub(ctx); err != nil {
		return err
	}
	_, err := s.sub.ReceiveTimeout(ctx, s.link.options.ReadTimeout)
	if err != nil && (!isAnswer(err) || isLoginError(err)) {
		return err
	}
	s.confirm(err)
	// Remove the deadlines of signing in. From now on beat detects a silent peer.
	return errors.Join(s.in.SetReadDeadline(time.Time{}), s.out.SetReadDeadline(time.Time{}))
}

// explain returns why signing in has failed with err.
func (s *session) explain(err error) error {
	for _, w := range []*socket{s.out, s.in} {
		if refusal := w.refusal(); refusal != nil && !isAnswer(err) {
			return refusal
		}
	}
	return err
}

// awaitMessages is called when all messages read so far have been processed.
func (s *session) awaitMessages() {
	s.leader.Rest()
	s.link.out.flush()
}

// pairs returns the reply to HELLO as a map. It is empty for a Redis that does not support
// HELLO.
func pairs(list []any, _ error) map[any]any {
	m := map[any]any{}
	for i := 0; i+1 < len(list); i += 2 {
		if name, ok := list[i].(string); ok {
			m[name] = list[i+1]
		}
	}
	return m
}

// begin starts reading.
func (s *session) begin() {
	if s.link.watch != nil {
		s.leader.Init(s.link.watch, func() { go s.read() })
		s.in.before, s.in.after = s.awaitMessages, s.link.out.cork
	}
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

// readAhead reads messages without handling them until the server is below its limit. Those
// that waited in the operating system would have all of their time left when they are read.
func (s *session) readAhead(ctx context.Context, server *micro.Server) {
	below := make(chan struct{})
	go func() {
		defer close(below)
		_ = server.AwaitRoom(ctx)
		_ = s.in.SetReadDeadline(time.Unix(1, 0)) // ends the read
	}()
	s.in.readAhead()
	<-below
	s.mu.Lock()
	defer s.mu.Unlock()
	deadline := time.Time{}
	if s.first != nil { // end has set a deadline
		deadline = time.Now().Add(lastReads)
	}
	_ = s.in.SetReadDeadline(deadline) // fails if it has ended
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

// Close closes everything that a session has opened.
func (s *session) Close() error {
	s.cut()
	if s.sub != nil {
		_ = s.sub.Close()
	}
	for _, c := range []*redis.Client{s.subs, s.signIn} {
		if c != nil {
			_ = c.Close()
		}
	}
	return nil
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
