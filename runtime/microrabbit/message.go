package microrabbit

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// Message holds properties for one message that a client sends, as the options
// of NestJS' RmqRecord do. The zero value of a field leaves it to the client.
type Message struct {
	// MessageID is for handlers that must not do a thing twice. Events have a
	// unique one by default.
	MessageID string
	// Priority is for queues with MaxPriority; more is sooner.
	Priority uint8
	// Expiration is when the broker drops the message if nobody has taken it. A
	// request expires with its call by default, an event never.
	Expiration time.Duration
	// Persistent keeps the message on disk, as WithPersistent does for all.
	Persistent bool
	// Headers go over those of WithHeaders.
	Headers map[string]any
	// ReplyTo sends the answer elsewhere: the call will not see it.
	ReplyTo string

	ContentType, ContentEncoding string
	Type, AppID, UserID          string
	Timestamp                    time.Time
}

type messageKey struct{}

// WithMessage returns a context for one call or event whose message has the
// properties of m.
func WithMessage(ctx context.Context, m Message) context.Context {
	return context.WithValue(ctx, messageKey{}, &m)
}

var noMessage Message

func messageFrom(ctx context.Context) *Message {
	if m, ok := ctx.Value(messageKey{}).(*Message); ok {
		return m
	}
	return &noMessage
}

// publishing makes the message of req, without its body and the properties that
// are particular to requests or events (docs/wire.md 4.2).
func (c *Client) publishing(m *Message, req *micro.Request, now time.Time) amqp.Publishing {
	headers := make(amqp.Table, len(c.headers)+len(m.Headers)+2)
	maps.Copy(headers, c.headers)
	for k, v := range micro.SentMetadata(req, now) {
		headers[k] = v
	}
	maps.Copy(headers, m.Headers)
	p := amqp.Publishing{
		Headers:         headers,
		DeliveryMode:    amqp.Transient,
		ContentType:     m.ContentType,
		ContentEncoding: m.ContentEncoding,
		Priority:        m.Priority,
		MessageId:       m.MessageID,
		Type:            m.Type,
		AppId:           m.AppID,
		UserId:          m.UserID,
		Timestamp:       m.Timestamp,
	}
	if c.persistent || m.Persistent {
		p.DeliveryMode = amqp.Persistent
	}
	if m.Expiration > 0 {
		p.Expiration = milliseconds(m.Expiration)
	}
	return p
}

// milliseconds is a duration as RabbitMQ takes it; never 0, which would drop the
// message unless it can be delivered at once.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}

// maxShort is the length in bytes that AMQP has for names and most properties.
const maxShort = 255

// check refuses what AMQP cannot carry, for which the connection would be lost.
func check(exchange, key string, p *amqp.Publishing) error {
	if err := p.Headers.Validate(); err != nil {
		return fmt.Errorf("a header has a value that AMQP has no type for: %w", err)
	}
	for _, short := range [...]struct{ what, text string }{
		{"exchange", exchange},
		{"routing key", key},
		{"content type", p.ContentType},
		{"content encoding", p.ContentEncoding},
		{"correlation id", p.CorrelationId},
		{"reply queue", p.ReplyTo},
		{"message id", p.MessageId},
		{"type", p.Type},
		{"user id", p.UserId},
		{"app id", p.AppId},
	} {
		if len(short.text) > maxShort {
			return fmt.Errorf("the %s has %d bytes, and AMQP carries %d at the most", short.what, len(short.text), maxShort)
		}
	}
	return checkKeys(p.Headers)
}

func checkKeys(headers amqp.Table) error {
	for k, v := range headers {
		if len(k) > maxShort {
			return fmt.Errorf("a header's name has %d bytes, and AMQP carries %d at the most", len(k), maxShort)
		}
		if inner, ok := v.(amqp.Table); ok {
			if err := checkKeys(inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// metadata returns the headers of a message as metadata: those with plain values.
func metadata(headers amqp.Table) micro.Metadata {
	var m micro.Metadata
	for k, v := range headers {
		switch v := v.(type) {
		case string:
			m.Set(k, v)
		case []byte:
			m.Set(k, string(v))
		case bool, int8, uint8, int16, uint16, int32, uint32, int64, int, float32, float64:
			m.Set(k, fmt.Sprint(v))
		case time.Time:
			m.Set(k, v.UTC().Format(time.RFC3339))
		}
	}
	return m
}
