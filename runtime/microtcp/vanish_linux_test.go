package microtcp

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// inNamespace is set in a process that has a network of its own.
const inNamespace = "MSCTL_TEST_NETWORK_NAMESPACE"

// inNewNetwork runs the test again in a process that has a network of its own, with a
// loopback interface, where it calls f. It skips the test where that is not permitted.
func inNewNetwork(t *testing.T, f func()) {
	t.Helper()
	t.Parallel() // with other processes
	if os.Getenv(inNamespace) != "" {
		if out, err := exec.CommandContext(t.Context(), "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		f()
		return
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip (iproute2) is not installed")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v") //nolint:gosec // this program
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	switch out, err := cmd.CombinedOutput(); {
	case errors.Is(err, syscall.EPERM):
		t.Skip("network namespaces are not permitted")
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Fatalf("%v\n%s", err, out)
	}
}

// connections returns how many connections a listener has.
func (l *Listener) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// TestVanishedPeer checks that both sides notice that packets no longer reach the client.
func TestVanishedPeer(t *testing.T) {
	inNewNetwork(t, func() {
		s := quietServer()
		l := Listen("127.0.0.1:0", WithPeerTimeout(2*time.Second))
		r := startOn(t, s, l)
		conn := Dial(r.addr, WithPeerTimeout(2*time.Second))
		c := micro.NewClient(conn, micro.WithTimeout(soon))
		defer func() { _ = c.Close() }()
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
			t.Fatalf("before: %q, %v", got, err)
		}
		_, port, err := net.SplitHostPort(conn.addresses[0].conn.Load().conn.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		forget(t, port)
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
	inNewNetwork(t, func() {
		l := Listen("127.0.0.1:0", WithPeerTimeout(3*time.Second))
		r := startOn(t, quietServer(), l)
		conn := Dial(r.addr, WithPeerTimeout(3*time.Second))
		c := micro.NewClient(conn, micro.WithTimeout(soon))
		defer func() { _ = c.Close() }()
		if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
			t.Fatal(err)
		}
		lost := conn.addresses[0].conn.Load()
		_, port, _ := net.SplitHostPort(lost.conn.LocalAddr().String())
		forget(t, port)
		eventually(t, "both sides have noticed", func() bool { return lost.dead.Load() && l.connections() == 0 })
	})
}

// TestSlowHandlerIsAlive checks that a peer that replies late is not taken for lost.
func TestSlowHandlerIsAlive(t *testing.T) {
	inNewNetwork(t, func() {
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

// forget drops everything that is sent to a port, as a firewall does that has forgotten
// its connection.
func forget(t *testing.T, port string) {
	t.Helper()
	for _, rule := range []string{
		"add pref 2 lookup local", // the rule for local addresses is the first one by default
		"del pref 0",
		"add pref 1 ipproto tcp dport " + port + " blackhole",
	} {
		out, err := exec.CommandContext(t.Context(), "ip", append([]string{"rule"}, strings.Fields(rule)...)...).CombinedOutput() //nolint:gosec // a port
		if err != nil {
			t.Fatalf("ip rule %s: %v: %s", rule, err, out)
		}
	}
}
