package compare_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load/compare"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/test/golden"
)

// world is a simulated machine and service. Its zero value is an idle machine.
type world struct {
	scale     float64       // of all latencies; 0 is 1
	wander    float64       // standard deviation of a level that changes slowly
	between   float64       // and of one that differs from run to run
	stalls    float64       // share of the seconds in which the whole machine stalls
	unseen    bool          // the generator is not late in them
	errors    float64       // share of the requests that the service refuses
	retries   float64       // a request
	perSecond int           // requests; 0 is 500
	seconds   int           // 0 is 20
	wakeUp    time.Duration // the median lag of the generator
}

// simulate returns a document with runs of the world.
func simulate(seed uint64, w world, runs int) *report.Document {
	random := rand.New(rand.NewPCG(seed, 7))
	var list []report.Run
	for range runs {
		list = append(list, w.run(random))
	}
	return document(list...)
}

func (w world) run(random *rand.Rand) report.Run {
	if w.scale == 0 {
		w.scale = 1
	}
	if w.perSecond == 0 {
		w.perSecond = 500
	}
	if w.seconds == 0 {
		w.seconds = 20
	}
	r := report.Run{
		Pattern: "work", Load: "500/s for 20s", Connections: 1, Started: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Policy: report.Policy{Text: "none"},
		Counted: time.Duration(w.seconds) * time.Second,
		Latency: map[string]report.Latency{report.LatencyLag: {P50: w.wakeUp}},
	}
	level, whole := 0.0, w.between*random.NormFloat64()
	for i := range w.seconds {
		const like = 0.7 // a second is like the one before
		level = like*level + math.Sqrt(1-like*like)*random.NormFloat64()
		stalled := random.Float64() < w.stalls
		s := w.second(random, math.Exp(w.wander*level+whole), stalled)
		s.At = time.Duration(i) * time.Second
		if stalled && !w.unseen {
			s.Lag = 80 * ms
		}
		r.Seconds = append(r.Seconds, s)
	}
	return r
}

func (w world) second(random *rand.Rand, level float64, stalled bool) report.Second {
	s := report.Second{Offered: int64(w.perSecond), Lag: time.Duration(1+random.IntN(3)) * ms}
	counts := map[int64]int64{}
	var all []int64
	for i := range w.perSecond {
		v := 10e6 * w.scale * level * math.Exp(0.3*random.NormFloat64())
		if stalled && i < 40 {
			v += 80e6 * random.Float64()
		}
		bucket := int64(math.Exp(math.Round(math.Log(v)*80) / 80))
		counts[bucket]++
		all = append(all, bucket)
		if random.Float64() < w.errors {
			s.Error++
		} else {
			s.OK++
		}
		s.Attempts++
		if random.Float64() < w.retries {
			s.Attempts++
			s.Late++
		}
	}
	for v, n := range counts {
		s.Latencies = append(s.Latencies, [2]int64{v, n})
	}
	slices.SortFunc(s.Latencies, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	slices.Sort(all)
	if len(all) > 0 {
		s.OKLatency.P99 = time.Duration(all[len(all)*99/100])
	}
	return s
}

func compared(t *testing.T, a, b *report.Document) *compare.Comparison {
	t.Helper()
	c, err := compare.Documents(a, b, compare.Options{A: "main", B: "branch"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCompareSimulated checks that in every kind of noise at most 5% of equal pairs raise
// an alarm, and that 90% of those that are 15% slower are detected if that is possible.
func TestCompareSimulated(t *testing.T) {
	const pairs, slower = 40, 10
	cases := []struct {
		name   string
		w      world
		runs   int
		caught bool
	}{
		{"quiet", world{seconds: 10, perSecond: 300}, 1, true},
		{"seconds alike, and stalls", world{stalls: 0.3, wander: 0.01}, 1, true},
		{"stalls that the generator missed", world{stalls: 0.2, unseen: true, seconds: 15}, 1, true},
		{"runs differ", world{between: 0.05, seconds: 7, perSecond: 200}, 3, false},
		{"more runs differ", world{between: 0.02, seconds: 7, perSecond: 200}, 5, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			alarms, caught := 0, 0
			for i := range uint64(pairs) {
				said := compared(t, simulate(2*i, c.w, c.runs), simulate(2*i+1, c.w, c.runs)).Verdict
				if said != compare.Same && said != compare.Unclear {
					alarms++
				}
			}
			worse := c.w
			worse.scale = 1.15
			for i := range uint64(slower) {
				if compared(t, simulate(1000+2*i, c.w, c.runs), simulate(1001+2*i, worse, c.runs)).Verdict == compare.Regressed {
					caught++
				}
			}
			t.Logf("%d alarms of %d, caught %d of %d", alarms, pairs, caught, slower)
			if 20*alarms > pairs {
				t.Errorf("%d of %d equal pairs raise an alarm", alarms, pairs)
			}
			if c.caught && 10*caught < 9*slower {
				t.Errorf("caught %d of %d", caught, slower)
			}
		})
	}
}

// TestCompareJudges checks the judgments of clear changes.
func TestCompareJudges(t *testing.T) {
	cases := []struct {
		name    string
		a, b    world
		verdict compare.Judgment
		want    map[string]compare.Judgment
	}{
		{"slower", world{}, world{scale: 1.2}, compare.Regressed, map[string]compare.Judgment{"p50": compare.Regressed, "p99": compare.Regressed, "goodput": compare.Same}},
		{"faster", world{scale: 1.2}, world{}, compare.Better, map[string]compare.Judgment{"p50": compare.Better, "p90": compare.Better}},
		{"slower by less than matters", world{}, world{scale: 1.03}, compare.Same, map[string]compare.Judgment{"p50": compare.Same}},
		{"errors", world{}, world{errors: 0.04}, compare.Regressed, map[string]compare.Judgment{"goodput": compare.Regressed, "errors": compare.Regressed, "p50": compare.Same}},
		{"few errors", world{}, world{errors: 0.004}, compare.Same, map[string]compare.Judgment{"goodput": compare.Same, "errors": compare.Same}},
		{"fewer errors", world{errors: 0.04}, world{}, compare.Better, map[string]compare.Judgment{"goodput": compare.Better, "errors": compare.Better}},
		{"retries", world{}, world{retries: 0.3}, compare.Regressed, map[string]compare.Judgment{"amplification": compare.Regressed, "wasted": compare.Regressed, "goodput": compare.Same}},
		{"few requests", world{perSecond: 3, seconds: 30}, world{perSecond: 3, seconds: 30}, compare.Unclear, map[string]compare.Judgment{"p99": compare.Unclear, "p50": compare.Same}},
		{"a busy machine", world{}, world{stalls: 1}, compare.Unclear, map[string]compare.Judgment{"p50": compare.Unclear, "p99": compare.Unclear, "goodput": compare.Same}},
		{"a busy machine and errors", world{}, world{stalls: 1, errors: 0.1}, compare.Regressed, map[string]compare.Judgment{"p99": compare.Unclear, "goodput": compare.Regressed}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := compared(t, simulate(1, c.a, 1), simulate(2, c.b, 1))
			said := map[string]compare.Judgment{}
			for _, m := range got.Metrics {
				if _, asked := c.want[m.Metric]; asked {
					said[m.Metric] = m.Judgment
				}
				if !(m.Low <= m.Change && m.Change <= m.High) {
					t.Errorf("%s: %g is not within its interval %g to %g", m.Metric, m.Change, m.Low, m.High)
				}
			}
			if diff := cmp.Diff(c.want, said); diff != "" || got.Verdict != c.verdict {
				t.Errorf("%s, want %s; -want +got\n%s", got.Verdict, c.verdict, diff)
			}
		})
	}
}

// TestCompareShortLatencies compares a service that replies in half a millisecond with itself:
// its median depends on how fast the processors wake up, which differs from run to run. A
// larger change still counts, as does the same relative change of a slower service.
func TestCompareShortLatencies(t *testing.T) {
	const wakeUp = 150 * time.Microsecond
	for _, c := range []struct {
		name string
		a, b world
		want compare.Judgment
	}{
		{"less than two wake-ups", world{scale: 0.05}, world{scale: 0.07}, compare.Same},
		{"less than two wake-ups, faster", world{scale: 0.07}, world{scale: 0.05}, compare.Same},
		{"more than two wake-ups", world{scale: 0.05}, world{scale: 0.1}, compare.Regressed},
		{"a slower service", world{scale: 1}, world{scale: 1.4}, compare.Regressed},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.a.wakeUp, c.b.wakeUp = wakeUp, wakeUp
			got := compared(t, simulate(1, c.a, 1), simulate(2, c.b, 1))
			if p50 := got.Metrics[0]; p50.Metric != "p50" || p50.Judgment != c.want {
				t.Errorf("%+v, want %s", p50, c.want)
			}
			const words = "Waking up twice for a request takes up to 300µs on this machine"
			if said := strings.Contains(strings.Join(got.Warnings, "\n"), words); said != (c.want == compare.Same) {
				t.Errorf("the warnings are %q", got.Warnings)
			}
		})
	}
	behind := world{scale: 20, wakeUp: time.Second} // a generator that fell behind is no reason to ignore a change
	worse := behind
	worse.scale = 24
	if got := compared(t, simulate(1, behind, 1), simulate(2, worse, 1)); got.Metrics[0].Judgment != compare.Regressed {
		t.Errorf("%+v, want %s", got.Metrics[0], compare.Regressed)
	}
}

// TestCompareOptions checks the smallest change that matters and the confidence.
func TestCompareOptions(t *testing.T) {
	a, b := simulate(1, world{}, 1), simulate(2, world{scale: 1.1}, 1)
	for _, c := range []struct {
		opts compare.Options
		want compare.Judgment
	}{
		{compare.Options{}, compare.Regressed},
		{compare.Options{Latency: 0.3}, compare.Same},
		{compare.Options{Seed: 5}, compare.Regressed},
	} {
		got, err := compare.Documents(a, b, c.opts)
		if err != nil || got.Verdict != c.want {
			t.Errorf("%+v: %v, %v, want %s", c.opts, got, err, c.want)
		}
	}
	sure, err := compare.Documents(a, b, compare.Options{Confidence: 0.999})
	if err != nil {
		t.Fatal(err)
	}
	usual := compared(t, a, b)
	for i, m := range sure.Metrics[:3] {
		if m.High-m.Low <= usual.Metrics[i].High-usual.Metrics[i].Low {
			t.Errorf("%s: the interval of 99.9%% is no wider than that of 95%%", m.Metric)
		}
	}
	if diff := cmp.Diff(usual, compared(t, a, b)); diff != "" {
		t.Errorf("a second comparison differs\n%s", diff)
	}
}

func TestCompareRefuses(t *testing.T) {
	one := simulate(1, world{seconds: 3}, 1)
	several := simulate(1, world{seconds: 3}, 2)
	several.Runs[0].Name, several.Runs[1].Name = "naive", "budget"
	several.Runs[1].Cell = 1
	nothing := document(report.Run{Counted: time.Second})
	cases := []struct {
		a, b *report.Document
		opts compare.Options
		want string
	}{
		{nil, one, compare.Options{}, "compare A: it contains no runs"},
		{one, document(), compare.Options{B: "new.json"}, "compare new.json: it contains no runs"},
		{one, several, compare.Options{}, "compare B: it contains several kinds of runs: choose one of naive, budget"},
		{several, several, compare.Options{Run: "x"}, `compare A: it has no run named "x": use one of naive, budget`},
		{one, nothing, compare.Options{}, "compare B: no request ended in a complete second after the warm-up"},
		{one, one, compare.Options{Confidence: 2}, "invalid confidence 2: must be between 0.5 and 0.999"},
		{one, one, compare.Options{Share: math.NaN()}, "the smallest change that matters must be a share from 0 to 1, such as 0.05"},
	}
	for _, c := range cases {
		if got, err := compare.Documents(c.a, c.b, c.opts); err == nil || err.Error() != c.want {
			t.Errorf("got %v and %v, want %q", got, err, c.want)
		}
	}
	if _, err := compare.Documents(several, several, compare.Options{Run: "budget"}); err != nil {
		t.Error(err)
	}
}

// TestCompareRepeated checks that the runs of --repeat, which have names, are one side.
func TestCompareRepeated(t *testing.T) {
	one, repeated := simulate(1, world{seconds: 10}, 1), simulate(1, world{seconds: 10}, 3)
	for i := range repeated.Runs {
		repeated.Runs[i].Name = fmt.Sprintf("run %d", i+1)
	}
	c, err := compare.Documents(one, repeated, compare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.A.Runs != 1 || c.B.Runs != 3 {
		t.Errorf("%d and %d runs compared, want 1 and 3", c.A.Runs, c.B.Runs)
	}
}

// TestCompareWarns checks the warnings.
func TestCompareWarns(t *testing.T) {
	cases := []struct {
		name   string
		change func(*report.Document)
		want   string
	}{
		{"pattern", func(d *report.Document) { d.Runs[0].Pattern = "other" }, "The pattern differs: work in main, other in branch."},
		{"load", func(d *report.Document) { d.Runs[0].Load = "9/s" }, "The load differs: 500/s for 20s in main, 9/s in branch."},
		{"policy", func(d *report.Document) { d.Runs[0].Policy.Text = "naive" }, "The policy differs: none in main, naive in branch."},
		{"target", func(d *report.Document) { d.Runs[0].Target = "elsewhere" }, "The target differs:  in main, elsewhere in branch."},
		{"data", func(d *report.Document) { d.Runs[0].Data = "abc" }, "The data differs: main and branch sent other content."},
		{"warm-up", func(d *report.Document) { d.Runs[0].Warmup = 2 * time.Second }, "The warm-up differs: 0s in main, 2s in branch."},
		{"objective", func(d *report.Document) { d.Runs[0].Objective = report.Objective{Limit: time.Second, Given: true} }, "The objective differs: none in main, 1s in branch."},
		{"connections", func(d *report.Document) { d.Runs[0].Connections = 4 }, "The connections differ: 1 in main, 4 in branch."},
		{"machine", func(d *report.Document) { d.Machine.CPUs = 8 }, "The machine differs: linux/amd64 with 2 processors in main, linux/amd64 with 8 processors in branch."},
		{"fault", func(d *report.Document) {
			d.Runs[0].Triggers = []report.Trigger{{At: 5 * time.Second, Length: time.Second, Text: "stall"}}
		}, "The faults differ: none in main, stall at 5 s in branch."},
		{"stopped", func(d *report.Document) { d.Runs[0].Stopped = true }, "A run of branch was stopped early."},
		{"changed", func(d *report.Document) { d.Runs[0].Changes = []report.Change{{At: 1, Text: "rate"}} }, "Settings were changed during branch."},
		{"short", func(d *report.Document) { d.Runs[0].Counted = 5 * time.Second }, "branch has only 4 complete seconds to compare: use a longer run or --repeat."},
		{"unlike", func(d *report.Document) {
			d.Runs = append(d.Runs, d.Runs[0])
			d.Runs[1].Load = "7/s"
		}, "The runs of branch do not have the same plan."},
	}
	a := simulate(1, world{}, 1)
	if got := compared(t, a, simulate(2, world{}, 1)).Warnings; len(got) > 0 {
		t.Errorf("warnings without a reason: %q", got)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := simulate(2, world{}, 1)
			c.change(b)
			if got := compared(t, a, b).Warnings; !slices.Contains(got, c.want) {
				t.Errorf("warnings %q, want %q", got, c.want)
			}
		})
	}
}

// TestCompareRecovery checks that verdicts are compared.
func TestCompareRecovery(t *testing.T) {
	at := func(verdict string, took time.Duration) *report.Document {
		d := simulate(1, world{}, 1)
		d.Runs[0].Verdict = verdict
		d.Runs[0].Triggers = []report.Trigger{{At: 5 * time.Second, Length: 2 * time.Second, Text: "stall", Verdict: verdict, Took: took}}
		return d
	}
	cases := []struct {
		a, b string
		want compare.Judgment
	}{
		{"RECOVERED", "COLLAPSED", compare.Regressed},
		{"DEGRADED", "RECOVERED", compare.Better},
		{"COLLAPSED", "COLLAPSED", compare.Same},
		{"RECOVERED", "UNDECIDED", compare.Unclear},
	}
	for _, c := range cases {
		got := compared(t, at(c.a, time.Second), at(c.b, 0)).Recovery
		want := &compare.Recovered{A: c.a, B: c.b, TookA: time.Second, Judgment: c.want}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

// TestCompareTexts checks the texts, which have at most 80 columns.
func TestCompareTexts(t *testing.T) {
	slow := simulate(2, world{scale: 1.2, errors: 0.03}, 1)
	slow.Runs[0].Verdict, slow.Runs[0].Triggers = "COLLAPSED", []report.Trigger{{At: 5 * time.Second, Length: time.Second, Text: "stall"}}
	cases := map[string]*compare.Comparison{
		"regressed": compared(t, simulate(1, world{}, 3), slow),
		"same":      compared(t, simulate(1, world{}, 1), simulate(2, world{}, 1)),
		"unclear":   compared(t, simulate(1, world{}, 1), simulate(2, world{stalls: 1, perSecond: 12}, 1)),
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var text, marked, markdown, object bytes.Buffer
			for _, err := range []error{c.Text(&text, golden.Plain{}, format.Width), c.Text(&marked, golden.Tags{}, format.Width), c.Markdown(&markdown), c.JSON(&object)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for line := range strings.Lines(text.String()) {
				if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 {
					t.Errorf("longer than 80 columns: %s", line)
				}
			}
			golden.Check(t, "testdata/"+name+".txt", marked.String())
			golden.Check(t, "testdata/"+name+".md", markdown.String())
			var back compare.Comparison
			if err := json.Unmarshal(object.Bytes(), &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c, &back); diff != "" {
				t.Errorf("JSON there and back: -want +got\n%s", diff)
			}
		})
	}
}

// TestCompareLateUnknown checks that unknown late answers are not compared.
func TestCompareLateUnknown(t *testing.T) {
	a, b := simulate(1, world{seconds: 9}, 1), simulate(2, world{seconds: 9}, 1)
	b.Runs[0].Attempts.LateUnknown = true
	var names []string
	for _, m := range compared(t, a, b).Metrics {
		names = append(names, m.Metric)
	}
	if diff := cmp.Diff([]string{"p50", "p90", "p99", "p99{all}", "goodput", "errors", "amplification"}, names); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestMerge checks that several documents become one side.
func TestMerge(t *testing.T) {
	one, two := simulate(1, world{seconds: 5}, 1), simulate(2, world{seconds: 5}, 2)
	got := report.Merge(one, two)
	if len(got.Runs) != 3 || len(one.Runs) != 1 {
		t.Errorf("%d runs of 1 and 2, and the first document has %d", len(got.Runs), len(one.Runs))
	}
	if side := compared(t, got, one).A; side.Runs != 3 || side.Seconds != 12 || side.OfSeconds != 15 || side.Requests != 6000 {
		t.Errorf("%+v", side)
	}
}
