package microtcp

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestVanishedPeer checks that both sides notice that packets no longer reach the client.
func TestVanishedPeer(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		s := quietServer()
		l := Listen("127.0.0.1:0", WithPeerTimeout(2*time.Second))
		r := startOn(t, s, l)
		conn := Dial(r.addr, WithPeerTimeout(2*time.Second))
		c := micro.NewClient(conn, micro.WithTimeout(soon))
		defer func() { _ = c.Close() }()
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
			t.Fatalf("before: %q, %v", got, err)
		}
		forget(t, conn.addresses[0].conn.Load())
		if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrConnectionLost) {
			t.Errorf("on the lost connection: %v, want ErrConnectionLost", err)
		}
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
			t.Errorf("on a new connection: %q, %v", got, err)
		}
		eventually(t, "the server has closed the lost connection", func() bool { return l.connections() == 1 })
	})
}

// TestVanishedIdlePeer checks that both sides notice it on an idle connection, too.
func TestVanishedIdlePeer(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		l := Listen("127.0.0.1:0", WithPeerTimeout(3*time.Second))
		r := startOn(t, quietServer(), l)
		conn := Dial(r.addr, WithPeerTimeout(3*time.Second))
		c := micro.NewClient(conn, micro.WithTimeout(soon))
		defer func() { _ = c.Close() }()
		if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
			t.Fatal(err)
		}
		lost := conn.addresses[0].conn.Load()
		forget(t, lost)
		eventually(t, "both sides have noticed", func() bool { return lost.dead.Load() && l.connections() == 0 })
	})
}

// TestSlowHandlerIsAlive checks that a peer that replies late is not taken for lost.
func TestSlowHandlerIsAlive(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		s := quietServer()
		slow := micro.Cmd("slow")
		micro.Handle(s, slow, func(ctx context.Context, _ micro.None) (string, error) {
			select {
			case <-time.After(4 * time.Second):
			case <-ctx.Done():
			}
			return "late", nil
		})
		r := start(t, s, WithPeerTimeout(time.Second))
		c := client(t, r.addr, WithPeerTimeout(time.Second))
		if got, err := micro.Call[string](t.Context(), c, slow, nil); got != "late" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func forget(t *testing.T, c *clientConn) {
	t.Helper()
	testenv.Forget(t, c.conn.LocalAddr().(*net.TCPAddr).AddrPort().Port())
}
