package micronats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Client is the micro.Conn of NestJS's NATS transport. Make it with Dial. It keeps
// one connection, made when first needed, which comes back by itself when it is
// lost; calls that wait on a lost connection fail at once.
type Client struct {
	settings
	servers     servers
	headers     map[string]string
	inboxPrefix string

	ctx    context.Context // its end ends the connection
	cancel context.CancelFunc
	inbox  string // what the subjects of all answers begin with, the last dot included
	calls  calls.Table
	up     atomic.Pointer[session] // nil while there is no connection
	dials  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	link    *link      // connected or on its way back; nil before the first
	dialing bool
	closed  bool
	lostAt  time.Time
	lastErr error
	changed chan struct{} // closed and replaced at every change
}

// session is one time of being connected.
type session struct{ link *link }

// Dial returns a client of the broker at servers: "nats://a:4222", or several of
// one cluster with commas between them. A user and password or a token are part
// of the URL; tls:// encrypts. Nothing is connected yet.
func Dial(servers string, opts ...DialOption) *Client {
	c := &Client{
		settings: defaultSettings(), servers: parseServers(servers),
		inboxPrefix: "_INBOX", changed: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, o := range opts {
		o.applyDial(c)
	}
	c.inbox = c.inboxPrefix + strings.TrimPrefix(nats.NewInbox(), "_INBOX") + "."
	return c
}

// Close sends what is left of events and closes the connection; calls in flight
// fail with micro.ErrClosed.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	last, s := c.link, c.up.Swap(nil)
	c.change()
	c.mu.Unlock()
	c.calls.Close(micro.ErrClosed)
	if s != nil {
		_ = s.link.FlushTimeout(time.Second) // a broker that does not answer gets no more
	}
	c.cancel()
	if last != nil {
		last.Close()
	}
	c.dials.Wait()
	return nil
}

// Exchange sends a request and hands the values of its answer to reply.
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
		now := time.Now()
		call, err := c.calls.Begin(req, now)
		if err != nil {
			return err
		}
		if err := c.send(ctx, s, req, call.JSONID(), now); err != nil {
			call.Cancel()
			if c.unsent(s, err) {
				continue
			}
			return err
		}
		_, err = call.Wait(ctx, reply)
		return err
	}
}

// Publish sends an event; it returns when the event has been handed to the
// connection.
func (c *Client) Publish(ctx context.Context, req *micro.Request) error {
	calls.Bound(ctx, req)
	for {
		s, err := c.connected(ctx, req)
		if err != nil {
			return err
		}
		now := time.Now()
		if !now.Before(req.Deadline) {
			return calls.ErrTooLate
		}
		if ctx.Err() != nil {
			return calls.Ended(ctx)
		}
		if err = c.send(ctx, s, req, nil, now); !c.unsent(s, err) {
			return err
		}
	}
}

// send hands a message to the connection; an event has no id.
func (c *Client) send(ctx context.Context, s *session, req *micro.Request, id []byte, now time.Time) error {
	subject := req.Pattern.Route()
	if err := checkSubject(subject); err != nil {
		return err
	}
	if s.link.dialer.full() {
		if err := s.awaitRoom(ctx, req.Deadline); err != nil {
			return err
		}
	}
	msg := nats.Msg{Subject: subject}
	var rest micro.Metadata
	if s.link.HeadersSupported() {
		msg.Header, rest = c.header(req, now)
	} else {
		for k, v := range micro.SentMetadata(req, now) {
			rest.Set(k, v)
		}
	}
	if id != nil {
		msg.Reply = c.inbox + string(id[1:len(id)-1])
	}
	msg.Data = wire.AppendRequest(nil, req.Pattern.JSON(), req.Data, metadataJSON(rest), id)
	err := s.link.PublishMsg(&msg)
	if errors.Is(err, nats.ErrBadHeaderMsg) {
		return fmt.Errorf("the headers of WithHeaders: %w", err) // others are looked at before
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return sizeError("packet with its headers", msg.Size()-len(msg.Subject)-len(msg.Reply), s.link.MaxPayload())
	}
	if err == nil && req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(now, msg.Data)
	}
	return err
}

// awaitRoom waits until the broker keeps up, for no longer than the message may.
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

// deliver takes one message of an answer.
func (c *Client) deliver(msg *nats.Msg) {
	id := []byte(strings.TrimPrefix(msg.Subject, c.inbox))
	if len(msg.Data) == 0 {
		c.deliverEmpty(id, msg.Header)
		return
	}
	body := text(msg.Data)
	packet, err := wire.Parse(body)
	if err != nil {
		c.calls.IgnoreFor(id, body, "is not JSON")
		c.calls.Fail(id, errNotJSON)
		return
	}
	if foreignID(packet.ID, id) {
		c.calls.IgnoreFor(id, body, "does not have the id of the request")
		return
	}
	c.calls.Deliver(id, &packet, body)
}

// deliverEmpty takes an empty message. If the broker sent it, no server has received the
// request. NestJS treats every empty message that way, but a responder of another kind may
// send one to acknowledge a request that it has handled.
func (c *Client) deliverEmpty(id []byte, header nats.Header) {
	if header.Get(statusHeader) == noResponders {
		c.calls.Fail(id, micro.ErrNotServed)
		return
	}
	c.calls.IgnoreFor(id, nil, "is empty")
	c.calls.Fail(id, emptyReply(header))
}

// foreignID reports whether the id in a reply's body is another one than that of
// its inbox. As with NestJS, an id that JavaScript holds for false is none.
func foreignID(got, want []byte) bool {
	switch string(got) {
	case "", `""`, "null", "false", "0", "-0":
		return false
	}
	return len(got) != len(want)+2 || string(got[1:len(got)-1]) != string(want)
}
