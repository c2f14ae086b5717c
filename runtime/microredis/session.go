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

// session is one pair of connections: one that has subscribed and one that
// publishes. It ends as a whole when either is lost, and is never mended: the
// link makes another.
type session struct {
	link    *link
	in, out *socket
	outlet  *outlet       // by out
	signIn  *redis.Client // of out
	subs    *redis.Client // of in
	sub     *redis.PubSub
	leader  lead.Leader // of a server: who reads in
	cluster bool        // the counts of receivers are those of one node
	settled int64       // clock until when the servers may not be back yet; 0: they are

	lost    chan struct{}  // closed at the end
	nudge   chan struct{}  // somebody waits now: look more closely
	relaxed atomic.Bool    // the connections are looked at seldom
	readers sync.WaitGroup // who reads now, and who looks after the connection

	order   sync.Mutex // held while a command is written, so that changes is in their order
	mu      sync.Mutex // guards what follows
	changes []*change
	err     error
	replies map[string]*replyChannel // of a client
}

// change is a SUBSCRIBE or the like that has been sent, until Redis has confirmed
// it, once for each name.
type change struct {
	left int
	err  error
	done chan struct{} // closed when err is set or left is 0
}

// open makes a session. Its connections are up when it returns.
func (l *link) open(ctx context.Context) (*session, error) {
	s := &session{link: l, lost: make(chan struct{}), nudge: make(chan struct{}, 1), replies: map[string]*replyChannel{}}
	ctx, cancel := context.WithTimeout(ctx, l.options.DialTimeout)
	defer cancel()
	for _, w := range []**socket{&s.out, &s.in} {
		conn, err := dial(ctx, l.options)
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

// greet signs in on both connections.
func (s *session) greet(ctx context.Context) error {
	out := *s.link.options
	out.Dialer = once(s.out)
	s.signIn = redis.NewClient(&out)
	if err := s.signIn.Ping(ctx).Err(); err != nil {
		return err
	}
	s.cluster = isCluster(s.signIn.Do(ctx, "HELLO").Slice())
	s.outlet = &outlet{socket: s.out}
	in := *s.link.options
	in.Dialer = once(s.in)
	s.subs = redis.NewClient(&in)
	s.sub = s.subs.Subscribe(ctx)
	if err := s.sub.Ping(ctx); err != nil {
		return err
	}
	// The deadlines were those of signing in; beat bounds the rest.
	return errors.Join(s.in.SetReadDeadline(time.Time{}), s.out.SetReadDeadline(time.Time{}))
}

// awaitMessages is called when what came has been dealt with.
func (s *session) awaitMessages() {
	s.leader.Rest()
	s.link.out.flush()
}

// isCluster looks for "mode", "cluster" among the pairs that HELLO answers with; a
// Redis that does not know HELLO is none.
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
	s.readers.Add(3)
	go s.read()
	go s.count()
	go func() {
		defer s.readers.Done()
		s.beat()
	}()
}

// read takes what comes until the connection ends, or until another goroutine
// reads in its place.
func (s *session) read() {
	for {
		got, err := s.sub.ReceiveTimeout(context.Background(), -1)
		if err != nil && !s.refused(err) {
			s.fail(err)
			s.readers.Done()
			return
		}
		switch m := got.(type) {
		case *redis.Message:
			if leading := s.link.receive(s, m); !leading {
				return
			}
		case *redis.Subscription:
			s.confirm(nil)
		}
	}
}

// refused deals with an error that Redis answers a command with, and reports
// whether err is one: the connection is well then.
func (s *session) refused(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) || s.over() {
		return false
	}
	s.confirm(answer)
	return true
}

// confirm counts an answer to the oldest change.
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

// maxNames bounds the names in one command.
const maxNames = 256

// command is a method of the subscribed connection.
type command func(ctx context.Context, names ...string) error

// write sends a command for names; it is called with order held. c is what waits
// for the answers.
func (s *session) write(c *change, send command, names ...string) {
	c.left = len(names)
	if c.done == nil {
		c.done = make(chan struct{})
	}
	s.mu.Lock()
	s.changes = append(s.changes, c)
	s.mu.Unlock()
	if err := send(context.Background(), names...); err != nil {
		s.fail(err)
	}
}

// alter sends a command for names and returns what waits for the answers.
func (s *session) alter(send command, names ...string) *change {
	s.order.Lock()
	defer s.order.Unlock()
	c := &change{}
	s.write(c, send, names...)
	return c
}

// await waits until the change has been made.
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

// all sends a command for many names, and waits for its answers.
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

// fail ends the session.
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

// cut closes the connections under everything that uses them.
func (s *session) cut() {
	for _, w := range []*socket{s.in, s.out} {
		if w != nil {
			_ = w.Conn.Close()
		}
	}
}

// shut gives everything back when the session has ended.
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

func (s *session) over() bool {
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
