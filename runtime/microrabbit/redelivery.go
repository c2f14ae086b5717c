package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/micro"
)

// The headers of messages that come again or go to the dead letters.
const (
	headerRetries  = "x-retries"       // how often the event has come again after a failure
	headerReason   = "x-dead-reason"   // why it is a dead letter: failed, permanent, no handler, not JSON
	headerError    = "x-dead-error"    // the text of the last failure
	headerExchange = "x-sent-exchange" // where the event was sent to at first, unless to the queue
	headerKey      = "x-sent-key"
	headerQueue    = "x-dead-queue" // the queue it was in
)

// attempt returns how often a message has been handled with this time.
func attempt(headers map[string]any) int {
	return 1 + number(headers[headerRetries]) + number(headers["x-delivery-count"])
}

// number reads a header that counts something; anything else is 0.
func number(v any) int {
	n := int64(0)
	switch v := v.(type) {
	case int64:
		n = v
	case int32:
		n = int64(v)
	case int16:
		n = int64(v)
	case int8:
		n = int64(v)
	case uint8:
		n = int64(v)
	}
	return int(min(max(n, 0), 1<<30))
}

// setUpDeadLetter declares the exchange and the queue of Topology.DeadLetter.
func (l *Listener) setUpDeadLetter(ch *amqp.Channel) error {
	name := l.topology.DeadLetter
	if name == "" || l.ack == AckOnReceipt {
		return nil
	}
	if err := ch.ExchangeDeclare(name, "topic", true, false, false, false, nil); err != nil {
		return at(err, "declare the dead-letter exchange %q", name)
	}
	if _, err := ch.QueueDeclare(name, true, false, false, false, nil); err != nil {
		return at(err, "declare the dead-letter queue %q", name)
	}
	return at(ch.QueueBind(name, "#", name, false, nil), "bind the dead-letter queue %q", name)
}

// refuse puts away a message that nobody handles; a request has been answered.
func (l *Listener) refuse(m *message) {
	why := "no handler"
	if m.bad {
		why = "not JSON"
	}
	l.bury(m, why, nil)
}

// failed decides what becomes of an event whose handler failed.
func (l *Listener) failed(m *message, err error) {
	switch {
	case permanent(err):
		l.bury(m, "permanent", err)
	case m.Attempt >= l.redelivery.Attempts:
		l.bury(m, "failed", err)
	default:
		l.again(m)
	}
}

// permanent reports whether an event fails again however often it comes: its
// handler says with a status that the fault is the event's own.
func permanent(err error) bool {
	var told *micro.Error
	if !errors.As(err, &told) {
		return false
	}
	switch told.Status {
	case 408, 425, 429: // too late, too early, too often
		return false
	}
	return told.Status >= 400 && told.Status < 500
}

// again sends a failed event to the queue where it waits for its next attempt,
// and acknowledges it when the broker has confirmed that. Whatever fails in
// between, the event is at least in one of the two queues.
func (l *Listener) again(m *message) {
	delay := l.redelivery.after(m.Attempt)
	name := retryQueue(m.Queue, delay)
	msg := m.copy()
	msg.key = name
	msg.headers[headerRetries] = int64(number(m.Headers[headerRetries]) + 1)
	msg.headers[micro.MetaAttempt] = fmt.Sprint(m.Attempt + 1)
	l.move(m, msg, func(o *outbox) error { return l.declareRetry(o, m.Queue, name, delay) })
}

// retryQueue is the name of the queue where events wait for so long.
func retryQueue(queue string, delay time.Duration) string {
	suffix := fmt.Sprintf(".retry.%d", delay.Milliseconds())
	return queue[:min(len(queue), maxShort-len(suffix))] + suffix
}

// declareRetry declares the queue where events wait; after delay each goes back to
// the queue it came from.
func (l *Listener) declareRetry(o *outbox, queue, name string, delay time.Duration) error {
	return o.declare(name, l.topology.Queue.durable() && !l.topology.Queue.Exclusive, amqp.Table{
		"x-message-ttl":             delay.Milliseconds(),
		"x-dead-letter-exchange":    "",
		"x-dead-letter-routing-key": queue,
	})
}

// bury puts a message away for good.
func (l *Listener) bury(m *message, why string, err error) {
	attrs := []any{"queue", m.Queue, "reason", why, "attempt", m.Attempt, "message_id", m.MessageID}
	if l.topology.DeadLetter == "" {
		l.server.LogPeer(slog.LevelError, "message rejected; it is lost unless its queue has a dead-letter exchange", attrs...)
		_ = m.Nack(false)
		return
	}
	l.server.LogPeer(slog.LevelError, "message dead-lettered", append(attrs, "dead_letter", l.topology.DeadLetter)...)
	msg := m.copy()
	msg.headers[headerReason] = why
	msg.headers[headerQueue] = m.Queue
	if err != nil {
		msg.headers[headerError] = clip(err.Error())
	}
	msg.exchange, msg.key = l.topology.DeadLetter, m.Queue
	l.move(m, msg, nil)
}

func clip(text string) string { return string(js.SanitizeUTF8([]byte(text[:min(len(text), 1024)]))) }

// copy makes the message again, to be sent elsewhere, with all that it has but what
// was for its way here: its expiration, further addressees, and its sender's name,
// which the broker would not take from us.
func (m *message) copy() *publishing {
	p := &publishing{mandatory: true, properties: m.properties, body: m.body}
	p.headers = make(map[string]any, len(m.Headers)+5)
	maps.Copy(p.headers, m.Headers)
	delete(p.headers, "CC")
	delete(p.headers, "BCC")
	if m.Exchange != "" {
		p.headers[headerExchange], p.headers[headerKey] = m.Exchange, m.RoutingKey
	}
	p.priority, p.timestamp = m.Priority, m.Timestamp
	p.correlationID, p.replyTo, p.messageID = m.CorrelationID, m.ReplyTo, m.MessageID
	p.contentType, p.kind, p.appID = m.ContentType, m.Type, m.AppID
	return p
}

// move publishes msg in place of m and acknowledges m when the broker has it. It
// goes on trying for as long as the connection that m came by lives: without it the
// broker gives m to somebody else.
func (l *Listener) move(m *message, msg *publishing, prepare func(*outbox) error) {
	if m.settled.Swap(true) {
		return
	}
	l.settling.Go(func() {
		pause := pauses{longest: l.maxDelay}
		for {
			err := l.moveOnce(msg, prepare)
			if err == nil {
				_ = m.in.ack(m.in.channel, m.tag, false) // if it is lost the message comes twice, never not at all
				return
			}
			l.server.LogPeer(slog.LevelError, "message cannot be moved yet", "queue", m.Queue, "to", msg.key, "error", err)
			if m.in.IsClosed() || !pause.wait(l.moving) {
				return
			}
		}
	})
}

const moveTimeout = 10 * time.Second

func (l *Listener) moveOnce(msg *publishing, prepare func(*outbox) error) error {
	ctx, cancel := context.WithTimeout(l.moving, moveTimeout)
	defer cancel()
	o, err := l.out.get(ctx)
	if err != nil {
		return err
	}
	if prepare != nil {
		if err := prepare(o); err != nil {
			return err
		}
	}
	err = o.publish(ctx, time.Now().Add(moveTimeout), msg)
	if errors.Is(err, micro.ErrNotServed) {
		o.remember(msg.key, false) // somebody has deleted it
	}
	return err
}
