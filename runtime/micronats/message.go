package micronats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Delivery is what NATS knows about a message in addition to its packet. It corresponds to
// NestJS's NatsContext.
type Delivery struct {
	// Subject is the subject that the message was sent to; a wildcard handler matches
	// several.
	Subject string
	// Reply is the subject for the reply; empty for an event.
	Reply string
	// Header holds all headers; their names keep their case.
	Header map[string][]string
}

// DeliveryFromContext returns the Delivery of the message that the handler with this context
// is handling, or nil if the message did not arrive over NATS. It must not be changed.
func DeliveryFromContext(ctx context.Context) *Delivery {
	if req := micro.RequestFromContext(ctx); req != nil {
		d, _ := req.Details.(*Delivery)
		return d
	}
	return nil
}

// inbound is a message and the Responder for its reply.
type inbound struct {
	Delivery
	stream
	ctx    callContext
	intake *intake
	open   bool // a request whose reply has not ended
	ended  bool // the reply has ended with an error in place of a packet that was too large
}

// receive dispatches one message. The subscription selects the handler; the packet's
// pattern is ignored. packet is memory that receive may reuse.
func (t *intake) receive(next arrival, packet *wire.Packet) *micro.Inbound {
	server := t.listener.server
	msg := next.msg
	var err error
	if *packet, err = wire.Parse(text(msg.Data)); err != nil {
		server.LogPeer(slog.LevelError, "ignored a message that is not JSON", "transport", "nats", "subject", msg.Subject, "bytes", len(msg.Data))
		return nil
	}
	return t.deliver(next, packet)
}

// text returns a body as NestJS's driver decodes it: malformed sequences become
// U+FFFD, and a byte order mark at the start is dropped.
func text(body []byte) []byte {
	return js.SanitizeUTF8(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF")))
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the largest buffer that is kept for the next packet.
const maxPooled = 1 << 20

// Respond sends one packet of the reply. A message without a reply subject is
// handled all the same, and nothing is sent (docs/wire.md 6).
func (m *inbound) Respond(ctx context.Context, p wire.Reply) error {
	if !isValue(p) {
		defer m.end()
	}
	if m.Reply == "" {
		return nil
	}
	if m.ended {
		return errAnswered
	}
	if err := m.intake.link.dialer.awaitRoom(ctx); err != nil {
		return fmt.Errorf("reply over NATS: %w", err)
	}
	err := m.publish(p)
	if errors.Is(err, nats.ErrMaxPayload) {
		return m.tooLarge(p)
	}
	if err != nil {
		return fmt.Errorf("reply over NATS: %w", err)
	}
	return nil
}

// end ends the reply, if it has not ended yet.
func (m *inbound) end() {
	m.intake.streams.end(m)
	m.ctx.release()
	if m.open {
		m.open = false
		m.intake.requests.end()
	}
}

func (m *inbound) publish(p wire.Reply) error {
	watch := ""
	if isValue(p) {
		var err error
		if watch, err = m.intake.streams.next(m); err != nil {
			return err
		}
	}
	buf := buffers.Get().(*[]byte)
	*buf = p.Append((*buf)[:0])
	var err error
	if watch == "" {
		err = m.intake.link.Publish(m.Reply, *buf)
	} else {
		err = m.intake.link.PublishRequest(m.Reply, watch, *buf)
	}
	if cap(*buf) <= maxPooled {
		buffers.Put(buf)
	}
	return err
}

// tooLarge ends the reply with an error in place of a packet that is too large for the
// broker.
func (m *inbound) tooLarge(p wire.Reply) error {
	err := sizeError("reply", p.Size(), m.intake.link.MaxPayload())
	m.ended = true
	m.intake.listener.server.LogPeer(slog.LevelError, "replaced a reply by an error", "transport", "nats", "subject", m.Subject, "error", err)
	if sent := m.publish(wire.Reply{ID: p.ID, Err: micro.Errorf(500, "%w", err).Payload, Disposed: true}); sent != nil {
		return fmt.Errorf("reply over NATS: %w", sent)
	}
	return err
}
