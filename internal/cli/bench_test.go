package cli

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

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
		t.Errorf("the report does not mention the stop, or contains escape codes:\n%s", text)
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

// TestExampleScenario runs the documented scenario for a shorter time.
func TestExampleScenario(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	mock, err := capacity.Serve(ctx, "127.0.0.1:0", capacity.Config{Workers: 1, ServiceTime: capacity.Constant(time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := mock.Wait(); err != nil {
			t.Error(err)
		}
	})
	saved := filepath.Join(t.TempDir(), "run.json")
	s, b := term.NewTest("", term.Facts{})
	code := Main(s, "v9", []string{"bench", "--scenario", "../../docs/examples/bench.yaml", "--to", "tcp://" + mock.Address, "--warmup", "0s",
		"--fault", "error=20%@0s+30s status=503", "--duration", "2s", "--threshold", "goodput>1%", "--save", saved})
	if code != exit.Done {
		t.Fatalf("exit code %d\n%s\n%s", code, b.Out.String(), b.Err.String())
	}
	d, err := bench.LoadDocument(saved)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range d.Runs[0].Messages {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{`{"cmd":"findItem"}`, "create"}, names); diff != "" {
		t.Errorf("messages -want +got\n%s", diff)
	}
	want := "timeout 1s per value, 2 retries 1s apart on any error even after a value, budget 10%+1/s"
	if got := d.Runs[0].Policy.Text; got != want {
		t.Errorf("policy %q, want %q", got, want)
	}
}

// TestBenchOfAddressesWithPasswords: the password goes to the server, and is not in
// the command that runs the bench again.
func TestBenchOfAddressesWithPasswords(t *testing.T) {
	users := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		users <- user + " " + password
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	s, b := term.NewTest("", term.Facts{})
	code := Main(s, "", []string{"bench", "--to", "http://app:s3cret%40@" + host + "/x", "--requests", "1", "--fault", "latency=1ms"})
	if text := b.Out.String(); code != 0 || strings.Contains(text+b.Err.String(), "s3cret") || !strings.Contains(text, "--to http://app@"+host+"/x\n") {
		t.Errorf("code %d, %s\n%s", code, text, b.Err.String())
	}
	if got := <-users; got != "app s3cret@" {
		t.Errorf("the server received %q", got)
	}
}
