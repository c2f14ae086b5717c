package microtcp

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// delayed is less than the time for which Linux delays an acknowledgment: 40 ms.
const delayed = 30 * time.Millisecond

// TestNagle calls a server that leaves Nagle's algorithm on, as NestJS does, with two calls
// at a time, whose replies are two small writes. The second one waits for the
// acknowledgment of the first. A kernel that delays it does so for 40 ms, in every round; on
// a busy machine a round may take as long for other reasons, so one that does not suffices.
func TestNagle(t *testing.T) {
	p := scripted(t, func(c *peerConn) {
		_ = c.SetNoDelay(false)
		var kept []wire.Packet
		for {
			request, ok := c.next()
			if !ok {
				return
			}
			if string(request.Data) == `"alone"` {
				c.reply(request.ID, `"response":1,"isDisposed":true`)
				continue
			}
			if kept = append(kept, request); len(kept) == 2 {
				for _, r := range kept {
					c.reply(r.ID, `"response":1,"isDisposed":true`)
				}
				kept = nil
			}
		}
	})
	c := client(t, p.addr())
	for range 50 { // until the kernel has got used to request and reply
		if _, err := micro.Call[int](t.Context(), c, echo, "alone"); err != nil {
			t.Fatal(err)
		}
	}
	var took []time.Duration
	for range 20 {
		done := make(chan error, 2)
		start := time.Now()
		for range 2 {
			go func() {
				_, err := micro.Call[int](t.Context(), c, echo, "together")
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if took = append(took, time.Since(start)); took[len(took)-1] < delayed {
			return
		}
	}
	t.Errorf("every round waited for an acknowledgment: %v", took)
}

// TestNagleOfClient sends two requests at a time, as two small writes, from a client that
// leaves Nagle's algorithm on, to a handler that is slower than the delay of an
// acknowledgment. The second request must not wait for the reply to the first.
func TestNagleOfClient(t *testing.T) {
	server := quietServer()
	arrived := make(chan time.Time, 2)
	release := make(chan struct{})
	micro.Handle(server, hold, func(ctx context.Context, _ int) (int, error) {
		arrived <- time.Now()
		select {
		case <-release:
		case <-ctx.Done():
		}
		return 0, nil
	})
	s := start(t, server)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &peerConn{TCPConn: conn.(*net.TCPConn), in: decoder{limit: DefaultMaxBufferSize}}
	_ = c.SetNoDelay(false)
	request := func(pattern micro.Pattern, id string) {
		_, _ = c.Write(AppendFrame(nil, []byte(`{"pattern":`+pattern.JSON()+`,"data":1,"id":"`+id+`"}`)))
	}
	for range 50 { // until the kernel has got used to request and reply
		request(echo, "warm")
		if _, ok := c.next(); !ok {
			t.Fatal("no reply")
		}
	}
	var apart []time.Duration
	for range 20 {
		request(hold, "first")
		request(hold, "second")
		first, second := <-arrived, <-arrived
		release <- struct{}{}
		release <- struct{}{}
		for range 2 {
			if _, ok := c.next(); !ok {
				t.Fatal("no reply")
			}
		}
		if apart = append(apart, second.Sub(first)); second.Sub(first) < delayed {
			return
		}
	}
	t.Errorf("every second request waited for an acknowledgment: %v", apart)
}
