package bench

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestMetricsOfARun scrapes a run while it is in progress, and after it has finished.
func TestMetricsOfARun(t *testing.T) {
	m, err := serveMetrics(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	scrape := func() map[string]string {
		t.Helper()
		res, err := client.Get("http://" + m.address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
			t.Fatalf("%v, Content-Type %q", err, res.Header.Get("Content-Type"))
		}
		samples := map[string]string{}
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && !strings.HasPrefix(line, "#") {
				samples[name+"}"] = value
			}
		}
		return samples
	}
	if got := scrape(); len(got) != 0 {
		t.Errorf("before the first run: %v", got)
	}
	busy := replies(func(n int64, _ *micro.Request) (time.Duration, int) { return 0, int(n%2) * 503 })(t)
	run, err := load.Start(t.Context(), load.Plan{
		Messages: []load.Message{{Conns: []micro.Conn{busy.dial()}, Pattern: micro.Cmd("x")}},
		Policy:   policy.None(), Users: 1, Requests: 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.follow("one", run)
	scrape()
	s := run.Wait()
	got := scrape()
	want := map[string]string{
		`msctl_bench_offered_requests_total{run="one"}`:                                 "20",
		`msctl_bench_requests_total{run="one",outcome="ok"}`:                            "10",
		`msctl_bench_requests_total{run="one",outcome="error"}`:                         "10",
		`msctl_bench_requests_total{run="one",outcome="shed"}`:                          "0",
		`msctl_bench_attempts_total{run="one"}`:                                         "20",
		`msctl_bench_bytes_total{run="one",direction="received"}`:                       "40",
		`msctl_bench_in_flight_requests{run="one"}`:                                     "0",
		`msctl_bench_goodput_per_second{run="one"}`:                                     fmt.Sprint(s.Goodput()),
		`msctl_bench_request_duration_seconds_count{run="one",requests="ok"}`:           "10",
		`msctl_bench_request_duration_seconds_count{run="one",requests="all"}`:          "20",
		`msctl_bench_request_duration_seconds{run="one",requests="ok",quantile="0.99"}`: fmt.Sprint(s.OK.P99.Seconds()),
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
}

// TestMetricsFormat compares the complete text with a golden file.
func TestMetricsFormat(t *testing.T) {
	s := load.Snapshot{Rate: 100, Counted: 2 * time.Second, Served: 4 * time.Second, InFlight: 3}
	s.Totals = load.Totals{Offered: 8, Attempts: 12, Retries: 4, Used: 6, Discarded: 2, Late: 1, OnTime: 4, BytesSent: 100, BytesReceived: 50}
	copy(s.Totals.Outcomes[:], []int64{5, 1, 2})
	s.OK = load.Latency{Count: 5, Mean: 20 * ms, P50: 10 * ms, P90: 30 * ms, P95: 35 * ms, P99: 40 * ms, P999: 50 * ms, Max: 60 * ms}
	var out bytes.Buffer
	if err := writeMetrics(&out, "timeout=1s \"\\\n", &s); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/metrics.txt", out.String())
}

// TestMetricsAddress checks that an address that cannot be used is a usage error, before
// anything is sent.
func TestMetricsAddress(t *testing.T) {
	for _, text := range []string{"", "localhost", "localhost:", "::"} {
		if err := NewSpec().Set("metrics", text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	if _, err := serveMetrics(t.Context(), "256.0.0.1:1"); err == nil {
		t.Error("an invalid address is no error")
	}
	var none *metrics
	none.follow("x", nil)
	none.close()
}
