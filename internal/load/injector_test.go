package load_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/runtime/micro"
)

// injector does to messages in memory what a fault.Proxy does to them between
// sockets: most of it in front of the handler, and what a connection's end is
// needed for in front of the client.
type injector struct {
	fault.Fault
	begin time.Time     // of the run; set before the first message
	end   chan struct{} // closed when the test ends

	mu      sync.Mutex // guards what follows
	random  *rand.Rand
	matched int
	free    time.Time     // when the link of Bandwidth has sent everything
	held    chan struct{} // closed when the next message overtakes the one that Reorder holds
}

func newInjectors(t testing.TB, texts []string) (list []*injector) {
	t.Helper()
	for _, f := range parseFaults(t, texts) {
		if f.Share == 0 {
			f.Share = 1
		}
		if f.Status == 0 {
			f.Status = fault.DefaultStatus
		}
		in := &injector{Fault: f, end: make(chan struct{}), random: rand.New(rand.NewPCG(7, 7))}
		list = append(list, in)
	}
	return list
}

// stop releases swallowed messages. It must run before their server drains.
func (in *injector) stop() { close(in.end) }

// window returns how long the fault's window still lasts; 0 is outside of it.
func (in *injector) window() time.Duration {
	now := time.Since(in.begin)
	switch {
	case now < in.Start:
		return 0
	case in.Length == 0:
		return time.Hour
	}
	return max(in.Start+in.Length-now, 0)
}

// hit reports whether the fault is for the next message.
func (in *injector) hit() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.window() == 0 || in.First > 0 && in.matched >= in.First {
		return false
	}
	in.matched++
	return in.random.Float64() < in.Share
}

// discard is the reply of a message whose answer is swallowed.
var discard = micro.ReplyFunc(func(micro.Value) error { return nil })

// handler injects the faults of messages in front of next.
func (in *injector) handler(next micro.Handler) micro.Handler {
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		if in.Kind == fault.Reset || in.Kind == fault.Cut || !in.hit() {
			return next(ctx, req, reply)
		}
		switch in.Kind {
		case fault.Error:
			return micro.Errorf(in.Status, "injected")
		case fault.Drop, fault.Blackhole:
			return in.swallow()
		case fault.DropReply:
			_ = next(ctx, req, discard)
			return in.swallow()
		case fault.Duplicate:
			_ = next(ctx, req, discard)
		default:
			in.wait(in.delay(req))
		}
		return next(ctx, req, reply)
	}
}

// swallow never answers while the test runs.
func (in *injector) swallow() error {
	<-in.end
	return nil
}

// wait waits for d, or until a channel is closed.
func (in *injector) wait(d time.Duration, until <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-until:
	case <-in.end:
	}
}

// delay returns how long a message is held at most, and what may end that sooner.
func (in *injector) delay(req *micro.Request) (d time.Duration, until <-chan struct{}) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch in.Kind {
	case fault.Latency:
		return in.Delay + time.Duration((2*in.random.Float64()-1)*float64(in.Spread)), nil
	case fault.Stall:
		return in.window(), nil
	case fault.Bandwidth:
		const overhead = 200 // bytes of a packet
		now := time.Now()
		if in.free.Before(now) {
			in.free = now
		}
		in.free = in.free.Add(time.Duration(len(req.Data)+overhead) * time.Second / time.Duration(in.BytesPerSecond))
		return in.free.Sub(now), nil
	case fault.Reorder:
		if in.held != nil {
			close(in.held)
			in.held = nil
			return 0, nil
		}
		in.held = make(chan struct{})
		return time.Second, in.held
	}
	panic("no delay: " + in.Kind)
}

// conn injects the faults of connections in front of c.
func (in *injector) conn(c micro.Conn) micro.Conn {
	if in.Kind != fault.Reset && in.Kind != fault.Cut {
		return c
	}
	return &cutConn{c, in}
}

// cutConn loses its connection during some exchanges.
type cutConn struct {
	micro.Conn
	in *injector
}

func (c *cutConn) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	if !c.in.hit() {
		return c.Conn.Exchange(ctx, req, reply)
	}
	if c.in.Kind == fault.Cut { // the service does the work, and its answer is lost
		if err := c.Conn.Exchange(ctx, req, discard); err != nil {
			return err
		}
	} else if req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(time.Now(), req.Data)
	}
	return micro.ErrConnectionLost
}
