package load_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// peer is a connection to a service with one thread. With nagle, it sends a reply only
// when the previous one has been acknowledged: by the next request, or after 40 ms.
type peer struct {
	takes func(n int) time.Duration // for the nth request
	nagle bool

	mu      sync.Mutex // guards the fields below
	n       int
	thread  chan struct{} // full while a request is handled
	unacked bool
	acked   chan struct{} // closed at the next acknowledgment
}

func (p *peer) Exchange(_ context.Context, _ *micro.Request, reply micro.Reply) error {
	p.acknowledge()
	p.mu.Lock()
	if p.thread == nil {
		p.thread = make(chan struct{}, 1)
	}
	n := p.n
	p.n++
	p.mu.Unlock()
	p.thread <- struct{}{}
	<-time.After(p.takes(n))
	<-p.thread
	if p.nagle {
		p.hold()
	}
	return reply.Send(micro.Value{Raw: []byte("1"), Last: true})
}

func (p *peer) Publish(context.Context, *micro.Request) error { return nil }
func (p *peer) Close() error                                  { return nil }

func (p *peer) acknowledge() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unacked {
		p.unacked = false
		close(p.acked)
	}
}

// hold returns when a reply may be sent.
func (p *peer) hold() {
	p.mu.Lock()
	held, acked := p.unacked, p.acked
	if !held {
		p.unacked, p.acked = true, make(chan struct{})
	}
	p.mu.Unlock()
	if !held {
		return
	}
	select {
	case <-acked:
	case <-time.After(40 * ms):
	}
	p.mu.Lock()
	if !p.unacked { // those that were held are sent together
		p.unacked, p.acked = true, make(chan struct{})
	}
	p.mu.Unlock()
}

// TestHeldBack checks that a run recognizes a peer with Nagle's algorithm, and no other.
func TestHeldBack(t *testing.T) {
	fast := func(n int) time.Duration {
		if n%100 == 50 {
			return 12 * ms // longer than the time between requests, so two of them overlap
		}
		return 400 * time.Microsecond
	}
	always := func(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
	type testCase struct {
		name     string
		conn     micro.Conn
		arrivals load.Arrivals
		users    int
		want     bool
	}
	bubble(t, []testCase{
		{name: "Nagle", conn: &peer{takes: fast, nagle: true}, want: true},
		{name: "Nagle, independent requests", conn: &peer{takes: fast, nagle: true}, arrivals: load.Poisson, want: true},
		{name: "Nagle, users", conn: &peer{takes: fast, nagle: true}, users: 3},
		{name: "fast", conn: &peer{takes: fast}},
		{name: "fast, independent requests", conn: &peer{takes: fast}, arrivals: load.Poisson},
		{name: "a little faster than the pace", conn: &peer{takes: always(9900 * time.Microsecond)}, arrivals: load.Poisson},
		{name: "random", conn: &peer{takes: func(n int) time.Duration {
			return time.Duration(rand.New(rand.NewPCG(1, uint64(n))).ExpFloat64() * float64(7*ms))
		}}},
		{name: "a little slower than the pace", conn: &parallel{}},
	}, func(c testCase) string { return c.name }, func(t testing.TB, c testCase) {
		t.Helper()
		plan := load.Plan{
			Messages: []load.Message{{Conns: []micro.Conn{c.conn}, Pattern: micro.Cmd("x")}},
			Policy:   policy.New(policy.WithTimeout(time.Minute)), Arrivals: c.arrivals, Seed: 1, Duration: 10 * time.Second,
		}
		if plan.Users = c.users; c.users == 0 {
			plan.Pacer = vegeta.ConstantPacer{Freq: 100, Per: time.Second}
		}
		res := run(t, plan)
		if got := res.HeldBack; got.Likely() != c.want {
			t.Errorf("%+v: likely %v, want %v; p50 %s", got, got.Likely(), c.want, res.OK.P50)
		}
	})
}

// parallel is a service with a constant latency that is longer than the time between
// requests.
type parallel struct{ peer }

func (*parallel) Exchange(_ context.Context, _ *micro.Request, reply micro.Reply) error {
	<-time.After(10300 * time.Microsecond)
	return reply.Send(micro.Value{Raw: []byte("1"), Last: true})
}
