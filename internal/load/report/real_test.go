package report_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestRealRun makes a run with a trigger and two messages, and checks the saved
// document against the schema and against its own counts.
func TestRealRun(t *testing.T) { synctest.Test(t, testRealRun) }

func testRealRun(t *testing.T) {
	t.Helper()
	var stalled atomic.Bool
	conn := serve(t, map[string]micro.Handler{
		"work": func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
			if stalled.Load() {
				<-time.After(150 * ms) // even though the caller has given up
			}
			return reply.Send(micro.Value{Raw: []byte(`"ok"`), Last: true})
		},
		"fail": func(context.Context, *micro.Request, micro.Reply) error {
			return micro.Errorf(404, "item %d not found", 7)
		},
	})
	stall := func() error {
		stalled.Store(true)
		time.AfterFunc(500*ms, func() { stalled.Store(false) })
		return nil
	}
	res := loaded(t, load.Plan{
		Messages: []load.Message{
			{Name: "work", Weight: 9, Conns: []micro.Conn{conn}, Pattern: micro.Cmd("work")},
			{Name: "fail", Conns: []micro.Conn{conn}, Pattern: micro.Cmd("fail")},
		},
		Policy: policy.New(policy.WithTimeout(100*ms), policy.WithRetries(1), policy.WithBudget(0.5, 5)),
		Pacer:  vegeta.ConstantPacer{Freq: 200, Per: time.Second}, Duration: 3 * time.Second,
		Triggers: []load.Trigger{{At: time.Second, Length: 500 * ms, Text: "stall 500ms", Fire: stall}},
	})
	d := document(report.KindRun, newRun(t, res, report.About{Pattern: "two messages", Target: "tcp://127.0.0.1", Load: "200/s for 3s", Connections: 1}))
	r := &d.Runs[0]
	hold(t, d, "goodput>1%", "errors<100%")
	if err := schemaOf(t).Validate(asJSON(t, d)); err != nil {
		t.Error(err)
	}
	text := saveText(t, d)
	read, err := report.Load(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	render(t, read)
	checkReal(t, res, r)
	var page bytes.Buffer
	if err := d.HTML(&page); err != nil {
		t.Fatal(err)
	}
	if folder := os.Getenv("MSCTL_TEST_PAGES"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, "real.html"), page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkReal compares a run of a document with its result.
func checkReal(t *testing.T, res *load.Result, r *report.Run) {
	t.Helper()
	var due, answered, latencies, ok int64
	for _, c := range r.Cohorts {
		due, answered = due+c[0], answered+c[1]
	}
	for _, s := range r.Seconds {
		ok += s.OK
		for _, b := range slices.Concat(s.Latencies, s.FailedLatencies) {
			latencies += b[1]
		}
	}
	if r.Offered != 600 || due != 600 || r.Outcomes["ok"] != answered || ok != answered {
		t.Errorf("offered %d, due %d; ok %d, of the cohorts %d, of the seconds %d", r.Offered, due, r.Outcomes["ok"], answered, ok)
	}
	if latencies != r.Latency[report.LatencyAll].Count || latencies != res.All.Count {
		t.Errorf("the seconds have %d latencies, the run %d", latencies, r.Latency[report.LatencyAll].Count)
	}
	if len(r.Messages) != 2 || r.Messages[0].Offered+r.Messages[1].Offered != 600 || r.Outcomes["error"] != r.Messages[1].Offered {
		t.Errorf("messages %+v", r.Messages)
	}
	if len(r.Triggers) != 1 || r.Triggers[0].Text != "stall 500ms" || r.Verdict == "" || r.Triggers[0].Why == "" {
		t.Errorf("verdict %q, triggers %+v", r.Verdict, r.Triggers)
	}
	if r.Attempts.Total != res.Totals.Attempts || r.Attempts.Retries == 0 || r.Attempts.Late == 0 {
		t.Errorf("attempts %+v: want retries and late answers", r.Attempts)
	}
}
