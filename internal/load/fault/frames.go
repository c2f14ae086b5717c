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

// errEnded tells a reader that a fault has ended the connection.
var errEnded = errors.New("the connection was ended by a fault")

// pumpFrames passes messages on until the stream ends. Behind what is no frame
// it passes on everything as it comes.
func (p *pipe) pumpFrames() error {
	in := microtcp.NewFrameReader(p.src, p.conn.proxy.options.Incomplete)
	frames := true
	for {
		err := in.Fill()
		if frames {
			var problem error
			if frames, problem = p.batch(in); problem != nil {
				return problem
			}
		}
		if !frames || err != nil {
			if problem := p.plain(in.Rest()); problem != nil {
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

// batch deals with every whole frame that has been read; frames is false when
// the stream has none any more.
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
			p.conn.proxy.options.Log.Debug("what follows is passed on as it is", "client", p.conn.client.RemoteAddr().String(), "error", err)
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

// plain passes on bytes that are no frame, behind everything that came before.
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

// send delivers a parcel: with the batch if it is not due later and nothing that
// is due waits before it. The parcel's bytes are not used again by the caller.
func (p *pipe) send(parcel *parcel) error {
	if parcel.due.IsZero() && !parcel.cut && p.queue.clear() {
		p.out = append(p.out, parcel.bytes...)
		return nil
	}
	if parcel.due.IsZero() {
		if err := p.flush(); err != nil { // so that it stays behind what came before
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

// pass delivers a frame that no fault is for.
func (p *pipe) pass(f microtcp.Frame) error {
	if !p.queue.clear() {
		return p.send(&parcel{bytes: slices.Concat(f.Header, f.Raw)})
	}
	p.out = append(append(p.out, f.Header...), f.Raw...)
	return nil
}

// request deals with a frame from the client.
func (p *pipe) request(f microtcp.Frame) error {
	set := p.conn.proxy.faults.Load()
	if len(set.list) == 0 && len(p.held) == 0 {
		return p.pass(f)
	}
	m := message{pipe: p, size: len(f.Header) + len(f.Raw)}
	m.packet, _ = wire.Parse(f.Body) // what is no packet has no pattern and no id
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

// expect remembers what becomes of the answer.
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

// deliver sends a parcel, or holds it until the next has overtaken it.
func (p *pipe) deliver(one *parcel, hold bool) error {
	if hold && len(p.held) == 0 {
		one.free = one.due
		one.due = later(one.due, time.Now().Add(longestHold))
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

// longestHold is how long Reorder waits for a message to come.
const longestHold = time.Second

// release delivers what Reorder holds.
func (p *pipe) release() {
	for _, held := range p.held {
		p.queue.hasten(held, later(held.free, time.Now()))
	}
	p.held = p.held[:0]
}

// answer answers a request in the service's place.
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

// copyPrefix begins the ids of copies, whose answers nobody gets.
const copyPrefix = `"msctl.copy.`

// copyOf is the packet under an id of its own. An event has none.
func (p *pipe) copyOf(body []byte, m *message) []byte {
	id := m.packet.ID
	if id == nil {
		return body
	}
	p.conn.copied.Store(true)
	p.conn.watch.Store(true)
	p.conn.copies++
	start := cap(body) - cap(id) // an id is a slice of the body
	text := append(slices.Clone(body[:start]), copyPrefix...)
	text = append(strconv.AppendUint(text, p.conn.copies, 10), '"')
	return append(text, body[start+len(id):]...)
}

// reply deals with a frame from the service.
func (p *pipe) reply(f microtcp.Frame) error {
	set, c := p.conn.proxy.faults.Load(), p.conn
	watched := c.watch.Load()
	if !watched && len(set.list) == 0 {
		return p.pass(f)
	}
	var a answer
	if watched {
		packet, _ := wire.Parse(f.Body) // what is no packet has no id
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
