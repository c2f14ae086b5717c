package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
)

// TestHandshake checks that each broker is recognized, and not mistaken for another one.
func TestHandshake(t *testing.T) {
	running := map[workspace.Transport]*testenv.Broker{
		workspace.RabbitMQ: testenv.RabbitMQ(t), workspace.NATS: testenv.NATS(t), workspace.Redis: testenv.Redis(t, "requirepass s3cret"),
	}
	schemes := map[workspace.Transport]string{workspace.RabbitMQ: "amqp://", workspace.NATS: "nats://", workspace.Redis: "redis://"}
	for asked, scheme := range schemes {
		for transport, broker := range running {
			err := Handshake(t.Context(), asked, scheme+broker.Addr)
			if (err == nil) != (asked == transport) {
				t.Errorf("handshake for %s with %s: error %v", asked, transport, err)
			}
		}
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		closed := scheme + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if err := Handshake(t.Context(), asked, closed); err == nil || err.Error() != "connection refused" {
			t.Errorf("%s at a closed port: error %v", asked, err)
		}
		if asked == workspace.Redis {
			continue
		}
		if err := Handshake(t.Context(), asked, closed+","+scheme+running[asked].Addr); err != nil {
			t.Errorf("%s at the second of two addresses: error %v", asked, err)
		}
	}
}

// TestHandshakeWithOtherPrograms checks that other programs are not mistaken for brokers.
func TestHandshakeWithOtherPrograms(t *testing.T) {
	for name, says := range map[string]string{
		"nothing": "", "SMTP": "220 mail.example.com ESMTP\r\n", "HTTP": "HTTP/1.1 400 Bad Request\r\n\r\n",
		"another AMQP": "AMQP\x00\x01\x00\x00", "zeros": strings.Repeat("\x00", 64), "another method": "\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0b",
	} {
		for _, transport := range workspace.Brokers() {
			address := otherProgram(t, says)
			if err := Handshake(t.Context(), transport, "x://"+address); err == nil {
				t.Errorf("%s is mistaken for %s", name, transport)
			}
		}
	}
	l := listenOn(t)
	if err := Handshake(t.Context(), workspace.NATS, "nats://"+l.Addr().String()); err == nil || err.Error() != "connected, but the peer sent nothing" {
		t.Errorf("a silent program: error %v", err)
	}
}

// TestHandshakeOverTLS checks that the handshake uses TLS if the address requires it. It
// does not verify the certificate.
func TestHandshakeOverTLS(t *testing.T) {
	for transport, says := range map[workspace.Transport]string{
		workspace.RabbitMQ: "\x01\x00\x00\x00\x00\x01\xef\x00\x0a\x00\x0a\x00\x09", workspace.Redis: "-NOAUTH Authentication required.\r\n",
	} {
		scheme := map[workspace.Transport]string{workspace.RabbitMQ: "amqps://", workspace.Redis: "rediss://"}[transport]
		plain := listenOn(t)
		go serve(tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}), says)
		if err := Handshake(t.Context(), transport, scheme+plain.Addr().String()); err != nil {
			t.Errorf("%s: %v", transport, err)
		}
		if err := Handshake(t.Context(), transport, scheme+otherProgram(t, says)); err == nil {
			t.Errorf("the handshake with %s succeeds without TLS", transport)
		}
	}
}

// otherProgram sends a text to every client.
func otherProgram(t *testing.T, says string) (address string) {
	t.Helper()
	l := listenOn(t)
	go serve(l, says)
	return l.Addr().String()
}

func listenOn(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func serve(l net.Listener, says string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte(says))
		_ = conn.Close()
	}
}

// certificate returns a self-signed certificate.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
