package capacity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/microtest"
)

// waitLimit bounds the wait for events that must happen. It is long because the machine
// may be busy.
const waitLimit = 30 * time.Second

// serve serves until the test ends.
func serve(t *testing.T, c Config, patterns ...micro.Pattern) *Running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := Serve(ctx, "127.0.0.1:0", c, patterns...)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := r.Wait(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func dial(t *testing.T, r *Running) *micro.Client {
	t.Helper()
	c := micro.NewClient(microtcp.Dial(r.Address))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// await waits for the expected counts of the service.
func await(t *testing.T, r *Running, ok func(Stats) bool) {
	t.Helper()
	tick := time.NewTicker(2 * ms)
	defer tick.Stop()
	for begin := time.Now(); !ok(r.Stats()); <-tick.C {
		if time.Since(begin) > waitLimit {
			t.Fatalf("timed out with %+v", r.Stats())
		}
	}
}

// endStall ends a stall once the server knows that all waiting callers have given up.
func endStall(t *testing.T, r *Running) {
	t.Helper()
	await(t, r, func(Stats) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range r.queue.waiting.len() {
			if r.queue.waiting.jobs[i].ctx.Err() == nil { // none has left, so the first is at index 0
				return false
			}
		}
		r.queue.stallEnd = 0
		return true
	})
}

// TestServe checks that any pattern is handled, or only those given.
func TestServe(t *testing.T) {
	all, some := serve(t, Config{}), serve(t, Config{}, micro.Cmd("work"))
	for _, tt := range []struct {
		service *Running
		pattern micro.Pattern
		status  int
	}{
		{all, micro.Cmd("work"), 0},
		{all, micro.Fields(map[string]any{"a": 1, "b": []int{2}}), 0},
		{all, micro.Name("item.v1.viewed"), 0},
		{some, micro.Cmd("work"), 0},
		{some, micro.Cmd("other"), 501},
	} {
		got, err := micro.Call[json.RawMessage](t.Context(), dial(t, tt.service), tt.pattern, 1)
		var remote *micro.Error
		switch {
		case tt.status == 0 && (err != nil || string(got) != `{"ok":true}`):
			t.Errorf("%s: %s, %v", tt.pattern, got, err)
		case tt.status != 0 && (!errors.As(err, &remote) || !strings.Contains(remote.Error(), "no matching message handler")):
			t.Errorf("%s: %s, %v; want no handler", tt.pattern, got, err)
		}
	}
	await(t, all, func(s Stats) bool { return cmp.Equal(s, Stats{Arrived: 3, Done: 3}) })
}

// TestDeadWork checks that requests whose callers have given up are still
// processed, as NestJS does, and that they are not with DropExpired.
func TestDeadWork(t *testing.T) {
	for _, drop := range []bool{false, true} {
		t.Run(fmt.Sprintf("drop=%v", drop), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { checkDeadWork(t, drop) })
		})
	}
}

func checkDeadWork(t *testing.T, drop bool) {
	t.Helper()
	const n = 50
	ctx, cancel := context.WithCancel(t.Context())
	network := microtest.New()
	ready := func(context.Context) error { return nil } // messages wait for the server
	r, err := ServeOn(ctx, network, ready, Config{ServiceTime: Constant(ms), DropExpired: drop})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	r.Stall(time.Hour)
	client := network.Client()
	var calls sync.WaitGroup
	for range n {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := micro.Call[json.RawMessage](ctx, client, micro.Cmd("work"), nil); !errors.Is(err, micro.ErrTimeout) {
				t.Errorf("%v, want a timeout", err)
			}
		})
	}
	calls.Wait()
	<-time.After(2 * time.Hour) // of the bubble: until the stall is over and the work is done
	want := Stats{Arrived: n, Done: n, Wasted: n}
	if drop {
		want = Stats{Arrived: n, Expired: n}
	}
	if diff := cmp.Diff(want, r.Stats()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	cancel()
	if err := r.Wait(); err != nil {
		t.Error(err)
	}
}

// TestCallersGone checks that ten thousand requests of a closed connection are processed
// and do not affect other callers.
func TestCallersGone(t *testing.T) {
	const n = 10_000
	r := serve(t, Config{ServiceTime: Constant(10 * time.Microsecond)})
	r.Stall(time.Hour)
	conn, err := net.Dial("tcp", r.Address)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for i := range n {
		body := fmt.Sprintf(`{"pattern":{"cmd":"work"},"data":%d,"id":"%d"}`, i, i)
		text = fmt.Appendf(text, "%d#%s", len(body), body)
	}
	if _, err := conn.Write(text); err != nil {
		t.Fatal(err)
	}
	await(t, r, func(s Stats) bool { return s.Waiting == n })
	_ = conn.Close()
	endStall(t, r)
	await(t, r, func(s Stats) bool { return cmp.Equal(s, Stats{Arrived: n, Done: n, Wasted: n}) })
	if _, err := micro.Call[json.RawMessage](t.Context(), dial(t, r), micro.Cmd("work"), nil); err != nil {
		t.Errorf("another caller: %v", err)
	}
}

// TestEndOfServe checks that the end of the context ends waiting requests and the
// service, and that a port in use is an immediate error.
func TestEndOfServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Serve(ctx, "127.0.0.1:0", Config{ServiceTime: Constant(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Serve(ctx, r.Address, Config{}); err == nil || !strings.Contains(err.Error(), "listen on "+r.Address) {
		t.Errorf("on a port in use: %v, %v", second, err)
	}
	answered := make(chan error, 1)
	client := dial(t, r)
	go func() {
		_, err := micro.Call[json.RawMessage](context.Background(), client, micro.Cmd("work"), nil)
		answered <- err
	}()
	await(t, r, func(s Stats) bool { return s.Busy == 1 })
	cancel()
	var remote *micro.Error
	if err := <-answered; !errors.As(err, &remote) || remote.Status != 503 {
		t.Errorf("a waiting caller gets %v", err)
	}
	if err := r.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := Serve(ctx, "127.0.0.1:0", Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func ExampleServe() {
	ctx, cancel := context.WithCancel(context.Background())
	service, err := Serve(ctx, "127.0.0.1:0", Config{ServiceTime: Constant(10 * time.Millisecond)}, micro.Cmd("work"))
	if err != nil {
		panic(err)
	}
	client := micro.NewClient(microtcp.Dial(service.Address))
	answer, err := micro.Call[json.RawMessage](ctx, client, micro.Cmd("work"), nil)
	fmt.Printf("%s %v, %.0f/s\n", answer, err, service.Capacity())
	_ = client.Close()
	cancel()
	fmt.Println(service.Wait())
	// Output:
	// {"ok":true} <nil>, 100/s
	// <nil>
}
