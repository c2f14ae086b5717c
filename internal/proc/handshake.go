package proc

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/workspace"
)

// handshakeTimeout bounds the question whether a broker is at one address.
const handshakeTimeout = 3 * time.Second

// errStranger says that something answers, and not as the broker does.
var errStranger = errors.New("what answers there is something else")

// handshake finds out whether a transport's broker answers at one of the
// addresses, by the first words of its protocol: an open port may be anything.
// It sends no credentials. The error is that of the first address.
func handshake(ctx context.Context, t workspace.Transport, addresses string) error {
	var first error
	for _, address := range workspace.SplitBrokerURL(addresses) {
		err := greet(ctx, t, address)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// greet is handshake with one address.
func greet(ctx context.Context, t workspace.Transport, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("the address is malformed")
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), brokerPort(t, u)))
	if err != nil {
		return plainDialError(err)
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	var conn io.ReadWriter = raw
	if u.Scheme == "amqps" || u.Scheme == "rediss" {
		// NATS says its first words in the clear.
		conn = tls.Client(raw, &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true}) //nolint:gosec // only who is there is asked; the service verifies
	}
	if err := firstWords(t, conn); err != nil {
		if ctx.Err() != nil {
			return errors.New("what answers there says nothing")
		}
		return err
	}
	return nil
}

func brokerPort(t workspace.Transport, u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case t == workspace.Redis:
		return "6379"
	case t == workspace.NATS:
		return "4222"
	case u.Scheme == "amqps":
		return "5671"
	}
	return "5672"
}

// plainDialError is why there is no connection, without the addresses that were
// tried: the reader knows the one that was given.
func plainDialError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	if text, ok := strings.CutPrefix(err.Error(), "connect: "); ok {
		return errors.New(text)
	}
	return err
}

// startMethod is connection.start, class 10 method 10, in a frame of channel 0.
var startMethod = []byte{0, 10, 0, 10}

// firstWords says what a client says first and reads what the broker answers.
func firstWords(t workspace.Transport, conn io.ReadWriter) error {
	switch t {
	case workspace.NATS:
		return expect(conn, "", 5, func(b []byte) bool { return string(b) == "INFO " })
	case workspace.Redis:
		// An error is an answer too: one that wants a password says NOAUTH.
		return expect(conn, "*1\r\n$4\r\nPING\r\n", 1, func(b []byte) bool { return b[0] == '+' || b[0] == '-' })
	case workspace.RabbitMQ:
		return expect(conn, "AMQP\x00\x00\x09\x01", 11, func(b []byte) bool {
			return b[0] == 1 && bytes.Equal(b[7:11], startMethod)
		})
	}
	return fmt.Errorf("%s has no broker", t)
}

// expect sends hello and holds the first n bytes of the answer to the check.
func expect(conn io.ReadWriter, hello string, n int, check func([]byte) bool) error {
	if _, err := io.WriteString(conn, hello); err != nil {
		return errStranger
	}
	answer := make([]byte, n)
	if _, err := io.ReadFull(conn, answer); err != nil || !check(answer) {
		return errStranger
	}
	return nil
}
