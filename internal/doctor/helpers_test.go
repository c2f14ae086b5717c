package doctor

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replyLimit is the timeout of questions to peers that reply. It is long because the machine may be busy.
const replyLimit = 90 * time.Second

// server returns a server with handlers of requests.
func server(name string, patterns ...string) *micro.Server {
	s := micro.NewServer(micro.WithName(name, "1.0.0"), micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(time.Second))
	for _, p := range patterns {
		micro.Handle(s, micro.Cmd(p), func(context.Context, micro.None) (string, error) { return name, nil })
	}
	return s
}

type readyListener interface {
	micro.Listener
	Ready(ctx context.Context) error
}

// serve serves behind a broker until the test ends.
func serve(t *testing.T, s *micro.Server, l readyListener) {
	t.Helper()
	start(t, s, l)
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, s *micro.Server, l micro.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// serveTCP serves on a free port until the test ends.
func serveTCP(t *testing.T, s *micro.Server, opts ...microtcp.ListenOption) (address string) {
	t.Helper()
	l := microtcp.Listen("127.0.0.1:0", opts...)
	start(t, s, l)
	addr, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

func parse(t *testing.T, text string) target.Target {
	t.Helper()
	parsed, err := target.ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// at returns the subject for targets that are given by address.
func at(t *testing.T, targets ...string) Subject {
	t.Helper()
	p := Subject{Flags: &target.Flags{}, Timeout: replyLimit}
	for _, text := range targets {
		p.Targets = append(p.Targets, parse(t, text))
	}
	return p
}

func examine(t *testing.T, p Subject) Report {
	t.Helper()
	r, err := Examine(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Where == "" || len(f.Evidence) == 0 || f.Cause == "" || f.Fix == "" {
			t.Errorf("incomplete: %+v", f)
		}
		if !slices.Contains(Codes(), f.Code) {
			t.Errorf("code %s is not listed", f.Code)
		}
	}
	return r
}

// one ends the test unless there is exactly one finding, with a code.
func one(t *testing.T, r Report, code string) Finding {
	t.Helper()
	if len(r.Findings) != 1 || r.Findings[0].Code != code {
		t.Fatalf("got %+v, want one finding %s", r, code)
	}
	return r.Findings[0]
}

// within is one for a peer that does not reply, so that a timeout must pass. It tries longer and longer ones, because
// other replies take long on a busy machine.
func within(t *testing.T, p Subject, code string) Finding {
	t.Helper()
	for p.Timeout = 2 * time.Second; ; p.Timeout *= 4 {
		r := examine(t, p)
		if len(r.Findings) == 1 && r.Findings[0].Code == code || p.Timeout > replyLimit {
			return one(t, r, code)
		}
	}
}

// healthy fails the test unless checks were made without findings.
func healthy(t *testing.T, r Report, checks ...string) {
	t.Helper()
	if !r.Healthy() {
		t.Errorf("got %+v, want no findings", r)
	}
	for _, c := range checks {
		if !slices.Contains(r.Checked, c) {
			t.Errorf("%s was not checked: %+v", c, r)
		}
	}
}

// mentions fails the test unless the evidence of a finding contains texts.
func mentions(t *testing.T, f Finding, texts ...string) {
	t.Helper()
	all := strings.Join(append(slices.Clone(f.Evidence), f.Cause, f.Fix), "\n")
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%+v does not mention %q", f, text)
		}
	}
}
