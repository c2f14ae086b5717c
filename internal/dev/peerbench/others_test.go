package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
)

// TestOtherPeers builds the peers of other libraries and calls each from its own client.
func TestOtherPeers(t *testing.T) {
	if _, reason := buildPeers(); reason != "" {
		t.Skip(reason)
	}
	o := options{warm: 10 * time.Millisecond, length: 100 * time.Millisecond, inFlight: 4}
	for _, r := range []row{
		{make: grpcGo, transport: "tcp"}, {make: connectJSON, transport: "tcp"}, {make: connectBinary, transport: "tcp"}, {make: natsMicro, transport: "nats"},
	} {
		t.Run(r.make, func(t *testing.T) {
			if reasons := r.missing(); len(reasons) > 0 {
				t.Skip(strings.Join(reasons, "; "))
			}
			server, err := startService(t.Context(), r.make, r.transport)
			if err != nil {
				t.Fatal(err)
			}
			defer server.stop()
			r.pair = true
			for _, r.cmd = range []string{"echo", "list"} {
				s, err := measure(t.Context(), r, server, o)
				if err != nil || s.requests == 0 || s.p50 <= 0 {
					t.Errorf("%s: %+v, %v", r.cmd, s, err)
				}
			}
			if r.make != natsMicro {
				return
			}
			r.pair = false // the generator sends NestJS's packets, and checks the replies
			for _, r.cmd = range []string{"echo", "list"} {
				if s, err := measure(t.Context(), r, server, o); err != nil || s.requests == 0 {
					t.Errorf("%s from the generator: %+v, %v", r.cmd, s, err)
				}
			}
		})
	}
}

// TestPeersThatCannotBeBuilt checks that the reason is one line that names the fault.
func TestPeersThatCannotBeBuilt(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module x\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {\n\twrong()\n\twrong()\n}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reason := buildIn(dir, filepath.Join(dir, "program"), ".", "GOWORK=off")
	if !strings.Contains(reason, "undefined: wrong") || strings.Contains(reason, "\n") {
		t.Errorf("the reason is %q", reason)
	}
}

// TestPeersThatCannotBeStarted checks that a peer that ends is skipped, and that one of msctl is an error.
func TestPeersThatCannotBeStarted(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	o := options{}
	t.Setenv("NODE_OPTIONS", "--require=/nowhere/at/all.js")
	services, err := startServices(t.Context(), []row{{make: nest, transport: "tcp"}}, o)
	if err != nil || len(services) != 0 {
		t.Errorf("%d services, %v: want none, and no error", len(services), err)
	}
}

// startUnread runs echoUnread until the test ends, and returns its address.
func startUnread(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	addr, ready, done := "", make(chan string, 1), make(chan error, 1)
	go func() { done <- echoUnread(ctx, "127.0.0.1:0", func(addr string) { ready <- addr }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case addr = <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	return addr
}

// TestEchoUnread checks that the generator accepts its own packets from the raw limit, and from no other peer.
func TestEchoUnread(t *testing.T) {
	g := &generator{transport: "tcp", addr: startUnread(t), conns: 2, inFlight: 32, exchange: exchangeOf("unread")}
	measured(t, g)
	g.exchange = exchangeOf("echo")
	if _, err := g.run(t.Context(), 20*time.Second, time.Second, func() {}); err == nil || !strings.Contains(err.Error(), "wrong reply") {
		t.Errorf("an echoed request as a reply gave the error %v", err)
	}
}

// TestMemoryOfConnections measures the memory of a connection, in the generator and, because it is in the same process, in the server.
func TestMemoryOfConnections(t *testing.T) {
	const conns, most = 500, 64 << 10
	addr := startUnread(t)
	g := &generator{transport: "tcp", addr: addr, conns: conns, inFlight: conns, exchange: exchangeOf("unread")}
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before, held := inUse(), uint64(0)
	if _, err := g.run(t.Context(), 100*time.Millisecond, 100*time.Millisecond, func() { held = max(held, inUse()) }); err != nil {
		t.Fatal(err)
	}
	if each := (held - min(before, held)) / conns; each > most {
		t.Errorf("a connection takes %d KiB, want at most %d", each>>10, most>>10)
	} else {
		t.Logf("a connection takes %d KiB", each>>10)
	}
}
