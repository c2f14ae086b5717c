package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/tsenart/vegeta/v12/lib/plot"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/policy"
)

// serve runs a service in memory until the test ends and returns a connection to it.
// The test runs in a testing/synctest bubble.
func serve(t *testing.T, handlers map[string]micro.Handler) micro.Conn {
	t.Helper()
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(time.Second))
	for name, handler := range handlers {
		micro.HandleFunc(s, micro.Cmd(name), handler)
	}
	n := microtest.New()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, n) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return n.Dial()
}

// loaded runs the plan in a bubble and returns its result.
func loaded(t *testing.T, plan load.Plan) *load.Result {
	t.Helper()
	plan.TimerPacing = true
	r, err := load.Start(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return r.Wait()
}

// benchFile returns the vegeta file of a run with answers, errors, and timeouts.
func benchFile(t *testing.T) (file []byte, res *load.Result) {
	t.Helper()
	var n atomic.Int64
	conn := serve(t, map[string]micro.Handler{"work": func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		switch n.Add(1) % 20 {
		case 1, 2:
			return micro.Errorf(404, "item %d not found", n.Load())
		case 3:
			<-time.After(150 * ms) // even though the caller has given up
		}
		return reply.Send(micro.Value{Raw: []byte(`"ok"`), Last: true})
	}})
	var out bytes.Buffer
	v := report.NewVegeta(&out, "work", "tcp://memory")
	res = loaded(t, load.Plan{
		Messages: []load.Message{{Conns: []micro.Conn{conn}, Pattern: micro.Cmd("work")}}, OnResult: v.Result,
		Policy: policy.New(policy.WithTimeout(100 * ms)),
		Pacer:  vegeta.ConstantPacer{Freq: 400, Per: time.Second}, Requests: 800,
	})
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), res
}

// TestVegetaReadsTheFile checks that vegeta's own report and plot read what a run
// wrote.
func TestVegetaReadsTheFile(t *testing.T) { synctest.Test(t, testVegetaReadsTheFile) }

func testVegetaReadsTheFile(t *testing.T) {
	t.Helper()
	file, res := benchFile(t)
	var got vegeta.Metrics
	chart := plot.New()
	decode := vegeta.NewDecoder(bytes.NewReader(file))
	for {
		var r vegeta.Result
		if err := decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got.Add(&r)
		if err := chart.Add(&r); err != nil {
			t.Fatal(err)
		}
	}
	got.Close()
	chart.Close()
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
	if got.Rate < 399 || got.Rate > 401 {
		t.Errorf("vegeta sees a rate of %g/s, want that of the schedule, 400/s", got.Rate)
	}
	if len(got.Errors) > 3 {
		t.Errorf("texts that differ only in IDs were kept apart: %q", got.Errors)
	}
	var text, html bytes.Buffer
	if err := vegeta.NewTextReporter(&got).Report(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "800") || !strings.Contains(text.String(), "504:") {
		t.Errorf("vegeta report prints\n%s", &text)
	}
	if _, err := chart.WriteTo(&html); err != nil {
		t.Fatal(err)
	}
	checkPlot(t, html.Bytes())
}

// checkPlot counts the points of vegeta's plot, one per row: after a gap in the
// sequence it silently drops the rest.
func checkPlot(t *testing.T, html []byte) {
	t.Helper()
	data := regexp.MustCompile(`(?s)rowData = (\[\s*\[.*?\]\s*\]);`).FindSubmatch(html)
	if data == nil {
		t.Fatalf("the plot contains no data (%d bytes)", len(html))
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
