package agents

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/load"
	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// version is that of all processes of the tests.
const version = "test"

// service is a service that remembers the data of its requests.
type service struct {
	address string
	mu      sync.Mutex // guards the fields below
	data    []string
	at      []time.Time // when each was received
	last    time.Time
	delay   func(n int) time.Duration
	fails   func(n int) bool
}

// serve starts a service that ends with the test.
func serve(t *testing.T) *service {
	t.Helper()
	return serveAt(t, "127.0.0.1:0")
}

// serveAt is serve at an address.
func serveAt(t *testing.T, address string) *service {
	t.Helper()
	s := &service{}
	l := microtcp.Listen(address)
	srv := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithMaxInFlight(100_000))
	for _, name := range []string{"work", "other"} {
		micro.Handle(srv, micro.Cmd(name), func(ctx context.Context, data json.RawMessage) (string, error) {
			s.mu.Lock()
			n := len(s.data)
			s.last = time.Now()
			s.data, s.at = append(s.data, name+" "+string(data)), append(s.at, s.last)
			s.mu.Unlock()
			if s.fails != nil && s.fails(n) {
				return "", micro.Errorf(503, "busy")
			}
			if s.delay != nil {
				select {
				case <-time.After(s.delay(n)):
				case <-ctx.Done():
				}
			}
			return "done", nil
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-ended })
	bound, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.address = "tcp://" + bound.String()
	return s
}

// received returns the data of all requests, sorted.
func (s *service) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.data))
}

// natsServer starts a NATS server that ends with the test.
func natsServer(t *testing.T, options server.Options) *server.Server {
	t.Helper()
	options.Host, options.NoSigs, options.NoLog, options.NoSystemAccount = "127.0.0.1", true, true, true
	if options.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server did not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// fleet is agents of a test and what coordinates them.
type fleet struct {
	url     string
	signer  *Signer
	options Options
	events  events
	latest  *Coordinator // of the latest run
}

// events are what was notified.
type events struct {
	mu   sync.Mutex
	list []event
}

type event struct {
	at   time.Time
	text string
}

func (e *events) add(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event{time.Now(), text})
}

// newFleet returns a fleet of n agents that are goroutines of this process. change may change
// their options.
func newFleet(t *testing.T, n int, change func(*AgentOptions)) *fleet {
	t.Helper()
	f := emptyFleet(t, natsServer(t, server.Options{}).ClientURL(), n)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range n {
		o := AgentOptions{
			NATS: f.url, Pool: "test", Trust: f.signer.Public(), Version: version, Secrets: &secret.Set{},
			Log: func(format string, args ...any) { t.Logf("agent "+strconv.Itoa(i+1)+": "+format, args...) },
		}
		if change != nil {
			change(&o)
		}
		all.Go(func() { _ = ServeAgent(ctx, o) })
	}
	t.Cleanup(func() { cancel(); all.Wait() })
	return f
}

func emptyFleet(t *testing.T, url string, n int) *fleet {
	t.Helper()
	seed, _, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner(seed)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{url: url, signer: signer}
	f.options = Options{NATS: url, Pool: "test", Agents: n, Signer: signer, Version: version, Notify: func(text string) {
		f.events.add(text)
		t.Log(text)
	}}
	return f
}

// processes starts n agents that are processes, and returns them.
func (f *fleet) processes(t *testing.T, n int) []*exec.Cmd {
	t.Helper()
	var list []*exec.Cmd
	for range n {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "MSCTL_TEST_AGENT="+f.url, "MSCTL_TEST_AGENT_TRUST="+f.signer.Public())
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		list = append(list, cmd)
	}
	return list
}

// agentProcess is the main function of an agent of a test.
func agentProcess() {
	var hang func(time.Time, reading)
	if os.Getenv("MSCTL_TEST_AGENT_HANGS") != "" {
		hang = func(time.Time, reading) { select {} } // when the agent prepares a run
	}
	_ = ServeAgent(context.Background(), AgentOptions{
		onClock: hang, NATS: os.Getenv("MSCTL_TEST_AGENT"), Pool: "test", Trust: os.Getenv("MSCTL_TEST_AGENT_TRUST"), Version: version,
		Secrets: &secret.Set{}, Log: func(string, ...any) {},
	})
}

// settings are the settings of a bench, and its message.
type settings struct {
	to   string
	args []string
	set  [][2]string

	scenario string // a file, in place of args
}

// spec returns the checked Spec.
func (b settings) spec(t *testing.T, f bench.Fleet) *bench.Spec {
	t.Helper()
	s, err := b.checked(t, f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checked returns the Spec, or the error of its check.
func (b settings) checked(t *testing.T, f bench.Fleet) (*bench.Spec, error) {
	t.Helper()
	s := bench.NewSpec()
	s.Secrets, s.Fleet = &secret.Set{}, f
	for _, one := range append([][2]string{{"to", b.to}}, b.set...) {
		if err := s.Set(one[0], one[1]); err != nil {
			t.Fatal(err)
		}
	}
	if b.scenario != "" {
		if err := s.ReadScenario(b.scenario, false); err != nil {
			t.Fatal(err)
		}
		return s, s.Check(nil)
	}
	if len(b.args) == 0 {
		b.args = []string{"cmd=work"}
	}
	if err := s.SetMessage(b.args); err != nil {
		t.Fatal(err)
	}
	return s, s.Check(nil)
}

// try makes the runs of a bench that may be invalid.
func (f *fleet) try(t *testing.T, b settings) (*benchreport.Document, error) {
	t.Helper()
	if _, err := b.checked(t, NewCoordinator(f.options)); err != nil {
		return nil, err
	}
	return f.run(t, b, nil)
}

// display calls a function with each run.
type display struct{ show func(*bench.Run) }

func (d display) Show(s bench.Stage) error {
	if d.show != nil {
		d.show(s.Run)
	}
	return nil
}
func (display) Note(string)     {}
func (display) Conclude(string) {}

// run makes the runs of a bench: on the fleet, or in this process if it is nil.
func (f *fleet) run(t *testing.T, b settings, show func(*bench.Run)) (*benchreport.Document, error) {
	t.Helper()
	var fleet bench.Fleet
	if f != nil {
		c := NewCoordinator(f.options)
		defer c.Close()
		f.latest, fleet = c, c
	}
	made, err := bench.Prepare(t.Context(), b.spec(t, fleet), nil)
	if err != nil {
		return nil, err
	}
	defer made.Close()
	if err := made.Run(t.Context(), display{show}); err != nil {
		return nil, err
	}
	return made.Document(), nil
}

// mustRun is run for a bench that succeeds.
func (f *fleet) mustRun(t *testing.T, b settings, show func(*bench.Run)) *benchreport.Run {
	t.Helper()
	d, err := f.run(t, b, show)
	if err != nil {
		t.Fatal(err)
	}
	return &d.Runs[0]
}

// raw collects every request of the agents of a fleet.
type raw struct {
	mu   sync.Mutex
	list []load.Request
}

func (r *raw) add(q load.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, q)
}

// redirecting starts a web server that redirects every request, and returns its URL.
func redirecting(t *testing.T, to string) string {
	t.Helper()
	s := httptest.NewServer(http.RedirectHandler(to, http.StatusFound))
	t.Cleanup(s.Close)
	return s.URL
}
