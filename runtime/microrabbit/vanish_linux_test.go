package microrabbit

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestNetworkFaults has a broker in a network of its own, from which packets vanish.
func TestNetworkFaults(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		b := testenv.PrivateRabbitMQ(t, "vm_memory_high_watermark.relative = 0.6")
		t.Run("vanished", func(t *testing.T) { testVanished(t, b) })
		t.Run("slow", func(t *testing.T) { testSlowIsAlive(t, b) })
		t.Run("silent", func(t *testing.T) {
			testSilentAddress(t, b.URL, "amqp://"+testenv.SilentIP, "silent")
		})
	})
}

// vanishing are options with which a vanished broker is noticed soon, and not by heartbeats.
var vanishing = []Option{WithPeerTimeout(2 * time.Second), WithHeartbeat(time.Minute), WithReconnect(-1, 20*time.Millisecond)}

// testVanished checks that clients and servers notice that their packets no longer reach the
// broker: pending calls and events fail, and the next ones work on a new connection.
func testVanished(t *testing.T, b *testenv.Broker) {
	t.Helper()
	r := startRelay(t, b)
	var listening []ListenOption
	var dialing []DialOption
	for _, o := range vanishing {
		listening, dialing = append(listening, o), append(dialing, o)
	}
	s := quietServer()
	begun, leave := make(chan struct{}, 10), make(chan struct{})
	micro.HandleEvent(s, micro.Name("slow"), func(_ context.Context, _ string) error {
		begun <- struct{}{}
		<-leave
		return nil
	})
	stop := start(t, s, Listen(r.url, "vanished", append(listening, WithAck(AckAfterHandling))...))
	conn := Dial(b.URL, "vanished", dialing...)
	c := micro.NewClient(conn, micro.WithTimeout(time.Minute))
	defer func() { _ = c.Close() }()
	call := func() error {
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	for what, send := range map[string]func() error{"call": call, "emit": func() error { return c.Emit(t.Context(), noted, "x") }} {
		session, _ := conn.link.now()
		forget(t, session.wire.Conn.LocalAddr())
		if err := send(); !errors.Is(err, micro.ErrConnectionLost) {
			t.Errorf("%s on the lost connection: %v", what, err)
		}
		if err := call(); err != nil {
			t.Errorf("on a new connection: %v", err)
		}
	}
	if err := c.Emit(t.Context(), micro.Name("slow"), "x"); err != nil {
		t.Fatal(err)
	}
	take(t, "the event", begun)
	addresses := func() (all []net.Addr) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for conn := range r.conns { // the server's, and those to the broker
			if addr := conn.RemoteAddr(); !strings.HasSuffix(b.URL, addr.String()) {
				all = append(all, addr)
			}
		}
		return all
	}
	lost := addresses()
	for _, addr := range lost {
		forget(t, addr)
	}
	eventually(t, "the server has noticed", func() bool { return len(addresses()) > len(lost) })
	r.cut() // the broker delivers again what the server has not acknowledged
	if err := call(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	close(leave)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := len(begun); n != 0 {
		t.Errorf("the event was begun %d more times", n)
	}
}

func forget(t *testing.T, addr net.Addr) {
	t.Helper()
	testenv.Forget(t, addr.(*net.TCPAddr).AddrPort().Port())
}

// testSlowIsAlive checks that a handler that replies late is not taken for a lost peer.
func testSlowIsAlive(t *testing.T, b *testenv.Broker) {
	t.Helper()
	s := quietServer()
	micro.Handle(s, micro.Cmd("slow"), func(ctx context.Context, _ micro.None) (string, error) {
		select {
		case <-time.After(3 * time.Second):
		case <-ctx.Done():
		}
		return "late", nil
	})
	opts := WithPeerTimeout(time.Second)
	start(t, s, Listen(b.URL, "slow", opts))
	if got, err := micro.Call[string](t.Context(), dial(t, b.URL, "slow", opts), micro.Cmd("slow"), nil); got != "late" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
