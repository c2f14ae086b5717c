package cli

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
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

func TestTakeJitter(t *testing.T) {
	tests := []struct {
		jitter     string
		args, rest []string
		want       string
	}{
		{"none", []string{"cmd=x", "full"}, []string{"cmd=x", "full"}, "none"},
		{"full", []string{"cmd=x"}, []string{"cmd=x"}, "full"},
		{"full", []string{"equal", "cmd=x"}, []string{"cmd=x"}, "equal"},
		{"full", []string{"cmd=x", "none"}, []string{"cmd=x"}, "none"},
	}
	for _, tt := range tests {
		if rule, rest := takeJitter(tt.jitter, tt.args); !slices.Equal(rest, tt.rest) || rule != tt.want {
			t.Errorf("--jitter=%s %q: rule %s, arguments %q", tt.jitter, tt.args, rule, rest)
		}
	}
}

func TestExplainNoBroker(t *testing.T) {
	refused := errors.New("connection refused")
	for _, tt := range []struct {
		err  broker.Error
		want string
	}{
		{broker.Error{Transport: workspace.RabbitMQ, Address: "amqp://localhost:5672", Program: "rabbitmq-server", Err: refused},
			"`apt install rabbitmq-server` or `brew install rabbitmq` lets msctl start one; or run `docker run -d -p 127.0.0.1:5672:5672 rabbitmq`, or set RABBITMQ_URL"},
		{broker.Error{Transport: workspace.NATS, Address: "nats://h", Err: refused},
			"start it, or set its address in NATS_URL or under `brokers:` in msctl.yaml"},
	} {
		s, _ := term.NewTest("", term.Facts{})
		err := explainRun(s, runOptions{log: logText}, &tt.err)
		if got := exit.Hint(err); got != tt.want {
			t.Errorf("hint %q, want %q", got, tt.want)
		}
		if got := err.Error(); got != tt.err.Error() {
			t.Errorf("error %q, want %q", got, tt.err.Error())
		}
	}
}
