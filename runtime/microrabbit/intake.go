package microrabbit

import (
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/micro"
)

// intake is what a listener has on one connection. Whoever leads the connection's
// wire takes the messages of a read, and when there are no more has them handled:
// those with a handler that was quick lately itself, which is cheapest, the others
// on goroutines of their own. Should a quick one turn out slow, another goroutine
// takes over the lead, so that no message waits for the handler of another.
type intake struct {
	*connection
	listener *Listener
	ch       *amqp.Channel
	channel  uint16
	queue    string
	consumer string
	noAck    bool

	closed atomic.Bool   // nothing more is taken
	busy   chan struct{} // held while a message is offered to the server

	running atomic.Int64  // when the leader's handler began, notRunning or takenOver
	asleep  atomic.Bool   // nobody watches
	wake    chan struct{} // makes the watch go on

	receipts receipts // with noAck

	// Of the leader alone.
	batch  []*message // received, in order
	begun  int        // messages of the batch that are being handled
	corked *outbox    // whose answers wait for the end of the batch
}

// maxReceipts bounds the messages that are acknowledged together.
const maxReceipts = 128

// receipts acknowledge messages because they have been received. They are sent
// together, a moment later: RabbitMQ gives no more than the prefetch count before.
type receipts struct {
	mu    sync.Mutex // guards what follows
	last  uint64     // the latest message
	acked uint64     // the latest that is acknowledged
}

// add takes a message in, and reports whether it is time to send.
func (r *receipts) add(tag uint64, prefetch int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = tag
	return r.last-r.acked >= uint64(min(prefetch/2, maxReceipts)) //nolint:gosec // it is not negative
}

// send acknowledges what has been received.
func (r *receipts) send(in *intake) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last > r.acked {
		r.acked = r.last
		_ = in.ack(in.channel, r.last, true) // when this fails they come again, as they may after any loss
	}
}

const (
	maxBatch   = 64                     // messages that are taken before they are handled
	patience   = 200 * time.Microsecond // how long a handler may keep the leader
	watchEvery = time.Millisecond
	idleRounds = 10 // without a handler that runs, after which the watch sleeps

	notRunning = 0
	takenOver  = -1
)

func newIntake(l *Listener, conn *connection) *intake {
	in := &intake{connection: conn, listener: l, noAck: l.noAck, busy: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	in.wg.Go(in.watch)
	return in
}

// take offers one message to the server.
func (in *intake) take(raw *incoming) {
	l := in.listener
	m := newMessage(l, in, raw)
	if len(in.batch) >= maxBatch || l.server.Full() {
		in.release() // what holds a place must not wait for one
	}
	in.busy <- struct{}{}
	defer func() { <-in.busy }()
	if in.closed.Load() {
		return // it goes back to the queue
	}
	m.inbound = l.server.Deliver(l.work, micro.Delivery{
		Packet:  &m.packet,
		To:      m,
		Route:   l.route(&m.packet),
		Headers: metadata(m.Headers),
		Details: &m.Delivery,
		Done:    m.done,
	})
	if in.noAck && !m.unplaced {
		in.received(m.tag)
	}
	if m.inbound != nil {
		in.batch = append(in.batch, m)
	}
}

// received has a message acknowledged soon.
func (in *intake) received(tag uint64) {
	if in.receipts.add(tag, in.listener.prefetch) {
		in.receipts.send(in)
	} else {
		in.rouse()
	}
}

// rouse wakes the watch, after there is something for it.
func (in *intake) rouse() {
	if in.asleep.Load() {
		select {
		case in.wake <- struct{}{}:
		default:
		}
	}
}

// release has the batch handled by other goroutines.
func (in *intake) release() {
	for _, m := range in.batch[in.begun:] {
		m.inbound.Go()
	}
	in.clear()
}

func (in *intake) clear() {
	clear(in.batch)
	in.batch, in.begun = in.batch[:0], 0
}

// begin has the batch handled. It returns false when another goroutine has taken
// over the lead, and with it the rest of the batch.
func (in *intake) begin() (leading bool) {
	if len(in.batch) == 0 {
		return true
	}
	in.cork()
	for in.begun < len(in.batch) {
		m := in.batch[in.begun]
		in.begun++
		if !m.inbound.Fast() {
			m.inbound.Go()
			continue
		}
		began := int64(micro.Clock())
		in.running.Store(began)
		in.rouse()
		m.inbound.Run()
		if !in.running.CompareAndSwap(began, notRunning) {
			return false
		}
	}
	in.clear()
	in.uncork()
	return true
}

// watch looks at what the leader is doing, about once a millisecond, until nobody
// leads any more. A timer for each batch would wake a thread each time, which
// costs more than to handle it.
func (in *intake) watch() {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for idle := 0; ; {
		select {
		case <-in.wire.ended:
			return
		case <-timer.C:
		}
		in.receipts.send(in)
		if idle++; in.look() {
			idle = 0
		}
		if idle >= idleRounds {
			in.asleep.Store(true)
			in.receipts.send(in)
			if !in.look() {
				select {
				case <-in.wire.ended:
					return
				case <-in.wake:
				}
			}
			in.asleep.Store(false)
			idle = 0
		}
		timer.Reset(watchEvery)
	}
}

// look takes over from a handler that runs too long, and reports whether any runs.
func (in *intake) look() (busy bool) {
	began := in.running.Load()
	if began <= 0 {
		return false
	}
	if micro.Clock()-time.Duration(began) > patience && in.running.CompareAndSwap(began, takenOver) {
		in.running.Store(notRunning)
		in.uncork()
		go in.wire.lead() // which begins with the rest of the batch; who waits for the lead waits for it now
	}
	return true
}

// cork holds back what is written while a batch is handled.
func (in *intake) cork() {
	in.wire.out.cork()
	if out, ok := in.listener.out.now(); ok {
		out.wire.out.cork()
		in.corked = out
	}
}

// uncork writes what the handlers of a batch have left.
func (in *intake) uncork() {
	in.wire.out.uncork()
	if in.corked != nil {
		in.corked.wire.out.uncork()
		in.corked = nil
	}
}
