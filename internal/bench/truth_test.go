package bench

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

const (
	ms = time.Millisecond
	us = time.Microsecond
)

// known is a bench of a service whose behavior is known, and what it must report. All of
// it is calculated by hand.
type known struct {
	name     string
	service  func(*testing.T) *memory
	words    string // PATTERN, DATA, and flags with their values, separated by spaces
	scenario string
	want     map[string]figures // by the names of the runs
	trigger  *recovery          // of the first run
	why      string             // a part of the reason for the best run of an experiment
	code     int
}

// figures are those of one run. A latency is 0 if there is none.
type figures struct {
	OK, Error, Timeout, Shed     int64
	Goodput                      float64 // per second
	OKP50, OKP99, AllP50, AllP99 time.Duration
	Attempts, Late               int64
	Backlog                      int64 // the largest, if some was left; 0 otherwise
}

// recovery is that from the only trigger of a run.
type recovery struct {
	Verdict                  string
	Took                     time.Duration
	Before, During, LateThen float64
}

func figuresOf(r *report.Run) figures {
	ok, all := r.Latency[report.LatencyOK], r.Latency[report.LatencyAll]
	f := figures{
		OK: r.Outcomes["ok"], Error: r.Outcomes["error"], Timeout: r.Outcomes["timeout"], Shed: r.Outcomes["shed"], Goodput: r.Goodput,
		OKP50: ok.P50, OKP99: ok.P99, AllP50: all.P50, AllP99: all.P99, Attempts: r.Attempts.Total, Late: r.Attempts.Late,
	}
	if r.Backlog.Left {
		f.Backlog = r.Backlog.Peak
	}
	return f
}

// replies returns a service that replies in memory. answer returns how long the n-th
// message takes, from 0, and the status of the error, or 0.
func replies(answer func(n int64, req *micro.Request) (after time.Duration, status int)) func(*testing.T) *memory {
	return func(t *testing.T) *memory {
		t.Helper()
		var count atomic.Int64
		end := make(chan struct{})
		m := served(t, func(_ context.Context, req *micro.Request, reply micro.Reply) error {
			after, status := answer(count.Add(1)-1, req)
			timer := time.NewTimer(after)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-end:
			}
			if status > 0 {
				return micro.Errorf(status, "scripted")
			}
			return reply.Send(micro.Value{Raw: []byte(`"ok"`), Last: true})
		}, nil)
		t.Cleanup(func() { close(end) }) // before the service drains
		return m
	}
}

// served serves a handler in memory until the test ends.
func served(t *testing.T, handler micro.Handler, stall func(time.Duration)) *memory {
	t.Helper()
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(ms), micro.WithMaxInFlight(100_000))
	micro.HandleUnknown(s, handler)
	n := microtest.New()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, n) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &memory{dial: n.Dial, stall: stall}
}

// queue returns a service with a capacity: one worker, and a queue.
func queue(each time.Duration) func(*testing.T) *memory {
	return func(t *testing.T) *memory {
		t.Helper()
		s := capacity.New(capacity.Config{ServiceTime: capacity.Constant(each)})
		m := served(t, s.Handler(), s.Stall)
		t.Cleanup(s.Close) // before the server drains
		return m
	}
}

// waiting shows the runs of a bench until they have finished.
type waiting struct{}

func (waiting) Show(s Stage) error { <-s.Run.Done(); return nil }
func (waiting) Note(string)        {}
func (waiting) Conclude(string)    {}

// documentOf makes the runs of a bench, and returns their document and the exit code.
func documentOf(t *testing.T, m *memory, words ...string) (*report.Document, int) {
	t.Helper()
	spec, err := readSpec(t, "", words...)
	if err != nil {
		t.Fatal(err)
	}
	spec.memory = m
	b, err := Prepare(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Run(t.Context(), waiting{}); err != nil {
		t.Fatal(err)
	}
	d := b.Document()
	if err := Crossed(d); err != nil {
		return d, exit.Code(err)
	}
	return d, exit.Code(Failed(d))
}

// TestTruth compares the figures of benches with values calculated by hand. The rank of a
// quantile q among n values is q·n, rounded.
func TestTruth(t *testing.T) {
	for _, c := range truths() {
		t.Run(c.name, func(t *testing.T) { synctest.Test(t, c.check) })
	}
}

func (c *known) check(t *testing.T) {
	t.Helper()
	words := strings.Fields(c.words)
	if c.scenario != "" {
		words = append([]string{"--scenario", scenarioFile(t, c.scenario)}, words...)
	}
	d, code := documentOf(t, c.service(t), words...)
	got := map[string]figures{}
	for i := range d.Runs {
		if r := &d.Runs[i]; r.Cell != report.TriedCell {
			got[r.Name] = figuresOf(r)
		}
	}
	precise := cmp.Options{
		cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 0.001*math.Max(a, b) }),
		cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() <= max(a, b)/400 }), // that of a histogram
	}
	if diff := cmp.Diff(c.want, got, precise); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if code != c.code {
		t.Errorf("exit code %d, want %d: %+v", code, c.code, d.Thresholds)
	}
	if c.trigger != nil {
		x := d.Runs[0].Triggers[0]
		if diff := cmp.Diff(*c.trigger, recovery{x.Verdict, x.Took, x.Before, x.During, x.LateDuring}, precise); diff != "" {
			t.Errorf("the recovery -want +got\n%s", diff)
		}
	}
	if c.why != "" && !strings.Contains(d.Experiment.Why, c.why) {
		t.Errorf("the reason is %q, want %q in it", d.Experiment.Why, c.why)
	}
}

// one returns the figures of a single run.
func one(f figures) map[string]figures { return map[string]figures{"": f} }

// The services of the benches.

// after replies after a time.
func after(d time.Duration) func(*testing.T) *memory {
	return replies(func(int64, *micro.Request) (time.Duration, int) { return d, 0 })
}

// failing replies with an error after a millisecond.
func failing() func(*testing.T) *memory {
	return replies(func(int64, *micro.Request) (time.Duration, int) { return ms, 503 })
}

// byAttempt takes a time and replies with a status that depend on the attempt, from 1.
func byAttempt(answer func(attempt int) (time.Duration, int)) func(*testing.T) *memory {
	return replies(func(_ int64, req *micro.Request) (time.Duration, int) {
		attempt, err := strconv.Atoi(req.Metadata.Get(micro.MetaAttempt))
		if err != nil {
			attempt = 1
		}
		return answer(attempt)
	})
}

// since depends on the time since the start of the service.
func since(answer func(time.Duration) (time.Duration, int)) func(*testing.T) *memory {
	return func(t *testing.T) *memory {
		t.Helper()
		start := time.Now()
		return replies(func(int64, *micro.Request) (time.Duration, int) { return answer(time.Since(start)) })(t)
	}
}

// mostlyFailing fails 7 of 10 requests after a millisecond, and replies to the others
// after 200 ms.
func mostlyFailing() func(*testing.T) *memory {
	return replies(func(n int64, _ *micro.Request) (time.Duration, int) {
		if n%10 < 3 {
			return 200 * ms, 0
		}
		return ms, 503
	})
}

// odd fails the first attempt of requests whose data has an odd n.
func odd() func(*testing.T) *memory {
	return replies(func(_ int64, req *micro.Request) (time.Duration, int) {
		var data struct{ N int }
		_ = json.Unmarshal(req.Data, &data) // that of a probe has none
		if data.N%2 == 1 && req.Metadata.Get(micro.MetaAttempt) != "2" {
			return ms, 503
		}
		return ms, 0
	})
}

// byPattern is a service with two messages.
func byPattern(read, create func() (time.Duration, int)) func(*testing.T) *memory {
	return replies(func(_ int64, req *micro.Request) (time.Duration, int) {
		if req.Pattern.String() == `{"cmd":"create"}` {
			return create()
		}
		return read()
	})
}

func steadily(d time.Duration, status int) func() (time.Duration, int) {
	return func() (time.Duration, int) { return d, status }
}

const never = time.Hour // longer than any timeout

const twoMessages = "rate: 40/s\nduration: 2s\nmessages:\n  - {pattern: cmd=read, weight: 3}\n  - {name: create, pattern: cmd=create}\n"

func truths() []known {
	return slices.Concat(plainTruths(), retryTruths(), closedTruths(), severalTruths(), stallTruths())
}

func plainTruths() []known {
	return []known{
		{name: "every request succeeds", service: after(5 * ms), words: "cmd=x --rate 100/s --duration 10s",
			want: one(figures{OK: 1000, Goodput: 100, OKP50: 5 * ms, OKP99: 5 * ms, AllP50: 5 * ms, AllP99: 5 * ms, Attempts: 1000})},
		// The last reply is to the request due at 4.99 s.
		{name: "slow replies", service: after(200 * ms), words: "cmd=x --rate 100/s --duration 5s",
			want: one(figures{OK: 500, Goodput: 500 / 5.19, OKP50: 200 * ms, OKP99: 200 * ms, AllP50: 200 * ms, AllP99: 200 * ms, Attempts: 500})},
		// Request k waits for 2 ms + k · (2 ms − 1/700 s), and the last one ends at 7 s.
		{name: "overload that is shorter than the timeout", service: queue(2 * ms), words: "cmd=x --rate 700/s --duration 5s --threshold goodput>=690/s", code: exit.Threshold,
			want: one(figures{OK: 3500, Goodput: 500, OKP50: 1001430 * us, OKP99: 1981430 * us, AllP50: 1001430 * us, AllP99: 1981430 * us, Attempts: 3500, Backlog: 1001})},
		// From request 1745 on, all wait for more than 999 ms. Late answers arrive until 5.6 s.
		{name: "overload that is longer than the timeout", service: queue(2 * ms), words: "cmd=x --rate 700/s --duration 4s --timeout 999ms",
			want: one(figures{OK: 1745, Timeout: 1055, Goodput: 1745 / 4.0, OKP50: 500290 * us, OKP99: 988860 * us, AllP50: 801430 * us, AllP99: 999 * ms, Attempts: 2800, Late: 1055, Backlog: 700})},
		{name: "every request fails", service: failing(), words: "cmd=x --rate 200/s --duration 3s", code: exit.Service,
			want: one(figures{Error: 600, AllP50: ms, AllP99: ms, Attempts: 600})},
		{name: "every request fails fast, and latency is bounded", service: failing(), words: "cmd=x --rate 200/s --duration 3s --threshold p99<50ms", code: exit.Threshold,
			want: one(figures{Error: 600, AllP50: ms, AllP99: ms, Attempts: 600})},
		{name: "every request fails, and that is permitted", service: failing(), words: "cmd=x --rate 200/s --duration 3s --threshold errors<=100% --threshold p99{all}<50ms", code: exit.Service,
			want: one(figures{Error: 600, AllP50: ms, AllP99: ms, Attempts: 600})},
		// The last ok reply is to the request due at 9.92 s.
		{name: "most requests fail fast", service: mostlyFailing(), words: "cmd=x --rate 100/s --duration 10s --threshold p50<50ms", code: exit.Threshold,
			want: one(figures{OK: 300, Error: 700, Goodput: 300 / 10.12, OKP50: 200 * ms, OKP99: 200 * ms, AllP50: ms, AllP99: 200 * ms, Attempts: 1000})},
		{name: "most requests fail fast, and the latency of all is bounded", service: mostlyFailing(), words: "cmd=x --rate 100/s --duration 10s --threshold p50{all}<50ms",
			want: one(figures{OK: 300, Error: 700, Goodput: 300 / 10.12, OKP50: 200 * ms, OKP99: 200 * ms, AllP50: ms, AllP99: 200 * ms, Attempts: 1000})},
		{name: "no reply at all", service: after(never), words: "cmd=x --rate 50/s --duration 2s --timeout 490ms", code: exit.Timeout,
			want: one(figures{Timeout: 100, AllP50: 490 * ms, AllP99: 490 * ms, Attempts: 100, Backlog: 25})},
		{name: "no reply at all, and that is permitted", service: after(never), words: "cmd=x --rate 50/s --duration 2s --timeout 490ms --threshold timeouts<1000", code: exit.Timeout,
			want: one(figures{Timeout: 100, AllP50: 490 * ms, AllP99: 490 * ms, Attempts: 100, Backlog: 25})},
		{name: "the warm-up is slow", service: since(func(t time.Duration) (time.Duration, int) {
			if t < 2*time.Second {
				return 500 * ms, 0
			}
			return 10 * ms, 0
		}), words: "cmd=x --rate 100/s --duration 4s --warmup 2s",
			want: one(figures{OK: 200, Goodput: 100, OKP50: 10 * ms, OKP99: 10 * ms, AllP50: 10 * ms, AllP99: 10 * ms, Attempts: 200})},
		{name: "beyond the limit, requests are shed", service: after(never), words: "cmd=x --rate 100/s --requests 20 --max-in-flight 5 --timeout 300ms", code: exit.Failed,
			want: one(figures{Timeout: 5, Shed: 15, AllP50: 300 * ms, AllP99: 300 * ms, Attempts: 5})},
		// 10 t² requests until t.
		{name: "a ramp", service: after(ms), words: "cmd=x --ramp 0/s..200/s --duration 10s",
			want: one(figures{OK: 1000, Goodput: 100, OKP50: ms, OKP99: ms, AllP50: ms, AllP99: ms, Attempts: 1000})},
	}
}

func retryTruths() []known {
	return []known{
		{name: "two attempts fail, the third succeeds", service: byAttempt(func(n int) (time.Duration, int) {
			if n < 3 {
				return 10 * ms, 503
			}
			return 10 * ms, 0
		}), words: "cmd=x --rate 50/s --duration 2s --retries 2 --retry-delay 0s --threshold amplification<3.01",
			want: one(figures{OK: 100, Goodput: 100 / 2.01, OKP50: 30 * ms, OKP99: 30 * ms, AllP50: 30 * ms, AllP99: 30 * ms, Attempts: 300})},
		{name: "replies are late", service: after(300 * ms), words: "cmd=x --rate 20/s --duration 2s --timeout 100ms", code: exit.Timeout,
			want: one(figures{Timeout: 40, AllP50: 100 * ms, AllP99: 100 * ms, Attempts: 40, Late: 40})},
		{name: "the first attempt is late, the second succeeds", service: byAttempt(func(n int) (time.Duration, int) {
			return []time.Duration{300 * ms, 10 * ms}[n-1], 0
		}), words: "cmd=x --rate 20/s --duration 2s --timeout 100ms --retries 1 --retry-delay 0s",
			want: one(figures{OK: 40, Goodput: 40 / 2.06, OKP50: 110 * ms, OKP99: 110 * ms, AllP50: 110 * ms, AllP99: 110 * ms, Attempts: 80, Late: 40})},
		{name: "a hedge succeeds", service: byAttempt(func(n int) (time.Duration, int) {
			return []time.Duration{900 * ms, 10 * ms}[n-1], 0
		}), words: "cmd=x --rate 20/s --duration 2s --hedge 50ms",
			want: one(figures{OK: 40, Goodput: 40 / 2.01, OKP50: 60 * ms, OKP99: 60 * ms, AllP50: 60 * ms, AllP99: 60 * ms, Attempts: 80, Late: 40})},
		// The run is checked every 500 ms, and the tenth error is that of the request at 909 ms.
		{name: "a threshold that can no longer be met", service: failing(), words: "cmd=x --users 1 --think 100ms --duration 1m --abort-on errors<10", code: exit.Threshold,
			want: one(figures{Error: 10, AllP50: ms, AllP99: ms, Attempts: 10})},
		{name: "a threshold that can still be met", service: mostlyFailing(), words: "cmd=x --rate 100/s --duration 10s --abort-on goodput>29%",
			want: one(figures{OK: 300, Error: 700, Goodput: 300 / 10.12, OKP50: 200 * ms, OKP99: 200 * ms, AllP50: ms, AllP99: 200 * ms, Attempts: 1000})},
	}
}

func closedTruths() []known {
	return []known{
		// The last request is sent after 49 · 15 ms.
		{name: "one user", service: after(5 * ms), words: "cmd=x --users 1 --think 10ms --requests 50",
			want: one(figures{OK: 50, Goodput: 50 / 0.74, OKP50: 5 * ms, OKP99: 5 * ms, AllP50: 5 * ms, AllP99: 5 * ms, Attempts: 50})},
		// 199 requests are answered during the load, and those of all users after it.
		{name: "users who overload the service", service: queue(10 * ms), words: "cmd=x --users 100 --duration 1995ms --threshold goodput>=101/s", code: exit.Threshold,
			want: one(figures{OK: 299, Goodput: 100, OKP50: time.Second, OKP99: time.Second, AllP50: time.Second, AllP99: time.Second, Attempts: 299, Backlog: 100})},
		{name: "users without a reply", service: after(never), words: "cmd=x --users 10 --duration 950ms --timeout 100ms --threshold timeouts>1", code: exit.Timeout,
			want: one(figures{Timeout: 100, AllP50: 100 * ms, AllP99: 100 * ms, Attempts: 100})},
	}
}

// severalTruths are benches with several runs, or several messages.
func severalTruths() []known {
	good := figures{OK: 100, Goodput: 50, OKP50: 5 * ms, OKP99: 5 * ms, AllP50: 5 * ms, AllP99: 5 * ms, Attempts: 100}
	both := figures{OK: 60, Error: 20, Goodput: 30, OKP50: 5 * ms, OKP99: 5 * ms, AllP50: 5 * ms, AllP99: 5 * ms, Attempts: 80}
	slow := figures{OK: 80, Goodput: 80 / 2.05, OKP50: 5 * ms, OKP99: 100 * ms, AllP50: 5 * ms, AllP99: 100 * ms, Attempts: 80}
	failed := figures{Error: 80, AllP50: ms, AllP99: ms, Attempts: 80}
	return []known{
		{name: "three repetitions", service: after(5 * ms), words: "cmd=x --rate 50/s --duration 2s --repeat 3",
			want: map[string]figures{"run 1": good, "run 2": good, "run 3": good}},
		{name: "the second repetition fails", service: since(func(t time.Duration) (time.Duration, int) {
			if t < 2*time.Second {
				return 5 * ms, 0
			}
			return 5 * ms, 503
		}), words: "cmd=x --rate 50/s --duration 2s --repeat 2 --threshold p99<1s", code: exit.Threshold,
			want: map[string]figures{"run 1": good, "run 2": {Error: 100, AllP50: 5 * ms, AllP99: 5 * ms, Attempts: 100}}},
		{name: "one combination of a sweep never succeeds", service: after(100 * ms), words: "cmd=x --rate 50/s --duration 2s --sweep timeout=50ms,1s", code: exit.Timeout,
			want: map[string]figures{
				"timeout=50ms": {Timeout: 100, AllP50: 50 * ms, AllP99: 50 * ms, Attempts: 100, Late: 100},
				"timeout=1s":   {OK: 100, Goodput: 100 / 2.08, OKP50: 100 * ms, OKP99: 100 * ms, AllP50: 100 * ms, AllP99: 100 * ms, Attempts: 100},
			}, why: "100% ok, 1.00 attempts per request, p99 100ms; better than timeout=50ms (0% ok"},
		{name: "retries help in a sweep", service: odd(), words: "cmd=x n:={{seq}} --rate 50/s --duration 2s --retry-delay 0s --sweep retries=0,1",
			want: map[string]figures{
				"retries=0": {OK: 50, Error: 50, Goodput: 25, OKP50: ms, OKP99: ms, AllP50: ms, AllP99: ms, Attempts: 100},
				"retries=1": {OK: 100, Goodput: 50, OKP50: ms, OKP99: 2 * ms, AllP50: ms, AllP99: 2 * ms, Attempts: 150},
			}, why: "better than retries=0 (50% ok, 1.00 attempts per request, p99 1.00ms) by goodput"},
		{name: "one message of a scenario fails", service: byPattern(steadily(5*ms, 0), steadily(ms, 503)), scenario: twoMessages,
			words: "--threshold goodput{cmd=read}>=100% --threshold p99<1s --threshold p99{create}{all}<1s", want: one(both)},
		{name: "one message of a scenario fails, and its latency is bounded", service: byPattern(steadily(5*ms, 0), steadily(ms, 503)), scenario: twoMessages,
			words: "--threshold p99{create}<1s", want: one(both), code: exit.Threshold},
		// One of four requests is one to create: the third. The last one is due at 1.95 s.
		{name: "one message of a scenario is slow", service: byPattern(steadily(5*ms, 0), steadily(100*ms, 0)), scenario: twoMessages,
			words: "--threshold p99{create}<80ms --threshold p99{cmd=read}<80ms", want: one(slow), code: exit.Threshold},
		{name: "one message of a scenario is slow, and that is permitted", service: byPattern(steadily(5*ms, 0), steadily(100*ms, 0)), scenario: twoMessages,
			words: "--threshold p99{create}<101ms --threshold p99{cmd=read}<6ms", want: one(slow)},
		{name: "all messages of a scenario fail", service: failing(), scenario: twoMessages, words: "--threshold amplification<2", want: one(failed), code: exit.Service},
	}
}

// stallTruths are benches with a fault. A queue of 1 ms per request stalls for 3 s at
// 100/s: request i of those due during the stall waits for 3.001 s − i · 9 ms, and request j
// of those due after it for 301 ms − j · 9 ms, but at least for 1 ms.
func stallTruths() []known {
	const stalled = "cmd=x --rate 100/s --duration 20s --fault stall@4s+3s "
	return []known{
		// None due during the stall is on time. From 7.23 s on, all are again. 334 wait for more
		// than 1 ms; the 21st longest of 2000 waits for 2.821 s.
		{name: "a stall that is shorter than the timeout", service: queue(ms), words: stalled + "--threshold recovery<1s",
			want:    one(figures{OK: 2000, Goodput: 100, OKP50: ms, OKP99: 2821 * ms, AllP50: ms, AllP99: 2821 * ms, Attempts: 2000}),
			trigger: &recovery{"RECOVERED", 250 * ms, 1, 0, 1}},
		{name: "a bound on the recovery", service: queue(ms), words: stalled + "--threshold recovery<200ms", code: exit.Threshold,
			want:    one(figures{OK: 2000, Goodput: 100, OKP50: ms, OKP99: 2821 * ms, AllP50: ms, AllP99: 2821 * ms, Attempts: 2000}),
			trigger: &recovery{"RECOVERED", 250 * ms, 1, 0, 1}},
		// On time are those that wait for at most 2 s: i ≥ 112. Of all 2000, 112 are late.
		{name: "a stall with an objective", service: queue(ms), words: stalled + "--objective 2s --threshold on-time>94.3% --threshold on-time<=94.4%",
			want:    one(figures{OK: 2000, Goodput: 100, OKP50: ms, OKP99: 2821 * ms, AllP50: ms, AllP99: 2821 * ms, Attempts: 2000}),
			trigger: &recovery{"RECOVERED", 0, 1, 188.0 / 300, 112.0 / 300}},
		// Those that would wait for more than a second time out: i ≤ 222. The 19th longest of the
		// other 1777 waits for 832 ms.
		{name: "a stall that is longer than the timeout", service: queue(ms), words: stalled + "--timeout 1s",
			want:    one(figures{OK: 1777, Timeout: 223, Goodput: 1777 / 20.0, OKP50: ms, OKP99: 832 * ms, AllP50: ms, AllP99: time.Second, Attempts: 2000, Late: 223}),
			trigger: &recovery{"RECOVERED", 250 * ms, 1, 0, 77.0 / 300}},
		// At 65/s of 100/s, request i from 325 on waits for 5.76 s − i · (1/65 s − 10 ms): up to
		// i = 884 for more than 995 ms, and from 9 s + 7.14 s on for at most 100 ms. The 15th
		// longest of 1390 waits for 919 ms.
		{name: "a collapse experiment", service: queue(10 * ms), words: "cmd=x --collapse true --policy none --rate 65/s --timeout 995ms --fault stall@5s+4s --duration 30s",
			want:    map[string]figures{"none": {OK: 1390, Timeout: 560, Goodput: 1390 / 30.0, OKP50: 10 * ms, OKP99: 919 * ms, AllP50: 10 * ms, AllP99: 995 * ms, Attempts: 1950, Late: 560}},
			trigger: &recovery{"RECOVERED", 7250 * ms, 1, 0, 0}, why: "RECOVERED in 7.2 s, 71.28% ok, 1.00 attempts per request, p99 9"},
		// Five requests before the stall are too few for an objective, so all are on time.
		{name: "a collapse experiment with too little load", service: queue(10 * ms), words: "cmd=x --collapse true --policy naive --rate 5/s --fault stall@1s+500ms --duration 8s",
			want:    map[string]figures{"naive": {OK: 40, Goodput: 5, OKP50: 10 * ms, OKP99: 510 * ms, AllP50: 10 * ms, AllP99: 510 * ms, Attempts: 40}},
			trigger: &recovery{"RECOVERED", 0, 1, 1, 0}, why: "the load was too light to tell: 5/s, even with every retry (20/s), is below the capacity of 100/s"},
	}
}
