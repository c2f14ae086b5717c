package load

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

func perSecondOf(n int) vegeta.Rate { return vegeta.Rate{Freq: n, Per: time.Second} }

// dues returns when the first requests of a schedule are due, until an end.
func dues(s *schedule, until time.Duration) (list []time.Duration) {
	for s.next < until {
		list = append(list, s.next)
		s.advance()
	}
	return list
}

// TestCumulativeCounts checks that at every second as many requests have been due as the
// rate's integral predicts, to within one. The integrals are computed by hand.
func TestCumulativeCounts(t *testing.T) {
	cases := []struct {
		name  string
		pacer vegeta.Pacer
		want  func(at float64) float64 // requests until then
	}{
		{"constant", perSecondOf(250), func(at float64) float64 { return 250 * at }},
		{"slow", vegeta.Rate{Freq: 7, Per: time.Minute}, func(at float64) float64 { return 7 * at / 60 }},
		{"ramp", vegeta.LinearPacer{StartAt: perSecondOf(100), Slope: 30}, func(at float64) float64 { return 100*at + 15*at*at }},
		{"ramp from nothing", vegeta.LinearPacer{StartAt: vegeta.Rate{Freq: 0, Per: time.Second}, Slope: 50}, func(at float64) float64 { return 25 * at * at }},
		{"ramp down to nothing", vegeta.LinearPacer{StartAt: perSecondOf(100), Slope: -10}, func(at float64) float64 {
			at = min(at, 10)
			return 100*at - 5*at*at
		}},
		{"sine", vegeta.SinePacer{Period: 7 * time.Second, Mean: perSecondOf(300), Amp: perSecondOf(200), StartAt: vegeta.MeanUp}, func(at float64) float64 {
			k := 2 * math.Pi / 7
			return 300*at + 200/k*(1-math.Cos(k*at))
		}},
		{"sine from its trough", vegeta.SinePacer{Period: 4 * time.Second, Mean: perSecondOf(300), Amp: perSecondOf(299), StartAt: vegeta.Trough}, func(at float64) float64 {
			k := 2 * math.Pi / 4
			return 300*at - 299/k*math.Sin(k*at)
		}},
		{"stages", Stages{{100, 5 * time.Second}, {100, 5 * time.Second}, {300, 0}, {300, 5 * time.Second}, {0, 10 * time.Second}}, func(at float64) float64 {
			n := 10 * min(at, 5) * min(at, 5)
			n += 100 * min(max(at-5, 0), 5)
			n += 300 * min(max(at-10, 0), 5)
			down := min(max(at-15, 0), 10)
			return n + 300*down - 15*down*down
		}},
		{"a step down within stages", Stages{{40, 0}, {40, 3 * time.Second}, {10, 0}, {10, 3 * time.Second}}, func(at float64) float64 {
			return 40*min(at, 3) + 10*min(max(at-3, 0), 3)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			all := dues(scheduleOf(t, c.pacer), 30*time.Second)
			n := 0
			for second := 1; second <= 30; second++ {
				for n < len(all) && all[n] < time.Duration(second)*time.Second {
					n++
				}
				// The first is due at once, so the count is the integral rounded up.
				if want := c.want(float64(second)); math.Abs(float64(n)-want) > 1 {
					t.Fatalf("%d requests in %d s, want %.2f", n, second, want)
				}
			}
		})
	}
}

// TestSchedulesEnd checks that a rate that has reached 0 offers no more requests, and
// that due times never decrease.
func TestSchedulesEnd(t *testing.T) {
	cases := []struct {
		name  string
		pacer vegeta.Pacer
		want  int // requests in all
		last  time.Duration
	}{
		{"ramp down", vegeta.LinearPacer{StartAt: perSecondOf(10), Slope: -10}, 6, time.Second},
		{"stages", Stages{{10, 0}, {10, 2 * time.Second}}, 21, 2 * time.Second},
		{"stages down", Stages{{10, 0}, {0, 2 * time.Second}}, 11, 2 * time.Second},
		{"a stage at the end that is a step", Stages{{10, time.Second}, {1000, 0}}, 6, time.Second},
		{"a pause between stages", Stages{{10, 0}, {10, time.Second}, {0, 0}, {0, 5 * time.Second}, {10, 0}, {10, time.Second}}, 21, 7 * time.Second},
	}
	for _, c := range cases {
		all := dues(scheduleOf(t, c.pacer), never)
		if len(all) != c.want || all[len(all)-1] > c.last {
			t.Errorf("%s: %d requests, the last at %s: want %d until %s", c.name, len(all), all[len(all)-1], c.want, c.last)
		}
		for i := 1; i < len(all); i++ {
			if all[i] < all[i-1] {
				t.Errorf("%s: request %d is due at %s, the one before at %s", c.name, i, all[i], all[i-1])
			}
		}
	}
}

// TestStagesAsPacer checks that stages work as a vegeta.Pacer, too.
func TestStagesAsPacer(t *testing.T) {
	s := Stages{{100, 10 * time.Second}, {50, 0}, {50, 10 * time.Second}}
	for at, want := range map[time.Duration]float64{0: 0, 5 * time.Second: 50, 9999 * time.Millisecond: 99.99, 10 * time.Second: 50, 19 * time.Second: 50, 20 * time.Second: 0} {
		if got := s.Rate(at); math.Abs(got-want) > 1e-9 {
			t.Errorf("the rate at %s is %g, want %g", at, got, want)
		}
	}
	if wait, stop := s.Pace(time.Second, 500); wait != 9*time.Second || stop {
		t.Errorf("the wait for request 500 at 1 s is %s, stop %t: want 9s", wait, stop)
	}
	if wait, stop := s.Pace(15*time.Second, 500); wait != 0 || stop {
		t.Errorf("a request that is late waits %s, stop %t", wait, stop)
	}
	if _, stop := s.Pace(15*time.Second, 1001); !stop {
		t.Error("there is no request 1001")
	}
	if got, want := s.String(), "to 100/s in 10s, jump to 50/s, 50/s for 10s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if s.Length() != 20*time.Second {
		t.Errorf("length %s", s.Length())
	}
}

// TestPoissonArrivals checks that the counts of equal intervals have the mean and the
// variance of a Poisson process, that gaps are exponential, and that neighboring
// intervals are uncorrelated. The seed is fixed; the bounds are five standard errors.
func TestPoissonArrivals(t *testing.T) {
	const (
		rate      = 200
		intervals = 20_000 // of 100 ms
		mean      = rate * 0.1
	)
	s := newSchedule(steady(rate), Poisson, 42)
	counts := make([]float64, intervals)
	var gaps []float64
	before := time.Duration(0)
	for s.next < intervals*100*time.Millisecond {
		counts[s.next/(100*time.Millisecond)]++
		gaps = append(gaps, (s.next-before).Seconds()*rate)
		before = s.next
		s.advance()
	}
	m, v := moments(counts)
	if off := math.Abs(m - mean); off > 5*math.Sqrt(mean/intervals) {
		t.Errorf("the mean of the counts is %.3f, want %g", m, mean)
	}
	// The variance of a sample variance is about (μ4 - σ⁴)/n, with μ4 = 3λ² + λ.
	if off := math.Abs(v - mean); off > 5*math.Sqrt((2*mean*mean+mean)/intervals) {
		t.Errorf("the variance of the counts is %.3f, want the mean %g", v, mean)
	}
	if m, v := moments(gaps); math.Abs(m-1) > 5/math.Sqrt(float64(len(gaps))) || math.Abs(v-1) > 5*math.Sqrt(8/float64(len(gaps))) {
		t.Errorf("gaps have mean %.4f and variance %.4f, want 1 and 1", m, v)
	}
	var next float64 // covariance of neighbors
	for i := 1; i < len(counts); i++ {
		next += (counts[i] - mean) * (counts[i-1] - mean)
	}
	if correlation := next / float64(len(counts)) / mean; math.Abs(correlation) > 5/math.Sqrt(intervals) {
		t.Errorf("neighboring intervals have correlation %.4f", correlation)
	}
}

func moments(list []float64) (mean, variance float64) {
	for _, x := range list {
		mean += x
	}
	mean /= float64(len(list))
	for _, x := range list {
		variance += (x - mean) * (x - mean)
	}
	return mean, variance / float64(len(list)-1)
}

// TestPoissonFollowsTheCurve checks that counts under a ramp have the ramp's mean.
func TestPoissonFollowsTheCurve(t *testing.T) {
	c, err := curveOf(vegeta.LinearPacer{StartAt: perSecondOf(100), Slope: 100})
	if err != nil {
		t.Fatal(err)
	}
	all := dues(newSchedule(c, Poisson, 1), 60*time.Second)
	for _, second := range []float64{10, 30, 60} {
		n := 0
		for n < len(all) && all[n].Seconds() < second {
			n++
		}
		want := 100*second + 50*second*second
		if math.Abs(float64(n)-want) > 5*math.Sqrt(want) {
			t.Errorf("%d requests in %g s, want %g", n, second, want)
		}
	}
}

// TestSeedsRepeat checks that a seed repeats its schedule, that another seed gives
// another one, and that even arrivals do not depend on it.
func TestSeedsRepeat(t *testing.T) {
	of := func(a Arrivals, seed uint64) []time.Duration {
		return dues(newSchedule(steady(100), a, seed), 10*time.Second)
	}
	if diff := cmp.Diff(of(Poisson, 5), of(Poisson, 5)); diff != "" {
		t.Errorf("one seed, two schedules:\n%s", diff)
	}
	if cmp.Equal(of(Poisson, 5), of(Poisson, 6)) {
		t.Error("two seeds, one schedule")
	}
	if diff := cmp.Diff(of(Uniform, 5), of(Uniform, 6)); diff != "" {
		t.Errorf("even arrivals follow the seed:\n%s", diff)
	}
}

// TestChangeWithinAStage checks that a new rate replaces all further stages and does
// not affect earlier requests.
func TestChangeWithinAStage(t *testing.T) {
	s := scheduleOf(t, Stages{{100, 10 * time.Second}, {0, 10 * time.Second}})
	before := dues(s, 5*time.Second)
	if n := len(before); n < 124 || n > 126 {
		t.Errorf("%d requests in the first 5 s of a ramp to 100/s in 10 s, want 125", n)
	}
	s.change(steady(20), 5*time.Second)
	after := dues(s, 30*time.Second)
	if n := len(after); n < 499 || n > 501 {
		t.Errorf("%d requests in the 25 s after the change to 20/s, want 500", n)
	}
	if first := after[0]; first < 5*time.Second || first > 5*time.Second+50*time.Millisecond {
		t.Errorf("the first one after the change is due at %s", first)
	}
	ended := scheduleOf(t, vegeta.LinearPacer{StartAt: perSecondOf(10), Slope: -10})
	dues(ended, never)
	ended.change(steady(10), time.Minute)
	if ended.next != time.Minute+100*time.Millisecond {
		t.Errorf("a schedule that had ended continues at %s, want 1m0.1s", ended.next)
	}
}

// TestChangeKeepsWhatIsDue checks that requests that are overdue when the rate changes are
// still offered, whether they were gathered or not.
func TestChangeKeepsWhatIsDue(t *testing.T) {
	for _, gathered := range []time.Duration{0, 350 * time.Millisecond, time.Minute} {
		s := scheduleOf(t, perSecondOf(10))
		if gathered > 0 {
			s.gather(gathered, 100)
		}
		s.change(steady(1), 420*time.Millisecond)
		s.gather(3*time.Second, 100)
		var want []time.Duration
		for _, n := range []int{0, 100, 200, 300, 400, 500, 1500, 2500} {
			want = append(want, time.Duration(n)*time.Millisecond)
		}
		if diff := cmp.Diff(want, s.batch); diff != "" {
			t.Errorf("gathered until %s, -want +got\n%s", gathered, diff)
		}
	}
}

// TestChangeOfPoisson checks that the process is still Poisson after a change.
func TestChangeOfPoisson(t *testing.T) {
	s := newSchedule(steady(1), Poisson, 9)
	s.change(steady(1000), time.Second)
	var gaps []float64
	for before := s.next; len(gaps) < 100_000; before = s.next {
		s.advance()
		gaps = append(gaps, (s.next-before).Seconds()*1000)
	}
	if m, v := moments(gaps); math.Abs(m-1) > 0.02 || math.Abs(v-1) > 0.05 {
		t.Errorf("gaps have mean %.4f and variance %.4f, want 1 and 1", m, v)
	}
}
