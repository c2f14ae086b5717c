package load_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/microtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// Most tests run in a testing/synctest bubble, in which a service is in memory and
// time passes only while everything waits: they are exact, and a busy machine
// cannot make them fail. A few also run on a real clock and over TCP, if realClock
// allows it.

// realClock reports whether tests on a real clock are enabled.
func realClock() bool { return os.Getenv("MSCTL_TEST_LONG") == "1" }

// skipUnlessRealClock skips a test on a real clock unless it is asked for.
func skipUnlessRealClock(t *testing.T) {
	t.Helper()
	if !realClock() {
		t.Skip("runs on a real clock: set MSCTL_TEST_LONG=1")
	}
}

// service is a running service with some faults, as a run sees it.
type service struct {
	conns []micro.Conn
	begin func(time.Time) // the plan's OnStart: the time 0 of the faults' windows
}

// network starts a service with a handler for each command and injects faults, in
// the syntax of fault.Parse, until the test ends.
type network func(t testing.TB, handlers map[string]micro.Handler, faults ...string) service

// connections is how many connections a service in a test has.
const connections = 2

// inMemory is a network for tests in a bubble.
func inMemory(t testing.TB, handlers map[string]micro.Handler, faults ...string) service {
	t.Helper()
	injectors := newInjectors(t, faults)
	s := newServer()
	for name, handler := range handlers {
		for _, in := range injectors {
			handler = in.handler(handler)
		}
		micro.HandleFunc(s, micro.Cmd(name), handler)
	}
	n := microtest.New()
	serve(t, s, n)
	for _, in := range injectors {
		t.Cleanup(in.stop)
	}
	out := service{begin: func(at time.Time) {
		for _, in := range injectors {
			in.begin = at
		}
	}}
	for range connections {
		conn := n.Dial()
		t.Cleanup(func() { _ = conn.Close() })
		for _, in := range injectors {
			conn = in.conn(conn)
		}
		out.conns = append(out.conns, conn)
	}
	return out
}

// overTCP is a network of sockets, with a fault.Proxy if there are faults.
func overTCP(t testing.TB, handlers map[string]micro.Handler, faults ...string) service {
	t.Helper()
	s := newServer()
	for name, handler := range handlers {
		micro.HandleFunc(s, micro.Cmd(name), handler)
	}
	l := microtcp.Listen("127.0.0.1:0")
	serve(t, s, l)
	bound, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := service{begin: func(time.Time) {}}
	address := bound.String()
	if len(faults) > 0 {
		p := startProxy(t, address, faults)
		address, out.begin = p.Addr(), p.Begin
	}
	for range connections {
		conn := microtcp.Dial(address)
		t.Cleanup(func() { _ = conn.Close() })
		out.conns = append(out.conns, conn)
	}
	return out
}

func newServer() *micro.Server {
	return micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(ms))
}

// serve serves s until the test ends.
func serve(t testing.TB, s *micro.Server, l micro.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// startProxy runs a fault proxy in front of an address until the test ends.
func startProxy(t testing.TB, address string, faults []string) *fault.Proxy {
	t.Helper()
	p, err := fault.Start(context.WithoutCancel(t.Context()), fault.Options{Target: []string{address}, Seed: 1, Faults: parseFaults(t, faults)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func parseFaults(t testing.TB, texts []string) (faults []fault.Fault) {
	t.Helper()
	for _, text := range texts {
		f, err := fault.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		faults = append(faults, f)
	}
	return faults
}

// workers returns connections to a service in memory that handles "work".
func workers(t testing.TB, handler micro.Handler) []micro.Conn {
	t.Helper()
	return inMemory(t, map[string]micro.Handler{"work": handler}).conns
}

// work returns the one message of most plans.
func work(conns []micro.Conn) []load.Message {
	return []load.Message{{Conns: conns, Pattern: micro.Cmd("work")}}
}

// answer answers immediately.
func answer(_ context.Context, _ *micro.Request, reply micro.Reply) error {
	return reply.Send(micro.Value{Raw: []byte(`"ok"`), Last: true})
}

// silentWorkers returns connections to a service that does not answer until the
// test ends.
func silentWorkers(t testing.TB) []micro.Conn {
	t.Helper()
	end := make(chan struct{})
	conns := workers(t, func(context.Context, *micro.Request, micro.Reply) error {
		<-end
		return micro.Errorf(500, "over")
	})
	t.Cleanup(func() { close(end) }) // runs first, so that the service can drain
	return conns
}

// start starts the plan in a bubble.
func start(t testing.TB, plan load.Plan) *load.Run {
	t.Helper()
	plan.TimerPacing = true
	r, err := load.Start(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs the plan in a bubble and returns its result.
func run(t testing.TB, plan load.Plan) *load.Result {
	t.Helper()
	return start(t, plan).Wait()
}

// runReal runs the plan on a real clock and returns its result.
func runReal(t testing.TB, plan load.Plan) *load.Result {
	t.Helper()
	r, err := load.Start(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	res := r.Wait()
	if err := r.TriggerError(); err != nil {
		t.Error(err)
	}
	return res
}

// bubble runs the cases one after the other in one bubble. Each bubble that fires
// timers leaks a context of the race detector, which has room for about 8000 of them
// in a process, so hundreds of cases must not have one each.
func bubble[C any](t *testing.T, cases []C, name func(C) string, test func(testing.TB, C)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range cases {
			runCase(t, name(c), func(t testing.TB) {
				t.Helper()
				test(t, c)
			})
		}
	})
}

func runCase(t *testing.T, name string, test func(testing.TB)) {
	t.Helper()
	s := &scope{TB: t, name: name}
	defer s.end()
	test(s)
}

// scope is a testing.TB for one of several cases: its errors have the name of the
// case, and its cleanups run at its end. It is for one goroutine.
type scope struct {
	testing.TB
	name     string
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) end() {
	for len(s.cleanups) > 0 {
		last := len(s.cleanups) - 1
		f := s.cleanups[last]
		s.cleanups = s.cleanups[:last]
		f()
	}
}

func (s *scope) Errorf(format string, args ...any) {
	s.Helper()
	s.TB.Errorf("%s: "+format, append([]any{s.name}, args...)...)
}

func (s *scope) Fatalf(format string, args ...any) {
	s.Helper()
	s.TB.Fatalf("%s: "+format, append([]any{s.name}, args...)...)
}

// checkSum checks that every offered request has an outcome.
func checkSum(t testing.TB, res *load.Result) {
	t.Helper()
	if sum := res.Totals.Finished(); sum != res.Totals.Offered {
		t.Errorf("offered %d, but the outcomes %v sum up to %d", res.Totals.Offered, res.Totals.Outcomes, sum)
	}
	if res.InFlight != 0 {
		t.Errorf("%d requests in flight at the end", res.InFlight)
	}
}
