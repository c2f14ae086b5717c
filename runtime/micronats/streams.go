package micronats

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/wire"
)

// defaultGoneAfter is how long the values of a stream may have no receiver before it is
// stopped. A caller that reconnects may miss some.
const defaultGoneAfter = 10 * time.Second

// errLeft is the cause of the context of a handler whose caller has left.
var errLeft = errors.New("the caller has left: its inbox has no subscriber")

// probe asks whether an inbox has a subscriber. NestJS's clients ignore replies with another id,
// and ours know this one.
var probe = []byte(`{"id":"` + probeID + `"}`)

const probeID = "msctl.probe"

// streams are the replies of one connection of which at least one value has been sent. To
// learn that a caller has left, each value is sent with a reply subject of our own: if the inbox
// has no subscriber, the broker reports that there, as it does for requests. A client that
// is still connected, but has given up the call, sends an empty message there.
type streams struct {
	intake *intake
	prefix string // of the reply subjects; then come the stream's number, a dash, and the value's

	mu        sync.Mutex // guards what follows, and the fields of stream
	active    map[uint64]*inbound
	last      uint64 // number of a stream
	listening bool
	denied    bool // the user may not subscribe
	draining  bool
}

// stream is what is known about the receiver of a reply.
type stream struct {
	number  uint64 // 0 before the first value
	values  uint64 // sent so far
	missed  uint64 // the last value that had no receiver; 0 for none
	unheard time.Time
	left    bool
}

func newStreams(t *intake) *streams {
	return &streams{intake: t, prefix: nats.NewInbox() + ".", active: map[uint64]*inbound{}}
}

// next returns the reply subject for the next value of m; "" if there can be none.
func (s *streams) next(m *inbound) (subject string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.left {
		return "", errLeft
	}
	if s.denied {
		return "", nil
	}
	if !s.listening {
		if _, err := s.intake.link.Subscribe(s.prefix+"*", s.heard); err != nil {
			return "", err
		}
		s.listening = true
	}
	if m.number == 0 {
		s.last++
		m.number = s.last
		s.active[m.number] = m
	}
	m.values++
	return s.subject(m), nil
}

func (s *streams) subject(m *inbound) string {
	return s.prefix + strconv.FormatUint(m.number, 10) + "-" + strconv.FormatUint(m.values, 10)
}

// end forgets a stream.
func (s *streams) end(m *inbound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, m.number)
}

// heard receives what arrives at a reply subject: the broker's report that a value had no
// receiver, or the message of a client that has given up the call.
func (s *streams) heard(msg *nats.Msg) {
	stream, value, _ := strings.Cut(strings.TrimPrefix(msg.Subject, s.prefix), "-")
	number, _ := strconv.ParseUint(stream, 10, 64)
	n, _ := strconv.ParseUint(value, 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.active[number]
	if m == nil {
		return
	}
	if msg.Header.Get(statusHeader) != noResponders {
		m.leave()
		return
	}
	if m.missed == 0 || n > m.missed+1 {
		m.unheard = time.Now() // a value before it had a receiver
	}
	m.missed = n
	if s.draining || time.Since(m.unheard) >= s.intake.listener.goneAfter {
		m.leave()
	}
}

// refuse stops the use of reply subjects if the user may not subscribe to them.
func (s *streams) refuse(subject string) (known bool) {
	if subject != s.prefix+"*" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = true
	return true
}

// probeInterval is how often a stopping server asks whether the callers of silent streams are
// still there.
const probeInterval = time.Second

// drain stops the streams whose callers have left at once, until ctx ends.
func (s *streams) drain(ctx context.Context) {
	s.mu.Lock()
	s.draining = true
	for _, m := range s.active {
		if m.missed != 0 && m.missed == m.values {
			m.leave()
		}
	}
	s.mu.Unlock()
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		s.probeAll()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *streams) probeAll() {
	s.mu.Lock()
	var probes []*nats.Msg
	for _, m := range s.active {
		m.values++
		probes = append(probes, &nats.Msg{Subject: m.Reply, Reply: s.subject(m), Data: probe})
	}
	s.mu.Unlock()
	for _, msg := range probes {
		_ = s.intake.link.PublishMsg(msg) // an error means that the connection has ended
	}
}

// leave ends the handler's context. The mu of streams is held.
func (m *inbound) leave() {
	m.left = true
	m.ctx.cancel(errLeft)
}

// isValue reports whether a packet is a value that does not end its reply.
func isValue(p wire.Reply) bool { return !p.Disposed && p.Err == nil && !p.NoHandler }

// callContext is a context that can be canceled. It creates the child for that only when it is
// needed, since most handlers do not wait for anything.
type callContext struct {
	context.Context // the parent

	mu    sync.Mutex // guards what follows
	child context.Context
	stop  context.CancelCauseFunc
}

// current returns the child if there is one, and the parent otherwise.
func (c *callContext) current() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.child != nil {
		return c.child
	}
	return c.Context
}

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.make()
	return c.child.Done()
}

// Err implements context.Context.
func (c *callContext) Err() error { return c.current().Err() }

// Value implements context.Context. Package context finds the child with it.
func (c *callContext) Value(key any) any { return c.current().Value(key) }

// make creates the child. c.mu is held.
func (c *callContext) make() {
	if c.child == nil {
		c.child, c.stop = context.WithCancelCause(c.Context)
	}
}

// cancel ends the context. Subtle: contexts that derive from this one call Value as they end, so
// c.mu is not held then.
func (c *callContext) cancel(cause error) {
	c.mu.Lock()
	c.make()
	stop := c.stop
	c.mu.Unlock()
	stop(cause)
}

// release frees the child when the handler has returned.
func (c *callContext) release() {
	c.mu.Lock()
	stop := c.stop
	c.mu.Unlock()
	if stop != nil {
		stop(nil)
	}
}
