package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load/format"
)

// maxColumns is the largest number of points of a drawn time series; the points of
// longer runs contain several seconds.
const maxColumns = 360

// column is one or several seconds of a run, drawn as one point.
type column struct {
	Second
	Length  time.Duration
	seconds float64 // Length
}

// resample merges the seconds of a run into at most maxColumns columns. A remainder at
// the end that is too short for a rate becomes part of the last column.
func resample(r *Run) []column {
	n := len(r.Seconds)
	each := (n + maxColumns - 1) / maxColumns
	var columns []column
	for i := 0; i < n; i += each {
		end := min(i+each, n)
		until := r.Seconds[i].At + time.Duration(each)*time.Second
		if rest := r.Elapsed - until; end == n-1 && rest < time.Second/4 {
			end, until = n, until+max(rest, 0)
		}
		if end == n && r.Elapsed > r.Seconds[i].At {
			until = min(until, r.Elapsed)
		}
		c := merge(r.Seconds[i:end])
		c.Length = until - c.At
		c.seconds = c.Length.Seconds()
		columns = append(columns, c)
		if end == n {
			break
		}
	}
	return columns
}

// merge merges seconds: counts are added, quantiles come from the distributions, and
// other fields are maxima.
func merge(seconds []Second) column {
	c := column{Second: Second{At: seconds[0].At}}
	for i := range seconds {
		s := &seconds[i]
		c.Offered += s.Offered
		c.Attempts += s.Attempts
		c.OK += s.OK
		c.Error += s.Error
		c.Timeout += s.Timeout
		c.Lost += s.Lost
		c.Shed += s.Shed
		c.Late += s.Late
		c.InFlight = max(c.InFlight, s.InFlight)
		c.OKLatency, c.AllLatency = c.OKLatency.highest(s.OKLatency), c.AllLatency.highest(s.AllLatency)
		c.Lag, c.CPU, c.GC = max(c.Lag, s.Lag), max(c.CPU, s.CPU), max(c.GC, s.GC)
		c.Doubtful = c.Doubtful || s.Doubtful
		c.Latencies = append(c.Latencies, s.Latencies...)
		c.FailedLatencies = append(c.FailedLatencies, s.FailedLatencies...)
	}
	ascend(c.Latencies)
	if len(seconds) > 1 {
		c.OKLatency.estimate(c.Latencies)
		c.AllLatency.estimate(c.allLatencies())
	}
	return c
}

func ascend(buckets [][2]int64) {
	slices.SortFunc(buckets, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
}

// allLatencies returns the distribution of all requests that ended in the second.
func (s *Second) allLatencies() [][2]int64 {
	all := slices.Concat(s.Latencies, s.FailedLatencies)
	ascend(all)
	return all
}

// highest returns the higher value of each.
func (q Quantiles) highest(other Quantiles) Quantiles {
	return Quantiles{max(q.P50, other.P50), max(q.P90, other.P90), max(q.P99, other.P99), max(q.Max, other.Max)}
}

// estimate sets the quantiles of several seconds from their distribution, if it is known.
func (q *Quantiles) estimate(buckets [][2]int64) {
	if len(buckets) > 0 {
		q.P50, q.P90, q.P99 = quantile(buckets, 0.5), quantile(buckets, 0.9), quantile(buckets, 0.99)
	}
}

// quantile returns the latency that a share of the ascending buckets does not exceed.
func quantile(buckets [][2]int64, share float64) time.Duration {
	var all, seen int64
	for _, b := range buckets {
		all += b[1]
	}
	for _, b := range buckets {
		if seen += b[1]; float64(seen) >= share*float64(all) {
			return time.Duration(b[0])
		}
	}
	return 0
}

// rate converts a count of the column to a rate per second.
func (c *column) rate(n int64) float64 {
	if c.seconds <= 0 {
		return float64(n)
	}
	return float64(n) / c.seconds
}

// middle returns the time of the column's point, in seconds.
func (c *column) middle() float64 { return (c.At + c.Length/2).Seconds() }

// hover is the data that the page's script shows at the pointer: the values of each
// column.
type hover struct {
	Length float64    `json:"length"` // of a column, in seconds
	Total  float64    `json:"total"`  // of the time axis
	Rows   []hoverRow `json:"rows"`
}

type hoverRow struct {
	Label  string   `json:"label"`
	Class  string   `json:"class"`
	Values []string `json:"values"`
}

func hoverOf(columns []column) hover {
	if len(columns) == 0 {
		return hover{}
	}
	last := columns[len(columns)-1]
	h := hover{Length: columns[0].Length.Seconds(), Total: (last.At + last.Length).Seconds()}
	h.add("offered", "offered", columns, func(c *column) string { return format.Rate(c.rate(c.Offered)) })
	h.add("attempts", "attempts", columns, func(c *column) string { return format.Rate(c.rate(c.Attempts)) })
	h.add("ok", "ok", columns, func(c *column) string { return format.Rate(c.rate(c.OK)) })
	for _, o := range series() {
		if o.class != "ok" {
			h.add(o.label, o.class, columns, func(c *column) string { return notZero(c.rate(o.of(&c.Second))) })
		}
	}
	h.add("late answers", "late", columns, func(c *column) string { return notZero(c.rate(c.Late)) })
	for _, q := range quantiles() {
		h.add(q.label, q.class, columns, func(c *column) string {
			if d := q.of(&c.Second); d > 0 {
				return format.Duration(d)
			}
			return ""
		})
	}
	h.add("in flight", "flight", columns, func(c *column) string { return format.Count(c.InFlight) })
	h.add("doubtful", "doubt", columns, func(c *column) string {
		if !c.Doubtful {
			return ""
		}
		return fmt.Sprintf("lateness %s, CPU %.0f%%", format.Duration(c.Lag), c.CPU*100)
	})
	return h
}

// add adds a row unless all its values are empty.
func (h *hover) add(label, class string, columns []column, value func(*column) string) {
	row := hoverRow{Label: label, Class: class}
	empty := true
	for i := range columns {
		text := value(&columns[i])
		empty = empty && text == ""
		row.Values = append(row.Values, text)
	}
	if !empty {
		h.Rows = append(h.Rows, row)
	}
}

func notZero(rate float64) string {
	if rate == 0 {
		return ""
	}
	return format.Rate(rate)
}
