package microrabbit

import (
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
)

// intake receives a listener's messages on one connection. The goroutine that leads
// the connection's wire collects the messages of one read into a batch, and when
// there are no more of them it has the batch handled: it runs quick handlers itself,
// and hands the others to other goroutines (package lead).
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

	// Owned by the goroutine that leads.
	leader lead.Leader
	batch  []*message // received, in order
	begun  int        // messages of the batch that are being handled
	last   uint64     // the latest message, to be acknowledged on receipt; 0 is none
	corked *outbox    // whose answers wait for the end of the batch
}

const maxBatch = 64 // messages that are taken before they are handled

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
		in.last = m.tag
	}
	if m.inbound != nil {
		in.batch = append(in.batch, m)
	}
}

// receipt acknowledges what has been received: with noAck before it is handled,
// because then nothing is to be handled twice.
func (in *intake) receipt() {
	if in.last != 0 {
		in.wire.out.cork()                    // uncorking does not wait for others to add theirs
		_ = in.ack(in.channel, in.last, true) // when this fails they come again, as they may after any loss
		in.wire.out.uncork()
		in.last = 0
	}
}

// release has the batch handled by other goroutines.
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

// begin has the batch handled. It returns false when another goroutine has taken
// over the lead, and with it the rest of the batch.
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

// takeOver starts another goroutine that leads. It begins with the rest of the
// batch, which it finds when it leads the wire.
func (in *intake) takeOver() {
	go func() {
		in.uncork() // the handlers that have returned have their answers sent
		in.wire.lead()
	}()
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
