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
		At: time.Duration(at) * time.Second, Offered: n, Attempts: n, OK: n, OKLatency: report.Quantiles{P50: took},
		AttemptLatencies: [][2]int64{{int64(took), n - n/100}, {int64(10 * took), n / 100}},
	}
}

// timeouts returns a second in which all requests timed out.
func timeouts(at int, n int64) report.Second {
	return report.Second{At: time.Duration(at) * time.Second, Offered: n, Attempts: n, Timeout: n}
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

// changed returns a steady document with a change to its run.
func changed(change func(*report.Run)) *report.Document {
	d := steady()
	change(&d.Runs[0])
	return d
}

func TestCandidate(t *testing.T) {
	capable, full := steady(), steady()
	capable.Experiment, full.Experiment = &report.Experiment{Capacity: 120}, &report.Experiment{Capacity: 105}
	strict := changed(func(r *report.Run) {
		r.Policy = report.NewPolicy(policy.New(policy.WithTimeout(time.Second), policy.WithDeadline(150*ms)).Settings())
	})
	lost := changed(func(r *report.Run) { r.Seconds[3].Timeout = 3 })
	late := changed(func(r *report.Run) { r.Seconds[3].Late, r.Seconds[3].Timeout = 1, 1 })
	busy := changed(func(r *report.Run) {
		r.Seconds[5].AttemptLatencies[1][0], r.Seconds[5].Doubtful = int64(500*ms), true
	})
	minute := changed(func(r *report.Run) {
		r.Loopback = true
		for i := 20; i < 60; i++ {
			r.Seconds = append(r.Seconds, answered(i, 100, 4*ms))
		}
	})
	refused := changed(func(r *report.Run) { r.Seconds[0].Error = 90 })
	const usual = "timeout 120ms, 2 retries 12ms to 120ms apart with full jitter, budget 10%+2/s, deadline 400ms"
	cases := []struct {
		name string
		d    *report.Document
		text string
		why  string // a part of it
	}{
		{"healthy", steady(), usual, "p99.9 of the attempts of 2,000 ok replies from a healthy service in 20s was 40.0ms, and the timeout is three times that, at least 50ms, rounded up; retries are limited to 10% of the requests because the service's capacity is unknown"},
		{"a fault", stalled("RECOVERED", time.Second), usual, "1,700 ok replies from a healthy service outside the fault in 17s was 40.0ms"},
		{"a queue after a fault", queued(), usual, "1,600 ok replies from a healthy service outside the fault"},
		{"a collapse", stalled("COLLAPSED", 0), usual, "1,000 ok replies from a healthy service outside the fault"},
		{"room", capable, "timeout 120ms, 2 retries 12ms to 120ms apart with full jitter, budget 6%+2/s, deadline 400ms", "at 100/s of a capacity of 120/s, a budget of 6% keeps the load below 90% of the capacity, including all retries"},
		{"no room", full, "timeout 120ms, no retries", "at 100/s of a capacity of 105/s, there is no room for retries"},
		{"a strict deadline", strict, strings.Replace(usual, "400ms", "150ms", 1), ""},
		{"messages that were lost", lost, usual, "2,000 ok replies"},
		{"a few late answers", late, usual, "2,000 ok replies"},
		{"a busy generator", busy, usual, "1,900 ok replies"},
		{"a minute on one machine", minute, usual, "the client and the service shared this machine, so a network is not included"},
		{"a few errors, however fast", refused, usual, "2,000 ok replies"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := report.Candidate(c.d)
			if got.Policy == nil {
				t.Fatalf("no suggestion: %s", got.Why)
			}
			if got.Policy.Text != c.text || !strings.Contains(got.Why, c.why) {
				t.Errorf("got  %s: %s\nwant %s: …%s…", got.Policy.Text, got.Why, c.text, c.why)
			}
			if s := got.Policy.Settings(); policytext.Describe(s) != got.Policy.Text {
				t.Errorf("its settings are %+v", s)
			}
			if b := got.Basis; b == nil || b.Replies < 1000 || b.Tail != 40*ms || b.Quantile != 0.999 || b.Length < 10*time.Second {
				t.Errorf("its basis is %+v", b)
			}
		})
	}
}

// TestNoCandidate checks that nothing is suggested if the measurements do not suffice, and
// that the reason is given.
func TestNoCandidate(t *testing.T) {
	few := document(report.KindRun, report.Run{Counted: time.Second, Seconds: []report.Second{answered(0, 999, ms)}})
	var failing, wrong, swelling, late, quick []report.Second
	for i := range 20 {
		failing = append(failing, answered(i, 100, ms))
		failing[i].OK, failing[i].Timeout = 97, 3
		wrong = append(wrong, answered(i, 100, ms))
		wrong[i].Error = 10
		swelling = append(swelling, answered(i, 100, time.Duration(i+1)*10*ms))
		late = append(late, answered(i, 100, ms))
		late[i].Late = 1
	}
	for i := range 5 {
		quick = append(quick, answered(i, 400, ms))
	}
	cases := map[string]struct {
		d   *report.Document
		why string
	}{
		"few answers":  {few, "999 ok replies from a healthy service do not show how slow it may be"},
		"never well":   {steady(failing...), "3% of the requests got no reply"},
		"errors":       {steady(wrong...), "9.09% of the requests failed with an error"},
		"overloaded":   {steady(swelling...), "its latencies kept growing"},
		"late answers": {steady(late...), "use a longer --timeout"},
		"warm-up only": {changed(func(r *report.Run) { r.Warmup = 20 * time.Second }), "0 ok replies from a healthy service do not show"},
		"one machine":  {changed(func(r *report.Run) { r.Loopback = true }), "share this machine, and 20s of a healthy service are too short"},
		"short":        {document(report.KindRun, report.Run{Seconds: quick}), "5s of a healthy service are too short"},
	}
	for name, c := range cases {
		if got := report.Candidate(c.d); got.Policy != nil || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: %+v, want no policy because %s", name, got, c.why)
		}
	}
	if report.Suggest(nil) != nil || report.Suggest(document(report.KindRun)) != nil {
		t.Error("a document without runs has a suggestion")
	}
}

// TestSuggestInAnExperiment checks that an experiment suggests nothing but what it has
// measured, and that runs of different things suggest nothing.
func TestSuggestInAnExperiment(t *testing.T) {
	d := collapse(t)
	if got := report.Suggest(d); got.Policy != nil || got.Why != "the best policy is the one that was measured, ★ recommended" {
		t.Errorf("%+v", got)
	}
	d.Experiment.Best = -1
	if got := report.Suggest(d); got.Policy != nil || got.Why != "this experiment has no best policy" {
		t.Errorf("%+v", got)
	}
	other := steady()
	other.Runs[0].Target = "elsewhere"
	if got := report.Merge(steady(), other).Suggestion; got.Policy != nil || got.Why != "the runs differ" {
		t.Errorf("%+v", got)
	}
}

// TestCandidateIsMet checks that a suggested timeout is longer than p99.9 for services of
// any speed, and that the other times are consistent with it.
func TestCandidateIsMet(t *testing.T) {
	for _, took := range []time.Duration{10 * time.Microsecond, ms, 7 * ms, 33 * ms, 250 * ms, 2 * time.Second} {
		t.Run(fmt.Sprint(took), func(t *testing.T) {
			d := steady()
			for i := range d.Runs[0].Seconds {
				d.Runs[0].Seconds[i] = answered(i, 100, took)
			}
			s := report.Candidate(d).Policy.Settings()
			if s.Timeout < 30*took || s.Timeout > max(50*ms, 40*took) {
				t.Errorf("timeout %s, where p99.9 is %s", s.Timeout, 10*took)
			}
			if s.Deadline < 2*s.Timeout || s.Backoff.Delay >= s.Timeout || s.Backoff.Max > s.Timeout {
				t.Errorf("%+v", s)
			}
		})
	}
}
