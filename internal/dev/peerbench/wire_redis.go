package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
)

// redisWire is the protocol of Redis: one connection subscribes to the channel of the replies, another one publishes.
type redisWire struct {
	publish  net.Conn
	replies  net.Conn
	channel  string
	message  []byte // the beginning of each reply, up to its length
	template template
	counted  chan struct{} // closed when the replies to PUBLISH have ended
}

func newRedisWire(e exchange) *redisWire {
	body, at := e.requestBody()
	header := fmt.Appendf(nil, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n", len(e.pattern()), e.pattern(), len(body))
	text := append(append(header, body...), "\r\n"...)
	channel := e.pattern() + ".reply"
	return &redisWire{
		channel: channel, counted: make(chan struct{}),
		message:  fmt.Appendf(nil, "*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$", len(channel), channel),
		template: template{text, []int{len(header) + at}},
	}
}

func (w *redisWire) open(ctx context.Context, addr string) (net.Conn, error) {
	var err error
	if w.replies, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr); err != nil {
		return nil, err
	}
	if w.publish, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr); err != nil {
		w.replies.Close()
		return nil, err
	}
	go func() { // discard the replies to PUBLISH, which contain the number of subscribers
		defer close(w.counted)
		_, _ = io.Copy(io.Discard, w.publish) // ends when the connection is closed
	}()
	subscribe := fmt.Sprintf("*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%s\r\n", len(w.channel), w.channel)
	if _, err := io.WriteString(w.replies, subscribe); err != nil {
		return nil, err
	}
	answer := make([]byte, len(subscribe)+len(":1\r\n"))
	if _, err := io.ReadFull(w.replies, answer); err != nil || !bytes.HasSuffix(answer, []byte(":1\r\n")) {
		return nil, fmt.Errorf("subscribe to %s: %w, %q", w.channel, err, answer)
	}
	return w.replies, nil
}

func (w *redisWire) request(dst, id []byte) []byte { return w.template.append(dst, id) }

func (w *redisWire) send(requests []byte) error {
	_, err := w.publish.Write(requests)
	return err
}

func (w *redisWire) close() {
	w.replies.Close()
	w.publish.Close()
	<-w.counted
}

func (w *redisWire) next(buf []byte) (body, id, rest []byte, whole bool, err error) {
	if len(buf) < len(w.message) {
		return nil, nil, buf, false, nil
	}
	length, after, found := bytes.Cut(buf[len(w.message):], []byte("\r\n"))
	if !found && len(buf) < len(w.message)+20 {
		return nil, nil, buf, false, nil
	}
	n := digits(length)
	if !bytes.HasPrefix(buf, w.message) || n > 1<<30 {
		return nil, nil, nil, false, fmt.Errorf("unexpected reply from Redis: %q", shorten(buf))
	}
	if len(after) < n+2 {
		return nil, nil, buf, false, nil
	}
	return after[:n], nil, after[n+2:], true, nil
}
