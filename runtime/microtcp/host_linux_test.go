package microtcp

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestHostMoves checks that a client finds a service whose host name gets another address: after the old one has gone, and, with
// WithMaxConnectionAge, while the old one works.
func TestHostMoves(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		port, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		serve := func(ip string) *running {
			s := quietServer()
			micro.Handle(s, who, func(context.Context, micro.None) (string, error) { return ip, nil })
			return startOn(t, s, Listen(fmt.Sprintf("%s:%d", ip, port)))
		}
		const old, moved = "127.0.0.1", "127.0.0.2"
		first := serve(old)
		serve(moved)
		testenv.SetHost(t, "items", old)
		sticky := client(t, fmt.Sprintf("items:%d", port))
		aging := client(t, fmt.Sprintf("items:%d", port), WithMaxConnectionAge(500*time.Millisecond))
		ask := func(c *micro.Client) string {
			t.Helper()
			ip, err := micro.Call[string](t.Context(), c, who, nil)
			if err != nil {
				t.Fatal(err)
			}
			return ip
		}
		if a, b := ask(sticky), ask(aging); a != old || b != old {
			t.Fatalf("before: %s, %s", a, b)
		}
		testenv.SetHost(t, "items", moved)
		eventually(t, "a client with a maximum age calls the new address", func() bool { return ask(aging) == moved })
		if got := ask(sticky); got != old {
			t.Errorf("a client without one has left a connection that works: %s", got)
		}
		first.end(t)
		eventually(t, "every client calls the new address", func() bool {
			ip, err := micro.Call[string](t.Context(), sticky, who, nil) // fails while the process uses the old address
			return err == nil && ip == moved
		})
	})
}

// TestIPv6Only checks a host that has only an IPv6 address, apart from those of the loopback interface: a service on all addresses
// or on that one, which is called by the address and by its name.
func TestIPv6Only(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		const ip = "fd00::1"
		if out, err := exec.CommandContext(t.Context(), "ip", "address", "add", ip+"/128", "dev", "lo", "nodad").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		testenv.SetHost(t, "items", ip)
		for _, listen := range []string{":0", net.JoinHostPort(ip, "0")} {
			_, port, err := net.SplitHostPort(startOn(t, quietServer(), Listen(listen)).addr)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the system has set up the address", func() bool {
				conn, err := net.Dial("tcp", net.JoinHostPort(ip, port))
				return err == nil && conn.Close() == nil
			})
			for _, host := range []string{ip, "items"} {
				if got, err := micro.Call[string](t.Context(), client(t, net.JoinHostPort(host, port)), echo, "x"); got != "x" || err != nil {
					t.Errorf("%s at %s: %q, %v", host, listen, got, err)
				}
			}
		}
	})
}
