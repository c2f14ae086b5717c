package agents

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load"
	benchreport "github.com/msctl/msctl/internal/load/report"
)

// sumsOf are the figures of a run that must equal those of all raw requests.
type sumsOf struct {
	Offered, Attempts int64
	Outcomes          map[string]int64
	OK, All           string // the histograms
}

// ofRaw computes the figures from the requests.
func ofRaw(t *testing.T, list []load.Request) sumsOf {
	t.Helper()
	s := sumsOf{Outcomes: map[string]int64{}}
	ok, all := load.NewHistogram(), load.NewHistogram()
	for _, o := range load.Outcomes() {
		s.Outcomes[o.String()] = 0
	}
	for _, q := range list {
		s.Offered++
		s.Attempts += int64(q.Attempts)
		s.Outcomes[q.Outcome.String()]++
		if q.Outcome == load.OK {
			ok.Record(q.Latency)
		}
		if q.Outcome != load.Shed {
			all.Record(q.Latency)
		}
	}
	s.OK, s.All = encoded(t, ok), encoded(t, all)
	return s
}

func encoded(t *testing.T, h *load.Histogram) string {
	t.Helper()
	text, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func ofRun(r *benchreport.Run) sumsOf {
	return sumsOf{r.Offered, r.Attempts.Total, r.Outcomes, r.Latency[benchreport.LatencyOK].HDR, r.Latency[benchreport.LatencyAll].HDR}
}

// forms are the forms of a bench, whose sums must be exact.
func forms(dir string) map[string][][2]string {
	return map[string][][2]string{
		"rate":    {{"rate", "400/s"}, {"duration", "1500ms"}},
		"poisson": {{"rate", "400/s"}, {"duration", "1500ms"}, {"arrivals", "poisson"}, {"warmup", "300ms"}},
		"stages":  {{"stages", "300/s:500ms,300/s:500ms,100/s:500ms"}},
		"sine":    {{"sine", "300/s+-200/s:1s"}, {"duration", "1500ms"}},
		"ramp":    {{"ramp", "50/s..600/s"}, {"duration", "1500ms"}},
		"count":   {{"rate", "500/s"}, {"requests", "601"}},
		"users":   {{"users", "7"}, {"think", "5ms"}, {"duration", "1500ms"}},
		"closed":  {{"users", "5"}, {"requests", "502"}},
		"policy":  {{"rate", "300/s"}, {"duration", "1500ms"}, {"timeout", "30ms"}, {"retries", "2"}, {"retry-delay", "10ms"}, {"budget", "20%+8/s"}},
		"faults":  {{"rate", "300/s"}, {"duration", "1500ms"}, {"timeout", "100ms"}, {"retries", "1"}, {"retry-delay", "5ms"}, {"fault", "error=10%"}, {"fault", "stall@500ms+300ms"}},
		"file":    {{"rate", "300/s"}, {"requests", "400"}, {"data-file", filepath.Join(dir, "rows.ndjson")}},
	}
}

// TestSums checks, for some forms or, with MSCTL_TEST_ALL, 20 times for each form of a bench, that the sums of four agents are those of all
// their requests, and that the service received what a single process sends.
func TestSums(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var rows strings.Builder
	for i := range 97 {
		fmt.Fprintf(&rows, "{\"row\":%d}\n", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "rows.ndjson"), []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	repeat := 1
	if everything() {
		repeat = 20
	}
	for name, set := range forms(dir) {
		if !everything() && !slices.Contains([]string{"poisson", "count", "closed", "policy", "faults", "file"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range repeat {
				checkSums(t, name, set)
			}
		})
	}
}

func checkSums(t *testing.T, name string, set [][2]string) {
	t.Helper()
	var requests raw
	f := newFleet(t, 4, func(o *AgentOptions) { o.onResult = requests.add })
	many, one := serve(t), serve(t)
	if name == "policy" {
		for _, s := range []*service{many, one} {
			s.delay = func(n int) time.Duration { return time.Duration(n%7) * 10 * time.Millisecond }
			s.fails = func(n int) bool { return n%5 == 0 }
		}
	}
	args := []string{"cmd=work", "n:={{seq}}", "id={{uuid}}", "x:={{int 1 1000}}"}
	if name == "file" {
		args = append(args, "row:={{.row}}")
	}
	r := f.mustRun(t, settings{to: many.address, args: args, set: set}, nil)
	if diff := cmp.Diff(ofRaw(t, requests.list), ofRun(r)); diff != "" {
		t.Errorf("sums of the raw requests (-) and of the report (+):\n%s", diff)
	}
	if name == "users" { // how many requests there are depends on how long each takes
		return
	}
	single := (*fleet)(nil).mustRun(t, settings{to: one.address, args: args, set: set}, nil)
	if r.Offered != single.Offered {
		t.Errorf("the agents offered %d requests, and one process %d", r.Offered, single.Offered)
	}
	if name == "policy" || name == "faults" { // how many attempts there are depends on latencies
		return
	}
	// On a busy machine, requests are shed because a process was stalled.
	got, want := many.received(), one.received()
	if single.Outcomes["shed"] > 0 {
		t.Skip("this machine is too busy to compare the requests")
	}
	if missing := int64(len(want) - len(got)); missing != r.Outcomes["shed"] {
		t.Errorf("the agents sent %d requests and shed %d, and one process sent %d", len(got), r.Outcomes["shed"], len(want))
	}
	for _, data := range got {
		if _, found := slices.BinarySearch(want, data); !found {
			t.Errorf("the agents sent %s, which one process does not", data)
		}
	}
}
