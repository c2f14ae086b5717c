package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// session is a client's state on one connection.
type session struct {
	*connection
	*publisher
	client *Client
	took   time.Duration // the time it took to connect
}

// connected returns the session. If there is none, it waits for one until the deadline
// of the request, but no longer than an attempt to connect may take.
func (c *Client) connected(ctx context.Context, req *micro.Request) (*session, error) {
	if s, ok := c.link.now(); ok {
		return s, nil
	}
	if c.invalid != nil {
		return nil, c.invalid
	}
	deadline := time.Now().Add(c.dialTimeout)
	if req.Deadline.Before(deadline) {
		deadline = req.Deadline
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	s, err := c.link.get(ctx)
	switch {
	case errors.Is(err, errEnded):
		return nil, micro.ErrClosed
	case err != nil:
		return nil, fmt.Errorf("%w (%s)", err, names(c.addresses))
	}
	if req.Trace != nil && req.Trace.Connected != nil {
		req.Trace.Connected(s.name, s.took)
	}
	return s, nil
}

// open opens a session: it connects, declares the queue, and starts consuming replies.
func (c *Client) open(ctx context.Context) (*session, error) {
	start := time.Now()
	conn, err := c.connect(ctx, c.addresses, roleClient)
	if err != nil {
		return nil, err
	}
	s := &session{connection: conn, client: c}
	if err := s.setUp(); err != nil {
		conn.shut()
		return nil, err
	}
	s.took = time.Since(start)
	return s, nil
}

func (s *session) setUp() error {
	ch, err := s.openChannel()
	if err != nil {
		return err
	}
	c := s.client
	if err := c.setUpClient(ch); err != nil {
		return err
	}
	noAck := c.ack == AckOnReceipt || c.replyQueue == directReply
	take := c.take
	if !noAck {
		take = func(in *incoming) {
			_ = s.ack(s.publisher.channel, in.tag, false) // if the acknowledgment is lost, the reply is redelivered and dropped
			c.take(in)
		}
	}
	if s.publisher, err = newPublisher(s.connection, ch, take); err != nil {
		return err
	}
	_, err = ch.Consume(c.replyQueue, "", noAck, false, false, false, nil)
	return at(err, "consume replies from the queue %q", c.replyQueue)
}

// close ends the session and fails its pending calls and messages.
func (s *session) close(wanted bool) {
	why := micro.ErrClosed
	if !wanted {
		why = fmt.Errorf("%w: %s: %s", micro.ErrConnectionLost, s.name, reason(s.why))
		s.client.table.FailAll(why)
	}
	s.abandon(why)
	s.shut()
}
