package microrabbit

import (
	"encoding/binary"
	"errors"
	"time"
)

// This file encodes and decodes the AMQP 0-9-1 frames that carry messages: publish,
// deliver, return, and the acknowledgments of both sides. The driver handles all other
// frames.

const (
	frameMethod = 1
	frameHeader = 2
	frameBody   = 3
	frameEnd    = 0xCE

	frameHead = 7 // type, channel, size
	frameRoom = frameHead + 1

	classChannel  = 20
	channelOpenOk = 11

	classBasic   = 60
	basicPublish = 40
	basicReturn  = 50
	basicDeliver = 60
	basicAck     = 80
	basicNack    = 120
)

// The property flags of a content header.
const (
	hasContentType     = 1 << 15
	hasContentEncoding = 1 << 14
	hasHeaders         = 1 << 13
	hasDeliveryMode    = 1 << 12
	hasPriority        = 1 << 11
	hasCorrelationID   = 1 << 10
	hasReplyTo         = 1 << 9
	hasExpiration      = 1 << 8
	hasMessageID       = 1 << 7
	hasTimestamp       = 1 << 6
	hasType            = 1 << 5
	hasUserID          = 1 << 4
	hasAppID           = 1 << 3
)

// properties are the properties of a message. nil headers are not sent; an empty map is
// sent as an empty table.
type properties struct {
	headers                      map[string]any
	deliveryMode, priority       uint8
	contentType, contentEncoding string
	correlationID, replyTo       string
	expiration, messageID        string
	timestamp                    time.Time
	kind, userID, appID          string
}

const (
	transient  = 1
	persistent = 2
)

// publishing is a message that is published.
type publishing struct {
	exchange, key string
	mandatory     bool
	properties
	body []byte
}

var errShortFrame = errors.New("a frame is shorter than its content")

// beginFrame appends the header of a frame, without its size. endFrame completes the
// frame that starts at start.
func beginFrame(dst []byte, kind byte, channel uint16) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint16(dst, channel)
	return append(dst, 0, 0, 0, 0)
}

func endFrame(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start+3:], uint32(len(dst)-start-frameHead)) //nolint:gosec // a frame has at most frameMax bytes
	return append(dst, frameEnd)
}

func beginMethod(dst []byte, channel, method uint16) []byte {
	dst = beginFrame(dst, frameMethod, channel)
	dst = binary.BigEndian.AppendUint16(dst, classBasic)
	return binary.BigEndian.AppendUint16(dst, method)
}

// appendShort appends a text of at most 255 bytes.
func appendShort(dst []byte, text string) []byte {
	text = text[:min(len(text), maxShort)] // check has rejected longer ones
	return append(append(dst, byte(len(text))), text...)
}

// appendPublish appends the frames of a message.
func appendPublish(dst []byte, channel uint16, p *publishing, frameMax int) []byte {
	start := len(dst)
	dst = beginMethod(dst, channel, basicPublish)
	dst = append(dst, 0, 0)
	dst = appendShort(appendShort(dst, p.exchange), p.key)
	var bits byte
	if p.mandatory {
		bits = 1
	}
	dst = endFrame(append(dst, bits), start)

	start = len(dst)
	dst = beginFrame(dst, frameHeader, channel)
	dst = binary.BigEndian.AppendUint16(dst, classBasic)
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(len(p.body)))
	dst = endFrame(appendProperties(dst, &p.properties), start)

	for body := p.body; len(body) > 0; {
		n := min(len(body), frameMax-frameRoom)
		start = len(dst)
		dst = beginFrame(dst, frameBody, channel)
		dst = endFrame(append(dst, body[:n]...), start)
		body = body[n:]
	}
	return dst
}

func appendProperties(dst []byte, p *properties) []byte {
	at := len(dst)
	flags := uint16(0)
	dst = append(dst, 0, 0)
	text := func(bit uint16, s string) {
		if s != "" {
			flags |= bit
			dst = appendShort(dst, s)
		}
	}
	text(hasContentType, p.contentType)
	text(hasContentEncoding, p.contentEncoding)
	if p.headers != nil {
		flags |= hasHeaders
		dst = appendTable(dst, p.headers)
	}
	if p.deliveryMode != 0 {
		flags |= hasDeliveryMode
		dst = append(dst, p.deliveryMode)
	}
	if p.priority != 0 {
		flags |= hasPriority
		dst = append(dst, p.priority)
	}
	text(hasCorrelationID, p.correlationID)
	text(hasReplyTo, p.replyTo)
	text(hasExpiration, p.expiration)
	text(hasMessageID, p.messageID)
	if !p.timestamp.IsZero() {
		flags |= hasTimestamp
		dst = binary.BigEndian.AppendUint64(dst, uint64(p.timestamp.Unix())) //nolint:gosec // AMQP's timestamp is unsigned
	}
	text(hasType, p.kind)
	text(hasUserID, p.userID)
	text(hasAppID, p.appID)
	binary.BigEndian.PutUint16(dst[at:], flags)
	return dst
}

// appendAck appends the acknowledgment of a message or, with multiple, of all messages
// up to it.
func appendAck(dst []byte, channel uint16, tag uint64, multiple bool) []byte {
	start := len(dst)
	dst = beginMethod(dst, channel, basicAck)
	dst = binary.BigEndian.AppendUint64(dst, tag)
	return endFrame(append(dst, bit(multiple)), start)
}

// appendNack appends the rejection of a message.
func appendNack(dst []byte, channel uint16, tag uint64, requeue bool) []byte {
	start := len(dst)
	dst = beginMethod(dst, channel, basicNack)
	dst = binary.BigEndian.AppendUint64(dst, tag)
	return endFrame(append(dst, bit(requeue)<<1), start)
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// parser reads the contents of a frame. Past the end it sets bad and returns zeros.
type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) take(n int) []byte {
	if n > len(p.rest) {
		p.rest, p.bad = nil, true
		return nil
	}
	b := p.rest[:n:n] // an append to b must not overwrite the rest
	p.rest = p.rest[n:]
	return b
}

func (p *parser) byte() byte {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) uint16() uint16 {
	if b := p.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (p *parser) uint32() uint32 {
	if b := p.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (p *parser) uint64() uint64 {
	if b := p.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (p *parser) short() []byte { return p.take(int(p.byte())) }

// long reads a long string: a 4-byte length, followed by that many bytes.
func (p *parser) long() []byte { return p.take(int(p.uint32())) }

// incoming is a message that the broker delivered or returned. Its slices are valid only
// until the function that receives it returns.
type incoming struct {
	tag           uint64
	redelivered   bool
	replyCode     uint16
	replyText     []byte
	exchange, key []byte

	deliveryMode, priority       uint8
	contentType, contentEncoding []byte
	table                        []byte // the encoded headers
	hasTable                     bool
	correlationID, replyTo       []byte
	expiration, messageID        []byte
	timestamp                    time.Time
	kind, userID, appID          []byte

	body []byte
}

// parseDeliver reads the arguments of basic.deliver.
func (in *incoming) parseDeliver(args []byte) error {
	p := parser{rest: args}
	p.short() // the consumer tag; a channel has only one consumer
	in.tag = p.uint64()
	in.redelivered = p.byte()&1 != 0
	in.exchange, in.key = p.short(), p.short()
	if p.bad {
		return errShortFrame
	}
	return nil
}

// parseReturn reads the arguments of basic.return.
func (in *incoming) parseReturn(args []byte) error {
	p := parser{rest: args}
	in.replyCode, in.replyText = p.uint16(), p.short()
	in.exchange, in.key = p.short(), p.short()
	if p.bad {
		return errShortFrame
	}
	return nil
}

// parseHeader reads a content header and returns the size of the body. It skips
// properties that it cannot read, since they are no reason to close the connection.
func (in *incoming) parseHeader(payload []byte) (size uint64, err error) {
	p := parser{rest: payload}
	p.take(4) // class and weight
	size = p.uint64()
	flags := p.uint16()
	if p.bad {
		return 0, errShortFrame
	}
	text := func(bit uint16, to *[]byte) {
		if flags&bit != 0 {
			*to = p.short()
		}
	}
	text(hasContentType, &in.contentType)
	text(hasContentEncoding, &in.contentEncoding)
	if flags&hasHeaders != 0 {
		in.table, in.hasTable = p.long(), true
	}
	if flags&hasDeliveryMode != 0 {
		in.deliveryMode = p.byte()
	}
	if flags&hasPriority != 0 {
		in.priority = p.byte()
	}
	text(hasCorrelationID, &in.correlationID)
	text(hasReplyTo, &in.replyTo)
	text(hasExpiration, &in.expiration)
	text(hasMessageID, &in.messageID)
	if flags&hasTimestamp != 0 {
		in.timestamp = time.Unix(int64(p.uint64()), 0) //nolint:gosec // AMQP's timestamp is unsigned
	}
	text(hasType, &in.kind)
	text(hasUserID, &in.userID)
	text(hasAppID, &in.appID)
	return size, nil
}

// parseConfirm reads the arguments of basic.ack and basic.nack.
func parseConfirm(args []byte) (tag uint64, multiple bool, err error) {
	p := parser{rest: args}
	tag, multiple = p.uint64(), p.byte()&1 != 0
	if p.bad {
		return 0, false, errShortFrame
	}
	return tag, multiple, nil
}
