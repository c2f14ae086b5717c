package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// queueState is what RabbitMQ tells every user about a queue.
type queueState struct {
	exists    bool
	ready     int // messages that no consumer has received
	consumers int
	// stuck is set if messages stayed in the queue, although it has consumers, while a question waited.
	stuck bool
	// samples are the numbers of ready messages while the question waited.
	samples []int
}

// broker is a connection to RabbitMQ for the examination.
type broker struct{ *amqp.Connection }

// openBroker connects to the first of the servers that accepts a connection.
func (e *exam) openBroker(ctx context.Context, t target.Target) (*broker, error) {
	urls, config, err := e.Flags.Driver(t)
	if err != nil {
		return nil, err
	}
	for one := range strings.SplitSeq(urls, ",") {
		var c *amqp.Connection
		if c, err = dialBroker(ctx, one, config, e.Timeout); err == nil {
			return &broker{c}, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
}

func dialBroker(ctx context.Context, url string, config *tls.Config, timeout time.Duration) (*amqp.Connection, error) {
	return amqp.DialConfig(url, amqp.Config{
		TLSClientConfig: config, Locale: "en_US",
		Properties: amqp.Table{"connection_name": "msctl doctor"},
		Dial: func(network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return conn, conn.SetDeadline(time.Now().Add(timeout)) // amqp removes it after the handshake
		},
	})
}

// try runs an operation that the broker may reject, on a channel of its own.
func (b *broker) try(operation func(*amqp.Channel) error) error {
	ch, err := b.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	return operation(ch)
}

// state looks at a queue without changing it.
func (b *broker) state(queue string) (*queueState, error) {
	s := &queueState{}
	err := b.try(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
		s.exists, s.ready, s.consumers = err == nil, q.Messages, q.Consumers
		return err
	})
	var rejected *amqp.Error
	if errors.As(err, &rejected) && rejected.Code == amqp.NotFound {
		return s, nil
	}
	return s, err
}

// mostQuestions limits how often the services of one queue are asked.
const mostQuestions = 16

// observeQueue asks the services of a queue often enough that each of them is asked, because the broker
// gives them the messages in turn.
func (e *exam) observeQueue(ctx context.Context, client *micro.Client, o *observation) {
	queue := o.target.Broker.Queue
	b, err := e.openBroker(ctx, o.target)
	if err != nil {
		o.queueErr = err
		o.err = o.once(ctx, client) // its error has the reason in the user's terms
		return
	}
	defer b.Close()
	times := 1
	if queue != "" {
		if o.queue, o.queueErr = b.state(queue); o.queueErr == nil {
			times = min(max(4, 3*o.queue.consumers), mostQuestions)
		}
	}
	if o.queue != nil && (!o.queue.exists || o.queue.consumers == 0) {
		times = 1
		if o.queue.exists {
			o.err = fmt.Errorf("%w: queue %s has no consumer", micro.ErrNotServed, queue)
			return // a question would wait in the queue until it expires
		}
	}
	for range times {
		stop := o.sample(ctx, b, queue, e.Timeout)
		err := o.once(ctx, client)
		stop()
		if err != nil {
			if o.replies == 0 {
				o.err = err
			}
			if o.queue != nil {
				o.queue.stuck = errors.Is(err, micro.ErrTimeout) && stuck(o.queue.samples)
			}
			return
		}
	}
}

// sample counts the ready messages while a question waits, until stop is called.
func (o *observation) sample(ctx context.Context, b *broker, queue string, timeout time.Duration) (stop func()) {
	if o.queue == nil || !o.queue.exists {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	samples, start := []int{}, time.Now()
	go func() {
		defer close(done)
		every := time.NewTicker(max(timeout/10, time.Millisecond))
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			// The question itself expires at the timeout, and leaves the queue then.
			if s, err := b.state(queue); err == nil && time.Since(start) < timeout*9/10 {
				samples = append(samples, s.ready)
			}
		}
	}()
	return func() {
		cancel()
		<-done
		o.queue.samples = samples
	}
}

// enoughSamples is how many samples must agree: fewer may have been taken before a consumer took the question.
const enoughSamples = 3

// stuck reports whether no message was taken from a queue while a question waited in it.
func stuck(samples []int) bool {
	if len(samples) < enoughSamples {
		return false
	}
	for i, n := range samples {
		if n == 0 || i > 0 && n < samples[i-1] {
			return false
		}
	}
	return true
}
