package micronats

import (
	"context"
	"fmt"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// A broker confirms nothing that is published, but it answers a PING after it has processed
// everything that was published before. So the client sends one behind an event that must
// be confirmed, and now and then behind the others, to know how many
// events are at risk when a connection is lost.

const (
	confirmPause = 100 * time.Millisecond // between an event and the PING behind it
	confirmLimit = time.Minute            // for the answer; a broker that does not answer is lost before
	finishLimit  = time.Second            // for the answer when the client closes a connection
)

var errUnconfirmed = fmt.Errorf("%w: the broker has not confirmed the event, but may have accepted it", micro.ErrTimeout)

// intact reports whether everything that was published in the session has been written to one
// connection, which has not been lost.
func (s *session) intact() bool {
	return !s.lost.Load() && s.link.dialer.current.Load() == s.over
}

// emitted remembers an event that has been published, until the broker has confirmed it. It
// returns an error if the session ended before that.
func (c *Client) emitted(s *session, req *micro.Request) error {
	if _, ok := s.unconfirmed.Add(s.emitted.Add(1), req.Pattern.Route()); !ok {
		return micro.ErrConnectionLost
	}
	if s.confirming.Swap(true) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed { // Close confirms them itself
		c.work.Go(func() { c.confirmEvents(s) })
	}
	return nil
}

// confirmEvents confirms the events of a session, until it finds none.
func (c *Client) confirmEvents(s *session) {
	for {
		if sleep(c.ctx, confirmPause) != nil {
			return
		}
		last := s.emitted.Load()
		if !s.confirm(c.ctx, confirmLimit) {
			if s.lost.Load() {
				return
			}
			continue
		}
		// Subtle: an event that is counted after this sees that nothing confirms it.
		s.confirming.Store(false)
		if s.emitted.Load() == last || s.confirming.Swap(true) {
			return
		}
	}
}

// confirm waits until the broker has confirmed what was published until now.
func (s *session) confirm(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last := s.emitted.Load()
	if s.link.FlushWithContext(ctx) != nil || !s.intact() {
		return false
	}
	s.unconfirmed.Confirm(last)
	return true
}

// finishEvents waits for a moment until the broker has taken the events of a session, which is
// about to end.
func (c *Client) finishEvents(s *session) {
	if !s.lost.Load() {
		s.confirm(c.ctx, finishLimit) // there is nothing to be done for a broker that does not answer
	}
	c.reportLost(s)
}

// reportLost ends a session that has lost its connection. s may be nil.
func (c *Client) reportLost(s *session) {
	if s == nil {
		return
	}
	s.lost.Store(true)
	c.lost.Add(c.logger(), "nats", c.servers.safe, s.unconfirmed.End(0))
}
