package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Client is the micro.Conn for NestJS's RabbitMQ transport. Create it with Dial. It
// keeps one connection, which it opens on first use and reopens whenever it is lost.
// Calls pending on a lost connection fail at once.
type Client struct {
	shared
	persistent bool
	headers    map[string]any
	replyQueue string
	declare    bool
	waits      bool

	addresses []address
	invalid   error // why the URL or an option cannot be used
	table     calls.Table
	idle      idleWatch

	link   link[*session]
	cancel context.CancelFunc
}

// directReply is RabbitMQ's pseudo-queue for direct reply-to: replies go straight to
// the channel that sent the request.
const directReply = "amq.rabbitmq.reply-to"

// Dial returns a client that sends to queue at the broker at url. url may be a
// comma-separated list of URLs; the first broker that is ready is used. They are tried in their
// order, each a quarter of a second after the previous one; one that did not answer is tried last
// for half a minute. The client connects on first use.
func Dial(url, queue string, opts ...DialOption) *Client {
	c := &Client{shared: defaults(queue), replyQueue: directReply}
	c.link.ctx, c.cancel = context.WithCancel(context.Background())
	for _, o := range opts {
		o.applyDial(c)
	}
	c.addresses, c.invalid = parseAddresses(url)
	if c.invalid == nil {
		c.invalid = c.check()
	}
	c.table.SingleReplier = !c.published() // a queue delivers a request to one consumer
	c.link.open, c.link.attempts, c.link.pauses.Longest, c.link.waits = c.open, c.attempts, c.maxDelay, c.waits
	return c
}

// Close closes the connection. Calls in flight fail with micro.ErrClosed.
func (c *Client) Close() error {
	c.cancel()
	c.idle.stop()
	c.table.Close(micro.ErrClosed)
	c.link.close()
	return nil
}

// Exchange sends a request and passes the values of its response to reply.
func (c *Client) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	if ctx.Err() != nil {
		return calls.Ended(ctx)
	}
	calls.Bound(ctx, req)
	for {
		s, err := c.connected(ctx, req)
		if err != nil {
			return err
		}
		if err := s.awaitReplies(); err != nil {
			return err
		}
		call, err := c.table.Begin(req, time.Now())
		if err != nil {
			return err
		}
		if err = c.request(ctx, s, req, call); err == nil {
			return c.wait(ctx, call, reply)
		}
		call.Cancel()
		if !errors.Is(err, errUnsent) {
			return err
		}
		s.awaitEnd() // do not retry on a connection that is about to end
	}
}

// Publish sends an event and returns when the broker has confirmed it.
func (c *Client) Publish(ctx context.Context, req *micro.Request) error {
	if ctx.Err() != nil {
		return calls.Ended(ctx)
	}
	if c.published() && c.topology.Wildcards && req.Pattern.IsZero() {
		return errors.New("a message to an exchange requires a routing key")
	}
	calls.Bound(ctx, req)
	for {
		s, err := c.connected(ctx, req)
		if err == nil {
			err = c.event(ctx, s, req)
		}
		if !errors.Is(err, errUnsent) {
			return err
		}
		s.awaitEnd()
	}
}

// target returns the exchange and routing key of a message (docs/wire.md 2.4).
func (c *Client) target(p micro.Pattern) (exchange, key string) {
	if !c.published() {
		return "", c.queue
	}
	if p.IsZero() || p.JSON()[0] == '"' { // a fanout exchange ignores the key
		return c.exchangeName(), p.Route()
	}
	return c.exchangeName(), p.JSON()
}

func (c *Client) request(ctx context.Context, s *session, req *micro.Request, call *calls.Call) error {
	if err := s.await(ctx, req.Deadline); err != nil {
		return err
	}
	now := time.Now() // after waiting: the message contains the time that is left
	m := messageFrom(ctx)
	msg := c.publishing(m, req, now)
	msg.mandatory = true
	msg.correlationID = string(call.ID())
	msg.replyTo = c.replyQueue
	if m.ReplyTo != "" {
		msg.replyTo = m.ReplyTo
	}
	if msg.expiration == "" { // the caller does not wait beyond the deadline
		msg.expiration = milliseconds(req.Deadline.Sub(now))
	}
	msg.body = wire.AppendRequest(nil, req.Pattern.JSON(), req.Data, nil, call.JSONID())
	if err := msg.check(); err != nil {
		return err
	}
	pending := call.Ref()
	err := s.send(ctx, req.Deadline, msg, func(err error) {
		if err != nil {
			pending.Fail(err)
		}
	})
	c.wrote(req, now, msg.body, err)
	return err
}

func (c *Client) event(ctx context.Context, s *session, req *micro.Request) error {
	now := time.Now()
	if !now.Before(req.Deadline) {
		return calls.ErrTooLate
	}
	msg := c.publishing(messageFrom(ctx), req, now)
	msg.mandatory = true
	if msg.messageID == "" {
		msg.messageID = micro.NewCorrelationID()
	}
	if msg.body = req.Data; !req.Raw {
		msg.body = wire.AppendRequest(nil, req.Pattern.JSON(), req.Data, nil, nil)
	}
	if err := msg.check(); err != nil {
		return err
	}
	err := s.publish(ctx, req.Deadline, msg)
	c.wrote(req, now, msg.body, err)
	return err
}

func (c *Client) wrote(req *micro.Request, at time.Time, body []byte, err error) {
	if err == nil && req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(at, body)
	}
}

// wait passes the values of the response to reply. If the call times out and the
// queue is known to have no consumer, the error reports that.
func (c *Client) wait(ctx context.Context, call *calls.Call, reply micro.Reply) error {
	c.idle.begin(c)
	_, err := call.Wait(ctx, reply)
	if errors.Is(err, micro.ErrTimeout) && c.idle.deserted.Load() {
		return fmt.Errorf("%w: the queue %q has no consumer", err, c.queue)
	}
	return err
}

// take delivers a reply to its pending call.
func (c *Client) take(in *incoming) {
	c.idle.answers.Add(1)
	body := js.SanitizeUTF8(in.body)
	p, err := wire.Parse(body)
	if err != nil {
		p = wire.Text(body)
	}
	if len(in.correlationID) == 0 {
		c.table.Ignore(body, "has no correlation ID")
		return
	}
	c.table.Deliver(in.correlationID, &p, body)
}
