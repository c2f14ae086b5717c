package compare

import (
	"math"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load/report"
)

// TestStudentQuantile holds the expansion to printed tables.
func TestStudentQuantile(t *testing.T) {
	cases := []struct{ q, freedom, want float64 }{
		{0.975, math.Inf(1), 1.960}, {0.975, 30, 2.042}, {0.975, 10, 2.228}, {0.975, 5, 2.571}, {0.975, 3, 3.182},
		{0.99, 10, 2.764}, {0.99, 4, 3.747}, {0.995, 6, 3.707},
	}
	for _, c := range cases {
		if got := studentQuantile(c.q, c.freedom); math.Abs(got/c.want-1) > 0.015 {
			t.Errorf("the %g quantile with %g degrees of freedom is %.3f, want %.3f", c.q, c.freedom, got, c.want)
		}
	}
}

// TestFreedom: a variance that is known exactly takes nothing away, two that are
// known equally well are known twice as well together.
func TestFreedom(t *testing.T) {
	cases := []struct {
		parts []variance
		want  float64
	}{
		{[]variance{{4, math.Inf(1)}}, math.Inf(1)},
		{[]variance{{4, 7}, {4, 7}}, 14},
		{[]variance{{4, 7}, {0, 3}}, 7},
		{[]variance{{1, 1}}, leastFreedom},
		{nil, math.Inf(1)},
	}
	for _, c := range cases {
		if got := freedom(c.parts); got != c.want {
			t.Errorf("%v: %g degrees of freedom, want %g", c.parts, got, c.want)
		}
	}
}

// TestQuantileOfSeconds: the quantile of several seconds together.
func TestQuantileOfSeconds(t *testing.T) {
	one := report.Second{Latencies: [][2]int64{{100, 50}, {200, 50}}}
	two := report.Second{Latencies: [][2]int64{{100, 10}, {400, 90}}}
	s := &sample{seconds: []tally{{second: &one}, {second: &two}, {second: &report.Second{}}}}
	index([]*sample{s})
	cases := []struct {
		seconds []int
		q       float64
		want    float64
	}{
		{[]int{0}, 0.4, 100}, {[]int{0}, 0.6, 200}, {[]int{1}, 0.5, 400}, {[]int{0, 1}, 0.5, 200}, {[]int{0, 0, 0, 1}, 0.9, 400}, {[]int{0, 2}, 1, 200},
	}
	for _, c := range cases {
		log, ok := s.quantile(c.seconds, c.q, false)
		if got := math.Exp(log); !ok || math.Abs(got/c.want-1) > bucketWidth {
			t.Errorf("%g of %v is %.1f, want %g", c.q, c.seconds, got, c.want)
		}
	}
	if _, ok := s.quantile([]int{2}, 0.5, false); ok {
		t.Error("a second without latencies has a median")
	}
}

// TestCoalescedSecondsAreQuiet checks that a second in which requests were late on purpose is
// compared like any other, and that one in which they were later than that is not.
func TestCoalescedSecondsAreQuiet(t *testing.T) {
	const ms = time.Millisecond
	r := &report.Run{Coalesce: 80 * ms, Counted: 4 * time.Second, Seconds: []report.Second{
		{}, {At: time.Second, Lag: 80 * ms}, {At: 2 * time.Second, Lag: 60 * ms}, {At: 3 * time.Second, Lag: 82 * ms},
	}}
	quiet := newSample(r).quietSeconds(ms)
	if len(quiet.seconds) != 2 || quiet.seconds[0].second.At != time.Second || quiet.seconds[1].second.At != 2*time.Second {
		t.Errorf("%d seconds are quiet, want those at 1s and 2s", len(quiet.seconds))
	}
}
