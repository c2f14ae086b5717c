package microtcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// dialPeer connects to a server as a peer that speaks bytes.
func dialPeer(t testing.TB, addr string) *peerConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(soon))
	return &peerConn{TCPConn: conn.(*net.TCPConn), in: decoder{limit: DefaultMaxBufferSize}}
}

// request is the frame of a request.
func request(pattern micro.Pattern, data, id string) []byte {
	return AppendFrame(nil, micro.AppendRequest(nil, pattern.JSON(), []byte(data), nil, []byte(id)))
}

// ids reads n replies and returns their ids.
func (c *peerConn) ids(t testing.TB, n int) []string {
	t.Helper()
	var ids []string
	for range n {
		p, ok := c.next()
		if !ok {
			t.Fatalf("the connection ended after the replies to %v", ids)
		}
		ids = append(ids, string(p.ID))
	}
	return ids
}

// TestSlowHandler: a slow handler never delays another message on the same
// connection, whatever it does and however fast it was before.
func TestSlowHandler(t *testing.T) {
	for name, wait := range map[string]func(release <-chan struct{}){
		"blocked": func(release <-chan struct{}) { <-release },
		"spinning": func(release <-chan struct{}) {
			for over := false; !over; {
				select {
				case <-release:
					over = true
				default: // spins on purpose
				}
			}
		},
	} {
		for _, warm := range []int{0, 1000} {
			t.Run(fmt.Sprintf("%s after %d fast runs", name, warm), func(t *testing.T) {
				release := make(chan struct{})
				s := quietServer()
				moody := micro.Cmd("moody")
				micro.Handle(s, moody, func(_ context.Context, slow bool) (bool, error) {
					if slow {
						wait(release)
					}
					return slow, nil
				})
				c := dialPeer(t, start(t, s).addr)
				for range warm {
					_, _ = c.Write(request(moody, "false", `"warm"`))
					c.ids(t, 1)
				}
				var batch []byte // one read of the server
				batch = append(batch, request(moody, "true", `"slow"`)...)
				for i := range 20 {
					batch = append(batch, request(echo, `"x"`, fmt.Sprint(i))...)
				}
				_, _ = c.Write(append(batch, request(moody, "false", `"fast"`)...))
				for _, id := range c.ids(t, 21) {
					if id == `"slow"` {
						t.Error("the slow handler answered while it was blocked")
					}
				}
				_, _ = c.Write(request(echo, `"x"`, `"later"`))
				if ids := c.ids(t, 1); ids[0] != `"later"` {
					t.Errorf("got %v", ids)
				}
				close(release)
				if ids := c.ids(t, 1); ids[0] != `"slow"` {
					t.Errorf("got %v", ids)
				}
			})
		}
	}
}

// TestPeerReadsLate: while a peer does not read, the server stops reading from
// it, keeps little for it and stays well for others; when the peer reads, all
// replies arrive.
func TestPeerReadsLate(t *testing.T) {
	r := start(t, quietServer())
	other := client(t, r.addr)
	if _, err := micro.Call[string](t.Context(), other, echo, "first"); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	c := dialPeer(t, r.addr)
	sent := fillUp(c, request(echo, `"`+strings.Repeat("x", 2000)+`"`, `"1"`))
	if n := runtime.NumGoroutine() - before; n > 2000 {
		t.Errorf("%d goroutines for one peer that does not read", n)
	}
	if got, err := micro.Call[string](t.Context(), other, echo, "other"); err != nil || got != "other" {
		t.Errorf("another client: %q, %v", got, err)
	}
	_ = c.SetDeadline(time.Now().Add(soon))
	c.ids(t, sent)
}

// TestSmallSendBuffer: a peer that is merely slow to read is not cut off as long
// as what is in flight for it fits into maxSendBufferSize.
func TestSmallSendBuffer(t *testing.T) {
	r := start(t, quietServer(micro.WithMaxInFlight(32)), WithMaxSendBufferSize(256<<10))
	c := dialPeer(t, r.addr)
	sent := fillUp(c, request(echo, `"`+strings.Repeat("x", 2000)+`"`, `"1"`))
	_ = c.SetDeadline(time.Now().Add(soon))
	c.ids(t, sent)
}

// TestDeafPeerHoldsNoPlaces: the messages of a peer that does not read do not
// use up what may be in flight for all.
func TestDeafPeerHoldsNoPlaces(t *testing.T) {
	s := quietServer(micro.WithMaxInFlight(8))
	big, text := micro.Cmd("big"), strings.Repeat("x", 1<<20)
	micro.Handle(s, big, func(ctx context.Context, _ int) (string, error) { return text, sleep(ctx, time.Millisecond) })
	r := start(t, s)
	deaf := dialPeer(t, r.addr)
	for i := range 100 {
		_, _ = deaf.Write(request(big, "1", fmt.Sprint(i)))
	}
	other := client(t, r.addr)
	for range 20 {
		if _, err := micro.Call[string](t.Context(), other, echo, "x"); err != nil {
			t.Fatalf("another client: %v", err)
		}
	}
}

// TestStreamToDeafPeer: a stream waits for its reader, and stops when the reader
// is gone.
func TestStreamToDeafPeer(t *testing.T) {
	var values atomic.Int64
	stopped := make(chan struct{})
	s := quietServer()
	text := strings.Repeat("x", 10_000)
	micro.HandleStream(s, hold, func(context.Context, int) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			defer close(stopped)
			for yield(text, nil) {
				values.Add(1)
			}
		}
	})
	c := dialPeer(t, start(t, s).addr)
	_, _ = c.Write(request(hold, "1", "1"))
	var last int64
	same := 0
	eventually(t, "the stream waits", func() bool {
		if n := values.Load(); n == 0 || n != last {
			last, same = n, 0
		}
		same++
		return same > 200
	})
	if last > 5000 {
		t.Errorf("%d values of 10 KB wait for a peer that does not read", last)
	}
	c.ids(t, int(last)) // it reads, and all is there
	_ = c.SetLinger(0)
	_ = c.Close()
	select {
	case <-stopped:
	case <-time.After(soon):
		t.Error("the stream goes on without a peer")
	}
}

// fillUp writes frames until the server takes no more for a while, finishes the
// frame it is in elsewhere, and returns how many there are.
func fillUp(c *peerConn, frame []byte) (n int) {
	for {
		_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		done, err := c.Write(frame)
		if err == nil {
			n++
			continue
		}
		if done > 0 {
			n++
			_ = c.SetWriteDeadline(time.Now().Add(soon))
			go func() { _, _ = c.Write(frame[done:]) }() // an error shows as a missing reply
		}
		return n
	}
}

// TestPeerNeverReads: what waits for it is bounded by maxSendBufferSize.
func TestPeerNeverReads(t *testing.T) {
	s := quietServer()
	gate := make(chan struct{})
	big := micro.Cmd("big")
	text := strings.Repeat("x", 1<<20)
	micro.Handle(s, big, func(context.Context, int) (string, error) { <-gate; return text, nil })
	c := dialPeer(t, start(t, s, WithMaxSendBufferSize(4<<20)).addr)
	for i := range 64 {
		_, _ = c.Write(request(big, "1", fmt.Sprint(i)))
	}
	eventually(t, "all handlers run", func() bool { return s.Wait(expired()) != nil })
	close(gate)
	// Nothing is read until the server has cut us off: then writing fails.
	eventually(t, "the connection is closed", func() bool {
		_, err := c.Write([]byte{' '})
		return err != nil
	})
	read, _ := io.Copy(io.Discard, c)
	if read >= 64<<20 {
		t.Errorf("all %d bytes arrived", read)
	}
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestWritesAreCombined counts the writes of a server through its connection.
func TestWritesAreCombined(t *testing.T) {
	ours, theirs := net.Pipe()
	counted := &countingConn{Conn: ours}
	l := Listen("127.0.0.1:0")
	startOn(t, quietServer(), l)
	slots := make(chan struct{}, 1)
	slots <- struct{}{}
	l.adopt(counted, slots)
	var batch []byte
	for i := range 200 {
		batch = append(batch, request(echo, `"x"`, fmt.Sprint(i))...)
	}
	go func() { _, _ = theirs.Write(batch) }()
	c := decoder{limit: DefaultMaxBufferSize}
	for got := 0; got < 200; {
		n, err := theirs.Read(c.space())
		c.filled(n)
		for {
			_, ok, nextErr := c.next()
			if !ok || nextErr != nil {
				break
			}
			got++
		}
		if err != nil {
			t.Fatalf("after %d replies: %v", got, err)
		}
	}
	if n := counted.writes.Load(); n > 60 {
		t.Errorf("%d writes for 200 replies", n)
	}
	_ = theirs.Close()
}

type countingConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// TestHalfClose: a peer that closes its half has what is ready, all of it.
func TestHalfClose(t *testing.T) {
	l := Listen("127.0.0.1:0")
	l.endGrace = soon // whatever else the machine does
	r := startOn(t, quietServer(), l)
	for range 20 {
		c := dialPeer(t, r.addr)
		var batch []byte
		for i := range 300 {
			batch = append(batch, request(echo, `"x"`, fmt.Sprint(i))...)
		}
		_, _ = c.Write(batch)
		_ = c.CloseWrite()
		c.ids(t, 300)
		if _, ok := c.next(); ok {
			t.Error("more than was asked for")
		}
	}
}

// TestIncompleteMessage: a part of a frame may wait no longer than
// incompleteMessageTimeout for its next byte; a whole one may be slow.
func TestIncompleteMessage(t *testing.T) {
	const timeout = 150 * time.Millisecond
	s := quietServer()
	late := micro.Cmd("late")
	micro.Handle(s, late, func(ctx context.Context, _ int) (int, error) { return 1, sleep(ctx, 2*timeout) })
	r := start(t, s, WithIncompleteMessageTimeout(timeout))

	c := dialPeer(t, r.addr)
	_, _ = c.Write(request(late, "1", "1"))
	c.ids(t, 1)
	began := time.Now()
	_, _ = c.Write([]byte(`20#{"pattern"`))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
		t.Errorf("the connection ended with %v", err)
	}
	if took := time.Since(began); took < timeout {
		t.Errorf("closed after %v", took)
	}

	c = dialPeer(t, r.addr) // each byte starts the time anew
	for _, b := range request(echo, `"x"`, "1") {
		tick := time.NewTimer(timeout / 10)
		<-tick.C
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	c.ids(t, 1)
}

// TestConnectionLimit: the next connection is served when one has ended.
func TestConnectionLimit(t *testing.T) {
	r := start(t, quietServer(), WithMaxConnections(2))
	a, b, c := dialPeer(t, r.addr), dialPeer(t, r.addr), dialPeer(t, r.addr)
	for _, conn := range []*peerConn{a, b, c} {
		_, _ = conn.Write(request(echo, `"x"`, "1"))
	}
	a.ids(t, 1)
	b.ids(t, 1)
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is served although two are allowed")
	}
	_ = a.Close()
	_ = c.SetReadDeadline(time.Now().Add(soon))
	c.ids(t, 1)
}

// TestServeOnce: a listener and a server serve once.
func TestServeOnce(t *testing.T) {
	s := quietServer()
	l := Listen("127.0.0.1:0")
	r := startOn(t, s, l)
	r.end(t)
	if err := s.Serve(t.Context(), Listen("127.0.0.1:0")); err == nil || !strings.Contains(err.Error(), "serves once") {
		t.Errorf("the server again: %v", err)
	}
	if err := quietServer().Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "serves once") {
		t.Errorf("the listener again: %v", err)
	}
}

// TestPortTaken: the listener tries again, and gives up in the end.
func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	err = quietServer().Serve(t.Context(), Listen(address, WithRetry(2, time.Millisecond)))
	if err == nil || !strings.Contains(err.Error(), "listen on "+address) {
		t.Errorf("got %v", err)
	}

	var log lockedBuffer
	s := micro.NewServer(micro.WithLogger(log.logger()))
	l := Listen(address, WithRetry(1000, 5*time.Millisecond))
	go func() {
		for !strings.Contains(log.String(), "cannot listen yet") {
			runtime.Gosched()
		}
		_ = taken.Close()
	}()
	startOn(t, s, l).end(t)

	ctx, cancel := context.WithCancel(t.Context()) // a server that is stopped meanwhile is content
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	cancel()
	if err := quietServer().Serve(ctx, Listen(address, WithRetry(1000, time.Hour))); err != nil {
		t.Errorf("stopped while the port is taken: %v", err)
	}
}

// TestDrainTimeout: neither a handler that does not return, run by the reading
// goroutine at that, nor a peer that does not read holds a server longer.
func TestDrainTimeout(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	s := quietServer(micro.WithDrainTimeout(400 * time.Millisecond))
	moody := micro.Cmd("moody")
	micro.Handle(s, moody, func(_ context.Context, slow bool) (bool, error) {
		if slow {
			<-release
		}
		return slow, nil
	})
	r := start(t, s)
	stuck := dialPeer(t, r.addr)
	for range 100 {
		_, _ = stuck.Write(request(moody, "false", "1"))
		stuck.ids(t, 1)
	}
	_, _ = stuck.Write(request(moody, "true", "2"))
	deaf := dialPeer(t, r.addr)
	fillUp(deaf, request(echo, `"`+strings.Repeat("x", 2000)+`"`, `"1"`))
	began := time.Now()
	r.end(t)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the drain took %v", took)
	}
}

// TestDrainAnswers: what was sent before the end is answered, and so is what a
// peer sends that does not know better, for a moment.
func TestDrainAnswers(t *testing.T) {
	s := quietServer()
	entered := make(chan struct{}, 100)
	release := make(chan struct{})
	slow := micro.Cmd("slow")
	micro.Handle(s, slow, func(context.Context, int) (int, error) { entered <- struct{}{}; <-release; return 1, nil })
	var events atomic.Int64
	micro.HandleEvent(s, note, func(context.Context, int) error { events.Add(1); return nil })
	r := start(t, s)
	c := dialPeer(t, r.addr)
	for i := range 10 {
		_, _ = c.Write(request(slow, "1", fmt.Sprint(i)))
		<-entered
	}
	r.stop()
	if p, ok := c.next(); !ok || string(p.ID) != goAwayID {
		t.Fatalf("the sign to go away is %q, %v", p.ID, ok)
	}
	_, _ = c.Write(request(echo, `"x"`, `"early"`))
	if ids := c.ids(t, 1); ids[0] != `"early"` {
		t.Errorf("got %v", ids)
	}
	eventually(t, "requests are refused", func() bool {
		_, _ = c.Write(request(echo, `"x"`, `"late"`))
		p, ok := c.next()
		return ok && bytes.Equal(p.Err, []byte(refusal))
	})
	_, _ = c.Write(AppendFrame(nil, micro.AppendRequest(nil, note.RouteJSON(), []byte("1"), nil, nil)))
	eventually(t, "an event is still taken", func() bool { return events.Load() == 1 })
	close(release)
	c.ids(t, 10)
	if _, ok := c.next(); ok {
		t.Error("more than ten answers")
	}
	_ = c.Close()
	r.end(t)
}
