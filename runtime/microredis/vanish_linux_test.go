package microredis

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestVanishedRedis checks that both sides notice that packets no longer arrive from Redis on one
// of their connections, although no heartbeat looks.
func TestVanishedRedis(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		broker := testenv.PrivateRedis(t)
		var log testenv.Log
		l := Listen(broker.URL, WithPeerTimeout(2*time.Second), WithHeartbeat(time.Hour))
		start(t, quietServer(micro.WithLogger(logger(&log)), micro.WithDrainTimeout(time.Millisecond)), l)
		conn := Dial(broker.URL, withLogger(slog.New(slog.DiscardHandler)), WithPeerTimeout(2*time.Second), WithHeartbeat(time.Hour))
		c := micro.NewClient(conn, micro.WithTimeout(soon))
		defer func() { _ = c.Close() }()
		for _, choose := range []func(*session) *socket{
			func(s *session) *socket { return s.out },
			func(s *session) *socket { return s.in },
		} {
			awaitRecovery(t, c)
			ended := startHeldCalls(t, c, conn, 1)
			testenv.Forget(t, portOf(choose(conn.link.session())))
			if err := <-ended; !errors.Is(err, micro.ErrConnectionLost) {
				t.Errorf("on the lost connection: %v, want ErrConnectionLost", err)
			}
			if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
				t.Errorf("on a new connection: %q, %v", got, err)
			}
		}
		for i, choose := range []func(*session) *socket{
			func(s *session) *socket { return s.out },
			func(s *session) *socket { return s.in },
		} {
			testenv.Forget(t, portOf(choose(l.link.session())))
			eventually(t, "the server reconnects", func() bool {
				return strings.Count(log.String(), "connection restored") == i+1
			})
		}
		awaitRecovery(t, c)
	})
}

func portOf(w *socket) uint16 {
	return uint16(w.LocalAddr().(*net.TCPAddr).Port) //nolint:gosec // a port
}
