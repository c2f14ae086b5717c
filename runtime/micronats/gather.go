package micronats

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
)

// Gather sends a request to all who serve its subject, where Exchange is over with
// the first answer: to one of each queue group, and to each server that is in none.
// It hands the values of all answers to reply as they come, in the calling
// goroutine, until the deadline of the request or of ctx, or until reply returns an
// error, which is returned. Who answers with an error is passed over. The error is
// nil when a value came, and micro.ErrNotServed when nobody is there.
func (c *Client) Gather(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	bound(ctx, req)
	ctx, cancel := context.WithDeadline(ctx, req.Deadline)
	defer cancel()
	s, err := c.connected(ctx, req)
	if err != nil {
		return err
	}
	id := micro.NewCorrelationID()
	inbox := c.inboxPrefix + "." + id
	sub, err := s.link.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("subscribe to answers in NATS at %s: %w", c.servers.safe, err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when there is no connection any more
	if err := c.send(ctx, s, req, id, inbox); err != nil {
		return err
	}
	return gather(ctx, sub, id, reply)
}

func gather(ctx context.Context, sub *nats.Subscription, id string, reply micro.Reply) error {
	for values := 0; ; {
		msg, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return micro.ErrNotServed
		case err != nil && values > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded):
			return nil // that was to be all
		case err != nil && ctx.Err() != nil:
			return calls.Ended(ctx)
		case err != nil:
			return fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
		}
		packet, err := micro.ParsePacket(text(msg.Data))
		if err != nil || foreignID(packet.ID, []byte(id)) {
			continue
		}
		value, remote, last := packet.Reply()
		if remote != nil || value == nil {
			continue
		}
		values++
		if err := reply.Send(micro.Value{Raw: value, Last: last}); err != nil {
			return err
		}
	}
}
