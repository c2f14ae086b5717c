package microrabbit

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestTLS checks amqps for client and server, and that a client that does not trust the
// broker fails at once with the reason.
func TestTLS(t *testing.T) {
	certs := testenv.NewCertificates(t)
	b := testenv.PrivateRabbitMQ(t, certs.RabbitMQ()...)
	var log testenv.Log
	s := quietServer(micro.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	url := b.URL
	start(t, s, Listen(url, "q", WithTLS(certs.Client)))
	c := dial(t, url, "q", WithTLS(certs.Client))
	data := strings.Repeat("x", 300_000)
	if got, err := micro.Call[string](t.Context(), c, echo, data); err != nil || got != data {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if err := c.Emit(t.Context(), noted, "x"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "address=amqps://127.0.0.1:") {
		t.Errorf("log: %s", log.String())
	}
	start := time.Now()
	_, err := micro.Call[string](t.Context(), dial(t, url, "q"), echo, "x")
	if !errors.Is(err, micro.ErrUnreachable) || !strings.Contains(err.Error(), "certificate") || time.Since(start) > soon/2 { // its deadline is later
		t.Errorf("without trust: %v after %v", err, time.Since(start))
	}
	if err := serveOnce(t, Listen(url, "q", WithTLS(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: "elsewhere", RootCAs: certs.Client.RootCAs}))); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with another name: %v", err)
	}
	plain := strings.Replace(b.URL, "amqps:", "amqp:", 1)
	if _, err := micro.Call[string](t.Context(), dial(t, plain, "q", WithDialTimeout(time.Second)), echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("without TLS: %v", err)
	}
}

// TestNoSecrets checks that no log line and no error contains a password.
func TestNoSecrets(t *testing.T) {
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	b := broker(t)
	var log testenv.Log
	for _, url := range []string{
		strings.Replace(b.URL, "guest:guest", "guest:s3cret", 1),
		strings.Replace(b.URL, "guest:guest", "s3cret:s3cret", 1),
		fmt.Sprintf("amqp://u:s3cret@127.0.0.1:%d", port),
	} {
		s := quietServer(micro.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		err := s.Serve(t.Context(), Listen(url, "q", WithReconnect(1, time.Millisecond)))
		_, called := micro.Call[string](t.Context(), dial(t, url, "q", WithDialTimeout(300*time.Millisecond)), echo, "x")
		for _, text := range []string{err.Error(), called.Error(), log.String()} {
			if strings.Contains(strings.ReplaceAll(text, "user 's3cret'", ""), "s3cret") {
				t.Errorf("contains the password: %s", text)
			}
		}
	}
}
