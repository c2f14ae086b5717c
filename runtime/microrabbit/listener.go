package microrabbit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/backoff"
	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Listener serves NestJS's RabbitMQ transport. Create it with Listen.
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
	ready     chan struct{} // closed when the first consumer has started
	readyOnce sync.Once
	known     string // the name of the queue on the last connection

	ledger ledger

	out       link[*outbox]
	outWarned atomic.Bool
	largest   atomic.Int64   // the broker's limit of the size of a message; 0 until it is known
	late      atomic.Int64   // replies of replySoon that wait for an outbox
	settling  sync.WaitGroup // messages being moved, and replies of replySoon

	work       context.Context // for handlers; canceled at the end of the drain
	stopWork   context.CancelFunc
	moving     context.Context // for moving messages to other queues
	stopMoving context.CancelFunc
	ending     sync.WaitGroup // lost connections that are shutting down
}

// Listen returns a listener that consumes messages from queue at the broker at url.
// url may be a comma-separated list of URLs; the first broker that is ready is used (see
// Dial). If queue is "", the broker chooses a name. The listener connects when a server
// serves it, and it can be served only once.
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
	l.out.open, l.out.attempts, l.out.pauses.Longest, l.out.waits = l.openOutbox, -1, l.maxDelay, true
	return l
}

// Ready waits until the listener consumes messages for the first time, or ctx ends.
func (l *Listener) Ready(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Addr waits as Ready does, then returns the address of the broker without
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

// Serve consumes messages until ctx ends, then drains: it stops consuming, waits up to
// s.DrainTimeout until the messages in flight have been handled and acknowledged, and
// closes its connections. Messages that have been received but not started return to
// the queue. A lost connection is reestablished, with its queues and bindings, for as
// long as WithReconnect allows. Serve returns an error if the broker permanently
// rejects a declaration because the queue or exchange exists with different options
// or, before the first successful connection, if it rejects the login or another
// operation.
func (l *Listener) Serve(ctx context.Context, s *micro.Server) error {
	if l.served.Swap(true) {
		return fmt.Errorf("listen to the queue %q: a listener serves once; create another with Listen", l.queue)
	}
	l.server = s
	if l.invalid != nil {
		return fmt.Errorf("listen to the queue %q: %w", l.queue, l.invalid)
	}
	if l.ack == AckOnReceipt && (l.redelivers || l.topology.DeadLetter != "") {
		s.Logger().Warn("redelivery and dead letters require AckAfterHandling; no event will be redelivered", "queue", l.queue)
	}
	defer l.watch.Start()() // stops last: a connection may need another goroutine to lead it until it ends
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
	pause := backoff.Pauses{Longest: l.maxDelay}
	for failures, ever := 0, false; ; {
		in, err := l.open(ctx)
		failures++
		if err == nil {
			failures, ever = 0, true
			l.announce(in)
			pause.During(func() {
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
			l.overdue(in, l.ledger.end(in))
			l.ending.Go(in.shut) // not here: its reader may be waiting for a running handler to return
		}
		if final(err) || !ever && hopeless(err) || l.attempts >= 0 && failures > l.attempts {
			l.drain(nil)
			return fmt.Errorf("listen to the queue %q: %w", l.queue, refused(err))
		}
		l.server.Logger().Warn("not connected to the broker", "queue", l.queue, "error", err)
		_ = pause.Wait(ctx)
	}
}

func (l *Listener) announce(in *intake) {
	l.known = in.queue
	l.server.Logger().Info("listening", "transport", "rabbitmq", "address", in.name, "queue", in.queue)
	l.readyOnce.Do(func() { close(l.ready) })
}

// open connects, declares the queues and exchanges, and starts consuming.
func (l *Listener) open(ctx context.Context) (*intake, error) {
	conn, err := l.connect(ctx, l.addresses, roleServer)
	if err != nil {
		return nil, err
	}
	in := newIntake(l, conn)
	if err := l.setUp(in); err != nil {
		l.ledger.end(in)
		conn.shut()
		if isMissing(err) {
			l.known = "" // the queue may have been deleted
		}
		return nil, err
	}
	return in, nil
}

func (l *Listener) setUp(in *intake) (err error) {
	p := &plane{deliver: in.take, idle: in.begin}
	if in.ch, err = in.openChannel(p); err != nil {
		return err
	}
	in.channel = p.channel
	if in.queue, err = l.setUpServer(in.connection, l.known, l.server); err != nil {
		return err
	}
	if err = l.setUpDeadLetter(in.connection); err != nil {
		return err
	}
	if err = in.ch.Qos(l.prefetch, 0, l.globalPrefetch); err != nil {
		return at(err, "set the prefetch count of %d", l.prefetch)
	}
	in.consumer = l.consumerTag
	if in.consumer == "" {
		in.consumer = "msctl-" + micro.NewCorrelationID()
	}
	canceled := in.ch.NotifyCancel(make(chan string, 1))
	in.wg.Go(func() {
		if _, ok := <-canceled; ok {
			in.end(fmt.Errorf("the queue %q was deleted", in.queue))
		}
	})
	_, err = in.ch.Consume(in.queue, in.consumer, false, false, false, false, nil)
	return at(err, "consume from the queue %q", in.queue)
}

// drain waits for the messages in flight. in is nil if there is no connection.
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

// stop cancels the consumer. Messages that have been received but not started return
// to the queue when the channel is closed.
func (in *intake) stop() {
	in.closed.Store(true)
	if err := in.ch.Cancel(in.consumer, true); err != nil {
		in.end(err)
	}
}

// await waits until all accepted messages have been handled and settled.
func (l *Listener) await(ctx context.Context, in *intake) error {
	err := l.server.Wait(ctx)
	if in != nil && err == nil {
		select {
		case in.busy <- struct{}{}: // the reader may have been waiting for capacity, and may now have delivered a message
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

// overdue logs that the broker took back a message because it was not acknowledged in time,
// if that is why the connection has ended. held are the messages that are being handled.
func (l *Listener) overdue(in *intake, held []*Delivery) {
	timeout, ok := acknowledgmentTimeout(in.why)
	if held = append(held, in.pending()...); !ok || len(held) == 0 {
		return
	}
	first := slices.MinFunc(held, func(a, b *Delivery) int { return a.received.Compare(b.received) })
	pattern, _ := wire.Route(first.pattern)
	l.server.Logger().Error("the broker took back a message that was not acknowledged in time (consumer_timeout)", "queue", first.Queue,
		"pattern", pattern, "message_id", first.MessageID, "received_ago", time.Since(first.received).Round(time.Millisecond), "timeout", timeout)
}

// message is a received message that the server is processing.
type message struct {
	Delivery
	properties properties // those that are not in Delivery
	body       []byte
	packet     wire.Packet
	inbound    *micro.Inbound // nil until it is assigned to a handler
	bad        bool           // not JSON
	unplaced   bool           // the server stopped before it had capacity for it
	ended      bool           // an error has taken the place of its reply
}

// newMessage copies a received message, whose buffers are only valid for the call.
func newMessage(in *intake, raw *incoming) *message {
	m := &message{body: bytes.Clone(raw.body)}
	m.init(in, raw)
	m.Body = m.body
	m.properties = properties{
		deliveryMode: raw.deliveryMode, contentEncoding: string(raw.contentEncoding),
	}
	text := js.SanitizeUTF8(m.body)
	var err error
	if m.packet, err = wire.Parse(text); err != nil {
		m.packet, m.bad = wire.Text(text), true
	}
	m.pattern = m.packet.Pattern
	return m
}

func (m *message) event() bool {
	return m.packet.ID == nil || m.packet.Pattern == nil && m.packet.Data == nil
}

// Respond publishes one packet of the reply (docs/wire.md 4.2).
func (m *message) Respond(ctx context.Context, p wire.Reply) error {
	if m.ReplyTo == "" {
		return nil // the request has no reply queue
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
	if m.ended {
		return errAnswered
	}
	if most := m.listener.largest.Load(); most > 0 && int64(len(msg.body)) > most {
		return m.tooLarge(ctx, msg, most)
	}
	return m.listener.reply(ctx, msg)
}

// errAnswered is the error of a value that follows an error in the place of the reply.
var errAnswered = errors.New("the reply has ended with an error")

// tooLarge ends the reply with an error in place of a packet that the broker would reject.
func (m *message) tooLarge(ctx context.Context, msg *publishing, most int64) error {
	err := fmt.Errorf("the reply has %d bytes, more than the broker permits (max_message_size %d)", len(msg.body), most)
	m.ended = true
	m.listener.server.LogPeer(slog.LevelError, "replaced a reply by an error", "transport", "rabbitmq", "queue", m.listener.queue, "error", err)
	msg.body = wire.Reply{Err: micro.Errorf(500, "%w", err).Payload, Disposed: true}.AppendWithoutID(nil)
	if sent := m.listener.reply(ctx, msg); sent != nil {
		return sent
	}
	return err
}

// done settles the message when the server has finished with it.
func (m *message) done(err error) {
	m.unplaced = m.inbound == nil && !errors.Is(err, micro.ErrNoHandler)
	if m.noAck || !m.listener.ledger.claim(&m.Delivery) {
		return
	}
	switch {
	case m.unplaced:
		_ = m.finish(requeued)
	case m.inbound == nil:
		m.listener.refuse(m)
	case err == nil || !m.event():
		_ = m.finish(acked)
	default:
		m.listener.failed(m, err)
	}
}
