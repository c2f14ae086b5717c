package testenv_test

import (
	"net"
	"testing"

	"github.com/msctl/msctl/internal/testenv"
)

// private holds the functions that start each kind of broker.
var private = map[string]func(testing.TB, ...string) *testenv.Broker{
	"redis":    testenv.PrivateRedis,
	"nats":     testenv.PrivateNATS,
	"rabbitmq": testenv.PrivateRabbitMQ,
}

// TestBrokerEnds kills, stops and starts each broker again.
func TestBrokerEnds(t *testing.T) {
	for name, start := range private {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			address := b.Addr
			for _, end := range []func(){b.Kill, b.Stop} {
				accepts(t, b.Addr, true)
				end()
				accepts(t, b.Addr, false)
				end() // again is nothing
				b.Start()
				if b.Addr != address {
					t.Errorf("started again at %s, not at %s", b.Addr, address)
				}
			}
			accepts(t, b.Addr, true)
		})
	}
}

func accepts(t *testing.T, addr string, want bool) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		_ = conn.Close()
	}
	if (err == nil) != want {
		t.Errorf("connect to %s: %v, want it accepted: %v", addr, err, want)
	}
}
