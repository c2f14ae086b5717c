package micronats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// forgetAll drops the packets of all connections to the broker that are open now.
func forgetAll(t *testing.T, b *testenv.Broker) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	broker, _ := strconv.Atoi(b.Addr[strings.LastIndexByte(b.Addr, ':')+1:])
	var ports []uint16
	for line := range strings.Lines(string(table)) {
		var row, client, server int
		var state string
		if n, _ := fmt.Sscanf(line, "%d: 0100007F:%X 0100007F:%X %s", &row, &client, &server, &state); n == 4 && server == broker && state == "01" {
			ports = append(ports, uint16(client))
		}
	}
	if ports == nil {
		t.Fatalf("no connection to port %d:\n%s", broker, table)
	}
	testenv.Forget(t, ports...)
}

// TestVanishedPeer checks that both sides notice that packets no longer reach them: what waits
// fails, what is emitted does not count as sent forever, and the next call connects.
func TestVanishedPeer(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		b := testenv.PrivateNATS(t)
		start(t, quietServer(), b.URL, WithPeerTimeout(2*time.Second), WithQueue("q"))
		c, conn := dial(t, b.URL, WithPeerTimeout(2*time.Second))
		served := func() bool { // the broker may still send requests to where the server was
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			got, err := micro.Call[string](ctx, c, echo, "x")
			return got == "x" && err == nil
		}
		for _, events := range []bool{false, true} {
			eventually(t, "the first call", served)
			if err := c.Emit(t.Context(), note, 1); err != nil {
				t.Fatal(err)
			}
			lost := conn.up.Load()
			forgetAll(t, b)
			if events {
				eventually(t, "the loss to be noticed", func() bool {
					if err := c.Emit(t.Context(), note, 1); err != nil && !errors.Is(err, micro.ErrUnreachable) && !errors.Is(err, micro.ErrConnectionLost) {
						t.Error(err)
					}
					return lost.lost.Load()
				})
			} else if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrConnectionLost) {
				t.Errorf("on the lost connection: %v, want ErrConnectionLost", err)
			}
			eventually(t, "a call on a new connection", served)
		}
	})
}

// TestVanishedServer checks that a server without a queue group gets each message again once it has connected again, although the
// broker takes its old connection for alive.
func TestVanishedServer(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		b := testenv.PrivateNATS(t)
		var log testenv.Log
		start(t, quietServer(micro.WithLogger(log.Logger())), b.URL, WithPeerTimeout(2*time.Second))
		forgetAll(t, b)
		c := client(t, b.URL)
		eventually(t, "the server is connected again", func() bool { return strings.Contains(log.String(), "restored") })
		for range 30 {
			if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
				t.Fatalf("%q, %v", got, err)
			}
		}
	})
}

// TestMovedBroker checks that both sides find a broker whose host name has another address.
func TestMovedBroker(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		old := testenv.PrivateNATS(t)
		_, port, _ := net.SplitHostPort(old.Addr)
		const name = "nats.test"
		testenv.SetHost(t, name, "127.0.0.1")
		url := "nats://" + net.JoinHostPort(name, port)
		start(t, quietServer(), url)
		c := client(t, url)
		if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
			t.Fatal(err)
		}
		old.Kill()
		testenv.PrivateNATS(t, `listen: "127.0.0.2:`+port+`"`)
		testenv.SetHost(t, name, "127.0.0.2")
		eventually(t, "a call at the new address", func() bool {
			got, err := micro.Call[string](t.Context(), c, echo, "x")
			return got == "x" && err == nil
		})
	})
}

// TestSilentAddress checks the address of a host that drops packets, alone and as one of the
// addresses of a host name.
func TestSilentAddress(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		b := testenv.PrivateNATS(t)
		_, port, _ := net.SplitHostPort(b.Addr)
		testenv.SetHost(t, "nats.test", testenv.SilentIP, "127.0.0.1")
		gone := net.JoinHostPort(testenv.SilentIP, port)
		for _, servers := range []string{b.Addr + "," + gone, gone + "," + b.Addr, net.JoinHostPort("nats.test", port)} {
			patient := WithDialTimeout(time.Hour) // so every wait for the silent one fails the test
			start(t, quietServer(), servers, patient)
			c := client(t, servers, patient)
			var calls sync.WaitGroup
			for range 100 {
				calls.Go(func() {
					if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
						t.Errorf("%s: %q, %v", servers, got, err)
					}
				})
			}
			calls.Wait()
		}
	})
}

// TestSlowHandlerIsAlive checks that a server that replies late, or that reads nothing because it
// is full, is not taken for lost, and does not take the broker for lost.
func TestSlowHandlerIsAlive(t *testing.T) {
	b := testenv.NATS(t)
	var log testenv.Log
	start(t, quietServer(micro.WithLogger(log.Logger()), micro.WithMaxInFlight(1)), b.URL, WithPeerTimeout(time.Second))
	c := client(t, b.URL, WithPeerTimeout(time.Second))
	late := make(chan error)
	go func() {
		_, err := micro.Call[int](t.Context(), c, hold, 4000)
		late <- err
	}()
	for range 2 * queueLength {
		if err := c.Emit(t.Context(), hold, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-late; err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "lost") {
		t.Error(log.String())
	}
}
