package cli

import (
	"context"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestParseRate(t *testing.T) {
	good := map[string]vegeta.ConstantPacer{
		"500/s":   {Freq: 500, Per: time.Second},
		"500":     {Freq: 500, Per: time.Second},
		"30000/m": {Freq: 30000, Per: time.Minute},
		"5/100ms": {Freq: 5, Per: 100 * time.Millisecond},
		"2/h":     {Freq: 2, Per: time.Hour},
		"1.5/s":   {Freq: 1500, Per: 1000 * time.Second},
		"1e3/s":   {Freq: 1000, Per: time.Second},
	}
	for text, want := range good {
		got, err := parseRate(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "/s", "fast", "0/s", "-1/s", "NaN/s", "Inf/s", "5/", "5/x", "5/0s", "5/-1s", "5/48h", "1e8/s", "0.0001/s"} {
		if got, err := parseRate(text); exit.Code(err) != exit.Usage {
			t.Errorf("%q: %v, %v, want a usage error", text, got, err)
		}
	}
}

func TestParseBudget(t *testing.T) {
	for text, want := range map[string][2]float64{
		"20%": {0.2, 0}, "10/s": {0, 10}, "20%+10/s": {0.2, 10}, "1.5/s+0.5%": {0.005, 1.5}, "none": {0, 0}, "0%": {0, 0},
	} {
		ratio, floor, err := parseBudget(text)
		if err != nil || ratio != want[0] || floor != want[1] {
			t.Errorf("%s: %g, %g, %v, want %v", text, ratio, floor, err, want)
		}
	}
	for _, text := range []string{"", "20", "%", "/s", "-1%", "NaN%", "20%+", "+", "20%+5%", "1/s+2/s", "20%10/s", "inf/s"} {
		if _, _, err := parseBudget(text); exit.Code(err) != exit.Usage {
			t.Errorf("%q: %v, want a usage error", text, err)
		}
	}
}

// TestBenchPolicy: a preset, and what the flags say instead.
func TestBenchPolicy(t *testing.T) {
	cases := map[string]string{
		"":                                  "timeout 5s, no retries",
		"--retries 2":                       "timeout 5s, 2 retries 1s apart",
		"--retries 2 --retry-delay 0s":      "timeout 5s, 2 retries at once",
		"--retries 2 --backoff exponential": "timeout 5s, 2 retries 1s apart and doubling",
		"--retries 2 --jitter":              "timeout 5s, 2 retries 1s apart with full jitter",
		"--retries 2 --jitter equal":        "timeout 5s, 2 retries 1s apart with equal jitter",
		"--policy naive --timeout 300ms":    "timeout 300ms, 3 retries at once",
		"--policy naive --retries 1":        "timeout 1s, 1 retry at once",
		"--policy nest":                     "timeout 5s, 2 retries 1s apart on any error",
		"--policy backoff":                  "timeout 1s, 3 retries 100ms to 5s apart with full jitter",
		"--policy backoff --jitter=none --retry-delay 7s":    "timeout 1s, 3 retries 7s to 7s apart",
		"--policy backoff --backoff constant":                "timeout 1s, 3 retries 100ms apart with full jitter",
		"--policy budget --budget 5%":                        "timeout 1s, 3 retries 100ms to 5s apart with full jitter, budget 5%",
		"--policy budget --budget none":                      "timeout 1s, 3 retries 100ms to 5s apart with full jitter",
		"--policy recommended --deadline 1500ms --retries 4": "timeout 1s, 4 retries 50ms to 1s apart with full jitter, budget 20%+10/s, deadline 1.5s",
	}
	for flags, want := range cases {
		s, _ := term.NewTest("", term.Facts{})
		cmd, o := benchCommand(s, "", &replay{from: s.In})
		args := append([]string{"cmd=x"}, strings.Fields(flags)...)
		if err := cmd.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		if err := o.complete(cmd, cmd.Flags().Args()); err != nil {
			t.Errorf("%s: %v", flags, err)
			continue
		}
		if got := o.policy.String(); got != want {
			t.Errorf("%s: %s, want %s", flags, got, want)
		}
	}
}

func TestBenchCommandLine(t *testing.T) {
	s, _ := term.NewTest("", term.Facts{})
	cmd, _ := benchCommand(s, "", &replay{from: s.In})
	args := []string{`{"cmd":"x"}`, "name=it's", "--rate", "5/s", "--threshold", "p99<1s", "--threshold", "errors<1%", "--jitter", "--no-tui", "--meta", "a=b"}
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	want := `bench '{"cmd":"x"}' 'name=it'\''s' --jitter=full --meta a=b --no-tui --rate 5/s --threshold 'p99<1s' --threshold 'errors<1%'`
	if diff := cmp.Diff(want, commandLine(cmd, cmd.Flags().Args())); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestBenchInterrupted: what was measured until Ctrl-C is reported, with an
// outcome for every request, and the exit code is that of the signal.
func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	end := make(chan struct{})
	arrived := make(chan struct{}, 1000)
	server := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.HandleFunc(server, micro.Cmd("never"), func(context.Context, *micro.Request, micro.Reply) error {
		arrived <- struct{}{}
		<-end
		return micro.Errorf(500, "over")
	})
	listener := microtcp.Listen("127.0.0.1:0")
	serving, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(serving, listener) }()
	address, err := listener.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 20 {
			<-arrived
		}
		cancel()
	}()
	s, out := term.NewTest("", term.Facts{StdinTTY: true, StdoutTTY: true, StderrTTY: true, CI: true})
	root := newRootCommand(s, "test")
	root.SetArgs([]string{"bench", "cmd=never", "--to", address.String(), "--rate", "200/s", "--duration", "1h", "--color", "never"})
	if err := root.ExecuteContext(ctx); exit.Code(err) != exit.Interrupted {
		t.Errorf("error %v, want the interruption", err)
	}
	close(end)
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	text := out.Out.String()
	if got, want := row(t, text, "offered"), row(t, text, "timeout"); got < 20 || got != want {
		t.Errorf("offered %d, timeout %d: want the same, at least 20\n%s", got, want, text)
	}
	if !strings.Contains(text, "the run was stopped early with") || strings.Contains(text+out.Err.String(), "\x1b") {
		t.Errorf("the report does not tell of the stop, or holds escape codes:\n%s", text)
	}
}

// row reads the count of a line of the report's table of outcomes.
func row(t *testing.T, text, name string) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^  ` + name + ` +([0-9,]+) `).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no line %q in\n%s", name, text)
	}
	n, err := strconv.Atoi(strings.ReplaceAll(found[1], ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
