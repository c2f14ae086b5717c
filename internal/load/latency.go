package load

import (
	"fmt"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// What a histogram tells apart: from 100 ns to an hour, to three digits.
const (
	leastLatency = 100 * time.Nanosecond
	mostLatency  = time.Hour
	digits       = 3
)

// Histogram is a distribution of durations: quantiles to three digits, and the
// count, the least, the greatest and the mean exactly. The zero Histogram is
// not usable; it is not safe for concurrent use.
type Histogram struct {
	counts     *hdr.Histogram
	count      int64
	least, max time.Duration
	sum        float64 // nanoseconds
	spread     [buckets]int64
}

// buckets is how many buckets Spread has: up to 20 µs, 50 µs, 100 µs and so on to
// 20 s, and one for the rest.
const buckets = 20

// bucketOf returns the bucket of d, and its upper end.
func bucketOf(d time.Duration) (i int, upTo time.Duration) {
	for decade := 10 * time.Microsecond; ; decade *= 10 {
		for _, n := range [...]int{2, 5, 10} {
			upTo = time.Duration(n) * decade
			switch {
			case i == buckets-1:
				return i, mostLatency
			case d <= upTo:
				return i, upTo
			}
			i++
		}
	}
}

// Bucket is how many durations are at most UpTo, and more than the bucket
// before it holds.
type Bucket struct {
	UpTo  time.Duration
	Count int64
}

// Spread returns the distribution in few buckets, those at both ends left out
// that hold nothing.
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

// NewHistogram makes an empty histogram.
func NewHistogram() *Histogram {
	return &Histogram{counts: hdr.New(int64(leastLatency), int64(mostLatency), digits)}
}

// Record adds one duration; less than 0 is 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	_ = h.counts.RecordValue(int64(min(d, mostLatency))) // within its range by construction
	if h.count == 0 || d < h.least {
		h.least = d
	}
	h.max = max(h.max, d)
	h.sum += float64(d)
	h.count++
	i, _ := bucketOf(d)
	h.spread[i]++
}

// Reset forgets everything.
func (h *Histogram) Reset() {
	h.counts.Reset()
	h.count, h.least, h.max, h.sum = 0, 0, 0, 0
	h.spread = [buckets]int64{}
}

// Count returns how many durations there are.
func (h *Histogram) Count() int64 { return h.count }

// Quantile returns the duration that a share q (0 to 1) of all do not exceed;
// 0 of an empty histogram.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	v := time.Duration(h.counts.ValueAtQuantile(q * 100))
	return min(max(v, h.least), h.max)
}

// Summary returns the figures that are reported.
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

// Encode returns the distribution in HdrHistogram's compressed format, V2, as
// base64 text; values are in nanoseconds.
func (h *Histogram) Encode() (string, error) {
	text, err := h.counts.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		return "", fmt.Errorf("encode a histogram: %w", err)
	}
	return string(text), nil
}

// Latency is a distribution in few figures. All are 0 where Count is.
type Latency struct {
	Count                                    int64
	Min, Mean, P50, P90, P95, P99, P999, Max time.Duration
}
