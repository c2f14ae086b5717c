package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// The headers of messages that come again or go to the dead letters.
const (
	headerRetries = "x-retries"     // how often the event has come again after a failure
	headerReason  = "x-dead-reason" // why it is a dead letter: failed, permanent, no handler, not JSON
	headerError   = "x-dead-error"  // the text of the last failure
	headerQueue   = "x-dead-queue"  // the queue it was in
)

// attempt returns how often a message has been handled with this time.
func attempt(headers amqp.Table) int {
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

// setUpDeadLetter declares the exchange and the queue of WithDeadLetter.
func (l *Listener) setUpDeadLetter(ch *amqp.Channel) error {
	name := l.deadLetter
	if name == "" || l.noAck {
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
	var told *micro.Error
	switch {
	case errors.As(err, &told) && told.Status >= 400 && told.Status < 500:
		l.bury(m, "permanent", err)
	case m.Attempt >= l.redelivery.Attempts:
		l.bury(m, "failed", err)
	default:
		l.again(m)
	}
}

// again sends a failed event to the queue where it waits for its next attempt,
// and acknowledges it when the broker has confirmed that. Whatever fails in
// between, the event is at least in one of the two queues.
func (l *Listener) again(m *message) {
	delay := l.redelivery.after(m.Attempt)
	name := fmt.Sprintf("%s.retry.%d", m.Queue, delay.Milliseconds())
	msg := m.copy()
	msg.Headers[headerRetries] = int64(number(m.Headers[headerRetries]) + 1)
	msg.Headers[micro.MetaAttempt] = fmt.Sprint(m.Attempt + 1)
	l.move(m, "", name, msg, func(s *outSession) error { return l.declareRetry(s, m.Queue, name, delay) })
}

// declareRetry declares the queue where events wait; after delay each goes back to
// the queue it came from.
func (l *Listener) declareRetry(s *outSession, queue, name string, delay time.Duration) error {
	if _, known := s.declared.Load(name); known {
		return nil
	}
	ch, err := s.Channel()
	if err != nil {
		return at(err, "open a channel on %s", s.name)
	}
	defer func() { _ = ch.Close() }()
	_, err = ch.QueueDeclare(name, l.queueOptions.durable() && !l.queueOptions.Exclusive, false, false, false, amqp.Table{
		"x-message-ttl":             delay.Milliseconds(),
		"x-dead-letter-exchange":    "",
		"x-dead-letter-routing-key": queue,
	})
	if err == nil {
		s.declared.Store(name, true)
	}
	return at(err, "declare the queue %q", name)
}

// bury puts a message away for good.
func (l *Listener) bury(m *message, why string, err error) {
	attrs := []any{"queue", m.Queue, "reason", why, "attempt", m.Attempt, "message_id", m.MessageID}
	if l.deadLetter == "" {
		l.server.LogPeer(slog.LevelError, "message rejected: it is lost unless its queue has a dead-letter exchange", attrs...)
		_ = m.Nack(false)
		return
	}
	l.server.LogPeer(slog.LevelError, "message sent to the dead letters", append(attrs, "dead_letter", l.deadLetter)...)
	msg := m.copy()
	msg.Headers[headerReason] = why
	msg.Headers[headerQueue] = m.Queue
	if err != nil {
		msg.Headers[headerError] = clip(err.Error())
	}
	l.move(m, l.deadLetter, m.Queue, msg, nil)
}

func clip(text string) string { return string(micro.SanitizeUTF8([]byte(text[:min(len(text), 1024)]))) }

// copy makes the message anew, with all its properties.
func (m *message) copy() amqp.Publishing {
	d := m.raw
	headers := make(amqp.Table, len(d.Headers)+3)
	maps.Copy(headers, d.Headers)
	return amqp.Publishing{
		Headers: headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding,
		DeliveryMode: d.DeliveryMode, Priority: d.Priority, CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo,
		MessageId: d.MessageId, Timestamp: d.Timestamp, Type: d.Type, AppId: d.AppId,
		Body: d.Body,
	}
}

// move publishes msg in place of m and acknowledges m when the broker has it. It
// goes on trying for as long as the connection that m came by lives: without it the
// broker gives m to somebody else.
func (l *Listener) move(m *message, exchange, key string, msg amqp.Publishing, prepare func(*outSession) error) {
	if m.settled.Swap(true) {
		return
	}
	l.settling.Go(func() {
		ctx, cancel := context.WithCancel(l.out.ctx)
		defer cancel()
		stop := context.AfterFunc(ctx, func() {})
		defer stop()
		pause := pauses{longest: l.maxDelay}
		for {
			err := l.moveOnce(ctx, exchange, key, msg, prepare)
			if err == nil {
				_ = m.in.ch.Ack(m.tag, false) // if it is lost the message comes twice, never not at all
				return
			}
			l.server.LogPeer(slog.LevelError, "message cannot be moved yet", "queue", m.Queue, "to", exchange+key, "error", err)
			if m.in.IsClosed() || errors.Is(err, errStopped) || !pause.wait(ctx) {
				return
			}
		}
	})
}

const moveTimeout = 10 * time.Second

func (l *Listener) moveOnce(ctx context.Context, exchange, key string, msg amqp.Publishing, prepare func(*outSession) error) error {
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	s, err := l.out.get(ctx)
	if err != nil {
		return err
	}
	if prepare != nil {
		if err := prepare(s); err != nil {
			return err
		}
	}
	err = s.publish(ctx, time.Now().Add(moveTimeout), exchange, key, true, msg)
	if errors.Is(err, micro.ErrUnreachable) {
		s.declared.Delete(key) // somebody has deleted it
	}
	return err
}
