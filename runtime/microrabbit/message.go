package microrabbit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Message holds the properties of one message to send, like the options of NestJS's
// RmqRecord. A field that is zero has the client's default.
type Message struct {
	// MessageID identifies the message, so that its handler can be idempotent. The default
	// is the metadata micro.MetaMessageID, and a unique ID for events without it.
	MessageID string
	// Priority is used by queues with MaxPriority. Messages with a higher priority are
	// delivered first.
	Priority uint8
	// Expiration is how long the message may wait in the queue before the broker drops
	// it. By default, a request expires with its call, and an event does not expire.
	Expiration time.Duration
	// Persistent stores the message on disk, as WithPersistent does for all messages.
	Persistent bool
	// Headers are merged with those of WithHeaders, and override them.
	Headers map[string]any
	// ReplyTo sends the reply to another queue. The call does not receive it.
	ReplyTo string

	ContentType, ContentEncoding string
	Type, AppID, UserID          string
	Timestamp                    time.Time
}

type messageKey struct{}

// WithMessage returns a context for one call or event, whose message gets the
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

// publishing returns the message for req without its body and without the properties
// that differ between requests and events (docs/wire.md 4.2).
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
		messageID:       cmp.Or(m.MessageID, req.Metadata.Get(micro.MetaMessageID)),
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

// milliseconds returns a duration in RabbitMQ's format. It is at least 1: with 0, the
// broker would drop a message that it cannot deliver at once. And it is at most the
// longest that RabbitMQ accepts, 49 days: with more, it would close the channel.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(min(max(d.Milliseconds(), 1), math.MaxUint32), 10)
}

// maxShort is AMQP's limit in bytes for names and most properties (short strings).
const maxShort = 255

// check returns an error if AMQP cannot encode the message.
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

// metadata returns the headers with scalar values as metadata.
func metadata(headers map[string]any) micro.Metadata {
	var m micro.Metadata
	for k, v := range headers {
		if isOwnHeader(k) {
			continue
		}
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
