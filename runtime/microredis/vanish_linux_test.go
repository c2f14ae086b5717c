package microredis

import (
	"errors"
	"log/slog"
	"net"
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
		l := Listen(broker.URL, WithPeerTimeout(2*time.Second), WithHeartbeat(time.Hour))
		start(t, quietServer(micro.WithDrainTimeout(time.Millisecond)), l)
		conn := Dial(broker.URL, withLogger(slog.New(slog.DiscardHandler)), WithPeerTimeout(2*time.Second), WithHeartbeat(time.Hour))
		c := micro.NewClient(conn, micro.WithTimeout(soon))
		defer func() { _ = c.Close() }()
		for _, choose := range []func(*session) *socket{
			func(s *session) *socket { return s.out },
			func(s *session) *socket { return s.in },
		} {
			awaitRecovery(t, c)
			ended := startHeldCalls(t, c, conn, 1)
			testenv.Forget(t, portOf(choose(connected(t, conn.link, nil))))
			if err := <-ended; !errors.Is(err, micro.ErrConnectionLost) {
				t.Errorf("on the lost connection: %v, want ErrConnectionLost", err)
			}
			if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
				t.Errorf("on a new connection: %q, %v", got, err)
			}
		}
		for _, choose := range []func(*session) *socket{
			func(s *session) *socket { return s.out },
			func(s *session) *socket { return s.in },
		} {
			before := connected(t, l.link, nil)
			testenv.Forget(t, portOf(choose(before)))
			connected(t, l.link, before)
		}
		awaitRecovery(t, c)
	})
}

// connected waits until a link has a session other than before, and returns it. On a busy machine, a link may also
// lose its connection by itself.
func connected(t *testing.T, l *link, before *session) (now *session) {
	t.Helper()
	eventually(t, "connected", func() bool {
		now = l.session()
		return now != nil && now != before
	})
	return now
}

func portOf(w *socket) uint16 {
	return uint16(w.LocalAddr().(*net.TCPAddr).Port) //nolint:gosec // a port
}
