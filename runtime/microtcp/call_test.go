package microtcp

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// TestSingleFlight: 100 first calls at once make one connection, and none is
// made before.
func TestSingleFlight(t *testing.T) {
	var conns atomic.Int64
	p := scripted(t, func(c *peerConn) {
		conns.Add(1)
		c.answer()
	})
	c := client(t, p.addr())
	if n := conns.Load(); n != 0 {
		t.Errorf("%d connections before the first call", n)
	}
	var calls sync.WaitGroup
	for i := range 100 {
		calls.Go(func() {
			if got, err := micro.Call[int](t.Context(), c, echo, i); err != nil || got != i {
				t.Errorf("call %d: %d, %v", i, got, err)
			}
		})
	}
	calls.Wait()
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 100 calls at once", n)
	}
}

// TestReconnect: calls on a lost connection fail at once, the next one connects
// again.
func TestReconnect(t *testing.T) {
	s := start(t, quietServer())
	c := client(t, s.addr)
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Fatal(err)
	}
	s.end(t)
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("without a server: %v", err)
	}
	startOn(t, quietServer(), Listen(s.addr))
	if got, err := micro.Call[string](t.Context(), c, echo, "y"); err != nil || got != "y" {
		t.Errorf("with the server again: %q, %v", got, err)
	}
}

// TestReconnectAttempts: a call waits for a server that comes late, as long as it
// may, and the attempts are bounded.
func TestReconnectAttempts(t *testing.T) {
	address := unusedAddress(t)
	c := client(t, address, WithReconnect(1_000_000, 5*time.Millisecond), WithDialTimeout(time.Second))
	got := make(chan error)
	go func() {
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		got <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := micro.Call[string](ctx, c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("a call that could not wait: %v", err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := micro.Call[string](gone, c, echo, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was called off: %v", err)
	}
	startOn(t, quietServer(), Listen(address))
	if err := <-got; err != nil {
		t.Errorf("the call that waited: %v", err)
	}
	few := client(t, unusedAddress(t), WithReconnect(3, time.Millisecond))
	if _, err := micro.Call[string](t.Context(), few, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("after three attempts: %v", err)
	}
	waiting := Dial(unusedAddress(t), WithReconnect(1000, time.Hour))
	go func() {
		got <- waiting.Publish(t.Context(), &micro.Request{Pattern: note, Data: []byte("1"), Event: true})
	}()
	eventually(t, "it dials", func() bool { return waiting.addresses[0].dialing.Load() })
	_ = waiting.Close()
	if err := <-got; !errors.Is(err, micro.ErrClosed) {
		t.Errorf("closed while it waits to dial: %v", err)
	}
}

// TestLeastInFlight: a message goes where the fewest wait, equals take turns.
func TestLeastInFlight(t *testing.T) {
	var slow, quick atomic.Int64
	a := scripted(t, func(c *peerConn) { // answers nothing
		for _, ok := c.next(); ok; _, ok = c.next() {
			slow.Add(1)
		}
	})
	b := scripted(t, func(c *peerConn) {
		for p, ok := c.next(); ok; p, ok = c.next() {
			quick.Add(1)
			c.reply(p.ID, `"response":1,"isDisposed":true`)
		}
	})
	c := client(t, a.addr()+", "+b.addr())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // longer than a client waits by itself
	var calls sync.WaitGroup
	var done atomic.Int64
	made := int64(0)
	call := func() {
		made++
		calls.Go(func() {
			_, _ = micro.Call[int](ctx, c, echo, 1)
			done.Add(1)
		})
	}
	for range 20 {
		call()
	}
	eventually(t, "only calls without a reply wait", func() bool {
		if done.Load() == made {
			call() // all went to the quick one while the other's connection was made
		}
		return slow.Load() > 0 && done.Load()+slow.Load() == made
	})
	before := slow.Load()
	for range 100 {
		if _, err := micro.Call[int](t.Context(), c, echo, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := slow.Load() - before; n > 2 {
		t.Errorf("%d of 100 calls went where others wait", n)
	}
	cancel()
	calls.Wait()
}

// TestTrace: a message's way over the wire can be watched.
func TestTrace(t *testing.T) {
	s := start(t, quietServer())
	c := client(t, s.addr)
	var trail []string
	trace := &micro.Trace{
		Connected: func(address string, took time.Duration) { trail = append(trail, "connected "+address) },
		Wrote:     func(_ time.Time, packet []byte) { trail = append(trail, "wrote "+string(packet[:20])) },
		Read: func(at time.Time, packet []byte) {
			trail = append(trail, "read "+string(packet[:15]))
			if time.Since(at) > soon {
				t.Errorf("read at %v", at)
			}
		},
	}
	for range 2 {
		if err := c.Do(t.Context(), &micro.Request{Pattern: echo, Data: []byte(`"x"`), Trace: trace}, micro.ReplyFunc(func(micro.Value) error { return nil })); err != nil {
			t.Fatal(err)
		}
	}
	want := "connected " + s.addr + strings.Repeat(`, wrote {"pattern":{"cmd":"e, read {"response":"x"`, 2)
	if got := strings.Join(trail, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestBadFrameFromServer: a stream that cannot be read any more fails all that
// wait on it.
func TestBadFrameFromServer(t *testing.T) {
	for name, bytes := range map[string]string{"no length": "abc#", "no JSON": "3#{x}", "too long": strings.Repeat("9", 2000)} {
		t.Run(name, func(t *testing.T) {
			p := scripted(t, func(c *peerConn) {
				_, _ = c.next()
				_, _ = c.Write([]byte(bytes))
				_, _ = c.next()
			})
			c := client(t, p.addr(), WithMaxBufferSize(1000))
			if _, err := micro.Call[int](t.Context(), c, echo, 1); !errors.Is(err, micro.ErrConnectionLost) || !errors.Is(err, errFraming) {
				t.Errorf("got %v", err)
			}
		})
	}
	p := scripted(t, func(c *peerConn) {
		_, _ = c.next()
		_, _ = c.Write([]byte("100#{"))
		_, _ = c.next()
	})
	c := client(t, p.addr(), WithIncompleteMessageTimeout(30*time.Millisecond))
	var timeout net.Error
	if _, err := micro.Call[int](t.Context(), c, echo, 1); !errors.Is(err, micro.ErrConnectionLost) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("an unfinished frame: %v", err)
	}
}

// TestForeignReplies checks that everything that NestJS 12 treats as a value is one
// (docs/wire.md 1.3), and that replies without a call are dropped.
func TestForeignReplies(t *testing.T) {
	p := scripted(t, func(c *peerConn) {
		for pkt, ok := c.next(); ok; pkt, ok = c.next() {
			_, _ = c.Write(AppendFrame(AppendFrame(nil, []byte(`[1]`)), []byte(`null`)))
			c.reply(pkt.ID, `"extra":1`)
		}
	})
	c := client(t, p.addr())
	got, err := micro.Call[json.RawMessage](t.Context(), c, echo, 1)
	if err != nil || !strings.HasPrefix(string(got), `{"extra":1,"id":"`) {
		t.Errorf("%s, %v", got, err)
	}
}
