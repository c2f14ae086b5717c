package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/policy"
)

// vegetaVersion is the one in go.mod.
const vegetaVersion = "v12.13.0"

// vegetaCommand builds vegeta's own program from the module proxy, once for
// this machine. Without a network the test is skipped, unless
// MSCTL_TEST_NETWORK=required.
func vegetaCommand(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	bin := filepath.Join(cache, "msctl-test", "vegeta-"+vegetaVersion)
	path := filepath.Join(bin, "vegeta")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "go", "install", "github.com/tsenart/vegeta/v12@"+vegetaVersion)
	install.Dir = t.TempDir()
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		if os.Getenv("MSCTL_TEST_NETWORK") == "required" {
			t.Fatalf("build vegeta: %v\n%s", err, out)
		}
		t.Skipf("vegeta cannot be built here: %v", err)
	}
	return path
}

// benchFile makes a real run with answers, errors and timeouts, and writes it to
// a vegeta file.
func benchFile(t *testing.T) (path string, res *load.Result) {
	t.Helper()
	var n atomic.Int64
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(time.Millisecond))
	micro.HandleFunc(s, micro.Cmd("work"), func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		switch n.Add(1) % 20 {
		case 1, 2:
			return micro.Errorf(404, "item %d not found", n.Load())
		case 3:
			<-time.After(150 * time.Millisecond) // even though nobody waits any more
		}
		return reply.Send(micro.Value{Raw: []byte(`"ok"`), Last: true})
	})
	ctx, cancel := context.WithCancel(context.Background())
	l := microtcp.Listen("127.0.0.1:0")
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	address, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := microtcp.Dial(address.String())
	defer func() {
		_ = conn.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	path = filepath.Join(t.TempDir(), "results.bin")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	v := report.NewVegeta(file, "work", "tcp://"+address.String())
	run, err := load.Start(t.Context(), load.Plan{
		Messages: []load.Message{{Conns: []micro.Conn{conn}, Pattern: micro.Cmd("work")}}, OnResult: v.Result,
		Policy: policy.New(policy.WithTimeout(100 * time.Millisecond)),
		Pacer:  vegeta.ConstantPacer{Freq: 400, Per: time.Second}, Requests: 800,
	})
	if err != nil {
		t.Fatal(err)
	}
	res = run.Wait()
	if err := errors.Join(v.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path, res
}

// TestVegetaReadsTheFile: vegeta's own report and plot read what a run wrote.
func TestVegetaReadsTheFile(t *testing.T) {
	command := vegetaCommand(t)
	path, res := benchFile(t)
	var got struct {
		Requests    int            `json:"requests"`
		Success     float64        `json:"success"`
		Rate        float64        `json:"rate"`
		StatusCodes map[string]int `json:"status_codes"`
		Errors      []string       `json:"errors"`
	}
	if err := json.Unmarshal(vegetaRun(t, command, "report", "-type=json", path), &got); err != nil {
		t.Fatal(err)
	}
	o := res.Totals.Outcomes
	want := map[string]int{"200": int(o[load.OK]), "404": int(o[load.Error]), "504": int(o[load.Timeout])}
	for code, n := range want {
		if n == 0 || got.StatusCodes[code] != n {
			t.Errorf("vegeta counts %d results of code %s, the run %d (want some)", got.StatusCodes[code], code, n)
		}
	}
	if got.Requests != 800 || got.Success != res.Totals.Share(load.OK) {
		t.Errorf("vegeta reads %d requests, success %g; the run had 800, ok %g", got.Requests, got.Success, res.Totals.Share(load.OK))
	}
	if got.Rate < 390 || got.Rate > 410 {
		t.Errorf("vegeta sees a rate of %g/s, want that of the schedule, 400/s", got.Rate)
	}
	if len(got.Errors) > 3 {
		t.Errorf("texts with ids in them were kept apart: %q", got.Errors)
	}
	text := string(vegetaRun(t, command, "report", path))
	if !strings.Contains(text, "800") || !strings.Contains(text, "504:") {
		t.Errorf("vegeta report prints\n%s", text)
	}
	checkPlot(t, vegetaRun(t, command, "plot", path))
}

// checkPlot counts the points of vegeta's plot, a row each: after a gap in the
// sequence it silently drops the rest.
func checkPlot(t *testing.T, html []byte) {
	t.Helper()
	data := regexp.MustCompile(`(?s)rowData = (\[\s*\[.*?\]\s*\]);`).FindSubmatch(html)
	if data == nil {
		t.Fatalf("the plot holds no data (%d bytes)", len(html))
	}
	var rows [][]*float64
	if err := json.Unmarshal(data[1], &rows); err != nil {
		t.Fatalf("the plot's data: %v: %.200s", err, data[1])
	}
	if len(rows) != 800 {
		t.Fatalf("the plot has %d points, want 800", len(rows))
	}
	if span := *rows[len(rows)-1][0] - *rows[0][0]; span < 1.9 {
		t.Errorf("the plot covers %g s, want 2", span)
	}
}

func vegetaRun(t *testing.T, command string, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), command, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("vegeta %v: %v\n%s", args, err, exit.Stderr)
		}
		t.Fatalf("vegeta %v: %v", args, err)
	}
	return out
}
