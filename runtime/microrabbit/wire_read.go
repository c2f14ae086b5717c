package microrabbit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const (
	readBuffer = 32 << 10
	frameLimit = 128 << 10 // the maximum payload of a frame in bytes
)

// lead reads until the connection ends or another goroutine leads. When the connection
// ends, it passes the error to the driver.
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
				return // the new leader will get the same error
			}
			w.driver.add(nil, err)
			close(w.ended)
			return
		}
	}
}

// rest notifies the planes that all data read so far has been processed. It returns
// false if this goroutine no longer leads.
func (w *socket) rest() bool {
	for _, p := range *w.planes.Load() {
		if p.idle != nil && !p.idle() {
			return false
		}
	}
	return true
}

// fill reads more data.
func (w *socket) fill() error {
	w.end = copy(w.in, w.in[w.start:w.end])
	w.start = 0
	if w.end == len(w.in) {
		w.in = append(w.in, make([]byte, len(w.in))...)
	}
	if d := time.Duration(w.patience.Load()); d > 0 {
		// The driver extends the deadline when it reads a frame. It does not see the
		// frames of messages.
		if now := time.Now(); now.Sub(w.extended) > time.Second {
			w.extended = now
			_ = w.out.setReadDeadline(now.Add(d)) // if it fails, so does Read
		}
	}
	n, err := w.Conn.Read(w.in[w.end:])
	w.readAt = time.Now()
	w.end += n
	if n > 0 {
		return nil
	}
	return err
}

var errBadFrame = errors.New("the broker sent an invalid frame")

// pass processes the data that has been read: the frames of messages go to their planes,
// everything else to the driver.
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
			return fmt.Errorf("%w: it has no end marker", errBadFrame)
		}
		w.start += size + frameRoom
		if err := plane.frame(kind, b[frameHead:frameHead+size]); err != nil {
			return err
		}
	}
}

// plane receives the messages of one channel.
type plane struct {
	channel uint16 // set by attach

	// deliver is called with each delivered message, returned with each returned one,
	// and confirmed with each confirmation. If one of them is nil, its frames go to the
	// driver.
	deliver, returned func(*incoming)
	confirmed         func(tag uint64, multiple, ack bool)
	// idle is called when all data read so far has been processed. It returns false if
	// the calling goroutine no longer leads.
	idle func() bool

	// Used only by the leader, for the message whose frames are being received.
	expects byte // the type of the next frame; 0 means a method
	take    func(*incoming)
	message incoming
	size    uint64
	body    []byte
	args    []byte // the arguments of the method
	head    []byte // the payload of the header
}

// wants reports whether the plane, rather than the driver, handles a frame.
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

// frame handles the next frame of the channel.
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
	p.args = append(p.args[:0], args...) // the message's frames may be spread over several reads
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
