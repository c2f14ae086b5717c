package microrabbit

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Delivery is what RabbitMQ knows of a message that came in, as NestJS's
// RmqContext has it.
type Delivery struct {
	// Queue is the queue the message came by.
	Queue string
	// Exchange and RoutingKey are what it was sent to; "" and the queue where it
	// was sent to the queue.
	Exchange, RoutingKey string
	// MessageID tells the message from all others, for handlers that must not do
	// a thing twice; it stays the same when the message comes again. "" where the
	// sender gave none: NestJS gives none by itself.
	MessageID string
	// CorrelationID and ReplyTo are of requests.
	CorrelationID, ReplyTo string
	// Headers are all headers, also those that are no metadata.
	Headers map[string]any
	// Redelivered tells that the message was delivered before and not
	// acknowledged, so that it may have been handled.
	Redelivered bool
	// Attempt is 1 the first time an event is handled, 2 when it comes again after
	// its handler failed, and so on.
	Attempt int
	// Priority, Timestamp, ContentType, Type, AppID and UserID are the properties
	// of these names.
	Priority                         uint8
	Timestamp                        time.Time
	ContentType, Type, AppID, UserID string

	in      *intake
	tag     uint64
	settled atomic.Bool
}

// DeliveryFromContext returns what RabbitMQ knows of the message that the handler
// running under ctx was given, or nil when it came by another transport.
func DeliveryFromContext(ctx context.Context) *Delivery {
	req := micro.RequestFromContext(ctx)
	if req == nil {
		return nil
	}
	m, _ := req.Details.(*Delivery)
	return m
}

// ErrSettled tells that a message was acknowledged or given back before.
var ErrSettled = errors.New("the message has been acknowledged or rejected already")

// Ack acknowledges the message before its handler has returned; what the handler
// returns then decides nothing any more. Where messages need no acknowledgment
// (noAck) it does nothing. The error is ErrSettled, or tells that the
// connection is lost: then the message comes again.
func (d *Delivery) Ack() error {
	return d.settle(func() error { return d.in.ack(d.in.channel, d.tag, false) })
}

// Nack gives the message back: to the queue with requeue, or else to the queue's
// dead-letter exchange, or to nobody. It has the same errors as Ack.
func (d *Delivery) Nack(requeue bool) error {
	return d.settle(func() error { return d.in.nack(d.in.channel, d.tag, requeue) })
}

func (d *Delivery) settle(how func() error) error {
	if d.in.noAck {
		return nil
	}
	if d.settled.Swap(true) {
		return ErrSettled
	}
	return at(how(), "settle a message of the queue %q", d.Queue)
}

// init takes over what is known of a message.
func (d *Delivery) init(in *intake, m *incoming) {
	d.in, d.tag = in, m.tag
	d.Queue, d.Exchange, d.RoutingKey = in.queue, string(m.exchange), string(m.key)
	d.MessageID, d.CorrelationID, d.ReplyTo = string(m.messageID), string(m.correlationID), string(m.replyTo)
	if m.hasTable {
		d.Headers = parseTable(m.table)
	}
	if exchange, ok := d.Headers[headerExchange].(string); ok && d.Exchange == "" {
		d.Exchange = exchange
		d.RoutingKey, _ = d.Headers[headerKey].(string)
	}
	d.Redelivered, d.Attempt = m.redelivered, attempt(d.Headers)
	d.Priority, d.Timestamp = m.priority, m.timestamp
	d.ContentType, d.Type, d.AppID, d.UserID = string(m.contentType), string(m.kind), string(m.appID), string(m.userID)
}
