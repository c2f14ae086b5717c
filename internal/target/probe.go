package target

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// ProbeTimeout limits the check whether a target is reachable.
const ProbeTimeout = 3 * time.Second

// probedConn checks whether a broker is reachable before it passes on the first
// message. The transports would wait for the broker, but a user at a terminal wants
// to know at once. It is safe for concurrent use.
type probedConn struct {
	micro.Conn
	addresses []string
	reached   atomic.Bool
}

// Exchange sends a request.
func (c *probedConn) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	if err := c.probe(ctx, req.Deadline); err != nil {
		return err
	}
	return c.Conn.Exchange(ctx, req, reply)
}

// Publish sends an event.
func (c *probedConn) Publish(ctx context.Context, req *micro.Request) error {
	if err := c.probe(ctx, req.Deadline); err != nil {
		return err
	}
	return c.Conn.Publish(ctx, req)
}

func (c *probedConn) probe(ctx context.Context, deadline time.Time) error {
	if c.reached.Load() {
		return nil
	}
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	err := Probe(ctx, c.addresses)
	if err == nil {
		c.reached.Store(true)
	}
	return err
}

// Probe returns nil if one of the addresses accepts connections. Otherwise the
// error matches micro.ErrUnreachable, or is the cause of the canceled context.
func Probe(ctx context.Context, addresses []string) error {
	var errs []error
	dialer := dialerOf(ctx)
	dialer.Timeout = ProbeTimeout
	for _, address := range addresses {
		conn, err := dialer.DialContext(ctx, network(address), address)
		if err == nil {
			return conn.Close()
		}
		errs = append(errs, err)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", micro.ErrUnreachable, errors.Join(errs...))
}
