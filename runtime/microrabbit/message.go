package microrabbit

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Message holds properties for one message that a client sends, as the options
// of NestJS's RmqRecord do. The zero value of a field leaves it to the client.
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
func (c *Client) publishing(m *Message, req *micro.Request, now time.Time) *publishing {
	headers := make(map[string]any, len(c.headers)+len(m.Headers)+2)
	maps.Copy(headers, c.headers)
	for k, v := range micro.SentMetadata(req, now) {
		headers[k] = v
	}
	maps.Copy(headers, m.Headers)
	p := &publishing{properties: properties{
		headers:         headers,
		deliveryMode:    transient,
		contentType:     m.ContentType,
		contentEncoding: m.ContentEncoding,
		priority:        m.Priority,
		messageID:       m.MessageID,
		kind:            m.Type,
		appID:           m.AppID,
		userID:          m.UserID,
		timestamp:       m.Timestamp,
	}}
	p.exchange, p.key = c.target(req.Pattern)
	if c.persistent || m.Persistent {
		p.deliveryMode = persistent
	}
	if m.Expiration > 0 {
		p.expiration = milliseconds(m.Expiration)
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

// check refuses what AMQP cannot carry.
func (p *publishing) check() error {
	for _, short := range [...]struct{ what, text string }{
		{"exchange", p.exchange},
		{"routing key", p.key},
		{"content type", p.contentType},
		{"content encoding", p.contentEncoding},
		{"correlation id", p.correlationID},
		{"reply queue", p.replyTo},
		{"message id", p.messageID},
		{"type", p.kind},
		{"user id", p.userID},
		{"app id", p.appID},
	} {
		if len(short.text) > maxShort {
			return fmt.Errorf("the %s is %d bytes long; AMQP allows %d", short.what, len(short.text), maxShort)
		}
	}
	return checkTable(p.headers, 0)
}

// metadata returns the headers of a message as metadata: those with plain values.
func metadata(headers map[string]any) micro.Metadata {
	var m micro.Metadata
	for k, v := range headers {
		switch v := v.(type) {
		case string:
			m.Set(k, v)
		case []byte:
			m.Set(k, string(v))
		case bool, int8, uint8, int16, uint16, int32, uint32, int64, float32, float64:
			m.Set(k, fmt.Sprint(v))
		case time.Time:
			m.Set(k, v.Format(time.RFC3339))
		}
	}
	return m
}
