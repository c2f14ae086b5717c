package observe

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

const rabbitEffect = "while this is running, RabbitMQ copies the messages of the vhost, and takes two to three times the CPU for each"

// firehose is the exchange to which RabbitMQ publishes a copy of each message, while tracing is on.
const firehose = "amq.rabbitmq.trace"

// The limits of the queue that the copies wait in. RabbitMQ drops the oldest ones then.
const (
	rabbitMessages = 20_000
	rabbitBytes    = 64 << 20
	rabbitPrefetch = 100 // copies that are on their way here
	rabbitAck      = 50 * time.Millisecond
	rabbitProbe    = 2 * time.Second
)

// rabbitSession receives the copies of the messages of a virtual host.
type rabbitSession struct {
	observer *Observer
	conn     *amqp.Connection
	ch       *amqp.Channel
	copies   <-chan amqp.Delivery
	queue    string // the only one that is observed; "" for all
	own      string // that the copies wait in
	probe    string // the routing key of a message that shows whether tracing is on
	full     bool   // that the queue was full has been noted
}

func openRabbitMQ(ctx context.Context, b *Observer, f *target.Flags, t target.Target) (session, error) {
	conn, err := dialRabbitMQ(ctx, f, t)
	if err != nil {
		return nil, err
	}
	s := &rabbitSession{observer: b, conn: conn, queue: t.Broker.Queue, probe: "msctl.tap." + strings.ToLower(rand.Text())}
	stop := context.AfterFunc(ctx, func() { _ = conn.CloseDeadline(time.Now()) })
	err = s.subscribe()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.close()
		return nil, rabbitFailure(err)
	}
	on, err := s.traced()
	if err != nil {
		s.close()
		return nil, rabbitFailure(err)
	}
	if !on {
		b.note(fmt.Sprintf("tracing is off in the vhost %s, so nothing will be shown: `rabbitmqctl trace_on -p %s` switches it on, and trace_off switches it off",
			t.Broker.VHost, t.Broker.VHost))
	}
	return s, nil
}

// dialRabbitMQ connects to the first of the servers that accepts a connection.
func dialRabbitMQ(ctx context.Context, f *target.Flags, t target.Target) (*amqp.Connection, error) {
	urls, config, err := f.Driver(t)
	if err != nil {
		return nil, err
	}
	for one := range strings.SplitSeq(urls, ",") {
		var conn *amqp.Connection
		if conn, err = dialOneRabbitMQ(ctx, one, config); err == nil {
			return conn, nil
		}
	}
	if errors.Is(err, amqp.ErrCredentials) || errors.Is(err, amqp.ErrSASL) {
		return nil, fmt.Errorf("%w: RabbitMQ at %s rejected the login", micro.ErrRefused, t.Where())
	}
	if errors.Is(err, amqp.ErrVhost) {
		return nil, fmt.Errorf("%w: RabbitMQ at %s has no vhost %s, or does not let the user access it", micro.ErrRefused, t.Where(), t.Broker.VHost)
	}
	return nil, rabbitFailure(err)
}

func dialOneRabbitMQ(ctx context.Context, url string, config *tls.Config) (*amqp.Connection, error) {
	return amqp.DialConfig(url, amqp.Config{
		TLSClientConfig: config, Locale: "en_US", Heartbeat: 10 * time.Second,
		Properties: amqp.Table{"connection_name": "msctl tap"},
		Dial: func(network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{Timeout: target.ProbeTimeout}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return conn, conn.SetDeadline(time.Now().Add(target.ProbeTimeout)) // the driver removes it after the handshake
		},
	})
}

// refusedAccess matches RabbitMQ's text for a permission that a user does not have.
var refusedAccess = regexp.MustCompile(`(?:(configure|write|read) )?access to (queue|exchange|topic) '(.*?)' in .*?vhost '(.*?)' refused for user '(.*)'`)

// rabbitFailure is the error of connecting, and of what is done on a connection.
func rabbitFailure(err error) error {
	var broker *amqp.Error
	if !errors.As(err, &broker) || !broker.Server {
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	text := fmt.Errorf("%s (%d)", broker.Reason, broker.Code)
	if m := refusedAccess.FindStringSubmatch(broker.Reason); m != nil {
		if m[1] == "" { // older versions do not name the permission
			m[1] = "read"
		}
		denied := &microrabbit.PermissionError{Permission: m[1], Kind: m[2], Name: m[3], VHost: m[4], User: m[5]}
		return fmt.Errorf("%w: %w", micro.ErrForbidden, &forbidden{text, denied})
	}
	return fmt.Errorf("%w: %w", micro.ErrRefused, text)
}

// forbidden is RabbitMQ's text about a permission that a user lacks.
type forbidden struct {
	error
	denied *microrabbit.PermissionError
}

// Unwrap returns the permission, which matches micro.ErrForbidden.
func (e *forbidden) Unwrap() error { return e.denied }

// subscribe declares a queue of our own for the copies.
func (s *rabbitSession) subscribe() (err error) {
	if s.ch, err = s.conn.Channel(); err != nil {
		return err
	}
	q, err := s.ch.QueueDeclare("", false, true, true, false, amqp.Table{
		"x-max-length": int32(rabbitMessages), "x-max-length-bytes": int64(rabbitBytes), "x-overflow": "drop-head",
	})
	if err != nil {
		return err
	}
	s.own = q.Name
	if err := s.ch.Qos(rabbitPrefetch, 0, false); err != nil {
		return err
	}
	delivered := "deliver.#"
	if s.queue != "" {
		delivered = "deliver." + s.queue
	}
	for _, what := range []string{"publish.#", delivered} {
		if err := s.ch.QueueBind(s.own, what, firehose, false, nil); err != nil {
			return err
		}
	}
	s.copies, err = s.ch.Consume(s.own, "", false, true, false, false, nil)
	return err
}

// traced reports whether tracing is on: it publishes a message that reaches no queue, and waits for its copy.
func (s *rabbitSession) traced() (bool, error) {
	ch, err := s.conn.Channel() // the broker closes it if the user may not publish
	if err != nil {
		return false, err
	}
	defer func() { _ = ch.Close() }()
	if err := ch.Confirm(false); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(s.observer.ctx, rabbitProbe)
	defer cancel()
	confirmed, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", s.probe, false, false, amqp.Publishing{})
	if err == nil {
		_, err = confirmed.WaitContext(ctx)
	}
	if err != nil {
		return true, nil //nolint:nilerr // it is not known: the user may not publish
	}
	for {
		select {
		case d, ok := <-s.copies:
			if !ok {
				return false, amqp.ErrClosed
			}
			found := routingKey(&d) == s.probe
			s.receive(&d)
			if err := d.Ack(false); err != nil {
				return false, err
			}
			if found {
				return true, nil
			}
		case <-ctx.Done():
			return false, nil
		}
	}
}

func (s *rabbitSession) serve(ctx context.Context) error {
	watching, acking := time.NewTicker(time.Second), time.NewTicker(rabbitAck)
	defer watching.Stop()
	defer acking.Stop()
	ended := s.conn.NotifyClose(make(chan *amqp.Error, 1))
	var last *amqp.Delivery // of those that have not been acknowledged
	for n := 1; ; n++ {
		var err error
		select {
		case d, ok := <-s.copies:
			if !ok {
				return ending(ended)
			}
			s.receive(&d)
			if last = &d; n%(rabbitPrefetch/2) == 0 {
				err, last = d.Ack(true), nil
			}
		case <-acking.C:
			if last != nil {
				err, last = last.Ack(true), nil
			}
		case <-watching.C:
			err = s.watch()
		case <-ctx.Done():
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ending returns why a connection has ended, if that is known.
func ending(ended <-chan *amqp.Error) error {
	select {
	case err := <-ended:
		if err != nil {
			return errors.New(err.Reason)
		}
	default:
	}
	return nil
}

// watch notes that RabbitMQ drops copies, which it does not count.
func (s *rabbitSession) watch() error {
	q, err := s.ch.QueueDeclarePassive(s.own, false, true, true, false, nil)
	if err != nil {
		return err
	}
	full := q.Messages >= rabbitMessages
	if full && !s.full {
		s.observer.table.drop(1)
		s.observer.note(fmt.Sprintf("RabbitMQ drops messages before they are shown, because more than %d are waiting", rabbitMessages))
	}
	s.full = full
	return nil
}

func (s *rabbitSession) close() { _ = s.conn.CloseDeadline(time.Now().Add(2 * time.Second)) }
