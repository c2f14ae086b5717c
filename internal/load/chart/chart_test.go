package chart_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load/chart"
)

func number(v float64) string { return fmt.Sprintf("%g", v) }

func duration(v float64) string { return time.Duration(v).String() }

// places formats a scale's ticks: their positions and labels.
func places(s chart.Scale) (list []string) {
	for _, tick := range s.Ticks {
		list = append(list, fmt.Sprintf("%.1f %s", tick.At, tick.Label))
	}
	return list
}

func TestScales(t *testing.T) {
	cases := map[string]struct {
		scale chart.Scale
		want  []string
	}{
		"linear":          {chart.Linear(220, 4, number), []string{"0.0 0", "33.3 100", "66.7 200", "100.0 300"}},
		"linear, exact":   {chart.Linear(60, 3, number), []string{"0.0 0", "33.3 20", "66.7 40", "100.0 60"}},
		"linear, tiny":    {chart.Linear(0.3, 3, func(v float64) string { return fmt.Sprintf("%.1f", v) }), []string{"0.0 0.0", "33.3 0.1", "66.7 0.2", "100.0 0.3"}},
		"linear, nothing": {chart.Linear(0, 2, number), []string{"0.0 0", "50.0 0.5", "100.0 1"}},
		"log, long":       {chart.Log(3e5, 4e9, duration), []string{"15.9 1ms", "38.6 10ms", "61.4 100ms", "84.1 1s"}},
		"log, short":      {chart.Log(1.2e6, 1.8e7, duration), []string{"0.0 1ms", "23.1 2ms", "53.7 5ms", "76.9 10ms", "100.0 20ms"}},
		"log, a point":    {chart.Log(1e6, 1e6, duration), []string{"0.0 1ms", "30.1 2ms", "69.9 5ms", "100.0 10ms"}},
		"log, nothing":    {chart.Log(0, 0, number), []string{"0.0 1", "30.1 2", "69.9 5", "100.0 10"}},
		"time":            {chart.Time(0, 30*time.Second, 8), []string{"0.0 0s", "16.7 5s", "33.3 10s", "50.0 15s", "66.7 20s", "83.3 25s", "100.0 30s"}},
		"time, short":     {chart.Time(0, 2100*time.Millisecond, 8), []string{"0.0 0s", "23.8 0.5s", "47.6 1s", "71.4 1.5s", "95.2 2s"}},
		"time, long":      {chart.Time(0, 150*time.Minute, 8), []string{"0.0 0s", "20.0 30m", "40.0 1h", "60.0 1h30m", "80.0 2h", "100.0 2h30m"}},
		"time, part":      {chart.Time(75*time.Second, 135*time.Second, 4), []string{"0.0 1m15s", "25.0 1m30s", "50.0 1m45s", "75.0 2m", "100.0 2m15s"}},
		"time, none":      {chart.Time(0, 0, 8), []string{"0.0 0s", "20.0 0.2s", "40.0 0.4s", "60.0 0.6s", "80.0 0.8s", "100.0 1s"}},
		"nines":           {chart.Nines(10_000), []string{"7.5 50%", "25.0 90%", "50.0 99%", "75.0 99.9%", "100.0 99.99%"}},
		"nines of few":    {chart.Nines(3), []string{"15.1 50%", "50.0 90%", "100.0 99%"}},
	}
	for name, c := range cases {
		if diff := cmp.Diff(c.want, places(c.scale)); diff != "" {
			t.Errorf("%s: ticks -want +got\n%s", name, diff)
		}
	}
}

// TestOffTheScale checks that nothing is drawn outside the box.
func TestOffTheScale(t *testing.T) {
	for name, s := range map[string]chart.Scale{
		"linear": chart.Linear(10, 2, number), "log": chart.Log(1, 100, number), "time": chart.Time(0, time.Second, 8), "nines": chart.Nines(100),
	} {
		for v, want := range map[float64]float64{-5: 0, 1e300: 100, math.Inf(1): 100} {
			if got := s.At(v); got != want {
				t.Errorf("%s: %g is at %g, want %g", name, v, got, want)
			}
		}
		if got := s.At(math.NaN()); !math.IsNaN(got) {
			t.Errorf("%s: NaN is at %g", name, got)
		}
	}
}

func TestQuantileInvertsNines(t *testing.T) {
	s := chart.Nines(5000)
	for _, percent := range []float64{0, 10, 50, 99.5} {
		if got := s.At(chart.Quantile(percent, 5000)); math.Abs(got-percent) > 1e-6 {
			t.Errorf("the quantile at %g is at %g", percent, got)
		}
	}
}

func TestPaths(t *testing.T) {
	gap := math.NaN()
	points := []chart.Point{{0, 0}, {50, 100}, {60, gap}, {70, 25}, {80, gap}, {90, 10}, {100, 20}}
	cases := map[string][2]string{
		"line":            {chart.Line(points), "M0 1000L500 0M700 750h0M900 900L1000 800"},
		"line of nothing": {chart.Line(nil), ""},
		"line of a point": {chart.Line(points[:1]), "M0 1000h0"},
		"area":            {chart.Area(points[:4]), "M0 1000L0 1000L500 0L500 1000ZM700 1000L700 750L700 1000Z"},
		"area of gaps":    {chart.Area(points[2:3]), ""},
		"boxes":           {chart.Boxes([]chart.Box{{10, 20, 5, 30}, {20, 0, 5, 0}, {30, 0, 0, 5}}), "M100 500h50v300h-50Z"},
		"to a tenth":      {chart.Line([]chart.Point{{33.33333, 66.66666}}), "M333.3 333.3h0"},
	}
	for name, c := range cases {
		if c[0] != c[1] {
			t.Errorf("%s: %s, want %s", name, c[0], c[1])
		}
	}
}
