package microrabbit

import (
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
)

// intake receives a listener's messages on one connection. The goroutine that leads
// the connection's wire collects the messages of one read into a batch. At the end of
// the read it has the batch handled: it runs quick handlers itself and passes the other
// messages to other goroutines (package lead).
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
}

const maxBatch = 64 // messages

func newIntake(l *Listener, conn *connection) *intake {
	in := &intake{connection: conn, listener: l, noAck: l.ack == AckOnReceipt, busy: make(chan struct{}, 1)}
	in.leader.Init(&l.watch, in.takeOver)
	return in
}

// take offers one message to the server.
func (in *intake) take(raw *incoming) {
	l := in.listener
	m := newMessage(l, in, raw)
	if len(in.batch) >= maxBatch || l.server.Full() {
		in.release() // Deliver may wait for capacity, which the batch occupies
	}
	in.busy <- struct{}{}
	defer func() { <-in.busy }()
	if in.closed.Load() {
		return // the message returns to the queue
	}
	m.inbound = l.server.Deliver(l.work, micro.Delivery{
		Packet:  &m.packet,
		To:      m,
		Route:   l.route(&m.packet),
		Headers: metadata(m.Headers),
		Attempt: m.Attempt,
		Details: &m.Delivery,
		Done:    m.done,
	})
	if in.noAck && !m.unplaced {
		in.last = m.tag
	}
	if m.inbound != nil {
		in.batch = append(in.batch, m)
	}
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
