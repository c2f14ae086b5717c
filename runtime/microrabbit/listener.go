package microrabbit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Listener serves NestJS's RabbitMQ transport. Make it with Listen.
type Listener struct {
	shared
	prefetch       int
	globalPrefetch bool
	consumerTag    string
	redelivery     Redelivery
	redelivers     bool // WithRedelivery was given

	addresses []address
	invalid   error // why the URL or an option cannot be used
	server    *micro.Server
	watch     lead.Watch
	served    atomic.Bool
	ready     chan struct{} // closed when it first consumes
	readyOnce sync.Once
	known     string // the queue's name of the last connection

	out       link[*outbox]
	outWarned atomic.Bool
	late      atomic.Int64   // answers that wait for it without a handler
	settling  sync.WaitGroup // messages that are being sent elsewhere

	work       context.Context // of what is received, until the end of the drain
	stopWork   context.CancelFunc
	moving     context.Context // of sending messages elsewhere
	stopMoving context.CancelFunc
	ending     sync.WaitGroup // lost connections
}

// Listen returns a listener that takes messages from queue at the broker at url,
// or at the first of several, with commas between them, that can be reached. With
// no queue ("") the broker makes up a name. It connects when a server serves it.
// A listener serves once.
func Listen(url, queue string, opts ...ListenOption) *Listener {
	l := &Listener{
		shared:     defaults(queue),
		prefetch:   DefaultPrefetch,
		redelivery: Redelivery{}.withDefaults(),
		ready:      make(chan struct{}),
	}
	for _, o := range opts {
		o.applyListen(l)
	}
	if !l.ackSet && (l.redelivers || l.topology.DeadLetter != "") {
		l.ack = AckAfterHandling
	}
	l.addresses, l.invalid = parseAddresses(url)
	if l.invalid == nil {
		l.invalid = l.check()
	}
	l.out.open, l.out.attempts, l.out.longest = l.openOutbox, -1, l.maxDelay
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

// Addr waits as Ready does, and returns the address of the broker, without
// credentials.
func (l *Listener) Addr(ctx context.Context) (net.Addr, error) {
	if err := l.Ready(ctx); err != nil {
		return nil, err
	}
	return brokerAddr(names(l.addresses)), nil
}

// brokerAddr is the address of a broker.
type brokerAddr string

func (brokerAddr) Network() string  { return "rabbitmq" }
func (a brokerAddr) String() string { return string(a) }

// Serve takes messages until ctx ends, then drains: it takes no more, waits until
// those in flight have been handled and acknowledged, at most for
// s.DrainTimeout, and closes its connections. Messages it has received and not
// begun go back to the queue. A connection that is lost is made again, with all
// that was set up on it, forever; Serve returns an error when the broker
// refuses what is asked of it for good: at first who asks, at any time a queue
// or an exchange that exists with other options.
func (l *Listener) Serve(ctx context.Context, s *micro.Server) error {
	if l.served.Swap(true) {
		return fmt.Errorf("listen to the queue %q: a listener serves once: make another with Listen", l.queue)
	}
	l.server = s
	if l.invalid != nil {
		return fmt.Errorf("listen to the queue %q: %w", l.queue, l.invalid)
	}
	if l.ack == AckOnReceipt && (l.redelivers || l.topology.DeadLetter != "") {
		s.Logger().Warn("redelivery and dead letters require AckAfterHandling: no event is redelivered", "queue", l.queue)
	}
	defer l.watch.Start()() // stops last: a connection ends when another goroutine can lead it
	out, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer l.out.close()
	defer stop()
	l.out.ctx = out
	l.moving, l.stopMoving = context.WithCancel(out)
	defer l.stopMoving()
	l.work, l.stopWork = context.WithCancel(s.Context())
	defer l.ending.Wait()
	defer l.stopWork()
	return l.serve(ctx)
}

func (l *Listener) serve(ctx context.Context) error {
	pause := pauses{longest: l.maxDelay}
	for failures, ever := 0, false; ; {
		in, err := l.open(ctx)
		failures++
		if err == nil {
			failures, ever = 0, true
			l.announce(in)
			pause.during(func() {
				select {
				case <-in.down:
				case <-ctx.Done():
				}
			})
		}
		if ctx.Err() != nil {
			l.drain(in)
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%w: %s: %s", micro.ErrConnectionLost, in.name, reason(in.why))
			l.ending.Go(in.shut) // its reader may wait for a place, which handlers hold
		}
		if final(err) || !ever && hopeless(err) || l.attempts >= 0 && failures > l.attempts {
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
	conn, err := l.connect(ctx, l.addresses, roleServer)
	if err != nil {
		return nil, err
	}
	in := newIntake(l, conn)
	if err := l.setUp(in); err != nil {
		conn.shut()
		if isMissing(err) {
			l.known = "" // somebody may have deleted it
		}
		return nil, err
	}
	return in, nil
}

func (l *Listener) setUp(in *intake) (err error) {
	if in.ch, err = in.openChannel(); err != nil {
		return err
	}
	in.channel = in.wire.attach(&plane{deliver: in.take, idle: in.begin})
	if in.queue, err = l.setUpServer(in.ch, l.known, l.server); err != nil {
		return err
	}
	if err = l.setUpDeadLetter(in.ch); err != nil {
		return err
	}
	if err = in.ch.Qos(l.prefetch, 0, l.globalPrefetch); err != nil {
		return at(err, "set the prefetch count of %d", l.prefetch)
	}
	in.consumer = l.consumerTag
	if in.consumer == "" {
		in.consumer = "msctl-" + micro.NewCorrelationID()
	}
	cancelled := in.ch.NotifyCancel(make(chan string, 1))
	in.wg.Go(func() {
		if _, ok := <-cancelled; ok {
			in.end(fmt.Errorf("the queue %q is gone", in.queue))
		}
	})
	_, err = in.ch.Consume(in.queue, in.consumer, false, false, false, false, nil)
	return at(err, "take messages from the queue %q", in.queue)
}

// drain lets what is in flight finish; in is nil while there is no connection.
func (l *Listener) drain(in *intake) {
	ctx, cancel := context.WithTimeout(context.Background(), l.server.DrainTimeout())
	defer cancel()
	if in != nil {
		in.stop()
	}
	if err := l.await(ctx, in); err != nil {
		l.server.Logger().Warn("handlers still run after the drain timeout", "timeout", l.server.DrainTimeout())
	}
	l.stopWork()
	if in != nil {
		in.shut()
	}
}

// stop stops the broker from sending; what it has sent and nobody has begun goes
// back to the queue when the channel is closed.
func (in *intake) stop() {
	in.closed.Store(true)
	if err := in.ch.Cancel(in.consumer, true); err != nil {
		in.end(err)
	}
}

// await waits until all that was taken has been handled and settled.
func (l *Listener) await(ctx context.Context, in *intake) error {
	err := l.server.Wait(ctx)
	if in != nil && err == nil {
		select {
		case in.busy <- struct{}{}: // the reader may have waited for a place, and have one now
			<-in.busy
			err = l.server.Wait(ctx)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	giveUp := context.AfterFunc(ctx, l.stopMoving)
	defer giveUp()
	l.settling.Wait()
	return err
}

// message is one received message on its way through the server.
type message struct {
	Delivery
	listener   *Listener
	properties properties // those that Delivery has not
	body       []byte
	packet     wire.Packet
	inbound    *micro.Inbound // nil until a handler has it
	bad        bool           // not JSON
	unplaced   bool           // the server stopped before it had a place for it
}

// newMessage copies what is kept of a message.
func newMessage(l *Listener, in *intake, raw *incoming) *message {
	m := &message{listener: l, body: bytes.Clone(raw.body)}
	m.init(in, raw)
	m.properties = properties{
		deliveryMode: raw.deliveryMode, contentEncoding: string(raw.contentEncoding),
	}
	text := js.SanitizeUTF8(m.body)
	var err error
	if m.packet, err = wire.Parse(text); err != nil {
		m.packet, m.bad = wire.Text(text), true
	}
	return m
}

func (m *message) event() bool {
	return m.packet.ID == nil || m.packet.Pattern == nil && m.packet.Data == nil
}

// Respond publishes one packet of the answer (docs/wire.md 4.2).
func (m *message) Respond(ctx context.Context, p wire.Reply) error {
	if m.ReplyTo == "" {
		return nil // nobody asked for it to go anywhere
	}
	msg := &publishing{
		key:        m.ReplyTo,
		properties: properties{headers: map[string]any{}, correlationID: m.CorrelationID}, // empty headers, as NestJS sends them
		body:       p.AppendWithoutID(nil),
	}
	if p.NoHandler {
		m.listener.replySoon(msg)
		return nil
	}
	return m.listener.reply(ctx, msg)
}

// done settles the message when all has been done for it.
func (m *message) done(err error) {
	m.unplaced = m.inbound == nil && !errors.Is(err, micro.ErrNoHandler)
	switch {
	case m.in.noAck || m.settled.Load():
	case m.unplaced:
		_ = m.Nack(true)
	case m.inbound == nil:
		m.listener.refuse(m)
	case err == nil || !m.event():
		_ = m.Ack()
	default:
		m.listener.failed(m, err)
	}
}
