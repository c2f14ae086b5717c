package broker

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

// handshakeTimeout limits the handshake with one address.
const handshakeTimeout = 3 * time.Second

// errNotBroker reports that a program other than the broker answers.
var errNotBroker = errors.New("a different program is listening there")

// Handshake checks whether a transport's broker answers at one of the addresses. It
// starts the broker's protocol, because any program may listen on a port, and sends no
// credentials. The error is that of the first address.
func Handshake(ctx context.Context, t workspace.Transport, addresses string) error {
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

// greet is Handshake for one address.
func greet(ctx context.Context, t workspace.Transport, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("malformed address")
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	network, place := "tcp", net.JoinHostPort(u.Hostname(), brokerPort(t, u))
	if u.Hostname() == "" && u.Path != "" {
		network, place = "unix", u.Path
	}
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, network, place)
	if err != nil {
		return dialError(err)
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	var conn io.ReadWriter = raw
	if u.Scheme == "amqps" || strings.HasPrefix(u.Scheme, "rediss") {
		// The NATS protocol begins without encryption.
		conn = tls.Client(raw, &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true}) //nolint:gosec // no credentials are sent; the service verifies the certificate
	}
	if err := startProtocol(t, conn); err != nil {
		if ctx.Err() != nil {
			return errors.New("connected, but the peer sent nothing")
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

// dialError returns why a connection failed, without the addresses that were tried:
// the caller reports the configured one.
func dialError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	if text, ok := strings.CutPrefix(err.Error(), "connect: "); ok {
		return errors.New(text)
	}
	return err
}

// startMethod is AMQP's connection.start: class 10, method 10.
var startMethod = []byte{0, 10, 0, 10}

// startProtocol sends what a client sends first and checks the broker's answer.
func startProtocol(t workspace.Transport, conn io.ReadWriter) error {
	switch t {
	case workspace.NATS:
		return expect(conn, "", 5, func(b []byte) bool { return string(b) == "INFO " })
	case workspace.Redis:
		// An error is an answer, too: NOAUTH if a password is required.
		return expect(conn, "*1\r\n$4\r\nPING\r\n", 1, func(b []byte) bool { return b[0] == '+' || b[0] == '-' })
	case workspace.RabbitMQ:
		return expect(conn, "AMQP\x00\x00\x09\x01", 11, func(b []byte) bool {
			return b[0] == 1 && bytes.Equal(b[7:11], startMethod)
		})
	}
	return fmt.Errorf("%s has no broker", t)
}

// expect sends hello and checks the first n bytes of the answer.
func expect(conn io.ReadWriter, hello string, n int, check func([]byte) bool) error {
	if _, err := io.WriteString(conn, hello); err != nil {
		return errNotBroker
	}
	answer := make([]byte, n)
	if _, err := io.ReadFull(conn, answer); err != nil || !check(answer) {
		return errNotBroker
	}
	return nil
}
