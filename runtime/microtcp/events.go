package microtcp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// confirmed sends an event and, behind it, a request that every server replies to: ours at
// once, and NestJS's with the error that it has no handler. A server reads its messages in
// order, so any reply proves that it has read the event.
func (c *clientConn) confirmed(ctx context.Context, req *micro.Request, packet []byte, now time.Time) error {
	call, err := c.calls.Begin(&micro.Request{Deadline: req.Deadline}, now)
	if err != nil {
		return unsent(err)
	}
	call.Packet = wire.AppendRequest(call.Packet, wire.ConfirmPattern, []byte("{}"), nil, call.JSONID())
	// One frame must not be written without the other, so both are added at once.
	start, end, err := c.out.offer(ctx, req.Deadline, len(packet)+len(call.Packet)+2*headerRoom, func(dst []byte) []byte {
		return AppendFrame(AppendFrame(dst, packet), call.Packet)
	})
	if err != nil {
		call.Cancel()
		return c.sendError(ctx, err)
	}
	if req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(now, packet)
	}
	raise(&c.events, end)
	_, err = call.Wait(ctx, ignored)
	var reply *micro.Error
	switch {
	case err == nil, errors.As(err, &reply):
		c.out.ack(end)
		return nil
	case errors.Is(err, micro.ErrConnectionLost) && c.out.unsent(start):
		return errUnsent
	case errors.Is(err, micro.ErrTimeout):
		return fmt.Errorf("the service has not confirmed the event, but may have received it: %w", c.overdue(req, err))
	}
	return err
}

var ignored = micro.ReplyFunc(func(micro.Value) error { return nil })

// emitted remembers an event that has been written and ends at a position, until the peer's
// host has acknowledged it. It returns an error if the connection ended before that.
func (c *clientConn) emitted(end int64, req *micro.Request) error {
	if !c.pending.known() {
		return nil
	}
	many, ok := c.unread.Add(end, req.Pattern.Route())
	if !ok {
		return micro.ErrConnectionLost
	}
	if many {
		c.learnAcknowledged()
	}
	return nil
}

func (c *clientConn) learnAcknowledged() { c.unread.Confirm(c.acknowledged()) }

// acknowledged returns the position up to which the peer's host has acknowledged the
// connection's stream, or an earlier one.
func (c *clientConn) acknowledged() int64 {
	c.out.mu.Lock()
	taken := c.out.taken // read first: what is written in the meantime counts as not acknowledged
	c.out.mu.Unlock()
	pending, ok := c.pending.bytes()
	switch {
	case !ok:
		return c.out.acked.Load()
	case pending > 0 && c.halved.Load():
		pending-- // the end of the stream, which counts as a byte
	}
	// With TLS, the bytes include its own, so the position is too early, if anything.
	return max(c.out.acked.Load(), taken-pending)
}

// reportLost reports the events that the peer's host has not acknowledged. The connection has
// not been closed yet.
func (c *clientConn) reportLost() {
	if !c.pending.known() {
		return
	}
	client := c.address.client
	client.lost.Add(client.logger(), "tcp", c.address.target, c.unread.End(c.acknowledged()))
}
