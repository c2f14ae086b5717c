package fault

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRawPassesHTTP checks a protocol that the proxy does not know.
func TestRawPassesHTTP(t *testing.T) {
	addr := serveHTTP(t)
	p := before(t, nil, Options{Raw: true, Target: []string{addr}}, "latency=50ms±10ms", "bandwidth=10MB/s")
	start := time.Now()
	if got := get(t, p.Addr()); got != "hello" || time.Since(start) < 40*time.Millisecond {
		t.Errorf("%q after %v", got, time.Since(start))
	}
	if s := p.Stats(); s.Messages == 0 || s.Replies == 0 || s.Faults[0].Hit != s.Messages {
		t.Errorf("stats: %+v", s)
	}
}

func serveHTTP(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: soon, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // it is closed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return l.Addr().String()
}

// get sends a request on its own connection and returns the body, or the error.
func get(t *testing.T, addr string) string {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: soon}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestRawResetAndCut(t *testing.T) {
	addr := serveHTTP(t)
	p := before(t, nil, Options{Raw: true, Target: []string{addr}}, "reset first=1")
	if got := get(t, p.Addr()); !strings.Contains(got, "reset") && !strings.Contains(got, "EOF") {
		t.Errorf("reset: %s", got)
	}
	if got := get(t, p.Addr()); got != "hello" {
		t.Errorf("after the reset: %s", got)
	}
	p.Clear()
	if _, err := p.Add(parse(t, "cut first=1")); err != nil {
		t.Fatal(err)
	}
	if got := get(t, p.Addr()); !strings.Contains(got, "EOF") {
		t.Errorf("cut: %s", got)
	}
	if got := get(t, p.Addr()); got != "hello" {
		t.Errorf("after the cut: %s", got)
	}
}

func TestRawStallAndBlackhole(t *testing.T) {
	l, got := sink(t)
	p := before(t, nil, Options{Raw: true, Target: []string{l}}, "stall@0s+200ms", "latency=5ms first=1", "blackhole@1h")
	begin := time.Now()
	p.Begin(begin)
	w := dial(t, p.Addr())
	write := func(text string, seen uint64) {
		t.Helper()
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a chunk to be read", func() bool { return p.Stats().Messages == seen })
	}
	write("one", 1)
	write("two", 2)
	eventually(t, "the end of the stall", func() bool { return time.Since(begin) > 200*time.Millisecond })
	write("three", 3)
	p.Begin(time.Now().Add(-2 * time.Hour))
	write("four", 4)
	if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if bytes := <-got; bytes != "onetwothree" || time.Since(begin) < 200*time.Millisecond {
		t.Errorf("got %q after %v", bytes, time.Since(begin))
	}
}
