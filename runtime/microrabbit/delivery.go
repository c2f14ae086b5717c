package microrabbit

import (
	"context"
	"errors"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Delivery holds RabbitMQ's information about a received message, like NestJS's
// RmqContext.
type Delivery struct {
	// Queue is the queue from which the message was received.
	Queue string
	// Exchange and RoutingKey are those with which the message was published; "" and
	// the name of the queue if it was sent directly to the queue.
	Exchange, RoutingKey string
	// MessageID identifies the message, so that a handler can be idempotent. It does
	// not change when the message is redelivered. It is "" if the sender did not set
	// one; NestJS sets none by default.
	MessageID string
	// CorrelationID and ReplyTo are set for requests.
	CorrelationID, ReplyTo string
	// Headers holds all headers, including those that are not metadata: those whose value
	// is a table or a list, and those that a redelivery adds.
	Headers map[string]any
	// Body is the body as it was received, which need not be a packet (micro.HandleRaw).
	Body []byte
	// Redelivered reports whether the message was delivered before without being
	// acknowledged. It may have been handled already.
	Redelivered bool
	// Attempt is 1 the first time an event is handled, 2 when it is redelivered after
	// its handler failed, and so on.
	Attempt int
	// Priority, Timestamp, ContentType, Type, AppID, and UserID are the message
	// properties with these names.
	Priority                         uint8
	Timestamp                        time.Time
	ContentType, Type, AppID, UserID string

	listener *Listener
	pattern  []byte    // of the packet
	received time.Time // when it was read
	retries  int       // how often it has been redelivered after a failure
	noAck    bool

	// Guarded by the listener's ledger:
	in      *intake // where it can be settled: it may come back on another connection
	tag     uint64
	claimed bool // it has been settled, or is being moved to another queue
}

// DeliveryFromContext returns the Delivery of the message that the handler with the
// context ctx is handling, or nil if the message came through another transport.
func DeliveryFromContext(ctx context.Context) *Delivery {
	req := micro.RequestFromContext(ctx)
	if req == nil {
		return nil
	}
	m, _ := req.Details.(*Delivery)
	return m
}

// ErrSettled is returned by Ack and Nack for a message that has already been
// acknowledged or rejected.
var ErrSettled = errors.New("the message has already been acknowledged or rejected")

// Ack acknowledges the message before its handler has returned. The handler's result
// then no longer affects how the message is settled. With AckOnReceipt, Ack does
// nothing. It returns ErrSettled if the message has already been settled, or another
// error if the connection is lost; in that case the message is redelivered.
func (d *Delivery) Ack() error { return d.settle(acked) }

// Nack rejects the message. With requeue, it returns to the queue; otherwise it goes to
// the queue's dead-letter exchange, or is dropped if there is none. Nack returns the
// same errors as Ack.
func (d *Delivery) Nack(requeue bool) error {
	if requeue {
		return d.settle(requeued)
	}
	return d.settle(rejected)
}

func (d *Delivery) settle(how settlement) error {
	switch {
	case d.noAck:
		return nil
	case !d.listener.ledger.claim(d):
		return ErrSettled
	}
	return d.finish(how)
}

// finish settles a claimed message.
func (d *Delivery) finish(how settlement) error {
	in, tag := d.listener.ledger.settle(d, how)
	return at(in.settleTag(tag, how), "settle a message of the queue %q", d.Queue)
}

// init sets the fields from a received message.
func (d *Delivery) init(in *intake, m *incoming) {
	d.listener, d.noAck, d.in, d.tag, d.received = in.listener, in.noAck, in, m.tag, in.wire.readAt
	d.Queue, d.Exchange, d.RoutingKey = in.queue, string(m.exchange), string(m.key)
	d.MessageID, d.CorrelationID, d.ReplyTo = string(m.messageID), string(m.correlationID), string(m.replyTo)
	if m.hasTable {
		d.Headers = parseTable(m.table)
	}
	if exchange, ok := d.Headers[headerExchange].(string); ok && d.Exchange == "" {
		d.Exchange = exchange
		d.RoutingKey, _ = d.Headers[headerKey].(string)
	}
	d.Redelivered, d.Attempt, d.retries = m.redelivered, attempt(d.Headers), number(d.Headers[headerRetries])
	d.Priority, d.Timestamp = m.priority, m.timestamp
	d.ContentType, d.Type, d.AppID, d.UserID = string(m.contentType), string(m.kind), string(m.appID), string(m.userID)
}
