package load

import (
	"fmt"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// The range and the precision of a histogram: from 100 ns to one hour, with three
// significant digits.
const (
	minLatency = 100 * time.Nanosecond
	maxLatency = time.Hour
	digits     = 3
)

// Histogram is a distribution of durations. Quantiles have three significant digits;
// the count, the minimum, the maximum, and the mean are exact. Create it with
// NewHistogram. It is not safe for concurrent use.
type Histogram struct {
	counts     *hdr.Histogram
	count      int64
	least, max time.Duration
	sum        float64 // nanoseconds
	spread     [buckets]int64
}

// buckets is the number of buckets of Spread: up to 20 µs, 50 µs, 100 µs, and so on
// to 20 s, and one for the rest.
const buckets = 20

// bucketOf returns the bucket of d, and its upper end.
func bucketOf(d time.Duration) (i int, upTo time.Duration) {
	for decade := 10 * time.Microsecond; ; decade *= 10 {
		for _, n := range [...]int{2, 5, 10} {
			upTo = time.Duration(n) * decade
			switch {
			case i == buckets-1:
				return i, maxLatency
			case d <= upTo:
				return i, upTo
			}
			i++
		}
	}
}

// Bucket counts the durations of at most UpTo that are above the preceding bucket.
type Bucket struct {
	UpTo  time.Duration
	Count int64
}

// Spread returns the distribution in a few buckets, without empty buckets at either
// end.
func (h *Histogram) Spread() []Bucket {
	var all []Bucket
	upTo := time.Duration(0)
	for _, n := range h.spread {
		_, upTo = bucketOf(upTo + 1)
		if n > 0 || len(all) > 0 {
			all = append(all, Bucket{upTo, n})
		}
	}
	for len(all) > 0 && all[len(all)-1].Count == 0 {
		all = all[:len(all)-1]
	}
	return all
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram {
	return &Histogram{counts: hdr.New(int64(minLatency), int64(maxLatency), digits)}
}

// Record adds one duration. A negative one counts as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	_ = h.counts.RecordValue(int64(min(d, maxLatency))) // the value is in range
	if h.count == 0 || d < h.least {
		h.least = d
	}
	h.max = max(h.max, d)
	h.sum += float64(d)
	h.count++
	i, _ := bucketOf(d)
	h.spread[i]++
}

// recordZeros adds n durations of 0.
func (h *Histogram) recordZeros(n int64) {
	if n <= 0 {
		return
	}
	_ = h.counts.RecordValues(0, n) // the value is in range
	h.least = 0
	h.count += n
	h.spread[0] += n
}

// Reset empties the histogram.
func (h *Histogram) Reset() {
	h.counts.Reset()
	h.count, h.least, h.max, h.sum = 0, 0, 0, 0
	h.spread = [buckets]int64{}
}

// Count returns the number of durations.
func (h *Histogram) Count() int64 { return h.count }

// Quantile returns the duration that a share q (0 to 1) of the durations do not
// exceed, or 0 if the histogram is empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	v := time.Duration(h.counts.ValueAtQuantile(q * 100))
	// The value is that of a bucket, which may be beyond the exact extremes.
	return min(max(v, h.least), h.max)
}

// Merged returns a new histogram with the durations of several.
func Merged(list ...*Histogram) *Histogram {
	all := NewHistogram()
	for _, h := range list {
		if h.count == 0 {
			continue
		}
		all.counts.Merge(h.counts)
		if all.count == 0 || h.least < all.least {
			all.least = h.least
		}
		all.max = max(all.max, h.max)
		all.sum += h.sum
		all.count += h.count
		for i, n := range h.spread {
			all.spread[i] += n
		}
	}
	return all
}

// latencies are the latencies of ok requests or replies, and of the others: together
// they are those of all.
type latencies struct {
	ok     *Histogram
	failed *Histogram // nil until there is one, because most runs have none
}

func newLatencies() latencies { return latencies{ok: NewHistogram()} }

func (l *latencies) record(d time.Duration, ok bool) {
	if ok {
		l.ok.Record(d)
		return
	}
	if l.failed == nil {
		l.failed = NewHistogram()
	}
	l.failed.Record(d)
}

// all returns the distribution of all latencies. It shares memory with l if there are
// only those of ok requests.
func (l *latencies) all() *Histogram {
	if l.failed == nil || l.failed.count == 0 {
		return l.ok
	}
	return Merged(l.ok, l.failed)
}

// reset empties l.
func (l *latencies) reset() {
	for _, h := range []*Histogram{l.ok, l.failed} {
		if h != nil && h.count > 0 {
			h.Reset()
		}
	}
}

// Summary returns the figures for reports.
func (h *Histogram) Summary() Latency {
	if h.count == 0 {
		return Latency{}
	}
	return Latency{
		Count: h.count,
		Min:   h.least,
		Mean:  time.Duration(h.sum / float64(h.count)),
		P50:   h.Quantile(0.50),
		P90:   h.Quantile(0.90),
		P95:   h.Quantile(0.95),
		P99:   h.Quantile(0.99),
		P999:  h.Quantile(0.999),
		Max:   h.max,
	}
}

// quantiles returns the figures of one point of a time series.
func (h *Histogram) quantiles() Quantiles {
	if h.count == 0 {
		return Quantiles{}
	}
	return Quantiles{h.Quantile(0.5), h.Quantile(0.9), h.Quantile(0.99), h.max}
}

// Encode returns the distribution in HdrHistogram's compressed V2 format as base64
// text. Values are in nanoseconds.
func (h *Histogram) Encode() (string, error) {
	text, err := h.counts.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		return "", fmt.Errorf("encode a histogram: %w", err)
	}
	return string(text), nil
}

// Quantiles are the latencies of one point of a time series. All fields are 0 if there
// are none.
type Quantiles struct{ P50, P90, P99, Max time.Duration }

// Latency summarizes a distribution. All fields are 0 if Count is.
type Latency struct {
	Count                                    int64
	Min, Mean, P50, P90, P95, P99, P999, Max time.Duration
}
