package micronats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Client is the micro.Conn of NestJS's NATS transport. Create it with Dial. It has one
// connection, which it makes when it is first needed and restores when it is lost. Calls
// that are pending when the connection is lost fail at once.
type Client struct {
	settings
	servers     servers
	headers     map[string]string
	inboxPrefix string

	ctx    context.Context // its end ends the connections
	cancel context.CancelFunc
	up     atomic.Pointer[session] // nil while there is no connection
	silent atomic.Bool             // the user may not publish to the servers' inboxes
	work   sync.WaitGroup          // goroutines that dial or leave connections, and those of inboxes and events
	log    atomic.Pointer[slog.Logger]
	lost   calls.Lost // events

	mu      sync.Mutex          // guards what follows
	link    *link               // connected or reconnecting; nil before the first connection
	inbox   *inbox              // receives the replies over link
	old     map[*inbox]*session // the connections that are being left
	dialing bool
	moving  bool // to another server
	closed  bool
	lostAt  time.Time
	lastErr error
	changed chan struct{} // closed and replaced at every change
}

// session is one period of being connected.
type session struct {
	link  *link
	inbox *inbox
	usage *usage      // by messages, until their replies have arrived
	lost  atomic.Bool // the connection was lost, even if it has been restored
	over  *greeted    // the connection itself: the driver may have made another one, and not have reported it yet

	emitted     atomic.Int64      // events
	unconfirmed calls.Unconfirmed // by their number
	confirming  atomic.Bool       // a goroutine confirms them

	mu        sync.Mutex      // guards what follows
	permitted map[string]bool // subjects for which the broker has accepted an event
}

// maxPermitted bounds the subjects that are remembered.
const maxPermitted = 4096

func newSession(l *link, in *inbox) *session {
	return &session{link: l, inbox: in, usage: newUsage(), over: l.dialer.current.Load(), permitted: map[string]bool{}}
}

// permits reports whether the user is known to be permitted to publish to a subject.
func (s *session) permits(subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.permitted[subject]
}

func (s *session) setPermitted(subject string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.permitted) >= maxPermitted {
		clear(s.permitted)
	}
	if delete(s.permitted, subject); ok {
		s.permitted[subject] = true
	}
}

// Dial returns a client of the broker at servers: "nats://a:4222", or a comma-separated list
// for a cluster. A user and password or a token are part of the URL, tls:// encrypts, and
// ?creds=FILE or ?nkey=FILE names a file with credentials. Dial does not connect yet.
func Dial(servers string, opts ...DialOption) *Client {
	c := &Client{
		settings: defaultSettings(), servers: parseServers(servers),
		inboxPrefix: "_INBOX", old: map[*inbox]*session{}, changed: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, o := range opts {
		o.applyDial(c)
	}
	return c
}

// SetLogger sets where the client logs events that may have been lost. micro.NewClient calls
// it with the logger of micro.WithLogger. The default is slog.Default.
func (c *Client) SetLogger(log *slog.Logger) { c.log.Store(log) }

func (c *Client) logger() *slog.Logger {
	if log := c.log.Load(); log != nil {
		return log
	}
	return slog.Default()
}

// Close sends the remaining events and closes the connection. Replies that have arrived by
// then are delivered; the other pending calls fail with micro.ErrClosed. The error is a
// *micro.LostEventsError if a connection of the client ended before the broker had confirmed
// all events.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	last, s := c.link, c.up.Swap(nil)
	in := c.inbox
	all := slices.Collect(maps.Keys(c.old))
	if in != nil {
		all = append(all, in)
	}
	c.change()
	c.mu.Unlock()
	if s != nil {
		c.finishEvents(s)
	}
	for _, in := range all {
		in.settle()
		in.calls.Close(micro.ErrClosed)
	}
	c.cancel()
	if last != nil {
		last.Close()
	}
	if in != nil {
		in.end()
	}
	c.work.Wait()
	return c.lost.Err()
}

// Exchange sends a request and passes the values of its reply to reply.
func (c *Client) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	calls.Bound(ctx, req)
	for {
		s, err := c.connected(ctx, req)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return calls.Ended(ctx)
		}
		if err := checkSubject(req.Pattern.Route()); err != nil {
			return err
		}
		again, err := c.exchange(ctx, s, req, reply)
		if !again {
			return err
		}
	}
}

// exchange is Exchange over one connection. It returns again if the connection had ended, or had
// been given up, before the request was sent.
func (c *Client) exchange(ctx context.Context, s *session, req *micro.Request, reply micro.Reply) (again bool, err error) {
	if !s.usage.begin() {
		return true, nil
	}
	defer s.usage.end()
	if err := s.inbox.open(ctx, req.Deadline); err != nil {
		return c.unsent(s, err), err
	}
	now := time.Now()
	call, err := s.inbox.calls.Begin(req, now)
	if err != nil {
		return false, err
	}
	inbox, done, err := s.inbox.reply(call.ID())
	if err == nil {
		defer done()
		err = c.send(ctx, s, req, message{id: call.JSONID(), inbox: inbox}, now)
	}
	if err != nil {
		call.Cancel()
		return c.unsent(s, err), err
	}
	_, err = call.Wait(ctx, reply)
	return false, err
}

// Publish sends an event. It returns when the connection has accepted the event or, with
// micro.Request.Confirm, when the broker has processed it. The first event for a subject on
// each connection waits for that in any case, because that is the only way to learn whether
// the user has the permission.
func (c *Client) Publish(ctx context.Context, req *micro.Request) error {
	calls.Bound(ctx, req)
	for {
		s, err := c.connected(ctx, req)
		if err != nil {
			return err
		}
		again, err := c.publish(ctx, s, req)
		if !again {
			return err
		}
	}
}

// publish is Publish over one connection. It returns again like exchange.
func (c *Client) publish(ctx context.Context, s *session, req *micro.Request) (again bool, err error) {
	now := time.Now()
	switch {
	case !now.Before(req.Deadline):
		return false, calls.ErrTooLate
	case ctx.Err() != nil:
		return false, calls.Ended(ctx)
	case !s.usage.begin():
		return true, nil
	}
	defer s.usage.end()
	if !req.Confirm {
		if err := s.unconfirmed.Await(ctx, req.Deadline, func() {}); err != nil { // confirmEvents confirms them
			return false, err
		}
		if s.lost.Load() { // while it waited
			return true, nil
		}
	}
	mark := s.link.violations.mark()
	err = c.send(ctx, s, req, message{}, now)
	if c.unsent(s, err) {
		return true, nil
	}
	switch {
	case err != nil:
		return false, err
	case req.Confirm || !s.permits(req.Pattern.Route()):
		return false, c.taken(ctx, s, req, mark)
	}
	return false, c.emitted(s, req)
}

// taken waits until the broker has processed an event that was published after mark. It returns
// an error if the broker rejected it.
func (c *Client) taken(ctx context.Context, s *session, req *micro.Request, mark int) error {
	ctx, cancel := context.WithDeadline(ctx, req.Deadline)
	defer cancel()
	found, err := s.link.refused(ctx, mark)
	subject := req.Pattern.Route()
	switch {
	case slices.Contains(found, violation{opPublish, subject}):
		return c.forbidden(subject)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errUnconfirmed
	case ctx.Err() != nil:
		return calls.Ended(ctx)
	case err != nil, !s.intact():
		return micro.ErrConnectionLost
	}
	s.setPermitted(subject, true)
	return nil
}

// forbidden is the error of a message that the user may not publish.
func (c *Client) forbidden(subject string) error {
	return &PermissionError{Server: c.servers.safe, Operation: opPublish, Subjects: []string{subject}}
}

// message holds what only requests have. It is zero for an event.
type message struct {
	id    []byte // as a JSON string
	inbox string
}

// send hands a message to the connection.
func (c *Client) send(ctx context.Context, s *session, req *micro.Request, m message, now time.Time) error {
	subject := req.Pattern.Route()
	if err := checkSubject(subject); err != nil {
		return err
	}
	if s.link.dialer.failed() {
		return nats.ErrConnectionClosed
	}
	if s.link.dialer.full() {
		if err := s.awaitRoom(ctx, req.Deadline); err != nil {
			return err
		}
	}
	msg := nats.Msg{Subject: subject, Reply: m.inbox}
	var rest micro.Metadata
	if s.link.HeadersSupported() {
		msg.Header, rest = c.header(req, now)
	} else {
		for k, v := range micro.SentMetadata(req, now) {
			rest.Set(k, v)
		}
	}
	if msg.Data = req.Data; !req.Raw {
		msg.Data = wire.AppendRequest(nil, req.Pattern.JSON(), req.Data, metadataJSON(rest), m.id)
	}
	err := s.link.PublishMsg(&msg)
	if errors.Is(err, nats.ErrBadHeaderMsg) {
		return fmt.Errorf("the headers of WithHeaders: %w", err) // fitsHeader has checked the metadata
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return sizeError("packet with its headers", msg.Size()-len(msg.Subject)-len(msg.Reply), s.link.MaxPayload())
	}
	if err == nil && req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(now, msg.Data)
	}
	return err
}

// awaitRoom waits until the broker keeps up, at most until the deadline.
func (s *session) awaitRoom(ctx context.Context, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if s.link.dialer.awaitRoom(ctx) != nil {
		return calls.Ended(ctx)
	}
	return nil
}

func metadataJSON(m micro.Metadata) []byte {
	for range m.All() {
		return micro.AppendMetadata(nil, &micro.Request{Event: true, Metadata: m}, time.Time{})
	}
	return nil
}
