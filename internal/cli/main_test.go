package cli

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startService serves one handler on a free port until the test ends.
func startService(t *testing.T) (address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	server := micro.NewServer(micro.WithName("items", ""), micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(server, micro.Cmd("double"), func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	listener := microtcp.Listen("127.0.0.1:0")
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	addr, err := listener.Addr(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

// TestBrokersLeaveNoGoroutines runs commands with brokers in this process. goleak checks
// that their goroutines have ended when Main returns.
func TestBrokersLeaveNoGoroutines(t *testing.T) {
	nats, redis, rabbit := testenv.NATS(t), testenv.Redis(t), testenv.RabbitMQ(t)
	for _, to := range []string{nats.URL, redis.URL, rabbit.URL + "/" + testenv.Unique(t, "unused")} {
		for _, args := range [][]string{
			{"send", "cmd=" + testenv.Unique(t, "double"), "21"},
			{"emit", testenv.Unique(t, "viewed")},
			{"ls"},
			{"bench", "cmd=" + testenv.Unique(t, "double"), "--requests", "3", "--no-tui", "--connections", "2", "--fault", "latency=1ms"},
		} {
			s, b := term.NewTest("", term.Facts{})
			code := Main(s, "v9", append(args, "--to", to))
			if emitted := args[0] == "emit" && !strings.HasPrefix(to, rabbit.URL); code != exit.Unreachable && !emitted {
				t.Errorf("%q to %s: exit code %d, err %q", args, to, code, b.Err.String())
			}
		}
	}
}

// TestCommands runs commands in this process. goleak checks that their goroutines have ended
// when Main returns.
func TestCommands(t *testing.T) {
	address := startService(t)
	tests := []struct {
		name  string
		args  []string
		stdin string
		code  int
		out   string
	}{
		{"send", []string{"send", "cmd=double", "21", "-t", address, "-v"}, "", 0, "42\n"},
		{"each", []string{"send", "cmd=double", "--each", "-t", address}, "1\n2\n", 0, "2\n4\n"},
		{"an error", []string{"send", "cmd=dubble", "21", "-t", address}, "", 3, ""},
		{"unreachable", []string{"send", "cmd=double", "21", "-t", "127.0.0.1:1"}, "", 4, ""},
		{"emit", []string{"emit", "item.v1.viewed", "-t", address}, "", 0, ""},
		{"ls of an unreachable target", []string{"ls", "127.0.0.1:1"}, "", 4, ""},
		{"version", []string{"version"}, "", 0, "msctl v9 "},
		{"usage", []string{"send"}, "", 2, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, b := term.NewTest(tt.stdin, term.Facts{})
			code := Main(s, "v9", tt.args)
			out := b.Out.String()
			if tt.name == "version" {
				out = out[:min(len(out), len(tt.out))]
			}
			if code != tt.code || out != tt.out {
				t.Errorf("exit code %d, out %q, err %q; want %d and %q", code, out, b.Err.String(), tt.code, tt.out)
			}
		})
	}
}

// TestMockEnds: a mock that has ended leaves no goroutine; goleak checks that.
func TestMockEnds(t *testing.T) {
	s, b := term.NewTest("stall 1ms\nquit\n", term.Facts{})
	code := Main(s, "", []string{"mock", "--listen", "127.0.0.1:0"})
	if code != exit.Done || !strings.HasPrefix(b.Out.String(), "mock ran for ") || !strings.Contains(b.Err.String(), "stalled for 1ms") {
		t.Errorf("exit code %d, out %q, err %q", code, b.Out.String(), b.Err.String())
	}
}
