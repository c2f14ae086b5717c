package microtcp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// exchange makes one call on this address.
func (a *address) exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	a.inFlight.Add(1)
	defer a.inFlight.Add(-1)
	conn, err := a.connected(ctx, req)
	if err != nil {
		return err
	}
	now := time.Now()
	call, err := conn.calls.Begin(req, now)
	if err != nil {
		return unsent(err)
	}
	start, end, err := conn.request(ctx, req, call, now)
	if err != nil {
		call.Cancel()
		return conn.sendError(ctx, err)
	}
	values, err := call.Wait(ctx, reply)
	if err == nil {
		conn.out.ack(end)
		return nil
	}
	if errors.Is(err, micro.ErrConnectionLost) && conn.out.unsent(start) {
		return errUnsent
	}
	err = conn.overdue(req, err)
	var remote *micro.Error
	if values == 0 && conn.leaving.Load() && errors.As(err, &remote) && string(remote.Payload) == refusal {
		return errUnsent
	}
	return err
}

// unsent converts the error of a connection that ended, or stopped accepting calls, before
// this call began.
func unsent(err error) error {
	if errors.Is(err, micro.ErrConnectionLost) {
		return errUnsent
	}
	return err
}

// request writes the packet of a call. It returns the position of its frame in the
// connection's stream. Errors are the writer's.
func (c *clientConn) request(ctx context.Context, req *micro.Request, call *calls.Call, now time.Time) (start, end int64, err error) {
	call.Packet = appendPacket(call.Packet, req, req.Pattern.JSON(), call.JSONID(), now)
	return c.send(ctx, req, call.Packet, now)
}

// publish sends an event, and waits until the connection has accepted it.
func (a *address) publish(ctx context.Context, req *micro.Request) error {
	conn, err := a.connected(ctx, req)
	if err != nil {
		return err
	}
	if req.Trace != nil && req.Trace.Stray != nil {
		conn.event.Store(req.Trace)
	}
	now := time.Now()
	packet := appendPacket(nil, req, req.Pattern.RouteJSON(), nil, now) // docs/wire.md 2.4
	if req.Confirm {
		return conn.confirmed(ctx, req, packet, now)
	}
	if conn.pending.known() {
		if err := conn.unread.Await(ctx, req.Deadline, conn.learnAcknowledged); err != nil {
			return err
		}
	}
	start, end, err := conn.send(ctx, req, packet, now)
	if err == nil {
		raise(&conn.events, end)
		err = conn.out.await(ctx, req.Deadline, start, end)
	}
	if err != nil {
		return conn.sendError(ctx, err)
	}
	return conn.emitted(end, req)
}

// appendPacket appends the packet of a message. An event has no ID.
func appendPacket(dst []byte, req *micro.Request, pattern string, id []byte, now time.Time) []byte {
	if req.Raw {
		return append(dst, req.Data...)
	}
	var room [256]byte
	return wire.AppendRequest(dst, pattern, req.Data, micro.AppendMetadata(room[:0], req, now), id)
}

// send writes a packet. It returns the position of its frame in the connection's stream.
// Errors are the writer's.
func (c *clientConn) send(ctx context.Context, req *micro.Request, packet []byte, now time.Time) (start, end int64, err error) {
	start, end, err = c.out.offer(ctx, req.Deadline, len(packet)+headerRoom, func(dst []byte) []byte { return AppendFrame(dst, packet) })
	if err == nil && req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(now, packet)
	}
	return start, end, err
}

// sendError converts an error of the writer to one that micro.Conn documents.
func (c *clientConn) sendError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	lost := c.calls.Refused()
	switch {
	case errors.Is(err, errNoRoom):
		return gaveUp(ctx)
	case errors.Is(lost, micro.ErrClosed):
		return lost
	case errors.Is(err, errRefused):
		return errUnsent
	case lost != nil:
		return lost
	}
	// Subtle: the goroutine that writes has failed, and has not closed the table yet.
	return fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
}

// gaveUp returns the error of a caller whose deadline has passed, or whose ctx has ended.
func gaveUp(ctx context.Context) error {
	if ctx.Err() != nil {
		return calls.Ended(ctx)
	}
	return micro.ErrTimeout
}
