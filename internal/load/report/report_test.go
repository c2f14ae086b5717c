package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// tags marks what would be coloured, so that the golden files show it.
type tags struct{}

func (tags) Good(text string) string { return "{+" + text + "+}" }
func (tags) Bad(text string) string  { return "{!" + text + "!}" }
func (tags) Warn(text string) string { return "{?" + text + "?}" }
func (tags) Dim(text string) string  { return text }
func (tags) Bold(text string) string { return text }

// sample is a finished run of 1000 requests: 1 ms to 1 s, evenly.
func sample(t *testing.T) *report.Report {
	t.Helper()
	res := &load.Result{
		Started:          time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		RequestHistogram: load.NewHistogram(), AttemptHistogram: load.NewHistogram(),
		LatenessHistogram: load.NewHistogram(), LagHistogram: load.NewHistogram(),
		Seconds: []load.Point{{Offered: 500, OK: 490, Lag: 20 * time.Millisecond}, {At: time.Second, Offered: 500, OK: 480, P50: 7}},
	}
	for i := range 1000 {
		res.RequestHistogram.Record(time.Duration(i+1) * time.Millisecond)
		res.AttemptHistogram.Record(time.Duration(i+1) * 10 * time.Microsecond)
	}
	res.LatenessHistogram.Record(50 * time.Millisecond)
	res.LagHistogram.Record(80 * time.Microsecond)
	s := &res.Snapshot
	s.Phase, s.Rate, s.Elapsed, s.Planned, s.Counted = load.Finished, 500, 2100*time.Millisecond, 2*time.Second, 2*time.Second
	s.Policy = policy.Recommended().Settings()
	s.Request, s.Attempt = res.RequestHistogram.Summary(), res.AttemptHistogram.Summary()
	s.Lateness, s.Lag = res.LatenessHistogram.Summary(), res.LagHistogram.Summary()
	s.Totals = load.Totals{Offered: 1003, Attempts: 1100, Retries: 100, OverBudget: 2, OutOfTime: 1, Used: 990, Discarded: 60, Late: 1, Lost: 9}
	copy(s.Totals.Outcomes[:], []int64{970, 20, 10, 0, 0, 3})
	s.Errors = []load.ErrorCount{
		{Outcome: load.Error, Status: 503, Text: "busy", Count: 20},
		{Outcome: load.Timeout, Text: "no answer in time", Count: 10},
		{Outcome: load.Shed, Text: "too many requests in flight", Count: 3},
	}
	s.Marks = []load.Mark{{At: 1200 * time.Millisecond, Text: "rate 500/s"}}
	r := &report.Report{
		Result: res, Pattern: `{"cmd":"findAllItems"}`, Target: "items at tcp://localhost:3002", Load: "500/s for 2s",
		Connections: 1, Command: "msctl bench cmd=findAllItems --rate 500/s",
	}
	for _, text := range []string{"p99<50ms", "goodput>90%"} {
		threshold, err := report.ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		r.Thresholds = append(r.Thresholds, threshold)
	}
	return r
}

func TestText(t *testing.T) {
	plain := sample(t)
	stopped := sample(t)
	stopped.Result.Stopped, stopped.Result.Totals.CutShort, stopped.Connections, stopped.Thresholds = true, 4, 3, nil
	nothing := &report.Report{Result: &load.Result{}, Pattern: "p", Target: "t", Load: "1 user for 1s"}
	many := sample(t)
	for i := range 20 {
		many.Result.Errors = append(many.Result.Errors, load.ErrorCount{Outcome: load.Reset, Text: strings.Repeat("x", i+1), Count: 1})
	}
	for name, r := range map[string]*report.Report{"plain": plain, "stopped": stopped, "nothing": nothing, "many_errors": many} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := r.Text(&out, tags{}); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", out.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s -want +got (-update rewrites it)\n%s", path, diff)
	}
}

func TestCrossed(t *testing.T) {
	var names []string
	for _, threshold := range sample(t).Crossed() {
		names = append(names, threshold.String())
	}
	if diff := cmp.Diff([]string{"p99<50ms"}, names); diff != "" {
		t.Errorf("crossed -want +got\n%s", diff)
	}
}

// TestSave reads a saved run back, its histogram too.
func TestSave(t *testing.T) {
	r := sample(t)
	var out bytes.Buffer
	if err := r.Save(&out); err != nil {
		t.Fatal(err)
	}
	var f report.File
	decoder := json.NewDecoder(&out)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		t.Fatal(err)
	}
	h, err := hdr.Decode([]byte(f.Latency["request"].HDR))
	if err != nil {
		t.Fatal(err)
	}
	if got := time.Duration(h.ValueAtQuantile(99)); h.TotalCount() != 1000 || got.Round(time.Millisecond) != 990*time.Millisecond {
		t.Errorf("the saved histogram holds %d latencies with p99 %s, want 1000 with 990ms", h.TotalCount(), got)
	}
	if f.Offered != 1003 || f.Outcomes["ok"] != 970 || f.Latency["request"].Max != time.Second || f.Policy.Ratio != 0.2 || len(f.Seconds) != 2 || !f.Thresholds[1].Kept {
		t.Errorf("read back %+v", f)
	}
	if err := r.Save(broken{}); err == nil {
		t.Error("a disk that is full is no error")
	}
}

// broken is a writer that cannot.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestThresholds(t *testing.T) {
	snap := &sample(t).Result.Snapshot
	cases := []struct {
		text, measured string
		kept           bool
	}{
		{"p99<50ms", "990ms", false},
		{" p99 < 2s ", "990ms", true},
		{"p50<=501ms", "500ms", true},
		{"p99.9<900ms", "999ms", false},
		{"max<=1s", "1.00s", true},
		{"min>0s", "1.00ms", true},
		{"mean<1s", "500ms", true},
		{"attempt-p99<10ms", "9.90ms", true},
		{"goodput>96%", "96.71%", true},
		{"goodput>=485/s", "485/s", true},
		{"goodput>485/s", "485/s", false},
		{"errors<3%", "3.29%", false},
		{"errors<34", "33", true},
		{"timeouts<=10", "10", true},
		{"shed<1", "3", false},
		{"amplification<1.2", "1.097", true},
		{"wasted<5%", "5.80%", false},
		{"late<1", "1", false},
	}
	for _, c := range cases {
		threshold, err := report.ParseThreshold(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := threshold.Measured(snap); got != c.measured {
			t.Errorf("%s: measured %s, want %s", c.text, got, c.measured)
		}
		if got := threshold.Kept(snap); got != c.kept {
			t.Errorf("%s: kept is %t", c.text, got)
		}
		if threshold.Kept(&load.Snapshot{}) || threshold.Measured(&load.Snapshot{}) != "nothing" {
			t.Errorf("%s is kept by a run without requests", c.text)
		}
	}
}

func TestBadThresholds(t *testing.T) {
	cases := []struct {
		text    string
		offset  int
		message string
	}{
		{"", 0, "compares"},
		{"p99", 3, "compares"},
		{"p98<1s", 0, `no metric "p98"`},
		{"  p98<1s", 2, `no metric "p98"`},
		{"<1s", 0, "the metric is missing"},
		{"p99=1s", 3, "compares with"},
		{"p99==1s", 3, "compares with"},
		{"p99<", 4, "the value is missing"},
		{"p99<fast", 4, `"fast" is not a duration such as 50ms`},
		{"p99< 50", 5, `p99 is bounded by a duration such as 50ms, not by "50"`},
		{"p99<5%", 4, "bounded by a duration"},
		{"goodput>many%", 8, `"many" is not a number`},
		{"goodput>99", 8, "a share such as 99% or a rate such as 450/s"},
		{"amplification<NaN%", 14, "not a number"},
		{"recovery<3s", 0, `no metric "recovery"`},
	}
	for _, c := range cases {
		_, err := report.ParseThreshold(c.text)
		var problem *report.SyntaxError
		if !errors.As(err, &problem) {
			t.Errorf("%q: error %v, want a *SyntaxError", c.text, err)
			continue
		}
		if problem.Offset != c.offset || !strings.Contains(problem.Message, c.message) {
			t.Errorf("%q: offset %d, %q; want %d, %q", c.text, problem.Offset, problem.Message, c.offset, c.message)
		}
	}
}

// FuzzParseThreshold: whatever is typed, an error points into it.
func FuzzParseThreshold(f *testing.F) {
	for _, seed := range []string{"p99<50ms", "goodput>=99.5%", "amplification<1.2", " errors < 1 %", "p99.9>=1h2m", "x<", "<=>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		threshold, err := report.ParseThreshold(text)
		var problem *report.SyntaxError
		if errors.As(err, &problem) && (problem.Offset < 0 || problem.Offset > len(text)) {
			t.Fatalf("%q: offset %d", text, problem.Offset)
		}
		if err == nil {
			threshold.Kept(&load.Snapshot{})
		}
	})
}

func TestFormat(t *testing.T) {
	durations := map[time.Duration]string{
		0: "0", 999: "999ns", 1500: "1.50µs", 82_345: "82.3µs", 999_499: "999µs", 999_600: "1.00ms", 12_345_678: "12.3ms",
		999_600_000: "1.00s", 59_900_000_000: "59.9s", 59_960_000_000: "1m0s", 125 * time.Second: "2m5s", -1500: "-1.50µs",
	}
	for d, want := range durations {
		if got := report.Duration(d); got != want {
			t.Errorf("Duration(%d) = %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := report.Count(n); got != want {
			t.Errorf("Count(%d) = %s, want %s", n, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0%", 1: "100%", 0.99999: "99.99%", 0.5: "50%", 0.1234: "12.34%"} {
		if got := report.Percent(v); got != want {
			t.Errorf("Percent(%g) = %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0.5: "0.5/s", 500: "500/s", 12345.6: "12,346/s"} {
		if got := report.Rate(v); got != want {
			t.Errorf("Rate(%g) = %s, want %s", v, got, want)
		}
	}
}

func TestVegetaFile(t *testing.T) {
	var file bytes.Buffer
	v := report.NewVegeta(&file, "p", "tcp://x")
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	given := []load.Request{
		{Seq: 1, Intended: begin.Add(time.Second), Latency: 5, Outcome: load.Timeout, Text: "no answer in time"},
		{Seq: 0, Intended: begin, Latency: 7, Outcome: load.OK, BytesIn: 3, BytesOut: 2},
		{Seq: 2, Intended: begin, Outcome: load.Error, Status: 404, Text: "not found"},
		{Seq: 3, Intended: begin, Outcome: load.Error, Text: "Internal server error"},
		{Seq: 4, Intended: begin, Outcome: load.Reset, Text: "connection closed"},
		{Seq: 5, Intended: begin, Outcome: load.Shed, Text: "too many"},
	}
	for _, r := range given {
		v.Result(r)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	var codes []uint16
	decode := vegeta.NewDecoder(&file)
	for i := range given {
		var r vegeta.Result
		if err := decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Seq != given[i].Seq || !r.Timestamp.Equal(given[i].Intended) || r.Latency != given[i].Latency || r.Error != given[i].Text {
			t.Errorf("result %d reads back as %+v", i, r)
		}
		codes = append(codes, r.Code)
	}
	if diff := cmp.Diff([]uint16{504, 200, 404, 500, 0, 0}, codes); diff != "" {
		t.Errorf("codes -want +got\n%s", diff)
	}
	if err := decode(&vegeta.Result{}); !errors.Is(err, io.EOF) {
		t.Errorf("after the last result: %v, want EOF", err)
	}
	full := report.NewVegeta(broken{}, "p", "t")
	full.Result(given[0])
	if full.Close() == nil {
		t.Error("a disk that is full is no error")
	}
}
