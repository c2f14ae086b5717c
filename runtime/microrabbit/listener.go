package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// Listener serves NestJS' RabbitMQ transport. Make it with Listen.
type Listener struct {
	shared
	noAck          bool
	prefetch       int
	globalPrefetch bool
	consumerTag    string
	maxAttempts    int
	redelivery     Redelivery
	deadLetter     string

	addresses []address
	badURL    error
	server    *micro.Server
	served    atomic.Bool
	ready     chan struct{} // closed when it first consumes
	readyOnce sync.Once
	known     string // the queue's name of the last connection

	out      outbox
	settling sync.WaitGroup // messages that are being sent elsewhere
}

// intake is what a listener has on one connection.
type intake struct {
	*connection
	ch         *amqp.Channel
	queue      string
	tag        string
	noAck      bool
	deliveries <-chan amqp.Delivery
}

// Listen returns a listener that takes messages from queue at the broker at url,
// or at the first of several, with commas between them, that can be reached. With
// no queue ("") the broker makes up a name. It connects when a server serves it.
// A listener serves once.
func Listen(url, queue string, opts ...ListenOption) *Listener {
	l := &Listener{
		shared:     defaults(queue),
		noAck:      true,
		prefetch:   DefaultPrefetch,
		redelivery: Redelivery{}.withDefaults(),
		ready:      make(chan struct{}),
	}
	for _, o := range opts {
		o.applyListen(l)
	}
	l.addresses, l.badURL = parseAddresses(url)
	l.out.listener = l
	l.out.changed = make(chan struct{})
	return l
}

// Ready waits until the listener takes messages for the first time, or ctx ends.
func (l *Listener) Ready(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Serve takes messages until ctx ends, then drains: it takes no more, waits until
// those in flight have been handled and acknowledged, at the most for
// s.DrainTimeout, and closes its connections. Messages it has received and not
// begun go back to the queue. A connection that is lost is made again, with all
// that was set up on it, for ever; Serve returns an error when the broker
// refuses what is asked of it for good: at first who asks, at any time a queue
// or an exchange that exists with other options.
func (l *Listener) Serve(ctx context.Context, s *micro.Server) error {
	if l.served.Swap(true) {
		return fmt.Errorf("listen to the queue %q: a listener serves once: make another with Listen", l.queue)
	}
	l.server = s
	if l.badURL != nil {
		return l.badURL
	}
	outCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer l.out.wg.Wait()
	defer stop()
	l.out.ctx = outCtx
	return l.serve(ctx)
}

func (l *Listener) serve(ctx context.Context) error {
	pause := pauses{longest: l.maxDelay}
	for attempt, ever := 1, false; ; attempt++ {
		in, err := l.open(ctx)
		if err == nil {
			ever = true
			pause.reset()
			l.announce(in)
			l.consume(ctx, in)
		}
		if ctx.Err() != nil {
			l.drain(in)
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%w: %s: %s", micro.ErrConnectionLost, in.name, reason(in.why))
			in.shut()
		}
		if final(err) || !ever && (hopeless(err) || attempt == l.maxAttempts) {
			l.drain(nil)
			return fmt.Errorf("listen to the queue %q: %w", l.queue, err)
		}
		l.server.Logger().Warn("not connected to the broker", "queue", l.queue, "error", err)
		pause.wait(ctx)
	}
}

func (l *Listener) announce(in *intake) {
	l.known = in.queue
	l.server.Logger().Info("listening", "transport", "rabbitmq", "address", in.name, "queue", in.queue)
	l.readyOnce.Do(func() { close(l.ready) })
}

// open makes a connection, declares what is to be there and starts consuming.
func (l *Listener) open(ctx context.Context) (*intake, error) {
	conn, err := l.connect(ctx, l.addresses, "server of")
	if err != nil {
		return nil, err
	}
	in := &intake{connection: conn, noAck: l.noAck}
	if err := l.setUp(in); err != nil {
		conn.shut()
		return nil, err
	}
	return in, nil
}

func (l *Listener) setUp(in *intake) (err error) {
	if in.ch, err = in.channel(); err != nil {
		return err
	}
	if in.queue, err = l.setUpServer(in.ch, l.known, l.server); err != nil {
		return err
	}
	if err = l.setUpDeadLetter(in.ch); err != nil {
		return err
	}
	if err = in.ch.Qos(l.prefetch, 0, l.globalPrefetch); err != nil {
		return at(err, "set the prefetch count of %d", l.prefetch)
	}
	in.tag = l.consumerTag
	if in.tag == "" {
		in.tag = "msctl-" + micro.NewCorrelationID()
	}
	cancelled := in.ch.NotifyCancel(make(chan string, 1))
	in.wg.Go(func() {
		if _, ok := <-cancelled; ok {
			in.end(fmt.Errorf("the queue %q is gone", in.queue))
		}
	})
	if in.deliveries, err = in.ch.Consume(in.queue, in.tag, false, false, false, false, nil); err != nil {
		return at(err, "take messages from the queue %q", in.queue)
	}
	return nil
}

// consume hands messages to the server until the connection is lost or ctx ends.
func (l *Listener) consume(ctx context.Context, in *intake) {
	for {
		select {
		case <-ctx.Done():
			return
		case d, ok := <-in.deliveries:
			if !ok {
				<-in.down
				return
			}
			l.take(ctx, in, &d)
		}
	}
}

// drain lets what is in flight finish; in is nil while there is no connection.
func (l *Listener) drain(in *intake) {
	ctx, cancel := context.WithTimeout(context.Background(), l.server.DrainTimeout())
	defer cancel()
	if in != nil {
		in.cancelConsumer()
	}
	if err := l.server.Wait(ctx); err != nil {
		l.server.Logger().Warn("handlers still run after the drain timeout", "timeout", l.server.DrainTimeout())
	}
	l.awaitSettled(ctx)
	if in != nil {
		in.shut()
	}
}

// cancelConsumer stops the broker from sending; what it has sent and nobody has
// begun goes back to the queue when the channel is closed.
func (in *intake) cancelConsumer() {
	in.wg.Go(func() {
		for range in.deliveries {
			continue
		}
	})
	if err := in.ch.Cancel(in.tag, false); err != nil && !errors.Is(err, amqp.ErrClosed) {
		in.end(err)
	}
}

// awaitSettled waits for the messages that are being sent elsewhere.
func (l *Listener) awaitSettled(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		l.settling.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		l.out.stop()
		<-done
	}
}

// take hands one message to the server.
func (l *Listener) take(ctx context.Context, in *intake, d *amqp.Delivery) {
	m := &message{listener: l, raw: d}
	m.Delivery = newDelivery(in, d)
	body := micro.SanitizeUTF8(d.Body)
	packet, err := micro.ParsePacket(body)
	if err != nil {
		packet = micro.TextPacket(body)
		m.bad = true
	}
	m.event = packet.ID == nil
	inbound := l.server.Deliver(l.server.Context(), micro.Delivery{
		Packet:  &packet,
		To:      m,
		Route:   l.route(&packet),
		Headers: metadata(d.Headers),
		Details: m.Delivery,
		Done:    m.done,
	})
	if inbound == nil {
		return
	}
	m.started = true
	if in.noAck {
		_ = in.ch.Ack(m.tag, false) // when this fails it comes again, as it might after any loss
	}
	inbound.Go()
	_ = ctx
}

// message is one received message on its way through the server.
type message struct {
	*Delivery
	listener *Listener
	raw      *amqp.Delivery
	event    bool
	bad      bool // not JSON
	started  bool // a handler has it
}

// Respond publishes one packet of the answer (docs/wire.md 4.2).
func (m *message) Respond(ctx context.Context, p micro.ReplyPacket) error {
	if m.ReplyTo == "" {
		return nil // nobody asked for it to go anywhere
	}
	if !p.Disposed && p.Response == nil && p.Err == nil && !p.NoHandler {
		return nil // undefined: the packet {} would end the call with the value {}
	}
	return m.listener.out.reply(ctx, m.ReplyTo, amqp.Publishing{CorrelationId: m.CorrelationID, Body: p.AppendWithoutID(nil)})
}

// done settles the message when all has been done for it.
func (m *message) done(err error) {
	if m.in.noAck {
		if !m.started {
			_ = m.in.ch.Ack(m.tag, false)
		}
		return
	}
	switch {
	case m.settled.Load():
	case !m.started && errors.Is(err, micro.ErrNoHandler):
		m.listener.refuse(m)
	case !m.started:
		_ = m.Nack(true)
	case err == nil || !m.event:
		_ = m.Ack()
	default:
		m.listener.failed(m, err)
	}
}

const replyTimeout = 5 * time.Second
