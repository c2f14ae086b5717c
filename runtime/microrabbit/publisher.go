package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// publisher sends messages over one channel and learns from the broker what has
// become of each, with any number of them under way.
type publisher struct {
	conn    *connection
	channel uint16

	mu      sync.Mutex // guards what follows
	next    uint64     // the number of the next message
	pending map[uint64]*sent
	oldest  uint64 // no message with a lower number is pending
	gone    bool   // nothing more is settled
}

// sent is a message that the broker has not confirmed yet.
type sent struct {
	key    string      // how it is known again should it be returned
	failed error       // why it was returned
	settle func(error) // called once; must not block
}

// newPublisher makes ch, which was opened last, a publisher's. deliver, unless
// nil, takes what is delivered by it.
func newPublisher(conn *connection, ch *amqp.Channel, deliver func(*incoming)) (*publisher, error) {
	p := &publisher{conn: conn, next: 1, oldest: 1, pending: map[uint64]*sent{}}
	p.channel = conn.wire.attach(&plane{deliver: deliver, returned: p.returned, confirmed: p.confirmed})
	if err := ch.Confirm(false); err != nil {
		return nil, at(err, "ask %s for confirmations", conn.name)
	}
	return p, nil
}

var errRefused = fmt.Errorf("%w: the broker rejected the message (is the queue full?)", micro.ErrShed)

// confirmed takes a confirmation: of one message, or of all up to it.
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

// errNoQueue is the error of a message that the broker had no queue for.
func errNoQueue(exchange, key string) error {
	if exchange == "" {
		return fmt.Errorf("%w: the broker has no queue %q", micro.ErrNotServed, key)
	}
	return fmt.Errorf("%w: no queue is bound to the exchange %q for %q", micro.ErrNotServed, exchange, key)
}

// returned takes a message that comes back, which its confirmation follows.
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

// returnKey identifies a message among those under way.
func returnKey(correlationID, messageID string) string {
	if correlationID != "" {
		return correlationID
	}
	return "\x00" + messageID
}

// abandon fails what will never be confirmed with why.
func (p *publisher) abandon(why error) {
	p.mu.Lock()
	all := p.pending
	p.pending, p.gone = nil, true
	p.mu.Unlock()
	for _, s := range all {
		s.settle(why)
	}
}

// errUnsent tells that a message has certainly not left, because its connection
// had ended before.
var errUnsent = fmt.Errorf("%w: before the message was sent", micro.ErrConnectionLost)

// send hands a message to the connection. settle is called once, later, unless
// there is an error: then it was not sent.
func (p *publisher) send(ctx context.Context, deadline time.Time, msg *publishing, settle func(error)) error {
	s := &sent{key: returnKey(msg.correlationID, msg.messageID), settle: settle}
	gone := false
	err := p.conn.wire.out.put(ctx, deadline, func(dst []byte) []byte {
		if gone = !p.number(s); gone {
			return dst
		}
		return appendPublish(dst, p.channel, msg, p.conn.frameMax)
	})
	switch {
	case err == nil && !gone:
		return nil
	case !errors.Is(err, errNoRoom):
		return errUnsent
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.Cause(ctx)
	}
	return p.stuck()
}

// number gives a message that is about to be written the number by which it will
// be confirmed; false tells that none will be any more.
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

// stuck is the error of a message that the broker did not take in time.
func (p *publisher) stuck() error {
	why, _ := p.conn.blocking()
	if why == "" {
		why = "it does not read"
	}
	return fmt.Errorf("%w: the broker accepts no messages at the moment: %s", micro.ErrUnreachable, why)
}

// await waits until the broker takes messages; the error tells that it did not
// before deadline or the end of ctx.
func (p *publisher) await(ctx context.Context, deadline time.Time) error {
	why, over := p.conn.blocking()
	if why == "" {
		return nil
	}
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
