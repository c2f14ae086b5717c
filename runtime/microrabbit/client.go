package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
)

// Client is the micro.Conn of NestJS' RabbitMQ transport. Make it with Dial. It
// keeps one connection, made when first needed and made again whenever it is lost;
// calls that wait on a lost connection fail at once.
type Client struct {
	shared
	persistent  bool
	headers     map[string]any
	replyQueue  string
	replyNoAck  bool
	maxInFlight int64

	addresses []address
	badURL    error
	table     calls.Table
	inFlight  atomic.Int64

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	session atomic.Pointer[session] // nil while there is none
	mu      sync.Mutex              // guards what follows
	started bool
	changed chan struct{} // closed and replaced when session or failure change
	failure error         // why the last attempt to connect failed
}

// session is what a client has on one connection.
type session struct {
	*connection
	*publisher
	ch   *amqp.Channel
	took time.Duration // to connect
}

// directReply is RabbitMQ's queue that is none: answers go straight to the
// channel that asked.
const directReply = "amq.rabbitmq.reply-to"

// Dial returns a client that sends to queue at the broker at url, or at the first
// of several, with commas between them, that can be reached. Nothing is connected
// yet.
func Dial(url, queue string, opts ...DialOption) *Client {
	c := &Client{shared: defaults(queue), replyQueue: directReply, replyNoAck: true, maxInFlight: 65536, changed: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, o := range opts {
		o.applyDial(c)
	}
	c.addresses, c.badURL = parseAddresses(url)
	return c
}

// Close closes the connection; calls in flight fail with micro.ErrClosed.
func (c *Client) Close() error {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.table.Close()
	c.wg.Wait()
	return nil
}

// Exchange sends a request and hands the values of its answer to reply.
func (c *Client) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	release, err := c.admit(ctx, req)
	if err != nil {
		return err
	}
	defer release()
	for {
		call, err := c.table.Begin(req)
		if err != nil {
			return err
		}
		s, err := c.connected(ctx, req)
		if err == nil {
			err = c.request(ctx, s, req, call.ID)
		}
		if err == nil {
			return c.explain(call.Wait(ctx, reply))
		}
		call.GiveUp()
		if !errors.Is(err, errUnsent) {
			return err
		}
	}
}

// Publish sends an event; it returns when the broker has confirmed it.
func (c *Client) Publish(ctx context.Context, req *micro.Request) error {
	release, err := c.admit(ctx, req)
	if err != nil {
		return err
	}
	defer release()
	for {
		s, err := c.connected(ctx, req)
		if err == nil {
			err = c.event(ctx, s, req)
		}
		if !errors.Is(err, errUnsent) {
			return err
		}
	}
}

// admit counts a message in and gives it a deadline that has none, as
// micro.Client would.
func (c *Client) admit(ctx context.Context, req *micro.Request) (release func(), err error) {
	if req.Deadline.IsZero() {
		var ok bool
		if req.Deadline, ok = ctx.Deadline(); !ok {
			req.Deadline = time.Now().Add(micro.DefaultTimeout)
		}
	}
	if c.inFlight.Add(1) > c.maxInFlight {
		c.inFlight.Add(-1)
		return nil, fmt.Errorf("%w: %d messages are in flight already", micro.ErrShed, c.maxInFlight)
	}
	return func() { c.inFlight.Add(-1) }, nil
}

// target returns the exchange and routing key of a message (docs/wire.md 2.4).
func (c *Client) target(p micro.Pattern) (exchange, key string) {
	if !c.published() {
		return "", c.queue
	}
	if p.JSON()[0] == '"' {
		return c.exchangeName(), p.Route()
	}
	return c.exchangeName(), p.JSON()
}

func (c *Client) request(ctx context.Context, s *session, req *micro.Request, id string) error {
	m := messageFrom(ctx)
	now := time.Now()
	msg := c.publishing(m, req, now)
	msg.CorrelationId = id
	msg.ReplyTo = c.replyQueue
	if m.ReplyTo != "" {
		msg.ReplyTo = m.ReplyTo
	}
	if msg.Expiration == "" { // nobody waits for it later
		msg.Expiration = milliseconds(req.Deadline.Sub(now))
	}
	msg.Body = micro.AppendRequest(nil, req.Pattern.JSON(), req.Data, nil, []byte(`"`+id+`"`))
	exchange, key := c.target(req.Pattern)
	if err := check(exchange, key, &msg); err != nil {
		return err
	}
	if err := s.await(ctx, req.Deadline); err != nil {
		return err
	}
	err := s.send(exchange, key, true, msg, func(err error) {
		if err != nil {
			c.table.Fail([]byte(id), err)
		}
	})
	c.wrote(req, now, msg.Body, err)
	return err
}

func (c *Client) event(ctx context.Context, s *session, req *micro.Request) error {
	now := time.Now()
	if !now.Before(req.Deadline) {
		return calls.ErrTooLate
	}
	msg := c.publishing(messageFrom(ctx), req, now)
	if msg.MessageId == "" {
		msg.MessageId = micro.NewCorrelationID()
	}
	msg.Body = micro.AppendRequest(nil, req.Pattern.JSON(), req.Data, nil, nil)
	exchange, key := c.target(req.Pattern)
	if err := check(exchange, key, &msg); err != nil {
		return err
	}
	err := s.publish(ctx, req.Deadline, exchange, key, exchange == "", msg) // an exchange may have no subscribers
	c.wrote(req, now, msg.Body, err)
	return err
}

func (c *Client) wrote(req *micro.Request, at time.Time, body []byte, err error) {
	if err == nil && req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(at, body)
	}
}

// explain adds to a timeout what is known of the queue.
func (c *Client) explain(err error) error { return err }

// take delivers the answers that come by a channel to the calls that wait for
// them.
func (c *Client) take(answers <-chan amqp.Delivery, noAck bool) {
	for d := range answers {
		if !noAck {
			_ = d.Ack(false) // what cannot be acknowledged comes again, and is dropped then
		}
		body := micro.SanitizeUTF8(d.Body)
		p, err := micro.ParsePacket(body)
		if err != nil {
			p = micro.TextPacket(body)
		}
		c.table.Deliver([]byte(d.CorrelationId), &p, body)
	}
}
