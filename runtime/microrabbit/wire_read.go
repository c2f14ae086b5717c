package microrabbit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const (
	readBuffer = 32 << 10
	frameLimit = 128 << 10 // bytes of a frame's payload
)

// lead reads until the connection ends, which it tells the driver, or somebody
// else leads.
func (w *socket) lead() {
	for {
		if !w.rest() {
			return
		}
		err := w.fill()
		if err == nil {
			err = w.pass()
		}
		if err != nil {
			w.out.fail(err)
			if !w.rest() {
				return // who leads now will find the same error
			}
			w.driver.add(nil, err)
			close(w.ended)
			return
		}
	}
}

// rest tells the planes that what was read has been dealt with; false tells that
// this goroutine does not lead any more.
func (w *socket) rest() bool {
	for _, p := range *w.planes.Load() {
		if p.idle != nil && !p.idle() {
			return false
		}
	}
	return true
}

// fill reads more.
func (w *socket) fill() error {
	w.end = copy(w.in, w.in[w.start:w.end])
	w.start = 0
	if w.end == len(w.in) {
		w.in = append(w.in, make([]byte, len(w.in))...)
	}
	if d := time.Duration(w.patience.Load()); d > 0 {
		// The driver does so for its frames, and knows nothing of ours.
		if now := time.Now(); now.Sub(w.extended) > time.Second {
			w.extended = now
			_ = w.Conn.SetReadDeadline(now.Add(d)) // should it fail, so does the read
		}
	}
	n, err := w.Conn.Read(w.in[w.end:])
	w.end += n
	if n > 0 {
		return nil
	}
	return err
}

var errBadFrame = errors.New("the broker sent an invalid frame")

// pass deals with what has been read: frames of messages go to their planes, all
// else to the driver.
func (w *socket) pass() error {
	for {
		b := w.in[w.start:w.end]
		if w.theirs > 0 && len(b) > 0 {
			n := min(len(b), w.theirs)
			w.driver.add(b[:n], nil)
			w.start += n
			w.theirs -= n
			continue
		}
		if len(b) < frameHead || b[0] == frameMethod && len(b) < frameHead+4 {
			return nil
		}
		kind, channel, size := b[0], binary.BigEndian.Uint16(b[1:]), int(binary.BigEndian.Uint32(b[3:]))
		plane := (*w.planes.Load())[channel]
		switch {
		case !plane.wants(kind, b[frameHead:]):
			w.theirs = size + frameRoom
			if kind == frameMethod && binary.BigEndian.Uint32(b[frameHead:]) == classChannel<<16|channelOpenOk {
				w.opened.Store(uint32(channel))
			}
			continue
		case size > frameLimit:
			return fmt.Errorf("%w: it has %d bytes", errBadFrame, size)
		case len(b) < size+frameRoom:
			return nil
		case b[frameHead+size] != frameEnd:
			return fmt.Errorf("%w: it does not end", errBadFrame)
		}
		w.start += size + frameRoom
		if err := plane.frame(kind, b[frameHead:frameHead+size]); err != nil {
			return err
		}
	}
}

// plane takes the messages of one channel.
type plane struct {
	// deliver and returned are given each message; confirmed each confirmation. A
	// function that is nil leaves the driver what it would take.
	deliver, returned func(*incoming)
	confirmed         func(tag uint64, multiple, ack bool)
	// idle is called when what was read has been dealt with. False tells that the
	// goroutine that called it does not lead any more.
	idle func() bool

	// Of the leader alone: the message whose frames are coming.
	expects byte // the kind of the next frame; 0 is a method
	take    func(*incoming)
	message incoming
	size    uint64
	body    []byte
	args    []byte // of the method
	head    []byte // the payload of the header
}

// wants reports whether a frame belongs to a message, rather than to the driver.
func (p *plane) wants(kind byte, payload []byte) bool {
	if p == nil {
		return false
	}
	if kind != frameMethod {
		return p.expects != 0 && kind == p.expects
	}
	if binary.BigEndian.Uint16(payload) != classBasic {
		return false
	}
	switch binary.BigEndian.Uint16(payload[2:]) {
	case basicDeliver:
		return p.deliver != nil
	case basicReturn:
		return p.returned != nil
	case basicAck, basicNack:
		return p.confirmed != nil
	}
	return false
}

// frame takes the next frame of the channel.
func (p *plane) frame(kind byte, payload []byte) error {
	switch kind {
	case frameMethod:
		if len(payload) < 4 {
			return errShortFrame
		}
		return p.method(binary.BigEndian.Uint16(payload[2:]), payload[4:])
	case frameHeader:
		return p.header(payload)
	}
	if p.body == nil && uint64(len(payload)) == p.size {
		p.complete(payload)
		return nil
	}
	p.body = append(p.body, payload...)
	if uint64(len(p.body)) >= p.size {
		p.complete(p.body)
	}
	return nil
}

func (p *plane) method(method uint16, args []byte) error {
	if method == basicAck || method == basicNack {
		tag, multiple, err := parseConfirm(args)
		if err == nil {
			p.confirmed(tag, multiple, method == basicAck)
		}
		return err
	}
	p.message = incoming{}
	p.args = append(p.args[:0], args...) // the message's frames may come by several reads
	p.expects = frameHeader
	if method == basicDeliver {
		p.take = p.deliver
		return p.message.parseDeliver(p.args)
	}
	p.take = p.returned
	return p.message.parseReturn(p.args)
}

func (p *plane) header(payload []byte) (err error) {
	p.head = append(p.head[:0], payload...)
	if p.size, err = p.message.parseHeader(p.head); err != nil {
		return err
	}
	p.expects, p.body = frameBody, nil
	if p.size == 0 {
		p.complete(nil)
	}
	return nil
}

func (p *plane) complete(body []byte) {
	p.message.body = body
	p.expects, p.body = 0, nil
	p.take(&p.message)
}
