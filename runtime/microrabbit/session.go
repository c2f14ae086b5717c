package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// session is a client's state on one connection.
type session struct {
	*connection
	*publisher
	client *Client
	took   time.Duration // the time it took to connect

	replies  sync.Mutex // guards replying
	replying bool       // a named reply queue is consumed
}

// connected returns the session. If there is none, it waits for the attempt to connect,
// until the deadline of the request.
func (c *Client) connected(ctx context.Context, req *micro.Request) (*session, error) {
	if s, ok := c.link.now(); ok {
		return s, nil
	}
	if c.invalid != nil {
		return nil, c.invalid
	}
	ctx, cancel := context.WithDeadline(ctx, req.Deadline)
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
	c := s.client
	if err := c.setUpClient(s.connection, c.declare); err != nil {
		return err
	}
	p, ch, err := newPublisher(s.connection, c.take)
	if err != nil {
		return err
	}
	if s.publisher = p; c.replyQueue != directReply {
		return nil
	}
	_, err = ch.Consume(directReply, "", true, false, false, false, nil)
	return at(err, "consume replies from the queue %q", directReply)
}

// awaitReplies starts consuming a named reply queue, if this has not happened already. A
// client that only emits events needs no permission to read the queue.
func (s *session) awaitReplies() error {
	c := s.client
	if c.replyQueue == directReply {
		return nil // since setUp
	}
	s.replies.Lock()
	defer s.replies.Unlock()
	if s.replying {
		return nil
	}
	noAck := c.ack == AckOnReceipt
	p := &plane{}
	p.deliver = func(in *incoming) {
		if !noAck {
			_ = s.ack(p.channel, in.tag, false) // if the acknowledgment is lost, the reply is redelivered and dropped
		}
		c.take(in)
	}
	ch, err := s.openWith(p)
	if err != nil {
		return err
	}
	if _, err = ch.Consume(c.replyQueue, "", noAck, false, false, false, nil); err != nil {
		return refused(at(err, "consume replies from the queue %q", c.replyQueue))
	}
	s.watch(ch.NotifyClose)
	s.replying = true
	return nil
}

// close ends the session and fails its pending calls and messages.
func (s *session) close(wanted bool) {
	if wanted {
		s.abandon(micro.ErrClosed, nil)
	} else {
		why := fmt.Errorf("%w: %s: %s", micro.ErrConnectionLost, s.name, reason(s.why))
		s.abandon(why, s.why) // first: the broker may have rejected the message of a call
		s.client.table.FailAll(why)
	}
	s.shut()
}
