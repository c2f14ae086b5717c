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
	conn *connection
	ch   *amqp.Channel

	sending sync.Mutex // one message at a time, so that its number is known
	next    uint64     // the number of the next message; guarded by sending

	mu      sync.Mutex // guards what follows
	pending map[uint64]*sent
	gone    bool // nothing more is settled
}

// sent is a message that the broker has not confirmed yet.
type sent struct {
	key    string      // how it is known again should it be returned
	failed error       // why it was returned
	settle func(error) // called once; must not block
}

// newPublisher makes ch a publisher's.
func newPublisher(conn *connection, ch *amqp.Channel) (*publisher, error) {
	p := &publisher{conn: conn, ch: ch, next: 1, pending: map[uint64]*sent{}}
	if err := ch.Confirm(false); err != nil {
		return nil, at(err, "ask %s for confirmations", conn.name)
	}
	// Neither has room, so that the broker's order is kept: a message is known as
	// returned before its confirmation can be seen.
	returns := ch.NotifyReturn(make(chan amqp.Return))
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation))
	conn.wg.Go(func() { p.listen(returns, confirms) })
	return p, nil
}

func (p *publisher) listen(returns <-chan amqp.Return, confirms <-chan amqp.Confirmation) {
	for returns != nil || confirms != nil {
		select {
		case r, ok := <-returns:
			if !ok {
				returns = nil
				continue
			}
			p.returned(&r)
		case c, ok := <-confirms:
			if !ok {
				confirms = nil
				continue
			}
			p.confirmed(c)
		}
	}
	p.abandon()
}

var errRefused = fmt.Errorf("%w: the broker refused the message: is the queue full?", micro.ErrShed)

func (p *publisher) confirmed(c amqp.Confirmation) {
	p.mu.Lock()
	s := p.pending[c.DeliveryTag]
	delete(p.pending, c.DeliveryTag)
	p.mu.Unlock()
	switch {
	case s == nil:
	case s.failed != nil:
		s.settle(s.failed)
	case !c.Ack && p.conn.IsClosed():
		s.settle(micro.ErrConnectionLost)
	case !c.Ack:
		s.settle(errRefused)
	default:
		s.settle(nil)
	}
}

// errNoQueue is the error of a message that the broker had no queue for.
func errNoQueue(exchange, key string) error {
	if exchange == "" {
		return fmt.Errorf("%w: the broker has no queue %q", micro.ErrUnreachable, key)
	}
	return fmt.Errorf("%w: no queue is bound to the exchange %q for %q: nobody handles it", micro.ErrUnreachable, exchange, key)
}

func (p *publisher) returned(r *amqp.Return) {
	err := errNoQueue(r.Exchange, r.RoutingKey)
	if r.ReplyCode != amqp.NoRoute {
		err = fmt.Errorf("%w: the broker returned the message: %s (%d)", micro.ErrUnreachable, r.ReplyText, r.ReplyCode)
	}
	key := returnKey(r.CorrelationId, r.MessageId)
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

// abandon fails what will never be confirmed.
func (p *publisher) abandon() {
	p.mu.Lock()
	all := p.pending
	p.pending, p.gone = nil, true
	p.mu.Unlock()
	for _, s := range all {
		s.settle(micro.ErrConnectionLost)
	}
}

// errUnsent tells that a message has certainly not left, because its connection
// had ended before.
var errUnsent = fmt.Errorf("%w: before the message was sent", micro.ErrConnectionLost)

// send hands a message to the connection. settle is called once, later, unless
// there is an error.
func (p *publisher) send(exchange, key string, mandatory bool, msg amqp.Publishing, settle func(error)) error {
	s := &sent{key: returnKey(msg.CorrelationId, msg.MessageId), settle: settle}
	p.sending.Lock()
	defer p.sending.Unlock()
	p.mu.Lock()
	if p.gone {
		p.mu.Unlock()
		return errUnsent
	}
	number := p.next
	p.pending[number] = s
	p.mu.Unlock()
	_, err := p.ch.PublishWithDeferredConfirm(exchange, key, mandatory, false, msg)
	if err == nil {
		p.next++
		return nil
	}
	p.mu.Lock()
	_, ours := p.pending[number]
	delete(p.pending, number)
	p.mu.Unlock()
	switch {
	case !ours:
		return nil // it has been settled already
	case errors.Is(err, amqp.ErrClosed):
		return errUnsent
	default:
		return fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
	}
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
	return fmt.Errorf("%w: the broker takes no messages at the moment (%s)", micro.ErrUnreachable, why)
}

// publish sends a message and waits until the broker has confirmed it.
func (p *publisher) publish(ctx context.Context, deadline time.Time, exchange, key string, mandatory bool, msg amqp.Publishing) error {
	if err := p.await(ctx, deadline); err != nil {
		return err
	}
	settled := make(chan error, 1)
	if err := p.send(exchange, key, mandatory, msg, func(err error) { settled <- err }); err != nil {
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

var errUnconfirmed = fmt.Errorf("%w: the broker did not confirm the message, and may have taken it all the same", micro.ErrTimeout)
