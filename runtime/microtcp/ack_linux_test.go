package microtcp

import (
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// TestNagle calls a server that leaves Nagle's algorithm on, as NestJS does, with two calls
// at a time, whose replies are two small writes. The second one waits for the
// acknowledgment of the first. A kernel that delays it does so for 40 ms, in every round; on
// a busy machine a round may take as long for other reasons, so one that does not suffices.
func TestNagle(t *testing.T) {
	const delayed = 30 * time.Millisecond
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
