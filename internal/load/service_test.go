package load_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// serve runs a service with one handler of "work" on a real socket and returns
// connections to it.
func serve(t testing.TB, handler micro.Handler, connections int) []micro.Conn {
	t.Helper()
	return dial(t, listen(t, map[string]micro.Handler{"work": handler}), connections)
}

// listen runs a service until the test ends and returns its address.
func listen(t testing.TB, handlers map[string]micro.Handler) (address string) {
	t.Helper()
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(ms))
	for name, handler := range handlers {
		micro.HandleFunc(s, micro.Cmd(name), handler)
	}
	l := microtcp.Listen("127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	bound, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bound.String()
}

// dial returns connections that are closed when the test ends, before the service
// is.
func dial(t testing.TB, address string, connections int) []micro.Conn {
	t.Helper()
	var conns []micro.Conn
	for range connections {
		conns = append(conns, microtcp.Dial(address))
	}
	t.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return conns
}

// proxied puts a fault proxy before an address until the test ends.
func proxied(t testing.TB, address string, seed uint64, faults ...string) *fault.Proxy {
	t.Helper()
	o := fault.Options{Target: []string{address}, Seed: seed}
	for _, text := range faults {
		f, err := fault.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		o.Faults = append(o.Faults, f)
	}
	p, err := fault.Start(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// work is the one message of most plans.
func work(conns []micro.Conn) []load.Message {
	return []load.Message{{Conns: conns, Pattern: micro.Cmd("work")}}
}

// answer answers at once.
func answer(_ context.Context, _ *micro.Request, reply micro.Reply) error {
	return reply.Send(micro.Value{Raw: []byte(`"ok"`), Last: true})
}

// silent never answers before end is closed.
func silent(end <-chan struct{}) micro.Handler {
	return func(context.Context, *micro.Request, micro.Reply) error {
		<-end
		return micro.Errorf(500, "over")
	}
}

// run makes a run of the plan and waits for its result.
func run(t testing.TB, plan load.Plan) *load.Result {
	t.Helper()
	r, err := load.Start(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return r.Wait()
}

// atOnce runs a subtest for each case, many at the same time: they wait much and
// work little, so the number of processors, which bounds t.Parallel, need not
// bound them.
func atOnce[C any](t *testing.T, cases []C, name func(C) string, test func(*testing.T, C)) {
	t.Helper()
	const most = 48
	var wg sync.WaitGroup
	free := make(chan struct{}, most)
	for _, c := range cases {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			t.Run(name(c), func(t *testing.T) { test(t, c) })
		})
	}
	wg.Wait()
}

// checkSum holds a result to: offered is the sum of the outcomes.
func checkSum(t testing.TB, res *load.Result) {
	t.Helper()
	if sum := res.Totals.Finished(); sum != res.Totals.Offered {
		t.Errorf("offered %d, but the outcomes %v sum up to %d", res.Totals.Offered, res.Totals.Outcomes, sum)
	}
	if res.InFlight != 0 {
		t.Errorf("%d requests in flight at the end", res.InFlight)
	}
}
