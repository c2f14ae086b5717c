package fault

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/wire"
)

// errEnded reports to a reader that a fault has ended the connection.
var errEnded = errors.New("the connection was ended by a fault")

// pumpFrames passes on messages until the stream ends. After bytes that are not a
// frame, it passes on everything unchanged.
func (p *pipe) pumpFrames() error {
	frames := true
	for {
		err := p.in.Fill()
		if frames {
			var problem error
			if frames, problem = p.batch(p.in); problem != nil {
				return problem
			}
		}
		if !frames || err != nil {
			if problem := p.plain(p.in.Rest()); problem != nil {
				return problem
			}
		}
		if problem := p.flush(); problem != nil {
			return problem
		}
		if err != nil {
			return err
		}
	}
}

// batch handles every complete frame that has been read. frames is false if what
// follows is not a frame.
func (p *pipe) batch(in *microtcp.FrameReader) (frames bool, err error) {
	count, one := &p.conn.proxy.counts.messages, p.request
	if p.to == toClient {
		count, one = &p.conn.proxy.counts.replies, p.reply
	}
	n := uint64(0)
	defer func() { count.Add(n) }()
	for {
		f, ok, err := in.Next()
		switch {
		case err != nil:
			p.conn.proxy.options.Log.Debug("not a frame: passing on everything that follows unchanged", "client", p.conn.client.RemoteAddr().String(), "error", err)
			return false, nil
		case !ok:
			return true, nil
		}
		n++
		if err := one(f); err != nil {
			return false, err
		}
	}
}

// plain passes on bytes that are not a frame, after everything before them.
func (p *pipe) plain(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	err := p.flush()
	p.release()
	p.queue.drain()
	p.out = append(p.out, b...)
	return err
}

// send delivers a parcel: with the batch if it has no delay and nothing that is due
// waits before it, and through the queue otherwise. It takes over the bytes.
func (p *pipe) send(parcel *parcel) error {
	if parcel.due.IsZero() && !parcel.cut && p.queue.clear() {
		p.out = append(p.out, parcel.bytes...)
		return nil
	}
	if parcel.due.IsZero() {
		if err := p.flush(); err != nil { // so that it stays after what came before
			return err
		}
		parcel.due = time.Now()
	}
	p.queue.push(parcel)
	if parcel.cut {
		p.queue.drain()
		return errEnded
	}
	return nil
}

// pass delivers a frame that no fault affects.
func (p *pipe) pass(f microtcp.Frame) error {
	if !p.queue.clear() {
		return p.send(&parcel{bytes: slices.Concat(f.Header, f.Raw)})
	}
	p.out = append(append(p.out, f.Header...), f.Raw...)
	return nil
}

// request handles a frame from the client.
func (p *pipe) request(f microtcp.Frame) error {
	set := p.conn.proxy.faults.Load()
	if len(set.list) == 0 && len(p.held) == 0 {
		return p.pass(f)
	}
	m := message{pipe: p, size: len(f.Header) + len(f.Raw)}
	m.packet, _ = wire.Parse(f.Body) // if it is not a packet, it has no pattern and no ID
	v := p.conn.proxy.judge(set, &m)
	switch {
	case v.reset:
		p.conn.proxy.options.Log.Debug("reset", "client", p.conn.client.RemoteAddr().String())
		p.conn.end(true)
		return errEnded
	case v.answer != nil:
		return p.answer(v.answer, &m, v.due)
	case v.swallow:
		return nil
	}
	p.expect(set, &m, &v)
	if v == (verdict{}) && len(p.held) == 0 {
		return p.pass(f)
	}
	whole := slices.Concat(f.Header, f.Raw)
	if v.copy {
		whole = microtcp.AppendFrame(whole, p.copyOf(f.Body, &m))
	}
	return p.deliver(&parcel{bytes: whole, due: v.due, by: v.by}, v.hold)
}

// expect remembers what will happen to the reply.
func (p *pipe) expect(set *faultSet, m *message, v *verdict) {
	if m.packet.ID == nil || v.swallower == nil && !v.cut && !set.answers {
		return
	}
	a := answer{swallower: v.swallower, cut: v.cut}
	if set.answers && m.routed() {
		a.route = m.route
	}
	p.conn.remember(m.packet.ID, a)
}

// deliver sends a parcel, or holds it until the next one has overtaken it.
func (p *pipe) deliver(one *parcel, hold bool) error {
	if hold && len(p.held) == 0 {
		one.free = one.due
		one.due = later(one.due, time.Now().Add(maxHold))
		p.queue.push(one)
		p.held = append(p.held, one)
		return nil
	}
	if err := p.send(one); err != nil || len(p.held) == 0 {
		return err
	}
	err := p.flush()
	p.release()
	return err
}

// maxHold is how long Reorder waits for another message.
const maxHold = time.Second

// release delivers the messages held by Reorder.
func (p *pipe) release() {
	for _, held := range p.held {
		p.queue.hasten(held, later(held.free, time.Now()))
	}
	p.held = p.held[:0]
}

// answer replies to a request with the fault's error.
func (p *pipe) answer(f *Fault, m *message, due time.Time) error {
	text := strconv.AppendInt([]byte(`{"status":`), int64(f.Status), 10)
	text = append(append(append(text, `,"message":`...), micro.Name(f.Message).JSON()...), '}')
	reply := microtcp.AppendFrame(nil, wire.Reply{ID: m.packet.ID, Err: text, Disposed: true}.Append(nil))
	if due.IsZero() {
		p.answers = append(p.answers, reply...)
		return nil
	}
	p.conn.down.queue.push(&parcel{bytes: reply, due: due})
	return nil
}

// copyPrefix starts the IDs of copies, whose replies are lost.
const copyPrefix = `"msctl.copy.`

// copyOf returns the packet with an ID created by the proxy. An event has no ID.
func (p *pipe) copyOf(body []byte, m *message) []byte {
	id := m.packet.ID
	if id == nil {
		return body
	}
	p.conn.copied.Store(true)
	p.conn.watch.Store(true)
	p.conn.copies++
	start := cap(body) - cap(id) // the ID is a slice of the body, so this is its offset
	text := append(slices.Clone(body[:start]), copyPrefix...)
	text = append(strconv.AppendUint(text, p.conn.copies, 10), '"')
	return append(text, body[start+len(id):]...)
}

// reply handles a frame from the service.
func (p *pipe) reply(f microtcp.Frame) error {
	set, c := p.conn.proxy.faults.Load(), p.conn
	watched := c.watch.Load()
	if !watched && len(set.list) == 0 {
		return p.pass(f)
	}
	var a answer
	if watched {
		packet, _ := wire.Parse(f.Body) // if it is not a packet, it has no ID
		if len(packet.ID) > len(copyPrefix) && string(packet.ID[:len(copyPrefix)]) == copyPrefix {
			return nil
		}
		_, _, last := packet.Reply()
		if a, _ = c.recall(packet.ID, last); a.swallower != nil {
			if last {
				a.swallower.replies.Add(1)
			}
			return nil
		}
	}
	swallow, one := c.proxy.judgeReply(set, a.route, len(f.Header)+len(f.Raw))
	one.cut = a.cut
	switch {
	case swallow:
		return nil
	case one.due.IsZero() && !one.cut:
		return p.pass(f)
	}
	one.bytes = slices.Concat(f.Header, f.Raw)
	return p.send(&one)
}
