package outage

import (
	"log/slog"
	"net"
	"strconv"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestHostMoves gives the name of a host another address, and then ends what is at the old
// one: clients and servers look the name up again, and continue at the new address.
func TestHostMoves(t *testing.T) {
	for _, e := range allEnds(t) {
		t.Run(e.name, func(t *testing.T) {
			name := e.name + ".test"
			port, err := testenv.FreePort()
			if err != nil {
				t.Fatal(err)
			}
			at := net.JoinHostPort(name, strconv.Itoa(port))
			there := func(ip string) string { return net.JoinHostPort(ip, strconv.Itoa(port)) } // 127.0.0.0/8 is local on Linux
			var target string
			if e.broker != nil {
				target = brokerAddress(t, e.broker(t))
				serveHost(t, e, at)
			} else {
				target = serveHost(t, e, "127.0.0.1:0")
			}
			old := startRelay(t, there("127.0.0.1"), target)
			hosts.set(name, "127.0.0.1")
			c := micro.NewClient(e.dial(at), micro.WithLogger(slog.New(slog.DiscardHandler)))
			defer c.Close()
			untilAnswered(t, c)
			hosts.set(name, "127.0.0.2")
			next := startRelay(t, there("127.0.0.2"), target)
			if got, err := micro.Call[int](t.Context(), c, echo, 7); err != nil || got != 7 {
				t.Errorf("while the old address works: %d, %v", got, err)
			}
			old.stop()
			untilAnswered(t, c)
			if next.accepted.Load() == 0 {
				t.Error("nothing has connected to the new address")
			}
		})
	}
}
