package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// connected returns the session, and waits for one as long as the message and
// one attempt to connect may take.
func (c *Client) connected(ctx context.Context, req *micro.Request) (*session, error) {
	if s := c.session.Load(); s != nil {
		return s, nil
	}
	wait := min(time.Until(req.Deadline), c.dialTimeout)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		s, changed, failure := c.state()
		switch {
		case c.ctx.Err() != nil:
			return nil, micro.ErrClosed
		case s != nil:
			if req.Trace != nil && req.Trace.Connected != nil {
				req.Trace.Connected(s.name, s.took)
			}
			return s, nil
		case failure != nil && hopeless(failure):
			return nil, refused(failure)
		}
		select {
		case <-changed:
			continue
		case <-timer.C:
		case <-c.ctx.Done():
			return nil, micro.ErrClosed
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, context.Cause(ctx)
			}
		}
		if failure == nil {
			return nil, fmt.Errorf("%w: no connection to %s within %v", micro.ErrUnreachable, names(c.addresses), wait.Round(time.Millisecond))
		}
		return nil, fmt.Errorf("%w: %w", micro.ErrUnreachable, failure)
	}
}

// state returns the session or why there is none, and starts connecting at the
// first message.
func (c *Client) state() (s *session, changed <-chan struct{}, failure error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started && c.ctx.Err() == nil {
		c.started = true
		if c.badURL != nil {
			c.failure = c.badURL
		} else {
			c.wg.Go(c.keepConnected)
		}
	}
	return c.session.Load(), c.changed, c.failure
}

func (c *Client) change(s *session, failure error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.Store(s)
	c.failure = failure
	close(c.changed)
	c.changed = make(chan struct{})
}

// keepConnected makes sessions, one after another, until the client is closed.
func (c *Client) keepConnected() {
	pause := pauses{longest: c.maxDelay}
	for c.ctx.Err() == nil {
		s, err := c.open(c.ctx)
		if err != nil {
			c.change(nil, err)
			pause.wait(c.ctx)
			continue
		}
		pause.reset()
		c.change(s, nil)
		select {
		case <-s.down:
		case <-c.ctx.Done():
		}
		c.change(nil, nil)
		if why := c.ended(s); why != nil {
			c.table.FailAll(why)
			s.abandon(why)
		}
		s.shut()
		s.abandon(micro.ErrClosed)
		pause.wait(c.ctx)
	}
}

// ended returns why a session is lost, nil when the client was closed.
func (c *Client) ended(s *session) error {
	if c.ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %s", micro.ErrConnectionLost, s.name, reason(s.why))
}

// open makes a session: a connection, the queue, and the consumer of answers.
func (c *Client) open(ctx context.Context) (*session, error) {
	start := time.Now()
	conn, err := c.connect(ctx, c.addresses, roleClient)
	if err != nil {
		return nil, err
	}
	s := &session{connection: conn}
	if err := c.setUp(s); err != nil {
		conn.shut()
		return nil, err
	}
	s.took = time.Since(start)
	return s, nil
}

func (c *Client) setUp(s *session) error {
	ch, err := s.openChannel()
	if err != nil {
		return err
	}
	if err := c.setUpClient(ch); err != nil {
		return err
	}
	noAck := c.replyNoAck || c.replyQueue == directReply
	take := c.take
	if !noAck {
		take = func(in *incoming) {
			_ = s.ack(s.publisher.channel, in.tag, false) // should it be lost, the answer comes again and is dropped
			c.take(in)
		}
	}
	if s.publisher, err = newPublisher(s.connection, ch, take); err != nil {
		return err
	}
	_, err = ch.Consume(c.replyQueue, "", noAck, false, false, false, nil)
	return at(err, "take answers from the queue %q", c.replyQueue)
}
