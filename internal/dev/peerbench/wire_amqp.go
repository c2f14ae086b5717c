package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// amqpWire implements the part of AMQP 0-9-1 that a caller over direct reply-to needs: requests are published to the queue,
// replies arrive on amq.rabbitmq.reply-to, and the correlation ID distinguishes them.
type amqpWire struct {
	plainConn
	template template

	id   []byte // of the reply whose body is awaited
	size int    // of that body
	body []byte // the part that has been received
}

// The types of frames and the methods that are sent or expected.
const (
	amqpMethod = 1
	amqpHeader = 2
	amqpBody   = 3
	amqpEnd    = 0xCE

	amqpMaxFrame = 131072

	connectionStart   = 10<<16 | 10
	connectionStartOK = 10<<16 | 11
	connectionTune    = 10<<16 | 30
	connectionTuneOK  = 10<<16 | 31
	connectionOpen    = 10<<16 | 40
	connectionOpenOK  = 10<<16 | 41
	channelOpen       = 20<<16 | 10
	channelOpenOK     = 20<<16 | 11
	basicConsume      = 60<<16 | 20
	basicConsumeOK    = 60<<16 | 21
	basicPublish      = 60<<16 | 40
	basicDeliver      = 60<<16 | 60
)

func newAMQPWire(e exchange, queue string) *amqpWire {
	body, bodyID := e.requestBody()
	publish := method(basicPublish, u16(0), short(""), short(queue), []byte{0})
	const headers, correlation, replyTo, deliveryMode = 1 << 13, 1 << 10, 1 << 9, 1 << 12
	properties := bytes.Join([][]byte{u16(60), u16(0), u64(len(body)), u16(headers | deliveryMode | correlation | replyTo), u32(0), {1}}, nil)
	properties = append(properties, idDigits)
	correlationID := len(properties)
	properties = append(append(properties, zeros()...), short("amq.rabbitmq.reply-to")...)
	text := frame(amqpMethod, 1, publish)
	header := len(text) + frameHeader
	text = append(text, frame(amqpHeader, 1, properties)...)
	content := len(text) + frameHeader
	text = append(text, frame(amqpBody, 1, body)...)
	return &amqpWire{template: template{text, []int{header + correlationID, content + bodyID}}}
}

// frameHeader is the length of a frame's header.
const frameHeader = 7

func frame(kind byte, channel int, payload []byte) []byte {
	head := append([]byte{kind}, u16(channel)...)
	return append(append(append(head, u32(len(payload))...), payload...), amqpEnd)
}

func method(id int, arguments ...[]byte) []byte {
	return append(u32(id), bytes.Join(arguments, nil)...)
}

func u16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) } //nolint:gosec // small
func u32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) } //nolint:gosec // small
func u64(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) } //nolint:gosec // a length

func short(text string) []byte { return append([]byte{byte(len(text))}, text...) }
func long(text string) []byte  { return append(u32(len(text)), text...) }

func (w *amqpWire) open(ctx context.Context, addr string) (net.Conn, error) {
	if err := w.dial(ctx, addr); err != nil {
		return nil, err
	}
	in := bufio.NewReader(w.conn)
	for _, step := range []struct {
		send []byte
		wait int
	}{
		{[]byte("AMQP\x00\x00\x09\x01"), connectionStart},
		{frame(amqpMethod, 0, method(connectionStartOK, u32(0), short("PLAIN"), long("\x00guest\x00guest"), short("en_US"))), connectionTune},
		{append(frame(amqpMethod, 0, method(connectionTuneOK, u16(1), u32(amqpMaxFrame), u16(0))),
			frame(amqpMethod, 0, method(connectionOpen, short("/"), short(""), []byte{0}))...), connectionOpenOK},
		{frame(amqpMethod, 1, method(channelOpen, short(""))), channelOpenOK},
		{frame(amqpMethod, 1, method(basicConsume, u16(0), short("amq.rabbitmq.reply-to"), short(""), []byte{2}, u32(0))), basicConsumeOK},
	} {
		if err := w.send(step.send); err != nil {
			return nil, err
		}
		if err := awaitMethod(in, step.wait); err != nil {
			return nil, fmt.Errorf("greet RabbitMQ: %w", err)
		}
	}
	if in.Buffered() > 0 {
		return nil, errors.New("unexpected data from RabbitMQ")
	}
	return w.conn, nil
}

// awaitMethod reads one frame, which must contain the method want.
func awaitMethod(in *bufio.Reader, want int) error {
	head := make([]byte, frameHeader)
	if _, err := io.ReadFull(in, head); err != nil {
		return err
	}
	payload := make([]byte, binary.BigEndian.Uint32(head[3:])+1)
	if _, err := io.ReadFull(in, payload); err != nil {
		return err
	}
	if head[0] != amqpMethod || len(payload) < 5 || int(binary.BigEndian.Uint32(payload)) != want {
		return fmt.Errorf("want method %d.%d, got %q", want>>16, want&0xffff, shorten(payload))
	}
	return nil
}

func (w *amqpWire) request(dst, id []byte) []byte { return w.template.append(dst, id) }

func (w *amqpWire) next(buf []byte) (body, id, rest []byte, whole bool, err error) {
	if len(buf) < frameHeader {
		return nil, nil, buf, false, nil
	}
	size := int(binary.BigEndian.Uint32(buf[3:]))
	if size > amqpMaxFrame {
		return nil, nil, nil, false, fmt.Errorf("a frame begins %q", shorten(buf))
	}
	if len(buf) < frameHeader+size+1 {
		return nil, nil, buf, false, nil
	}
	payload, rest := buf[frameHeader:frameHeader+size], buf[frameHeader+size+1:]
	switch kind := buf[0]; {
	case kind == amqpMethod && bytes.HasPrefix(payload, u32(basicDeliver)):
		return nil, nil, rest, true, nil
	case kind == amqpHeader && size >= 14:
		w.size, w.body = int(binary.BigEndian.Uint64(payload[4:])), w.body[:0]
		id, err = correlationOf(payload[12:])
		w.id = append(w.id[:0], id...) // the body may arrive with another read
		return nil, nil, rest, true, err
	case kind == amqpBody:
		if w.body = append(w.body, payload...); len(w.body) < w.size {
			return nil, nil, rest, true, nil
		}
		return w.body, w.id, rest, true, nil
	}
	return nil, nil, nil, false, fmt.Errorf("unexpected frame from RabbitMQ: %q", shorten(payload))
}

// correlationOf returns the correlation ID from a message's properties: flags, followed by the properties that are set, in order.
func correlationOf(properties []byte) (id []byte, err error) {
	const contentType, contentEncoding, headers, deliveryMode, priority, correlationID = 1 << 15, 1 << 14, 1 << 13, 1 << 12, 1 << 11, 1 << 10
	flags, at := binary.BigEndian.Uint16(properties), 2
	take := func(flag uint16, length func() int) {
		if flags&flag != 0 && at < len(properties) {
			at += length()
		}
	}
	shortText := func() int { return 1 + int(properties[at]) }
	take(contentType, shortText)
	take(contentEncoding, shortText)
	take(headers, func() int {
		return 4 + int(binary.BigEndian.Uint32(append(properties[at:len(properties):len(properties)], 0, 0, 0, 0)))
	})
	take(deliveryMode, func() int { return 1 })
	take(priority, func() int { return 1 })
	if flags&correlationID == 0 || at >= len(properties) || at+shortText() > len(properties) {
		return nil, fmt.Errorf("a reply has no correlation id: %x", shorten(properties))
	}
	return properties[at+1 : at+shortText()], nil
}
