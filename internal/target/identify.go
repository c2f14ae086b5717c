package target

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"regexp"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/wire"
)

// protocol is what a peer speaks.
type protocol struct {
	name string // as in a sentence; "" if it is not known
	kind Kind   // the transport that uses it; "" for none
	tls  bool   // inside TLS
}

// known is a protocol and how the first bytes of its servers begin.
type known struct {
	protocol
	begins *regexp.Regexp
}

// protocols lists the protocols that are recognized, in the order in which they are tried.
var protocols = []known{
	{protocol{name: nestProtocol, kind: TCP}, regexp.MustCompile(`^\d+#\s*[{"\[]`)},
	{protocol{name: "HTTP", kind: HTTP}, regexp.MustCompile(`^HTTP/\d`)},
	{protocol{name: "AMQP", kind: RabbitMQ}, regexp.MustCompile(`^(AMQP|\x01\x00\x00\x00\x00)`)},
	{protocol{name: "NATS", kind: NATS}, regexp.MustCompile(`^(INFO \{|-ERR ')`)},
	{protocol{name: "Redis", kind: Redis}, regexp.MustCompile(`^(-[A-Z]+ |\+PONG)`)},
	{protocol{name: "HTTP/2"}, regexp.MustCompile(`^\x00\x00.\x04\x00`)},
	{protocol{name: "SSH"}, regexp.MustCompile(`^SSH-`)},
	{protocol{name: "MySQL"}, regexp.MustCompile(`^(?s:...)\x00[\x0a\xff]`)}, // a greeting, or an error
	{protocol{name: "SMTP or FTP"}, regexp.MustCompile(`^220[ -]`)},
}

// nestProtocol names NestJS's TCP transport.
const nestProtocol = "NestJS's TCP transport"

// recognize returns the protocol of a peer that begins with these bytes.
func recognize(sent []byte) (protocol, bool) {
	if len(sent) >= 3 && (sent[0] == 0x15 || sent[0] == 0x16) && sent[1] == 3 { // an alert, or a handshake
		return protocol{tls: true}, true
	}
	for _, p := range protocols {
		if p.begins.Match(sent) {
			p.tls = usesTLS.Match(sent)
			return p.protocol, true
		}
	}
	return protocol{}, false
}

// OtherProtocol names what is spoken at an address, host:port, if that is not NestJS's TCP
// transport; "" if it is, or if it is not known.
func OtherProtocol(ctx context.Context, address string) string {
	p, ok, _ := identify(ctx, address)
	switch {
	case !ok, p.kind == TCP && !p.tls:
		return ""
	case p.name == "":
		return "TLS"
	}
	return p.String()
}

// usesTLS matches how a server mentions its use of TLS in plain text: NATS always, and a
// web server when it gets a request without TLS.
var usesTLS = regexp.MustCompile(`^INFO .*"tls_(required|available)": ?true|^HTTP/(?s:.*) HTTPS `)

// The limits of identify: for the reply to one question, and for the bytes of it that
// are read.
const (
	askTimeout = 500 * time.Millisecond
	askBytes   = 4 << 10
)

// sslRequest asks a server of PostgreSQL whether it uses TLS. The reply is one byte, S or N.
var sslRequest = []byte{0, 0, 0, 8, 4, 210, 22, 47}

// identify finds out what is spoken at an address. It connects several times and sends
// what servers of one protocol or another reply to: a request for /, which Redis,
// RabbitMQ, and NATS reject or greet; a question that every NestJS service replies to;
// one that only PostgreSQL replies to; and the start of TLS if there is no reply to either. ok is false if there is none at
// all. err is why it could not connect.
func identify(ctx context.Context, address string) (p protocol, ok bool, err error) {
	p, ok, err = question(ctx, dialerOf(ctx), address)
	if err != nil || ok && !p.tls {
		return p, ok, err
	}
	encrypted := &tls.Dialer{NetDialer: dialerOf(ctx), Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing secret is sent
	inner, _, err := question(ctx, encrypted, address)
	if _, rejected := alertOf(err); err == nil || rejected { // it may require a certificate
		inner.tls = true
		return inner, true, nil
	}
	return p, ok, nil
}

// dialer is a net.Dialer or a tls.Dialer.
type dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// question sends all questions at once, each on a connection of its own, and returns the
// first protocol that is recognized. err is why it could not connect.
func question(ctx context.Context, d dialer, address string) (p protocol, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	describe := wire.AppendRequest(nil, micro.DescribePattern.JSON(), []byte("{}"), nil, []byte(`"msctl"`))
	var mu sync.Mutex // guards the results
	var wg sync.WaitGroup
	for _, text := range [][]byte{[]byte("GET / HTTP/1.0\r\n\r\n"), microtcp.AppendFrame(nil, describe), sslRequest} {
		wg.Go(func() {
			sent, failure := ask(ctx, d, address, text)
			found, known := recognize(sent)
			if len(sent) == 1 && &text[0] == &sslRequest[0] && (sent[0] == 'S' || sent[0] == 'N') {
				found, known = protocol{name: "PostgreSQL"}, true
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case known && !ok:
				p, ok = found, true
				cancel()
			case failure != nil && err == nil:
				err = failure
			}
		})
	}
	wg.Wait()
	if ok {
		err = nil
	}
	return p, ok, err
}

// ask sends a text and returns how the reply begins. The error is that of connecting.
func ask(ctx context.Context, d dialer, address string, text []byte) ([]byte, error) {
	conn, err := d.DialContext(ctx, network(address), address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_, _ = conn.Write(text) // if it fails, the peer may have sent something all the same
	reply := make([]byte, 0, askBytes)
	for len(reply) < askBytes {
		n, err := conn.Read(reply[len(reply):askBytes])
		reply = reply[:len(reply)+n]
		p, known := recognize(reply)
		if err != nil || known && p.kind != HTTP && !bytes.HasPrefix(reply, []byte("INFO")) || bytes.HasPrefix(reply, []byte("INFO")) && bytes.HasSuffix(reply, []byte("\n")) {
			break
		}
	}
	return reply, nil
}
