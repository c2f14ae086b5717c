package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/internal/backoff"
	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/micro"
)

// The headers of redelivered events and dead letters.
const (
	headerRetries  = "x-retries"       // how often the event has been redelivered after a failure
	headerReason   = "x-dead-reason"   // why it is a dead letter: failed, permanent, no handler, not JSON
	headerError    = "x-dead-error"    // the text of the last error
	headerExchange = "x-sent-exchange" // the original exchange, unless the message was sent directly to the queue
	headerKey      = "x-sent-key"      // the original routing key
	headerQueue    = "x-dead-queue"    // the queue that the dead letter was in
)

// isOwnHeader reports whether redelivery or, in the course of it, the broker sets a header.
// Such a header is part of a message's Headers, but not of its metadata, which stays as it
// was sent.
func isOwnHeader(name string) bool {
	switch name {
	case headerRetries, headerReason, headerError, headerExchange, headerKey, headerQueue:
		return true
	}
	return strings.HasPrefix(name, "x-first-death-") || strings.HasPrefix(name, "x-last-death-")
}

// attempt returns the number of the current attempt to handle a message, starting at 1.
func attempt(headers map[string]any) int {
	return 1 + number(headers[headerRetries]) + number(headers["x-delivery-count"])
}

// number returns the value of an integer header, or 0 for any other type.
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
func (l *Listener) setUpDeadLetter(c *connection) error {
	name := l.topology.DeadLetter
	if name == "" || l.ack == AckOnReceipt {
		return nil
	}
	if err := c.declareExchange(name, "topic", nil); err != nil {
		return err
	}
	if _, err := c.declareQueue(name, QueueOptions{}); err != nil {
		return err
	}
	return c.attempt(func(ch *amqp.Channel) error {
		return at(ch.QueueBind(name, "#", name, false, nil), "bind the dead-letter queue %q", name)
	})
}

// refuse gives up a message without a handler. If it is a request, it has been answered.
func (l *Listener) refuse(m *message) {
	why := "no handler"
	if m.bad {
		why = "not JSON"
	}
	l.bury(m, why, nil)
}

// failed redelivers or gives up an event whose handler failed.
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

// permanent reports whether redelivering an event cannot help, because the status of
// its handler's error indicates that the event itself is at fault.
func permanent(err error) bool {
	var told *micro.Error
	if !errors.As(err, &told) {
		return false
	}
	switch told.Status {
	case 408, 425, 429: // Request Timeout, Too Early, Too Many Requests
		return false
	}
	return told.Status >= 400 && told.Status < 500
}

// again moves a failed event to the queue in which it waits for its next attempt. The
// original is acknowledged when the broker has confirmed the copy, so after a failure
// at any point the event is in at least one of the two queues.
func (l *Listener) again(m *message) {
	delay := l.redelivery.after(m.Attempt)
	name := retryQueue(m.Queue, delay)
	msg := m.copy()
	msg.key = name
	msg.headers[headerRetries] = int64(m.retries + 1)
	l.move(m, msg, func(o *outbox) error { return l.declareRetry(o, m.Queue, name, delay) })
}

// retryQueue returns the name of the queue in which events wait for delay.
func retryQueue(queue string, delay time.Duration) string {
	suffix := fmt.Sprintf(".retry.%d", delay.Milliseconds())
	return queue[:min(len(queue), maxShort-len(suffix))] + suffix
}

// declareRetry declares the queue in which events wait. After delay, the broker moves
// each event back to its original queue.
func (l *Listener) declareRetry(o *outbox, queue, name string, delay time.Duration) error {
	durable := l.topology.Queue.durable() && !l.topology.Queue.Exclusive
	return o.declare(name, QueueOptions{Durable: &durable, Arguments: map[string]any{
		"x-message-ttl":             delay.Milliseconds(),
		"x-dead-letter-exchange":    "",
		"x-dead-letter-routing-key": queue,
	}})
}

// bury gives up a message: it moves it to the dead letters or rejects it.
func (l *Listener) bury(m *message, why string, err error) {
	attrs := []any{"queue", m.Queue, "reason", why, "attempt", m.Attempt, "message_id", m.MessageID}
	if l.topology.DeadLetter == "" {
		l.server.LogPeer(slog.LevelError, "message rejected; it is lost unless its queue has a dead-letter exchange", attrs...)
		_ = m.finish(rejected)
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

// copy returns a copy of the message to publish elsewhere. It omits the expiration, the
// further recipients (CC and BCC), and the user ID, which the broker would reject
// because it must be the user of the publishing connection.
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

// move publishes msg in place of m, which is claimed, and acknowledges m when the broker has
// confirmed msg. It retries until the connection on which m can be settled has ended; the broker
// then delivers m again.
func (l *Listener) move(m *message, msg *publishing, prepare func(*outbox) error) {
	l.settling.Go(func() {
		pause := backoff.Pauses{Longest: l.maxDelay}
		for {
			err := l.moveOnce(msg, prepare)
			if err == nil {
				_ = m.finish(acked) // if the acknowledgment is lost, the message may be duplicated, but never lost
				return
			}
			l.server.LogPeer(slog.LevelError, "could not move message", "queue", m.Queue, "to", msg.key, "error", err)
			if !l.ledger.settleable(&m.Delivery) || pause.Wait(l.moving) != nil {
				l.ledger.settle(&m.Delivery, requeued)
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
		o.remember(msg.key, false) // the queue was deleted
	}
	return err
}
