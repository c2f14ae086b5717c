package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
)

// natsWire is the text protocol of NATS: one subscription receives all replies, whose subjects end with the ID.
type natsWire struct {
	plainConn
	template template
}

// natsInbox is the subject of a connection's replies, up to the id.
const natsInbox = "_INBOX.peerbench."

func newNATSWire(e exchange) *natsWire {
	body, at := e.requestBody()
	header := fmt.Appendf(nil, "PUB %s %s", e.pattern(), natsInbox)
	subjectID := len(header)
	header = fmt.Appendf(header, "%s %d\r\n", zeros(), len(body))
	text := append(append(header, body...), "\r\n"...)
	return &natsWire{template: template{text, []int{subjectID, len(header) + at}}}
}

func (w *natsWire) open(ctx context.Context, addr string) (net.Conn, error) {
	if err := w.dial(ctx, addr); err != nil {
		return nil, err
	}
	hello := `CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"lang":"go","version":"0"}` + "\r\n"
	if err := w.send([]byte(hello + "SUB " + natsInbox + "* 1\r\nPING\r\n")); err != nil {
		return nil, err
	}
	greeting := make([]byte, 0, 64<<10)
	for !bytes.HasSuffix(greeting, []byte("PONG\r\n")) { // nothing else is received before the first request
		n, err := w.conn.Read(greeting[len(greeting):cap(greeting)])
		if greeting = greeting[:len(greeting)+n]; err != nil || len(greeting) == cap(greeting) {
			return nil, fmt.Errorf("greet the NATS server: %w, after %q", err, shorten(greeting))
		}
	}
	return w.conn, nil
}

func (w *natsWire) request(dst, id []byte) []byte { return w.template.append(dst, id) }

func (w *natsWire) next(buf []byte) (body, id, rest []byte, whole bool, err error) {
	line, after, found := bytes.Cut(buf, []byte("\r\n"))
	if !found {
		return nil, nil, buf, false, nil
	}
	switch {
	case bytes.HasPrefix(line, []byte("MSG ")):
		n := digits(line[bytes.LastIndexByte(line, ' ')+1:])
		if n > 1<<30 {
			return nil, nil, nil, false, fmt.Errorf("a message begins %q", shorten(line))
		}
		if len(after) < n+2 {
			return nil, nil, buf, false, nil
		}
		return after[:n], nil, after[n+2:], true, nil
	case bytes.Equal(line, []byte("PING")):
		return nil, nil, after, true, w.send([]byte("PONG\r\n"))
	case bytes.HasPrefix(line, []byte("HMSG ")):
		return nil, nil, nil, false, errors.New("no subscriber for the subject, or a reply with headers")
	}
	return nil, nil, nil, false, fmt.Errorf("unexpected message from NATS: %q", shorten(line))
}
