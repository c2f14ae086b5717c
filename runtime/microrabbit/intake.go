package microrabbit

import (
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
)

// intake receives a listener's messages on one connection. The goroutine that leads
// the connection's wire collects the messages of one read into a batch. At the end of
// the read it has the batch handled: it runs quick handlers itself and passes the other
// messages to other goroutines (package lead). While the server is at its limit, the leader
// continues to read, and another goroutine passes the messages on (feed).
type intake struct {
	*connection
	listener *Listener
	ch       *amqp.Channel
	channel  uint16
	queue    string
	consumer string
	noAck    bool

	closed atomic.Bool   // no more messages are accepted
	busy   chan struct{} // held while a message is offered to the server

	// Owned by the leading goroutine.
	leader lead.Leader
	batch  []*message // received, in order
	begun  int        // the number of messages of the batch that have been started
	last   uint64     // the latest message to acknowledge on receipt; 0 means none
	corked *outbox    // holds back replies until the end of the batch

	queueing sync.Mutex // guards the fields below
	waiting  []*message // received and not yet offered, in order; at most as many as the prefetch count
	feeding  bool       // feed is running

	// Guarded by the listener's ledger.
	over    bool // the connection has ended
	held    map[*Delivery]struct{}
	settled []settled // a ring, whose oldest element is at oldest
	oldest  int
}

const maxBatch = 64 // messages

func newIntake(l *Listener, conn *connection) *intake {
	in := &intake{
		connection: conn, listener: l, noAck: l.ack == AckOnReceipt,
		busy: make(chan struct{}, 1), held: map[*Delivery]struct{}{},
	}
	in.leader.Init(&l.watch, in.takeOver)
	return in
}

// take accepts one message.
func (in *intake) take(raw *incoming) {
	m := newMessage(in, raw)
	if m.Redelivered && in.copied(m) || in.enqueue(m) {
		return
	}
	if len(in.batch) >= maxBatch {
		in.release()
	}
	if in.offer(m) && in.noAck {
		in.last = m.tag
	}
	if m.inbound != nil {
		in.batch = append(in.batch, m)
	}
}

// copied reports whether a message is a copy that needs no handling (see ledger).
func (in *intake) copied(m *message) bool {
	known, settle, how := in.listener.ledger.recognize(&m.Delivery)
	if settle {
		_ = in.settleTag(m.tag, how) // on an error, it comes back again
	}
	return known
}

// enqueue makes a message wait if the server is at its limit, or others are waiting.
func (in *intake) enqueue(m *message) bool {
	in.queueing.Lock()
	defer in.queueing.Unlock()
	if !in.feeding && !in.listener.server.Full() {
		return false
	}
	in.waiting = append(in.waiting, m)
	if !in.feeding {
		in.feeding = true
		in.wg.Go(in.feed)
	}
	return true
}

// feed offers the waiting messages to the server, until there are none.
func (in *intake) feed() {
	for m := in.next(); m != nil; m = in.next() {
		if in.offer(m) && in.noAck {
			_ = in.ack(in.channel, m.tag, false) // alone: those that the leader has accepted may not have been acknowledged yet
		}
		if m.inbound != nil {
			m.inbound.Go()
		}
	}
}

// next takes the next message off those that are waiting, or ends feeding.
func (in *intake) next() *message {
	in.queueing.Lock()
	defer in.queueing.Unlock()
	if len(in.waiting) == 0 {
		in.waiting, in.feeding = nil, false
		return nil
	}
	m := in.waiting[0]
	in.waiting[0] = nil
	in.waiting = in.waiting[1:]
	return m
}

// pending returns the messages that are waiting.
func (in *intake) pending() (all []*Delivery) {
	in.queueing.Lock()
	defer in.queueing.Unlock()
	for _, m := range in.waiting {
		all = append(all, &m.Delivery)
	}
	return all
}

// offer passes a message to the server. At the server's limit, it waits. It returns false if
// the message was not accepted, and returns to the queue.
func (in *intake) offer(m *message) bool {
	l := in.listener
	in.busy <- struct{}{}
	defer func() { <-in.busy }()
	if in.closed.Load() || !l.ledger.begin(&m.Delivery) {
		return false
	}
	m.inbound = l.server.Deliver(l.work, micro.Delivery{
		Packet:   &m.packet,
		To:       m,
		Route:    l.route(&m.packet),
		Headers:  metadata(m.Headers),
		Received: m.received,
		Attempt:  m.Attempt,
		Details:  &m.Delivery,
		Done:     m.done,
	})
	return !m.unplaced
}

// settleTag settles a message of this connection.
func (in *intake) settleTag(tag uint64, how settlement) error {
	if how == acked {
		return in.ack(in.channel, tag, false)
	}
	return in.settle(func(dst []byte) []byte { return appendNack(dst, in.channel, tag, how == requeued) })
}

// receipt acknowledges the received messages with noAck. It does so before they are
// handled, so that none is handled twice.
func (in *intake) receipt() {
	if in.last != 0 {
		in.wire.out.cork()                    // uncork writes at once, without waiting for other goroutines
		_ = in.ack(in.channel, in.last, true) // on an error the messages are redelivered, as after any lost connection
		in.wire.out.uncork()
		in.last = 0
	}
}

// release has the rest of the batch handled by other goroutines.
func (in *intake) release() {
	in.receipt()
	for _, m := range in.batch[in.begun:] {
		m.inbound.Go()
	}
	in.clear()
}

func (in *intake) clear() {
	clear(in.batch)
	in.batch, in.begun = in.batch[:0], 0
}

// begin handles the batch. It returns false if another goroutine has taken over the
// lead, including the rest of the batch.
func (in *intake) begin() (leading bool) {
	in.receipt()
	if len(in.batch) == 0 {
		return true
	}
	in.cork()
	for in.begun < len(in.batch) {
		m := in.batch[in.begun]
		in.begun++
		if !in.leader.Handle(m.inbound) {
			return false
		}
	}
	in.leader.Rest()
	in.clear()
	in.uncork()
	return true
}

// takeOver starts another goroutine that leads. It begins with the rest of the batch.
func (in *intake) takeOver() {
	go func() {
		in.uncork() // send the replies of the handlers that have returned
		in.wire.lead()
	}()
}

// cork holds back writes while a batch is handled.
func (in *intake) cork() {
	in.wire.out.cork()
	if out, ok := in.listener.out.now(); ok {
		out.wire.out.cork()
		in.corked = out
	}
}

// uncork writes what cork has held back.
func (in *intake) uncork() {
	in.wire.out.uncork()
	if in.corked != nil {
		in.corked.wire.out.uncork()
		in.corked = nil
	}
}
