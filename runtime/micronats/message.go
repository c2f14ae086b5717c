package micronats

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/micro"
)

// Delivery is what NATS knows of a message, beyond its packet: what NestJS'
// NatsContext gives.
type Delivery struct {
	// Subject is the one the message was sent to, which a wildcard handler wants
	// to know.
	Subject string
	// Reply is where the answer goes; empty when nobody waits for one.
	Reply string
	// Header holds all headers; their names keep their case.
	Header map[string][]string
}

// DeliveryFromContext returns how the message came that the handler running
// under ctx was given, or nil when it did not come over NATS. It must not be
// changed.
func DeliveryFromContext(ctx context.Context) *Delivery {
	if req := micro.RequestFromContext(ctx); req != nil {
		d, _ := req.Details.(*Delivery)
		return d
	}
	return nil
}

// inbound is one message: its Delivery, and the way of its answer.
type inbound struct {
	Delivery
	listener *Listener
	nc       *nats.Conn
	ended    bool // the answer has ended in an error of its own
}

// handle returns what a subscription does with each message. The subscription
// decides who handles it: the packet's pattern is not looked at.
func (l *Listener) handle(nc *nats.Conn, route micro.Route) nats.MsgHandler {
	return func(msg *nats.Msg) {
		packet, err := micro.ParsePacket(micro.SanitizeUTF8(msg.Data))
		if err != nil {
			l.server.LogPeer(slog.LevelError, "a message that is not JSON was ignored", "transport", "nats", "subject", msg.Subject, "bytes", len(msg.Data))
			return
		}
		m := &inbound{Delivery{msg.Subject, msg.Reply, msg.Header}, l, nc, false}
		in := l.server.Deliver(l.ctx, micro.Delivery{Packet: &packet, To: m, Route: route, Headers: received(msg.Header), Details: &m.Delivery})
		if in != nil {
			in.Go()
		}
	}
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer that is kept for the next packet.
const maxPooled = 64 << 10

// Respond sends one packet of the answer. A message without a reply subject is
// handled all the same, and nothing is sent (docs/wire.md 6).
func (m *inbound) Respond(_ context.Context, p micro.ReplyPacket) error {
	if m.Reply == "" {
		return nil
	}
	if m.ended {
		return errAnswered
	}
	var tooLarge error
	if size, limit := int64(p.Size()), m.nc.MaxPayload(); limit > 0 && size > limit {
		tooLarge = sizeError("answer", size, limit)
		m.ended = true
		m.listener.server.LogPeer(slog.LevelError, "an answer was replaced by an error", "transport", "nats", "subject", m.Subject, "error", tooLarge)
		p = micro.ReplyPacket{ID: p.ID, Err: micro.Errorf(500, "%w", tooLarge).Payload, Disposed: true}
	}
	buf := buffers.Get().(*[]byte)
	*buf = p.Append((*buf)[:0])
	err := m.nc.Publish(m.Reply, *buf)
	if cap(*buf) <= maxPooled {
		buffers.Put(buf)
	}
	if err != nil {
		return fmt.Errorf("answer over NATS: %w", err)
	}
	return tooLarge
}
