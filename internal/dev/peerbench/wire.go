package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
)

// protocol carries the requests of one connection and the replies to them. It implements the transport itself, so that no
// client library affects the measurement.
type protocol interface {
	// open connects, prepares for replies, and returns the connection on which they arrive.
	open(ctx context.Context, addr string) (net.Conn, error)
	// request appends the message of a request whose id has idDigits digits.
	request(dst, id []byte) []byte
	// send writes requests.
	send(requests []byte) error
	// next removes one message from the front of buf. whole is false if the message is incomplete. For a reply, next returns
	// the body and, if the body does not contain it, the ID; other messages have no body.
	next(buf []byte) (body, id, rest []byte, whole bool, err error)
	close()
}

// newWire returns a connection's wire for a transport, by its name in testdata/nest. queue is for RabbitMQ.
func newWire(transport, queue string, e exchange) protocol {
	switch transport {
	case "nats":
		return newNATSWire(e)
	case "redis":
		return newRedisWire(e)
	case "rmq":
		return newAMQPWire(e, queue)
	case "http":
		return newHTTPWire(e)
	}
	return newTCPWire(e)
}

// zeros returns the placeholder for an ID.
func zeros() []byte { return bytes.Repeat([]byte("0"), idDigits) }

// requestBody returns the packet of a request and the offset of its ID.
func (e exchange) requestBody() (body []byte, idAt int) {
	body = fmt.Appendf(nil, `{"pattern":%s,"data":%s,"id":"%s"}`, e.pattern(), e.data, zeros())
	return body, len(body) - idDigits - len(`"}`)
}

// replyBody returns the packet of the reply and the offset of its ID, -1 on RabbitMQ, where it has none.
func (e exchange) replyBody(withID bool) (body []byte, idAt int) {
	if !withID {
		return fmt.Appendf(nil, `{"response":%s,"isDisposed":true}`, e.response), -1
	}
	body = fmt.Appendf(nil, `{"response":%s,"isDisposed":true,"id":"%s"}`, e.response, zeros())
	return body, len(body) - idDigits - len(`"}`)
}

// reply returns the reply of a transport, as its wire returns it, and the offset of the ID, or -1.
func (e exchange) reply(transport string) (body []byte, idAt int) {
	switch {
	case e.echoed:
		return e.requestBody()
	case transport == "http":
		return e.response, bytes.Index(e.response, zeros())
	}
	return e.replyBody(transport != "rmq")
}

// pattern returns the JSON of the pattern, which is also its route because it is canonical.
func (e exchange) pattern() string { return fmt.Sprintf(`{"cmd":%q}`, e.cmd) }

// template is a text with placeholders for IDs.
type template struct {
	text []byte
	at   []int
}

func (t *template) append(dst, id []byte) []byte {
	start := len(dst)
	dst = append(dst, t.text...)
	for _, at := range t.at {
		copy(dst[start+at:], id)
	}
	return dst
}

// plainConn is the part of a wire that uses one connection in both directions.
type plainConn struct{ conn net.Conn }

func (c *plainConn) dial(ctx context.Context, addr string) (err error) {
	c.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	return err
}

func (c *plainConn) send(requests []byte) error {
	_, err := c.conn.Write(requests)
	return err
}

func (c *plainConn) close() { c.conn.Close() }

// tcpWire is NestJS's TCP transport.
type tcpWire struct {
	plainConn
	template template
}

func newTCPWire(e exchange) *tcpWire {
	body, at := e.requestBody()
	header := strconv.Itoa(len(body)) + "#"
	return &tcpWire{template: template{append([]byte(header), body...), []int{len(header) + at}}}
}

func (w *tcpWire) open(ctx context.Context, addr string) (net.Conn, error) {
	return w.conn, w.dial(ctx, addr)
}

func (w *tcpWire) request(dst, id []byte) []byte { return w.template.append(dst, id) }

func (w *tcpWire) next(buf []byte) (body, id, rest []byte, whole bool, err error) {
	end := bytes.IndexByte(buf, '#')
	if end < 0 {
		return nil, nil, buf, false, nil
	}
	n := digits(buf[:end]) // ASCII only, so UTF-16 units are bytes
	if n > 1<<30 {
		return nil, nil, nil, false, fmt.Errorf("a frame begins %q", shorten(buf))
	}
	if buf = buf[end+1:]; len(buf) < n {
		return nil, nil, nil, false, nil
	}
	return buf[:n], nil, buf[n:], true, nil
}
