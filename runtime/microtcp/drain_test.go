package microtcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

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
	if took := time.Since(began); took >= stallTimeout { // after which a peer that does not read is disconnected in any case
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
	_, _ = c.Write(AppendFrame(nil, wire.AppendRequest(nil, note.RouteJSON(), []byte("1"), nil, nil)))
	eventually(t, "an event is still taken", func() bool { return events.Load() == 1 })
	close(release)
	c.ids(t, 10)
	if _, ok := c.next(); ok {
		t.Error("more than ten answers")
	}
	_ = c.Close()
	r.end(t)
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

// TestServeOnce: a listener and a server serve once.
func TestServeOnce(t *testing.T) {
	s := quietServer()
	l := Listen("127.0.0.1:0")
	r := startOn(t, s, l)
	r.end(t)
	if err := s.Serve(t.Context(), Listen("127.0.0.1:0")); err == nil || !strings.Contains(err.Error(), "called twice") {
		t.Errorf("the server again: %v", err)
	}
	if err := quietServer().Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "serves once") {
		t.Errorf("the listener again: %v", err)
	}
}

// TestPortTaken: the listener tries again, and gives up in the end.
func TestPortTaken(t *testing.T) {
	address := net.JoinHostPort("127.0.0.1", testenv.Port(t)) // the system gives it to no outgoing connection in between
	taken, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	err = quietServer().Serve(t.Context(), Listen(address, WithListenRetry(2, time.Millisecond)))
	if err == nil || !strings.Contains(err.Error(), "listen on "+address) {
		t.Errorf("got %v", err)
	}

	var log testenv.Log
	s := micro.NewServer(micro.WithLogger(log.Logger()))
	l := Listen(address, WithListenRetry(1000, 5*time.Millisecond))
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
	if err := quietServer().Serve(ctx, Listen(address, WithListenRetry(1000, time.Hour))); err != nil {
		t.Errorf("stopped while the port is taken: %v", err)
	}
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

	c = dialPeer(t, r.addr) // each byte starts the time again
	for _, b := range request(echo, `"x"`, "1") {
		tick := time.NewTimer(timeout / 10)
		<-tick.C
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	c.ids(t, 1)
}

// TestDrainGrace checks that a listener that is to stop accepts connections and serves during
// the grace, and drains after it.
func TestDrainGrace(t *testing.T) {
	l := Listen("127.0.0.1:0", WithDrainGrace(3*time.Second))
	began, over := make(chan time.Duration, 1), make(chan time.Time)
	l.after = func(d time.Duration) <-chan time.Time { began <- d; return over }
	r := startOn(t, quietServer(), l)
	before := client(t, r.addr)
	expect := func(what string, c *micro.Client) {
		t.Helper()
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	expect("before the end", before)
	r.stop()
	if d := <-began; d != 3*time.Second {
		t.Errorf("the grace is %v", d)
	}
	expect("on the old connection", before)
	expect("on a new connection", client(t, r.addr))
	close(over)
	<-r.done
	if _, err := micro.Call[string](t.Context(), client(t, r.addr), echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("after the drain: %v", err)
	}
}
