package microrabbit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// publisher sends messages over one channel and matches the broker's confirmations and
// returned messages to them. Any number of messages can be pending.
type publisher struct {
	conn    *connection
	channel uint16

	mu      sync.Mutex // guards the fields below
	next    uint64     // the number of the next message
	pending map[uint64]*sent
	oldest  uint64 // no message with a lower number is pending
	gone    bool   // abandon has been called
}

// sent is a message that the broker has not confirmed yet.
type sent struct {
	key    string      // identifies the message if it is returned
	route  string      // the routing key
	size   int         // the size of the body in bytes
	failed error       // why it was returned
	settle func(error) // called once; must not block
}

// newPublisher returns a publisher with a channel of its own. deliver, unless nil, is
// called with each message delivered on the channel.
func newPublisher(conn *connection, deliver func(*incoming)) (p *publisher, ch *amqp.Channel, err error) {
	p = &publisher{conn: conn, next: 1, oldest: 1, pending: map[uint64]*sent{}}
	own := &plane{deliver: deliver, returned: p.returned, confirmed: p.confirmed}
	if ch, err = conn.openChannel(own); err != nil {
		return nil, nil, err
	}
	p.channel = own.channel
	if err := ch.Confirm(false); err != nil {
		return nil, nil, at(err, "enable confirmations on %s", conn.name)
	}
	return p, ch, nil
}

var errRefused = fmt.Errorf("%w: the broker rejected the message (is the queue full?)", micro.ErrShed)

// confirmed handles a confirmation of one message or, with multiple, of all messages up
// to it.
func (p *publisher) confirmed(number uint64, multiple, ack bool) {
	var err error
	if !ack {
		err = errRefused
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	number = min(number, p.next-1)
	first := number
	if multiple {
		first = p.oldest
	}
	for n := first; n <= number; n++ {
		s := p.pending[n]
		if s == nil {
			continue
		}
		delete(p.pending, n)
		if s.failed == nil {
			s.failed = err
		}
		s.settle(s.failed)
	}
	for p.oldest <= number && p.pending[p.oldest] == nil {
		p.oldest++
	}
}

// ErrNoExchange means that the exchange that a message was sent to does not exist. It
// matches micro.ErrNotServed, too.
var ErrNoExchange = fmt.Errorf("%w: the exchange does not exist", micro.ErrNotServed)

// errNoQueue returns the error of a message that the broker could not route to a queue.
func errNoQueue(exchange, key string) error {
	if exchange == "" {
		return fmt.Errorf("%w: the broker has no queue %q", micro.ErrNotServed, key)
	}
	return fmt.Errorf("%w: no queue is bound to the exchange %q for %q", micro.ErrNotServed, exchange, key)
}

// returned handles a message that the broker returns. Its confirmation follows.
func (p *publisher) returned(r *incoming) {
	err := errNoQueue(string(r.exchange), string(r.key))
	if r.replyCode != amqp.NoRoute {
		err = fmt.Errorf("%w: the broker returned the message: %s (%d)", micro.ErrNotServed, r.replyText, r.replyCode)
	}
	key := returnKey(string(r.correlationID), string(r.messageID))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.pending {
		if s.key == key {
			s.failed = err
		}
	}
}

// returnKey identifies a message among the pending ones.
func returnKey(correlationID, messageID string) string {
	if correlationID != "" {
		return correlationID
	}
	return "\x00" + messageID
}

// abandon fails all pending messages with why, or with the broker's reason if that is why
// it did not accept them. ended is why the connection ended.
func (p *publisher) abandon(why, ended error) {
	p.mu.Lock()
	all := p.pending
	p.pending, p.gone = nil, true
	p.mu.Unlock()
	for _, s := range all {
		s.settle(cmp.Or(rejection(ended, s, len(all) == 1), why))
	}
}

// errUnsent means that a message was certainly not sent, because its connection had
// ended before.
var errUnsent = fmt.Errorf("%w before the message was sent", micro.ErrConnectionLost)

// send queues a message for writing. If it returns nil, settle is called once, later;
// otherwise the message was not sent.
func (p *publisher) send(ctx context.Context, deadline time.Time, msg *publishing, settle func(error)) error {
	s := &sent{key: returnKey(msg.correlationID, msg.messageID), route: msg.key, size: len(msg.body), settle: settle}
	gone := false
	err := p.conn.wire.out.put(ctx, deadline, func(dst []byte) []byte {
		if gone = !p.number(s); gone {
			return dst
		}
		return appendPublish(dst, p.channel, msg, p.conn.frameMax)
	})
	if err == nil && !gone {
		return nil
	}
	return p.unsent(ctx, err)
}

// unsent returns the error of a message that was not sent because of err.
func (p *publisher) unsent(ctx context.Context, err error) error {
	switch {
	case !errors.Is(err, errNoRoom):
		return errUnsent
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.Cause(ctx)
	}
	return p.stuck()
}

// number assigns to a message that is about to be written the number that its
// confirmation will have. It returns false if the publisher has been abandoned.
func (p *publisher) number(s *sent) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.pending[p.next] = s
	p.next++
	return true
}

// stuck returns the error of a message that the broker did not accept in time.
func (p *publisher) stuck() error {
	why, _ := p.conn.blocking()
	if why == "" {
		why = "it is not reading from the connection"
	}
	return fmt.Errorf("%w: the broker accepts no messages at the moment: %s", micro.ErrUnreachable, why)
}

// await waits until the broker accepts messages, so that the time that a message is given
// counts from when it is sent. It returns an error if the deadline passes, ctx ends, or the
// connection is lost first.
func (p *publisher) await(ctx context.Context, deadline time.Time) error {
	if why, over := p.conn.blocking(); why != "" {
		if err := p.awaitUnblocked(ctx, deadline, over); err != nil {
			return err
		}
	}
	if err := p.conn.wire.out.room(ctx, deadline); err != nil {
		return p.unsent(ctx, err)
	}
	return nil
}

func (p *publisher) awaitUnblocked(ctx context.Context, deadline time.Time, over <-chan struct{}) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-over:
		return nil
	case <-p.conn.down:
		return errUnsent
	case <-timer.C:
	case <-ctx.Done():
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return context.Cause(ctx)
		}
	}
	return p.stuck()
}

// publish sends a message and waits until the broker has confirmed it.
func (p *publisher) publish(ctx context.Context, deadline time.Time, msg *publishing) error {
	if err := p.await(ctx, deadline); err != nil {
		return err
	}
	settled := make(chan error, 1)
	if err := p.send(ctx, deadline, msg, func(err error) { settled <- err }); err != nil {
		return err
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case err := <-settled:
		return err
	case <-timer.C:
		return errUnconfirmed
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return errUnconfirmed
		}
		return context.Cause(ctx)
	}
}

var errUnconfirmed = fmt.Errorf("%w: the broker did not confirm the message, but may have accepted it", micro.ErrTimeout)
