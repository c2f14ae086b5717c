package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestPassesOn(t *testing.T) {
	for _, faults := range [][]string{nil, {"drop pattern=nothing"}, {"latency=1ns"}} {
		s := serve(t)
		p := before(t, s, Options{}, faults...)
		c := client(t, p.Addr())
		for _, text := range []string{"a", "", "é 😀", strings.Repeat("é😀x", 1<<15)} {
			if got, err := micro.Call[string](t.Context(), c, echo, text); err != nil || got != text {
				t.Fatalf("%v: echo of %d bytes: %d bytes, %v", faults, len(text), len(got), err)
			}
		}
		var got []int
		for v, err := range micro.Stream[int](t.Context(), c, count, struct{}{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, v)
		}
		if len(got) != 3 {
			t.Errorf("%v: a stream gave %v", faults, got)
		}
		if err := c.Emit(t.Context(), noted, "x"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the event", func() bool { return s.events.Load() == 1 })
		stats := p.Stats()
		if stats.Messages != 6 || stats.Replies < 7 || stats.Connections != 1 || stats.Open != 1 {
			t.Errorf("%v: stats: %+v", faults, stats)
		}
	}
}

// TestBytesAreUnchanged checks that unusual headers, white space, and invalid UTF-8
// arrive as sent, in any fragmentation.
func TestBytesAreUnchanged(t *testing.T) {
	const stream = " 12abc#{\"data\":\"x\"}" + "+0010#{\"id\": 1}  " + "\n6#\xff\xfe😀\xed\xa0" + "x" + "2#{}"
	for _, faults := range [][]string{nil, {"drop pattern=nothing"}, {"latency=1ns"}} {
		l, got := sink(t)
		p := before(t, nil, Options{Target: []string{l}}, faults...)
		w := dial(t, p.Addr())
		for i := 0; i < len(stream); {
			n := min(1+rand.IntN(5), len(stream)-i)
			if _, err := w.Write([]byte(stream[i : i+n])); err != nil {
				t.Fatal(err)
			}
			i += n
		}
		if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if bytes := <-got; bytes != stream {
			t.Errorf("%v: got %q, want %q", faults, bytes, stream)
		}
	}
}

// sink accepts one connection and returns everything received until its end.
func sink(t *testing.T) (addr string, got <-chan string) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan string, 1)
	go func() {
		defer close(result)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		b, _ := io.ReadAll(conn) // what came before an error is what came
		result <- string(b)
		_ = conn.Close()
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-result
	})
	return l.Addr().String(), result
}

// TestGarbageIsPassedOn checks that invalid bytes reach the service, and that its
// reaction reaches the client.
func TestGarbageIsPassedOn(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{}, "drop pattern=nothing")
	for _, garbage := range []string{"abc#", "GET / HTTP/1.1\r\nHost: #\r\n\r\n", "3#{\"a", "-5#", strings.Repeat("x", 2000) + "#", "1#😀"} {
		w := dial(t, p.Addr())
		w.send(request(1))
		if got := w.next(); got != answered(1) {
			t.Errorf("before %q: %s", garbage, got)
		}
		if _, err := w.Write([]byte(garbage)); err != nil {
			t.Fatal(err)
		}
		if got := w.next(); got != "EOF" {
			t.Errorf("%q: %s", garbage, got)
		}
		_ = w.Close()
	}
	eventually(t, "all connections to end", func() bool { return p.Stats().Open == 0 })
}

// TestIncompleteFrame checks that the proxy does not wait forever, like a service.
func TestIncompleteFrame(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{Incomplete: 50 * time.Millisecond})
	w := dial(t, p.Addr())
	if _, err := w.Write([]byte(`100#{"pattern":`)); err != nil {
		t.Fatal(err)
	}
	if got := w.next(); got != "EOF" {
		t.Errorf("got %s", got)
	}
}

func TestTheServiceIsDown(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := l.Addr().String()
	_ = l.Close()
	p := before(t, nil, Options{Target: []string{down}})
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", p.Addr())
	if err == nil { // the reset may be faster
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the client sees %v", err)
	}
	eventually(t, "the count", func() bool { return p.Stats().Unreachable == 1 })

	s := serve(t)
	two := before(t, nil, Options{Target: []string{down, s.addr}})
	for id := range 4 {
		w := dial(t, two.Addr())
		w.send(request(id))
		if got := w.next(); got != answered(id) {
			t.Errorf("got %s", got)
		}
	}
}

// TestEndsArePassedOn checks that the end or reset of either side reaches the other.
func TestEndsArePassedOn(t *testing.T) {
	tests := []struct {
		name           string
		client, server func(*net.TCPConn) // who does something; the other reads to the end
		want           string
	}{
		{"the client closes", func(c *net.TCPConn) { _ = c.Close() }, nil, "EOF"},
		{"the client resets", func(c *net.TCPConn) { reset(c) }, nil, "reset"},
		{"the service closes its half", nil, func(c *net.TCPConn) { _ = c.CloseWrite() }, "EOF"},
		{"the service resets", nil, func(c *net.TCPConn) { reset(c) }, "reset"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var lc net.ListenConfig
			l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			p := before(t, nil, Options{Target: []string{l.Addr().String()}})
			near := dial(t, p.Addr()).Conn.(*net.TCPConn)
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			far := accepted.(*net.TCPConn)
			if test.client != nil {
				test.client(near)
				near = far
			} else {
				test.server(far)
			}
			_ = near.SetReadDeadline(time.Now().Add(soon))
			_, err = io.ReadAll(near)
			if test.want == "EOF" && err != nil || test.want != "EOF" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("the other side sees %v, want %s", err, test.want)
			}
		})
	}
}

// TestRepliesPrecedeAReset checks that the replies of a service reach the client although
// the service resets the connection, and more messages of the client cannot be passed on.
func TestRepliesPrecedeAReset(t *testing.T) {
	for _, o := range []Options{{}, {Raw: true}} {
		for range 20 {
			far, near := pair(t, o)
			near.send(event(1))
			if _, err := io.ReadFull(far, make([]byte, len("31#"+event(1)))); err != nil {
				t.Fatal(err)
			}
			_, _ = far.Write(microtcp.AppendFrame(nil, []byte(answered(1))))
			reset(far)
			for range 3 { // one of them finds out that the service has gone
				_, _ = near.Write(microtcp.AppendFrame(nil, []byte(event(2))))
			}
			if got := near.next(); got != answered(1) {
				t.Fatalf("raw %t: got %s", o.Raw, got)
			}
			if got := near.next(); got == answered(1) {
				t.Fatalf("raw %t: got %s twice", o.Raw, got)
			}
			_ = near.Close()
		}
	}
}

// TestMessagesPrecedeAReset checks that the messages of a client reach the service although
// the client resets the connection, and replies cannot be passed on.
func TestMessagesPrecedeAReset(t *testing.T) {
	for _, o := range []Options{{}, {Raw: true}} {
		for range 20 {
			far, near := pair(t, o)
			const events = 100
			var want []byte
			for i := range events {
				want = microtcp.AppendFrame(want, []byte(event(i)))
			}
			if _, err := near.Write(want); err != nil {
				t.Fatal(err)
			}
			reset(near.Conn)
			for range 3 {
				_, _ = far.Write(microtcp.AppendFrame(nil, []byte(answered(1))))
			}
			_ = far.SetReadDeadline(time.Now().Add(soon))
			if got, _ := io.ReadAll(far); string(got) != string(want) { // the error is the reset
				t.Fatalf("raw %t: got %d bytes, want %d", o.Raw, len(got), len(want))
			}
			_ = far.Close()
		}
	}
}

// pair returns the two ends of a connection through a proxy.
func pair(t *testing.T, o Options) (far *net.TCPConn, near *frameConn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o.Target = []string{l.Addr().String()}
	p := before(t, nil, o)
	near = dial(t, p.Addr())
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn), near
}

// TestDelayedMessagesPrecedeTheEnd checks that delayed messages are delivered although
// the client has ended its stream.
func TestDelayedMessagesPrecedeTheEnd(t *testing.T) {
	l, got := sink(t)
	p := before(t, nil, Options{Target: []string{l}}, "latency=100ms", "reorder first=1")
	w := dial(t, p.Addr())
	w.send(event(1))
	if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if bytes := <-got; bytes != "31#"+event(1) {
		t.Errorf("got %q", bytes)
	}
}

// TestBackPressure checks that a service that does not read blocks the client, and that
// the proxy holds a bounded amount of data.
func TestBackPressure(t *testing.T) {
	for _, faults := range [][]string{nil, {"stall@0s+9000h"}} {
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := before(t, nil, Options{Target: []string{l.Addr().String()}}, faults...)
		p.Begin(time.Now())
		w := dial(t, p.Addr())
		var frame []byte
		frame = microtcp.AppendFrame(frame, []byte(`{"pattern":"noted","data":"`+strings.Repeat("x", 1<<20)+`"}`))
		const most = 64 // MB: twice what is held, and what two kernels buffer
		sent := 0
		for ; sent < most; sent++ {
			_ = w.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := w.Write(frame); err != nil {
				break
			}
		}
		if sent == most {
			t.Errorf("%v: the proxy read %d MB for a service that reads nothing", faults, sent)
		}
		_ = l.Close()
	}
}

func TestManyConnections(t *testing.T) {
	s := serve(t)
	p := before(t, s, Options{Seed: 3}, "latency=2ms±2ms share=30%", "error=10%", "duplicate=10%", "reorder=5%")
	var wg sync.WaitGroup
	const conns, each = 64, 50
	for range conns {
		wg.Go(func() {
			c := client(t, p.Addr())
			for i := range each {
				text := fmt.Sprint(i)
				got, err := micro.Call[string](t.Context(), c, echo, text)
				if got != text && (err == nil || !strings.Contains(err.Error(), DefaultMessage)) {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	stats := p.Stats()
	if stats.Messages != conns*each || stats.Connections != conns {
		t.Errorf("stats: %+v", stats)
	}
	for _, a := range stats.Faults {
		if a.Matched != conns*each {
			t.Errorf("%s matched %d", a.Fault, a.Matched)
		}
	}
	// The decisions depend on the numbers, not on the connections.
	d, errs := newDraws(3, parse(t, "error=10%"), 0), uint64(0)
	for n := range uint64(conns * each) {
		if d.hits(n, 0.1) {
			errs++
		}
	}
	if stats.Faults[1].Hit != errs {
		t.Errorf("%d errors, want %d", stats.Faults[1].Hit, errs)
	}
}

// TestTLS checks a proxy whose connections to the service are encrypted.
func TestTLS(t *testing.T) {
	donor := httptest.NewTLSServer(nil) // for its certificate
	defer donor.Close()
	trust := x509.NewCertPool()
	trust.AddCert(donor.Certificate())
	s := serve(t, microtcp.WithTLS(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: donor.TLS.Certificates}))
	p := before(t, s, Options{TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trust}}, "duplicate=50%", "reset first=1 pattern=cmd=other")
	c := client(t, p.Addr())
	for _, text := range []string{"a", strings.Repeat("é😀x", 1<<15)} {
		if got, err := micro.Call[string](t.Context(), c, echo, text); err != nil || got != text {
			t.Fatalf("echo of %d bytes: %d bytes, %v", len(text), len(got), err)
		}
	}
	if _, err := micro.Call[string](t.Context(), c, other, "x"); !errors.Is(err, micro.ErrConnectionLost) {
		t.Errorf("a reset: %v", err)
	}
	w := dial(t, p.Addr())
	w.send(request(1))
	if got := w.next(); got != answered(1) {
		t.Errorf("got %s", got)
	}
	if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := w.next(); got != "EOF" {
		t.Errorf("got %s", got)
	}
	distrust := before(t, s, Options{TLS: &tls.Config{MinVersion: tls.VersionTLS12}})
	if _, err := micro.Call[string](t.Context(), client(t, distrust.Addr()), echo, "x"); err == nil {
		t.Error("an unknown certificate is trusted")
	}
	if n := distrust.Stats().Unreachable; n == 0 {
		t.Errorf("%d clients rejected", n)
	}
}

// TestCloseEndsEverything checks Close; goleak checks for leftovers.
func TestCloseEndsEverything(t *testing.T) {
	s, release := serveLate(t)
	defer release()
	ctx, cancel := context.WithCancel(context.Background())
	p, err := Start(ctx, Options{Target: []string{s.addr}, Faults: []Fault{parse(t, "latency=1h")}})
	if err != nil {
		t.Fatal(err)
	}
	w := dial(t, p.Addr())
	w.send(request(1), event(1))
	eventually(t, "the messages", func() bool { return p.Stats().Messages == 2 })
	cancel()
	if got := w.next(); got == "" || strings.Contains(got, "timeout") {
		t.Errorf("got %s", got)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
