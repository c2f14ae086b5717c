// Package compare compares two documents of package report: it states for each metric
// whether the second has regressed, is the same, or is better, with confidence
// intervals that include the noise of the machine.
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

// Options configures a comparison. The zero value is suitable for most.
type Options struct {
	// A and B are the names of the two sides. The defaults are "A" and "B".
	A, B string
	// Run is the name of the run to compare in documents with several kinds of runs:
	// the values of a sweep, or the policy of a collapse.
	Run string
	// Latency is the smallest relative change of latencies and of the amplification
	// that matters. The default is 0.05.
	Latency float64
	// Share is the smallest difference of a share that matters. The default is 0.01,
	// one percentage point.
	Share float64
	// Confidence is that of all intervals together. The default is 0.95.
	Confidence float64
	// Seed is the seed of the bootstrap. The same documents and seed give the same
	// result.
	Seed uint64
}

// Judgment is the result of comparing B with A.
type Judgment string

// The judgments, from the worst to the best.
const (
	Regressed Judgment = "regressed"
	Unclear   Judgment = "unclear" // the data does not suffice
	Same      Judgment = "same"    // no change that matters was found
	Better    Judgment = "better"
)

// Scale is how a change of a metric is measured.
type Scale string

// The scales.
const (
	// ScaleDuration is for durations in nanoseconds, and ScaleRatio for plain numbers.
	// Their change is B / A − 1.
	ScaleDuration Scale = "duration"
	ScaleRatio    Scale = "ratio"
	// ScaleShare is for shares from 0 to 1. Their change is B − A.
	ScaleShare Scale = "share"
)

// Comparison describes what changed from A to B. Create it with Documents.
type Comparison struct {
	A Side `json:"a"`
	B Side `json:"b"`
	// Verdict is Regressed if any metric is; else Better if any is; else Unclear if any
	// is; else Same.
	Verdict Judgment `json:"verdict"`
	// Confidence is the probability that all intervals hold together.
	Confidence float64 `json:"confidence"`
	// Metrics are p50, p90, and p99 of ok requests, p99{all} of all requests, goodput,
	// errors, amplification, and, if late answers can be seen, wasted.
	Metrics []Compared `json:"metrics"`
	// Recovery compares the recoveries from triggers; nil without triggers.
	Recovery *Recovered `json:"recovery,omitempty"`
	// Warnings are sentences about what makes the comparison less reliable.
	Warnings []string `json:"warnings"`
}

// Side is one side of a comparison: the runs of a document, and the part of them that
// was compared.
type Side struct {
	Name    string    `json:"name"`
	Pattern string    `json:"pattern"`
	Load    string    `json:"load"`
	Policy  string    `json:"policy"`
	Started time.Time `json:"started"`
	Runs    int       `json:"runs"`
	// Seconds of OfSeconds were compared: all except the warm-up, the first second, and
	// incomplete seconds.
	Seconds   int `json:"seconds"`
	OfSeconds int `json:"of_seconds"`
	// Busy is the number of seconds in which the generator was too late for p99 because
	// the machine was busy. Each percentile is compared without the seconds in which the
	// generator was too late for it.
	Busy int `json:"busy_seconds"`
	// Requests is the number of requests that ended in these seconds, without shed ones,
	// and OK that of those that succeeded.
	Requests int64 `json:"requests"`
	OK       int64 `json:"ok"`
}

// Compared is a metric of both sides.
type Compared struct {
	Metric string `json:"metric"`
	Scale  Scale  `json:"scale"`
	// A and B are its values: means over the runs of a side.
	A float64 `json:"a"`
	B float64 `json:"b"`
	// Change is the change from A to B on the Scale; Low and High are its confidence
	// interval.
	Change float64 `json:"change"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Matters is the smallest change that matters: for latencies at least the time of two
	// wake-ups of the generator's machine.
	Matters  float64  `json:"matters"`
	Judgment Judgment `json:"judgment"`
}

// Recovered compares the verdicts of both sides. It has no interval: the worst run of a
// side decides.
type Recovered struct {
	A        string        `json:"a"`
	B        string        `json:"b"`
	TookA    time.Duration `json:"recovery_a_ns,omitempty"`
	TookB    time.Duration `json:"recovery_b_ns,omitempty"`
	Judgment Judgment      `json:"judgment"`
}

// Documents compares b with a. A change counts if it is larger than the smallest change
// that matters, and if its confidence interval excludes 0. The interval comes from a
// bootstrap over blocks of seconds and is widened by how much whole runs differ anyway, and
// by what few seconds leave unknown.
// Documents returns an error if there is nothing to compare; anything that only makes
// the result less reliable is in the Comparison's Warnings.
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
	c.Warnings = append(c.Warnings, c.tooShort(wakingUp(sideA, sideB), opts)...)
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
		return fmt.Errorf("invalid confidence %g: must be between 0.5 and 0.999", o.Confidence)
	case !(o.Latency >= 0) || math.IsInf(o.Latency, 1) || !(o.Share >= 0) || o.Share > 1:
		return errors.New("the smallest change that matters must be a share from 0 to 1, such as 0.05")
	}
	return nil
}

// judge summarizes the metrics. A clear result of one outweighs an unclear one of another.
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

// compareRecovery compares the verdicts of the triggers; nil if neither side has one.
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

// worstRecovery returns the worst verdict of the runs and their longest recovery time.
func worstRecovery(runs []report.Run) (verdict string, longest time.Duration) {
	for i := range runs {
		if report.VerdictRank(runs[i].Verdict) > report.VerdictRank(verdict) {
			verdict = runs[i].Verdict
		}
		took, _ := runs[i].Recovery()
		longest = max(longest, took)
	}
	return verdict, longest
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
