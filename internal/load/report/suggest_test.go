package report_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/runtime/policy"
)

// answered returns a second of n requests that took a given time, except one percent that
// took ten times as long.
func answered(at int, n int64, took time.Duration) report.Second {
	return report.Second{
		At: time.Duration(at) * time.Second, Offered: n, Attempts: n, OK: n, P50: took,
		Latencies: [][2]int64{{int64(took), n - n/100}, {int64(10 * took), n / 100}},
	}
}

// timeouts returns a second in which all requests timed out after a second.
func timeouts(at int, n int64) report.Second {
	return report.Second{
		At: time.Duration(at) * time.Second, Offered: n, Attempts: n, Timeout: n, P50: time.Second,
		Latencies: [][2]int64{{int64(time.Second), n}},
	}
}

// steady returns a document with 20 seconds of 100 requests that take 4 ms, with some
// seconds replaced.
func steady(instead ...report.Second) *report.Document {
	r := report.Run{Counted: 20 * time.Second, Offered: 2000, OfferedRate: 100}
	for i := range 20 {
		r.Seconds = append(r.Seconds, answered(i, 100, 4*ms))
	}
	for _, s := range instead {
		r.Seconds[s.At/time.Second] = s
	}
	return document(report.KindRun, r)
}

func stalled(verdict string, took time.Duration) *report.Document {
	d := steady(timeouts(10, 100), timeouts(11, 100), timeouts(12, 100))
	d.Runs[0].Triggers = []report.Trigger{{At: 10 * time.Second, Length: 2 * time.Second, Text: "stall", Verdict: verdict, Took: took}}
	return d
}

// queued returns a stall after which goodput is back immediately, because no request
// timed out, while the requests of two more seconds wait in the queue.
func queued() *report.Document {
	d := stalled("RECOVERED", 0)
	d.Runs[0].Seconds[12], d.Runs[0].Seconds[13] = answered(12, 100, 400*ms), answered(13, 100, 200*ms)
	return d
}

func TestSuggest(t *testing.T) {
	capable := steady()
	capable.Experiment = &report.Experiment{Capacity: 120}
	full := steady()
	full.Experiment = &report.Experiment{Capacity: 105}
	strict := steady()
	strict.Runs[0].Policy = report.NewPolicy(policy.New(policy.WithTimeout(time.Second), policy.WithDeadline(150*ms)).Settings())
	lost := steady()
	lost.Runs[0].Seconds[3].Latencies = append(lost.Runs[0].Seconds[3].Latencies, [2]int64{int64(time.Second), 3})
	lost.Runs[0].Seconds[3].Timeout = 3
	busy := steady()
	busy.Runs[0].Seconds[5].Latencies[1][0], busy.Runs[0].Seconds[5].Doubtful = int64(500*ms), true
	const usual = "timeout 120ms, 2 retries 12ms to 120ms apart with full jitter, budget 10%+2/s, deadline 400ms"
	cases := []struct {
		name string
		d    *report.Document
		text string
		why  string // a part of it
	}{
		{"healthy", steady(), usual, "p99.9 of 2,000 requests was 40.0ms; a timeout of 120ms would have cut off none of them; retries are limited to 10% of the requests because the service's capacity is unknown"},
		{"a fault", stalled("RECOVERED", time.Second), usual, "p99.9 of 1,700 requests outside the fault was 40.0ms"},
		{"a queue after a fault", queued(), usual, "p99.9 of 1,600 requests outside the fault was 40.0ms"},
		{"a collapse", stalled("COLLAPSED", 0), usual, "p99.9 of 1,000 requests outside the fault was 40.0ms"},
		{"room", capable, "timeout 120ms, 2 retries 12ms to 120ms apart with full jitter, budget 6%+2/s, deadline 400ms", "at 100/s of a capacity of 120/s, a budget of 6% keeps the load below 90% of the capacity, including all retries"},
		{"no room", full, "timeout 120ms, no retries", "at 100/s of a capacity of 105/s, there is no room for retries"},
		{"a strict deadline", strict, strings.Replace(usual, "400ms", "150ms", 1), ""},
		{"messages that were lost", lost, usual, "p99.9 of 2,000 requests"},
		{"a busy generator", busy, usual, "p99.9 of 1,900 requests"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := report.Suggest(c.d)
			if got == nil {
				t.Fatal("no suggestion")
			}
			if got.Policy.Text != c.text || !strings.Contains(got.Why, c.why) {
				t.Errorf("got  %s: %s\nwant %s: …%s…", got.Policy.Text, got.Why, c.text, c.why)
			}
			if s := got.Policy.Settings(); policytext.Describe(s) != got.Policy.Text {
				t.Errorf("its settings are %+v", s)
			}
		})
	}
}

// TestSuggestNothing checks that nothing is suggested if the measurements do not
// suffice.
func TestSuggestNothing(t *testing.T) {
	few := document(report.KindRun, report.Run{Counted: time.Second, Seconds: []report.Second{answered(0, 199, ms)}})
	var failing, swelling []report.Second
	for i := range 20 {
		failing = append(failing, answered(i, 100, ms))
		failing[i].OK, failing[i].Timeout = 97, 3
		swelling = append(swelling, answered(i, 100, time.Duration(i+1)*10*ms))
	}
	warm := steady()
	warm.Runs[0].Warmup = 19 * time.Second
	cases := map[string]*report.Document{
		"no document": nil, "no run": document(report.KindRun), "few answers": few, "never well": steady(failing...),
		"overloaded": steady(swelling...), "warm-up only": warm,
	}
	for name, d := range cases {
		if got := report.Suggest(d); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestSuggestIsMet checks that a suggested timeout is longer than p99.9 for services of
// any speed, and that the other times are consistent with it.
func TestSuggestIsMet(t *testing.T) {
	for _, took := range []time.Duration{10 * time.Microsecond, ms, 7 * ms, 33 * ms, 250 * ms, 2 * time.Second} {
		t.Run(fmt.Sprint(took), func(t *testing.T) {
			d := steady()
			for i := range d.Runs[0].Seconds {
				d.Runs[0].Seconds[i] = answered(i, 100, took)
			}
			s := report.Suggest(d).Policy.Settings()
			if s.Timeout < 30*took || s.Timeout > max(50*ms, 40*took) {
				t.Errorf("timeout %s, where p99.9 is %s", s.Timeout, 10*took)
			}
			if s.Deadline < 2*s.Timeout || s.Backoff.Delay >= s.Timeout || s.Backoff.Max > s.Timeout {
				t.Errorf("%+v", s)
			}
		})
	}
}
