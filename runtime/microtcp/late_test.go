package microtcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// TestLateReplies checks that each reply that arrives after its call ended is reported
// once with its content, and that replies without a call are not.
func TestLateReplies(t *testing.T) {
	release := make(chan struct{})
	p := scripted(t, func(c *peerConn) {
		var late []wire.Packet
		for range 3 {
			pkt, _ := c.next()
			late = append(late, pkt)
		}
		<-release
		c.reply([]byte(`"stranger"`), `"response":1,"isDisposed":true`)
		c.reply([]byte(`"`+strings.Repeat("0", 21)+`"`), `"response":1,"isDisposed":true`)
		for range 3 {
			c.reply(late[0].ID, `"response":1`) // not the end yet
		}
		c.reply(late[0].ID, `"isDisposed":true`)
		c.reply(late[1].ID, `"err":{"status":404},"isDisposed":true`)
		for range 3 { // only the first of them counts
			c.reply(late[2].ID, `"response":1,"isDisposed":true`)
		}
		c.answer()
	})
	c := client(t, p.addr())
	late := make(chan micro.LateReply, 10)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		err := c.Do(ctx, &micro.Request{Pattern: echo, Trace: &micro.Trace{Late: func(r micro.LateReply) { late <- r }}}, nil)
		cancel()
		if !errors.Is(err, micro.ErrTimeout) {
			t.Fatal(err)
		}
	}
	close(release)
	if got, err := micro.Call[int](t.Context(), c, echo, 7); err != nil || got != 7 {
		t.Fatalf("the connection is not usable: %d, %v", got, err)
	}
	if len(late) != 3 {
		t.Fatalf("%d late replies", len(late))
	}
	for i := range 3 {
		r := <-late
		if (r.Err != nil) != (i == 1) || r.By < 0 || r.By > time.Minute {
			t.Errorf("late reply %d: %+v", i, r)
		}
	}
}

// TestTimeoutsRaceReplies: call objects are pooled. Whatever the order of
// replies, timeouts and late replies, no reply reaches another call, and each
// call is answered or reported as late, never both.
func TestTimeoutsRaceReplies(t *testing.T) {
	s := quietServer()
	moody := micro.Cmd("moody")
	micro.HandleStream(s, moody, func(ctx context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for range n % 3 {
				if !yield(n, nil) {
					return
				}
			}
			if n%2 == 0 {
				_ = sleep(context.WithoutCancel(ctx), time.Duration(rand.N(3000))*time.Microsecond)
			}
			yield(n, nil)
		}
	})
	c := client(t, start(t, s).addr)
	if _, err := micro.Call[string](t.Context(), c, echo, "connect"); err != nil {
		t.Fatal(err)
	}
	var answered, gaveUp, late atomic.Int64
	var callers sync.WaitGroup
	for w := range 32 {
		callers.Go(func() {
			for i := range 200 {
				n := w*1000 + i
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.N(15000))*time.Microsecond)
				var reported atomic.Int64
				want := fmt.Sprint(n)
				err := c.Do(ctx, &micro.Request{Pattern: moody, Data: []byte(want), Trace: &micro.Trace{
					Late: func(micro.LateReply) {
						late.Add(1)
						if reported.Add(1) > 1 {
							t.Error("one late reply was reported twice")
						}
					},
					Read: func(_ time.Time, packet []byte) {
						if p, err := wire.Parse(packet); err != nil || p.Response != nil && string(p.Response) != want {
							t.Errorf("call %d got the packet %s", n, packet)
						}
					},
				}}, micro.ReplyFunc(func(v micro.Value) error {
					if string(v.Raw) != want {
						t.Errorf("call %d got %s", n, v.Raw)
					}
					return nil
				}))
				var remote *micro.Error // the server found it expired
				switch cancel(); {
				case err == nil, errors.As(err, &remote):
					answered.Add(1)
				case errors.Is(err, micro.ErrTimeout):
					gaveUp.Add(1)
				default:
					t.Errorf("call %d: %v", n, err)
				}
			}
		})
	}
	callers.Wait()
	if answered.Load() == 0 || gaveUp.Load() == 0 {
		t.Errorf("%d answered, %d gave up: the race was not one", answered.Load(), gaveUp.Load())
	}
	if late.Load() > gaveUp.Load() {
		t.Errorf("%d late replies to %d calls that gave up", late.Load(), gaveUp.Load())
	}
	t.Logf("%d answered, %d gave up, %d late", answered.Load(), gaveUp.Load(), late.Load())
}

// TestCallOff checks that a deadline and a canceled context have different errors.
func TestCallOff(t *testing.T) {
	p := scripted(t, func(c *peerConn) {
		for _, ok := c.next(); ok; _, ok = c.next() {
		}
	})
	c := client(t, p.addr())
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := micro.Call[int](short, c, echo, 1); !errors.Is(err, micro.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
	if _, err := micro.Call[int](short, c, echo, 1); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("a deadline that has passed: %v", err)
	}
	why := errors.New("why")
	off, stop := context.WithCancelCause(t.Context())
	go stop(why)
	if _, err := micro.Call[int](off, c, echo, 1); !errors.Is(err, why) {
		t.Errorf("called off: %v", err)
	}
	own := micro.NewClient(Dial(p.addr()), micro.WithTimeout(20*time.Millisecond))
	defer func() { _ = own.Close() }()
	if _, err := micro.Call[int](context.Background(), own, echo, 1); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("the client's own timeout: %v", err)
	}
}

// TestSlowConsumer checks that other calls continue while the values of one stream wait
// for a slow caller, and that the number of waiting values is limited.
func TestSlowConsumer(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	p := scripted(t, func(c *peerConn) {
		for pkt, ok := c.next(); ok; pkt, ok = c.next() {
			if string(pkt.Data) == `"flood"` {
				for range 40 {
					c.reply(pkt.ID, `"response":"`+big+`"`)
				}
			}
			for range 3 {
				c.reply(pkt.ID, `"response":1`)
			}
			c.reply(pkt.ID, `"response":1,"isDisposed":true`)
		}
	})
	c := client(t, p.addr())
	n := 0
	var last error
	for _, err := range micro.Stream[json.RawMessage](t.Context(), c, echo, "flood") {
		if n++; n == 1 {
			if _, err := micro.Call[int](t.Context(), c, echo, "other"); err != nil {
				t.Errorf("another call: %v", err)
			}
		}
		last = err
	}
	if n > 40 || !errors.Is(last, calls.ErrSlowCaller) {
		t.Errorf("%d values, then %v", n, last)
	}
	for range micro.Stream[json.RawMessage](t.Context(), c, echo, "few") {
		break
	}
	if _, err := micro.Call[int](t.Context(), c, echo, "other"); err != nil {
		t.Errorf("after leaving a stream: %v", err)
	}
}

// TestCloseInFlight: calls in flight fail with ErrClosed, at once.
func TestCloseInFlight(t *testing.T) {
	arrived := make(chan struct{}, 100)
	p := scripted(t, func(c *peerConn) {
		for _, ok := c.next(); ok; _, ok = c.next() {
			arrived <- struct{}{}
		}
	})
	c := client(t, p.addr())
	errs := make(chan error, 100)
	for range 100 {
		go func() {
			_, err := micro.Call[int](context.Background(), c, echo, 1)
			errs <- err
		}()
	}
	for range 100 {
		<-arrived
	}
	within(t, "Close", func() {
		_ = c.Close()
		_ = c.Close()
	})
	for range 100 {
		if err := <-errs; !errors.Is(err, micro.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}
