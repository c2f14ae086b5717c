package microtcp

import (
	"context"
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
	"github.com/msctl/msctl/runtime/wire"
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
	return AppendFrame(nil, wire.AppendRequest(nil, pattern.JSON(), []byte(data), nil, []byte(id)))
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
		t.Error("the stream continues without a peer")
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
