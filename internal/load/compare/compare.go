package compare

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
)

// Options says how two documents are compared. The zero value is right
// for most.
type Options struct {
	// A and B are what the two sides are called; "" is "A" and "B".
	A, B string
	// Run is the name of the run to compare where documents hold several kinds:
	// the value of a sweep, the policy of a collapse. "" is for those that hold
	// one kind only.
	Run string
	// Latency is the smallest relative change of a latency, and of the
	// amplification, that matters: 0 is 0.05.
	Latency float64
	// Share is the smallest difference of a share that matters: 0 is 0.01, a
	// point.
	Share float64
	// Confidence is that of all intervals together: 0 is 0.95.
	Confidence float64
	// Seed is of the bootstrap: the same documents and seed give the same answer.
	Seed uint64
}

// Judgment is what a comparison says of B against A.
type Judgment string

// The judgments, from the worst to the best.
const (
	Regressed Judgment = "regressed"
	Unclear   Judgment = "unclear" // there is not enough to tell
	Same      Judgment = "same"    // no change that matters was shown
	Better    Judgment = "better"
)

// Scale says how a change of a metric is measured.
type Scale string

// The scales.
const (
	// ScaleDuration is of durations in nanoseconds, ScaleRatio of plain numbers:
	// their change is B / A − 1.
	ScaleDuration Scale = "duration"
	ScaleRatio    Scale = "ratio"
	// ScaleShare is of shares from 0 to 1: their change is B − A.
	ScaleShare Scale = "share"
)

// Comparison tells what has changed from A to B. Make it with Compare.
type Comparison struct {
	A Side `json:"a"`
	B Side `json:"b"`
	// Verdict is regressed when a metric has, or else better when one is; unclear
	// when one cannot be told, and same when all are.
	Verdict Judgment `json:"verdict"`
	// Confidence is the probability that all intervals hold together.
	Confidence float64 `json:"confidence"`
	// Metrics are p50, p90, p99, goodput, errors, amplification and, where late
	// answers can be seen, wasted.
	Metrics []Compared `json:"metrics"`
	// Recovery compares what came after the triggers; nil without triggers.
	Recovery *Recovered `json:"recovery,omitempty"`
	// Warnings are what makes the comparison doubtful, as sentences.
	Warnings []string `json:"warnings"`
}

// Side is one side of a comparison: the runs of a document and what of them was
// compared.
type Side struct {
	Name    string    `json:"name"`
	Pattern string    `json:"pattern"`
	Load    string    `json:"load"`
	Policy  string    `json:"policy"`
	Started time.Time `json:"started"`
	Runs    int       `json:"runs"`
	// Seconds is how many seconds were compared, of how many: the warm-up, the
	// first second and those that were not whole are left out.
	Seconds   int `json:"seconds"`
	OfSeconds int `json:"of_seconds"`
	// Busy is in how many of them the generator itself was late, because the
	// machine was busy, by more than p99 bears; each percentile is compared
	// without those that it does not bear.
	Busy int `json:"busy_seconds"`
	// Requests is how many ended in these seconds.
	Requests int64 `json:"requests"`
}

// Compared is one metric on both sides.
type Compared struct {
	Metric string `json:"metric"`
	Scale  Scale  `json:"scale"`
	// A and B are its values; means over the runs where a side has several.
	A float64 `json:"a"`
	B float64 `json:"b"`
	// Change is from A to B by the Scale, Low and High its interval.
	Change float64 `json:"change"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Matters is the smallest change that counts.
	Matters  float64  `json:"matters"`
	Judgment Judgment `json:"judgment"`
}

// Recovered is the verdict on the triggers on both sides. It has no interval:
// the worst run of a side speaks for it.
type Recovered struct {
	A        string        `json:"a"`
	B        string        `json:"b"`
	TookA    time.Duration `json:"recovery_a_ns,omitempty"`
	TookB    time.Duration `json:"recovery_b_ns,omitempty"`
	Judgment Judgment      `json:"judgment"`
}

// Compare tells what has changed from a to b: whether b has regressed, is the
// same, or is better. A change counts when it is larger than what matters and
// its confidence interval, from a bootstrap over blocks of seconds that is
// widened by what runs differ by anyway, excludes that there is none. It returns
// an error when there is nothing to compare; what only makes the answer doubtful
// is in the Comparison's Warnings.
func Documents(a, b *report.Document, opts Options) (*Comparison, error) {
	opts = opts.withDefaults()
	if err := opts.check(); err != nil {
		return nil, err
	}
	sideA, err := newSide(opts.A, a, opts.Run)
	if err != nil {
		return nil, err
	}
	sideB, err := newSide(opts.B, b, opts.Run)
	if err != nil {
		return nil, err
	}
	index(slices.Concat(sideA.samples, sideB.samples))
	c := &Comparison{
		Confidence: opts.Confidence,
		Metrics:    compareMetrics(sideA, sideB, opts),
		Recovery:   compareRecovery(sideA.runs, sideB.runs),
	}
	c.A, c.B = sideA.Side, sideB.Side
	c.Warnings = append(differences(sideA, sideB, a.Machine, b.Machine), tooLittle(c)...)
	c.Verdict = c.judge()
	return c, nil
}

func (o Options) withDefaults() Options {
	o.A, o.B = cmp.Or(o.A, "A"), cmp.Or(o.B, "B")
	o.Latency, o.Share = cmp.Or(o.Latency, 0.05), cmp.Or(o.Share, 0.01)
	o.Confidence = cmp.Or(o.Confidence, 0.95)
	return o
}

func (o Options) check() error {
	switch {
	case !(o.Confidence >= 0.5 && o.Confidence <= 0.999):
		return fmt.Errorf("a confidence of %g cannot be reached: use 0.5 to 0.999", o.Confidence)
	case !(o.Latency >= 0) || math.IsInf(o.Latency, 1) || !(o.Share >= 0) || o.Share > 1:
		return errors.New("the smallest change that matters is a share, such as 0.05")
	}
	return nil
}

// judge sums the metrics up: what is unclear hides nothing that is clear.
func (c *Comparison) judge() Judgment {
	said := map[Judgment]bool{}
	for _, m := range c.Metrics {
		said[m.Judgment] = true
	}
	if c.Recovery != nil {
		said[c.Recovery.Judgment] = true
	}
	for _, j := range []Judgment{Regressed, Better, Unclear} {
		if said[j] {
			return j
		}
	}
	return Same
}

// compareRecovery is nil when neither side had a trigger.
func compareRecovery(a, b []report.Run) *Recovered {
	r := &Recovered{Judgment: Same}
	r.A, r.TookA = worstRecovery(a)
	r.B, r.TookB = worstRecovery(b)
	undecided := load.Undecided.String()
	was, is := report.VerdictRank(r.A), report.VerdictRank(r.B)
	switch {
	case r.A == "" && r.B == "":
		return nil
	case r.A == "" || r.B == "" || r.A == undecided || r.B == undecided:
		r.Judgment = Unclear
	case is > was:
		r.Judgment = Regressed
	case is < was:
		r.Judgment = Better
	}
	return r
}

// worstRecovery is the worst verdict of the runs, and the longest that one took
// to recover.
func worstRecovery(runs []report.Run) (verdict string, took time.Duration) {
	for _, run := range runs {
		if report.VerdictRank(run.Verdict) > report.VerdictRank(verdict) {
			verdict = run.Verdict
		}
		for _, t := range run.Triggers {
			took = max(took, t.Took)
		}
	}
	return verdict, took
}

// JSON writes the comparison as indented JSON.
func (c *Comparison) JSON(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(c); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}
