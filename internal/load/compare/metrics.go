package compare

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// metric is a metric that is compared.
type metric struct {
	name  string
	scale Scale
	// worse is 1 if higher is worse, and -1 if lower is.
	worse float64
	statistic
	// sampling returns the standard deviation that the statistic would have if requests
	// were independent.
	sampling func(s *sample, seconds []int) float64
	// quantile is the quantile of a percentile; 0 for other metrics. all is set for that of
	// all requests instead of the ok ones.
	quantile float64
	all      bool
	// follows is the share of a change of the generator's lag that the metric follows.
	follows float64
	// least is the number of requests that both sides need.
	least int64
}

// The number of requests that each percentile needs: enough for dozens beyond it, or
// three beyond p99, which suffice to detect a change by half.
const (
	leastMedian = 50
	leastP90    = 100
	leastP99    = 300
)

// comparedMetrics returns the metrics in the order of the report.
func comparedMetrics() []metric {
	ok := func(t *tally) (float64, float64) { return float64(t.second.OK), t.ended() }
	failed := func(t *tally) (float64, float64) { return t.ended() - float64(t.second.OK), t.ended() }
	wasted := func(t *tally) (float64, float64) { return t.unused, t.answers }
	return []metric{
		quantileMetric("p50", 0.50, 0.03, leastMedian, false),
		quantileMetric("p90", 0.90, 0.12, leastP90, false),
		quantileMetric("p99", 0.99, 0.5, leastP99, false),
		quantileMetric(allP99, 0.99, 0.5, leastP99, true),
		shareMetric("goodput", -1, ok),
		shareMetric("errors", 1, failed),
		amplification(),
		shareMetric("wasted", 1, wasted),
	}
}

// ended returns the number of requests that ended in the second.
func (t *tally) ended() float64 {
	s := t.second
	return float64(s.OK + s.Error + s.Timeout + s.Lost + s.Shed)
}

// allP99 is the p99 of all requests. Without failures, it is that of the ok ones.
const allP99 = "p99{all}"

func quantileMetric(name string, q, follows float64, least int64, all bool) metric {
	return metric{
		name: name, scale: ScaleDuration, worse: 1, quantile: q, all: all, follows: follows, least: least,
		statistic: func(s *sample, seconds []int) (float64, bool) { return s.quantile(seconds, q, all) },
		sampling: func(s *sample, seconds []int) float64 {
			n := 0.0
			for _, i := range seconds {
				n += float64(s.seconds[i].cumulated(all)[len(s.values)-1])
			}
			if n == 0 {
				return 0
			}
			var values []float64
			for k := range 19 {
				z := normalQuantile((float64(k) + 0.5) / 19)
				v, _ := s.quantile(seconds, q+z*math.Sqrt(q*(1-q)/n), all)
				values = append(values, v)
			}
			return spreadOf(values)
		},
	}
}

// shareMetric returns a metric that is a part of a whole.
func shareMetric(name string, worse float64, of func(*tally) (part, whole float64)) metric {
	sum := func(s *sample, seconds []int) (part, whole float64) {
		for _, i := range seconds {
			p, w := of(&s.seconds[i])
			part, whole = part+p, whole+w
		}
		return part, whole
	}
	return metric{
		name: name, scale: ScaleShare, worse: worse, least: leastMedian,
		statistic: func(s *sample, seconds []int) (float64, bool) {
			part, whole := sum(s, seconds)
			return part / max(whole, 1), whole > 0
		},
		sampling: func(s *sample, seconds []int) float64 {
			part, whole := sum(s, seconds)
			p := (part + 1) / (whole + 2) // none of a few does not mean never
			return math.Sqrt(p * (1 - p) / (whole + 2))
		},
	}
}

// amplification returns the metric of attempts per request, as a logarithm.
func amplification() metric {
	sum := func(s *sample, seconds []int) (attempts, offered float64) {
		for _, i := range seconds {
			attempts += float64(s.seconds[i].second.Attempts)
			offered += float64(s.seconds[i].second.Offered)
		}
		return attempts, offered
	}
	return metric{
		name: "amplification", scale: ScaleRatio, worse: 1, least: leastMedian,
		statistic: func(s *sample, seconds []int) (float64, bool) {
			attempts, offered := sum(s, seconds)
			return math.Log(max(attempts, 1) / max(offered, 1)), attempts > 0 && offered > 0
		},
		sampling: func(s *sample, seconds []int) float64 {
			attempts, offered := sum(s, seconds)
			return math.Sqrt(math.Abs(attempts-offered)+1) / max(attempts, 1)
		},
	}
}

// compareMetrics compares the sides in every metric.
func compareMetrics(a, b *side, opts Options) []Compared {
	var all []Compared
	for _, m := range comparedMetrics() {
		if m.name == "wasted" && (a.lateUnknown() || b.lateUnknown()) {
			continue
		}
		all = append(all, m.compare(a, b, opts))
	}
	return all
}

// independent is the number of metrics that may err independently: the percentiles of ok
// requests. All others follow from these and from each other, or are 0.
const independent = 3

// compare compares the sides in one metric.
func (m metric) compare(a, b *side, opts Options) Compared {
	seed := fnv.New64a()
	// The same for p99 and p99{all}, which are equal without failures; Write cannot fail.
	_, _ = seed.Write([]byte(strings.TrimSuffix(m.name, "{all}")))
	random := rand.New(rand.NewPCG(opts.Seed, seed.Sum64()))
	c := Compared{Metric: m.name, Scale: m.scale, Matters: opts.Latency, Judgment: Unclear}
	if m.scale == ScaleShare {
		c.Matters = opts.Share
	}
	quietA, quietB := quiet{samples: a.samples}, quiet{samples: b.samples}
	if m.quantile > 0 {
		quietA, quietB = m.quieten(a, b)
	}
	was, is := measure(quietA.samples, m, random), measure(quietB.samples, m, random)
	if !was.ok || !is.ok {
		if !was.ok && !is.ok {
			c.Judgment = Same
		}
		c.A, c.B = m.value(was), m.value(is)
		return c
	}
	run := betweenRuns(drift(slices.Concat(quietA.samples, quietB.samples), m), m, was, is)
	low, high := interval(was, is, run, (1-opts.Confidence)/2/independent, random)
	few := m.quantile > 0 && min(countSeconds(quietA.samples), countSeconds(quietB.samples)) < enoughSeconds
	if few {
		margin := m.margin(quietA.samples, quietB.samples, (1-opts.Confidence)/2/independent)
		low, high = min(low, is.value-was.value-margin), max(high, is.value-was.value+margin)
	}
	low, high = m.excuse(quietA, quietB, min(was.value, is.value), low, high)
	c.set(m, was.value, is.value, low, high)
	if m.scale == ScaleDuration {
		c.Matters = max(c.Matters, float64(wakingUp(a, b))/min(c.A, c.B))
	}
	if m.suffice(&a.Side, &b.Side) && !quietA.noisy && !quietB.noisy {
		c.judge(m, few)
	}
	return c
}

// suffice reports whether both sides have enough requests for the metric.
func (m metric) suffice(a, b *Side) bool {
	if m.quantile > 0 && !m.all {
		return min(a.OK, b.OK) >= m.least
	}
	return min(a.Requests, b.Requests) >= m.least
}

// value converts the value of an estimate; 0 without one.
func (m metric) value(e estimate) float64 {
	if !e.ok || m.scale == ScaleShare {
		return e.value
	}
	return math.Exp(e.value)
}

// set converts the values from the scale of the statistic.
func (c *Compared) set(m metric, a, b, low, high float64) {
	c.A, c.B, c.Change, c.Low, c.High = a, b, b-a, low, high
	if m.scale == ScaleShare {
		return
	}
	c.A, c.B = math.Exp(a), math.Exp(b)
	c.Change, c.Low, c.High = math.Expm1(b-a), math.Expm1(low), math.Expm1(high)
}

// judge sets the judgment from the interval. A change that would matter but lies within it is
// unclear if there are few seconds.
func (c *Compared) judge(m metric, few bool) {
	c.Judgment = Same
	if math.Abs(c.Change) <= c.Matters {
		return
	}
	if c.Low <= 0 && c.High >= 0 {
		if few {
			c.Judgment = Unclear
		}
		return
	}
	c.Judgment = Better
	if c.Change*m.worse > 0 {
		c.Judgment = Regressed
	}
}
