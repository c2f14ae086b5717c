package tui

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"log/slog"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/compare"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/policy"
)

// TestEveryOutputHasTheSameFigures makes one run and compares its figures in every output
// with those calculated from the list of its requests. Of 20 requests, 12 are to read and
// succeed after 1, 2, ..., 12 ms, except one that fails at once; 8 are to create, half of
// which fail after 3 ms, and half of which succeed at the second attempt, after 40 ms.
// Requests that are due within 30 ms are sent together, so of four, one is 30 ms late, one
// 20 ms, one 10 ms, and one is on time.
func TestEveryOutputHasTheSameFigures(t *testing.T) {
	var res *load.Result
	var requests []load.Request
	synctest.Test(t, func(t *testing.T) { res, requests = outputRun(t) })
	d := report.NewDocument(report.KindRun, "msctl v1", "msctl bench", outputDocument(t, res))
	want := truthOf(requests)
	for name, check := range map[string]func(*testing.T, *report.Document, *figuresOfRun){
		"text": checkText, "JSON": checkJSON, "HTML": checkHTML, "Markdown": checkMarkdown, "CSV": checkCSV, "JUnit": checkJUnit,
		"thresholds": checkThresholds, "compare": checkCompare,
		"screen": func(t *testing.T, _ *report.Document, f *figuresOfRun) { t.Helper(); checkScreen(t, res, f) },
	} {
		t.Run(name, func(t *testing.T) { check(t, d, want) })
	}
}

// outputRun makes the run and returns its result and its requests.
func outputRun(t *testing.T) (*load.Result, []load.Request) {
	t.Helper()
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.HandleUnknown(s, func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		n, _ := strconv.Atoi(string(req.Data)) // the payloads below are numbers
		create := req.Pattern.String() == `{"cmd":"create"}`
		took, failed := time.Duration(n%12+1)*time.Millisecond, n%12 == 11
		switch {
		case create && n%2 == 0:
			took, failed = 3*time.Millisecond, true
		case create:
			took, failed = 20*time.Millisecond, req.Metadata.Get(micro.MetaAttempt) != "2"
		case failed:
			took = time.Microsecond
		}
		<-time.After(took)
		if failed && (!create || n%2 == 0) {
			return micro.Errorf(404, "not found")
		} else if failed {
			return micro.Errorf(503, "busy")
		}
		return reply.Send(micro.Value{Raw: []byte(`"reply"`), Last: true})
	})
	n := microtest.New()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, n) }()
	var mu sync.Mutex
	var requests []load.Request
	conns := []micro.Conn{n.Dial()}
	number := func(seq uint64) []byte { return strconv.AppendUint(nil, seq, 10) }
	run, err := load.Start(t.Context(), load.Plan{
		Messages: []load.Message{
			{Name: "read", Weight: 3, Conns: conns, Pattern: micro.Cmd("read"), Payload: number},
			{Name: "create", Weight: 2, Conns: conns, Pattern: micro.Cmd("create"), Payload: number},
		},
		Policy: policy.New(policy.WithTimeout(time.Second), policy.WithRetries(1)), TimerPacing: true,
		Pacer: vegeta.ConstantPacer{Freq: 100, Per: time.Second}, Duration: 20 * time.Second, Objective: 10 * time.Millisecond,
		Coalesce: 30 * time.Millisecond,
		OnResult: func(r load.Request) {
			mu.Lock()
			defer mu.Unlock()
			requests = append(requests, r)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	res := run.Wait()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	return res, requests
}

func outputDocument(t *testing.T, res *load.Result) report.Run {
	t.Helper()
	r, err := report.NewRun(res, report.About{Pattern: "two messages", Target: "memory", Load: "100/s for 20s", Connections: 1, Coalesce: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// figuresOfRun are the figures of the run as they are formatted, by name.
type figuresOfRun struct {
	ok, failed, all        int
	okShare, errorShare    string
	goodput, offered       string // per second
	onTime                 string // share
	amplification          string
	attempts               int
	sent, received         int64
	okLatency, allLatency  []string // min, mean, p50, p90, p95, p99, p99.9, max
	lateness               []string
	createShare, createP99 string
	readP50                string
}

// truthOf calculates the figures from the requests.
func truthOf(requests []load.Request) *figuresOfRun {
	f := &figuresOfRun{all: len(requests)}
	var ok, all, create, read []time.Duration
	onTime, creates := 0, 0
	var last time.Duration // ok reply, since the start
	start := slices.MinFunc(requests, func(a, b load.Request) int { return a.Intended.Compare(b.Intended) }).Intended
	for _, r := range requests {
		f.attempts += r.Attempts
		f.sent += int64(r.BytesOut) * int64(r.Attempts)
		f.received += int64(r.BytesIn)
		all = append(all, r.Latency)
		if r.Message == "create" {
			creates++
		}
		if r.Outcome != load.OK {
			f.failed++
			continue
		}
		f.ok++
		ok = append(ok, r.Latency)
		last = max(last, r.Intended.Add(r.Latency).Sub(start))
		if r.Latency <= 10*time.Millisecond {
			onTime++
		}
		if r.Message == "create" {
			create = append(create, r.Latency)
		} else {
			read = append(read, r.Latency)
		}
	}
	share := func(n, of int) string { return format.Percent(float64(n) / float64(of)) }
	f.okShare, f.errorShare, f.onTime = share(f.ok, f.all), share(f.failed, f.all), share(onTime, f.all)
	f.goodput, f.offered = format.Rate(float64(f.ok)/max(last.Seconds(), 20)), format.Rate(float64(f.all)/20)
	f.amplification = fmt.Sprintf("%.2f", float64(f.attempts)/float64(f.all))
	f.okLatency, f.allLatency = row8(ok), row8(all)
	var lateness []time.Duration
	for i := range requests {
		lateness = append(lateness, time.Duration(i%4)*10*time.Millisecond)
	}
	f.lateness = row8(lateness)
	f.createShare, f.createP99, f.readP50 = share(len(create), creates), at100(create, 99), at100(read, 50)
	return f
}

// row8 returns the figures of a table of latencies.
func row8(list []time.Duration) []string {
	slices.Sort(list)
	var sum time.Duration
	for _, d := range list {
		sum += d
	}
	mean := sum / time.Duration(len(list))
	return []string{
		format.Duration(list[0]), format.Duration(mean), at100(list, 50), at100(list, 90), at100(list, 95), at100(list, 99), at100(list, 99.9), format.Duration(list[len(list)-1]),
	}
}

// at100 returns a percentile.
func at100(list []time.Duration, percent float64) string {
	slices.Sort(list)
	return format.Duration(list[max(int(percent/100*float64(len(list))+0.5), 1)-1])
}

func render(t *testing.T, write func(*bytes.Buffer) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// cells returns the columns that follow a label at the start of a line.
func cells(t *testing.T, text, label string) []string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^ *` + regexp.QuoteMeta(label) + ` +(.*)$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no line %q in\n%s", label, text)
	}
	return strings.Fields(found[1])
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
}

func checkText(t *testing.T, d *report.Document, f *figuresOfRun) {
	t.Helper()
	text := render(t, func(b *bytes.Buffer) error { return d.Text(b, golden.Plain{}, 200) })
	count := func(n int) string { return format.Count(int64(n)) }
	same(t, "ok", []string{count(f.ok), f.okShare, f.goodput, "goodput"}, cells(t, text, "ok"))
	same(t, "error", []string{count(f.failed), f.errorShare}, cells(t, text, "error"))
	same(t, "offered", []string{count(f.all), "100%", f.offered}, cells(t, text, "offered"))
	_, latencies, _ := strings.Cut(text, "\nlatency ")
	same(t, "ok latency", f.okLatency, cells(t, latencies, "ok"))
	same(t, "all latency", f.allLatency, cells(t, latencies, "all"))
	same(t, "lateness", f.lateness, cells(t, latencies, "lateness"))
	same(t, "on time", f.onTime+",", cells(t, text, "on time")[0])
	same(t, "bytes", strings.Fields(format.Bytes(f.sent)+" sent, "+format.Bytes(f.received)+" received"), cells(t, text, "bytes"))
	same(t, "attempts", []string{count(f.attempts), "for", count(f.all), "requests:", "amplification", f.amplification}, cells(t, text, "attempts"))
	create := cells(t, text, "create")
	same(t, "create", []string{f.createShare, f.createP99}, []string{create[1], create[4]})
	same(t, "read", f.readP50, cells(t, text, "read")[3])
}

func checkJSON(t *testing.T, d *report.Document, f *figuresOfRun) {
	t.Helper()
	type latency struct {
		Count                                    int64
		Min, Mean, P50, P90, P95, P99, P999, Max time.Duration
	}
	var file struct {
		Runs []struct {
			Offered, OnTime int
			Outcomes        map[string]int
			Goodput, Rate   float64
			Sent, Received  int64
			Attempts        struct{ Total int }
			Latency         map[string]latency
		}
	}
	text := render(t, func(b *bytes.Buffer) error { return d.Save(b) })
	for _, name := range [][2]string{
		{"on_time", "OnTime"}, {"goodput_per_s", "Goodput"}, {"offered_per_s", "Rate"}, {"bytes_sent", "Sent"}, {"bytes_received", "Received"},
		{"min_ns", "Min"}, {"mean_ns", "Mean"}, {"p50_ns", "P50"}, {"p90_ns", "P90"}, {"p95_ns", "P95"}, {"p99_ns", "P99"}, {"p999_ns", "P999"}, {"max_ns", "Max"},
	} {
		text = strings.ReplaceAll(text, `"`+name[0]+`"`, `"`+name[1]+`"`)
	}
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	r := file.Runs[0]
	same(t, "outcomes", [3]int{f.ok, f.failed, f.all}, [3]int{r.Outcomes["ok"], r.Outcomes["error"], r.Offered})
	same(t, "rates", []string{f.goodput, f.offered}, []string{format.Rate(r.Goodput), format.Rate(r.Rate)})
	same(t, "on time", f.onTime, format.Percent(float64(r.OnTime)/float64(r.Offered)))
	same(t, "bytes", [2]int64{f.sent, f.received}, [2]int64{r.Sent, r.Received})
	same(t, "attempts", f.attempts, r.Attempts.Total)
	for name, want := range map[string][]string{"ok": f.okLatency, "all": f.allLatency, "lag": f.lateness} {
		var got []string
		l := r.Latency[name]
		for _, v := range []time.Duration{l.Min, l.Mean, l.P50, l.P90, l.P95, l.P99, l.P999, l.Max} {
			got = append(got, format.Duration(v))
		}
		same(t, name+" latency", want, got)
	}
}

func checkHTML(t *testing.T, d *report.Document, f *figuresOfRun) {
	t.Helper()
	page := html.UnescapeString(render(t, func(b *bytes.Buffer) error { return d.HTML(b) }))
	row := func(label string, columns []string) string {
		return "<th>" + label + "</th><td>" + strings.Join(columns, "</td><td>") + "</td>"
	}
	for _, piece := range []string{
		"<dt>goodput</dt><dd>" + f.okShare + "</dd>", f.goodput + " of " + f.offered + " offered",
		"<dt>p50</dt><dd>" + f.okLatency[2] + "</dd>", "of ok requests; of all " + f.allLatency[2],
		"<dt>p99</dt><dd>" + f.okLatency[5] + "</dd>", "of ok requests; of all " + f.allLatency[5],
		"<dt>amplification</dt><dd>" + f.amplification + "</dd>",
		row("ok", f.okLatency), row("all", f.allLatency), row("lateness", f.lateness),
		"<dd class=\"\">" + f.onTime + ", within 10.0ms</dd>", format.Bytes(f.sent) + " sent, " + format.Bytes(f.received) + " received",
	} {
		if !strings.Contains(page, piece) {
			t.Errorf("the page lacks %s", piece)
		}
	}
}

func checkMarkdown(t *testing.T, d *report.Document, f *figuresOfRun) {
	t.Helper()
	text := html.UnescapeString(render(t, func(b *bytes.Buffer) error { return d.Markdown(b) }))
	for _, line := range []string{
		"| " + strings.Join([]string{f.okShare, f.goodput, f.offered, f.okLatency[2], f.okLatency[5], f.okLatency[7], f.allLatency[5], f.amplification}, " | ") + " |",
		fmt.Sprintf("| ok | %s | %s |", format.Count(int64(f.ok)), f.okShare),
		"| ok | " + strings.Join(f.okLatency, " | ") + " |", "| all | " + strings.Join(f.allLatency, " | ") + " |",
		"| lateness | " + strings.Join(f.lateness, " | ") + " |",
		"- on time: " + f.onTime + ", within 10.0ms",
		fmt.Sprintf("- bytes: %s sent, %s received", format.Bytes(f.sent), format.Bytes(f.received)),
	} {
		if !strings.Contains(text, line) {
			t.Errorf("the file lacks %s in\n%s", line, text)
		}
	}
}

func checkCSV(t *testing.T, d *report.Document, f *figuresOfRun) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(render(t, func(b *bytes.Buffer) error { return d.CSV(b) }))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sum := func(column string) (n int) {
		i := slices.Index(rows[0], column)
		for _, row := range rows[1:] {
			v, err := strconv.Atoi(row[i])
			if err != nil {
				t.Fatal(err)
			}
			n += v
		}
		return n
	}
	same(t, "sums", [4]int{f.all, f.attempts, f.ok, f.failed}, [4]int{sum("offered"), sum("attempts"), sum("ok"), sum("error")})
	same(t, "on time", f.onTime, format.Percent(float64(sum("on_time"))/float64(f.all)))
	// Every second is like the others.
	for column, want := range map[string]string{
		"p50_ms": f.okLatency[2], "max_ms": f.okLatency[7], "all_p50_ms": f.allLatency[2], "all_max_ms": f.allLatency[7],
		"lag_p50_ms": f.lateness[2], "lag_p99_ms": f.lateness[5], "lag_max_ms": f.lateness[7],
	} {
		v, err := time.ParseDuration(rows[5][slices.Index(rows[0], column)] + "ms")
		if err != nil {
			t.Fatal(err)
		}
		same(t, column, want, format.Duration(v))
	}
}

func checkJUnit(t *testing.T, d *report.Document, f *figuresOfRun) {
	t.Helper()
	var file struct {
		Properties []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:"value,attr"`
		} `xml:"testsuite>properties>property"`
	}
	if err := xml.Unmarshal([]byte(render(t, func(b *bytes.Buffer) error { return d.JUnit(b) })), &file); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range file.Properties {
		got[p.Name] = p.Value
	}
	for name, want := range map[string]string{
		"goodput": f.okShare, "goodput per second": f.goodput, "offered": f.offered, "p50": f.okLatency[2], "p99": f.okLatency[5],
		"p99 of all": f.allLatency[5], "amplification": f.amplification, "on time": f.onTime + ", within 10.0ms",
		"lateness p50": f.lateness[2], "lateness p99": f.lateness[5], "lateness max": f.lateness[7],
	} {
		same(t, name, want, got[name])
	}
}

func checkThresholds(t *testing.T, d *report.Document, f *figuresOfRun) {
	t.Helper()
	want := map[string]string{
		"min>=0s": f.okLatency[0], "mean>0s": f.okLatency[1], "p50>0s": f.okLatency[2], "p90>0s": f.okLatency[3], "p95>0s": f.okLatency[4],
		"p99>0s": f.okLatency[5], "p99.9>0s": f.okLatency[6], "max>0s": f.okLatency[7],
		"p50{all}>0s": f.allLatency[2], "p99{all}>0s": f.allLatency[5], "max{all}>0s": f.allLatency[7],
		"goodput>0%": f.okShare, "goodput>0/s": f.goodput, "errors>0%": f.errorShare, "errors>0": strconv.Itoa(f.failed), "on-time>0%": f.onTime,
		"goodput{create}>0%": f.createShare, "p99{create}>0s": f.createP99, "p50{read}>0s": f.readP50,
	}
	var list []report.Threshold
	for text := range want {
		one, err := report.ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, one)
	}
	d.Hold(list)
	for _, result := range d.Thresholds {
		same(t, result.Text, want[result.Text], result.Measured)
	}
}

func checkCompare(t *testing.T, d *report.Document, f *figuresOfRun) {
	t.Helper()
	c, err := compare.Documents(d, d, compare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := render(t, func(b *bytes.Buffer) error { return c.Text(b, golden.Plain{}, 200) })
	same(t, "goodput", []string{f.okShare, f.okShare}, cells(t, text, "goodput")[:2])
	same(t, "errors", []string{f.errorShare, f.errorShare}, cells(t, text, "errors")[:2])
	same(t, "amplification", []string{f.amplification, f.amplification}, cells(t, text, "amplification")[:2])
	for label, want := range map[string]string{"p50": f.okLatency[2], "p90": f.okLatency[3], "p99": f.okLatency[5], "p99{all}": f.allLatency[5]} {
		got, err := time.ParseDuration(cells(t, text, label)[0])
		wanted, err2 := time.ParseDuration(want)
		if err != nil || err2 != nil || math.Abs(float64(got-wanted)) > 0.016*float64(wanted) { // a bucket of a second's distribution
			t.Errorf("%s is %s, want %s within a bucket; %v", label, got, want, err)
		}
	}
}

func checkScreen(t *testing.T, res *load.Result, f *figuresOfRun) {
	t.Helper()
	m := newModel(testScreen())
	m.show(Stage{Run: &still{snap: res.Snapshot}})
	m.width, m.height = 120, 60
	var text strings.Builder // the column of figures
	for line := range strings.Lines(m.View()) {
		if i := strings.LastIndex(strings.TrimRight(line, "│\n "), "│"); i >= 0 {
			text.WriteString(strings.Trim(line[i:], "│\n ") + "\n")
		}
	}
	got := text.String()
	same(t, "ok", []string{format.Count(int64(f.ok)), f.okShare}, cells(t, got, "ok")[:2])
	same(t, "error", []string{format.Count(int64(f.failed)), f.errorShare}, cells(t, got, "error")[:2])
	for i, label := range map[int]string{2: "p50", 3: "p90", 4: "p95", 5: "p99", 6: "p99.9", 7: "max"} {
		same(t, label, []string{f.okLatency[i], f.allLatency[i]}, cells(t, got, label)[:2])
	}
	for i, label := range map[int]string{2: "late p50", 5: "late p99", 7: "late max"} {
		same(t, label, f.lateness[i], cells(t, got, label)[0])
	}
	same(t, "amplification", f.amplification, cells(t, got, "amplification")[0])
	same(t, "on time", f.onTime, cells(t, got, "on time")[0])
	same(t, "create", f.createP99, cells(t, strings.ReplaceAll(got, f.createP99+" ", "create "+f.createP99+" "), "create")[0])
}
