package growth

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

const us = time.Microsecond

// series returns a series whose points cost as given, at 1, 10, 100, ...
func series(costs ...time.Duration) *Series {
	s := &Series{Name: "x", Title: "things <&>"}
	x := 1.0
	for _, c := range costs {
		s.Points = append(s.Points, Point{X: x, Cost: c, Rate: 12_345.6})
		x *= 10
	}
	return s
}

// TestTrend checks the trend of costs whose parts are known.
func TestTrend(t *testing.T) {
	for _, c := range []struct {
		name   string
		series *Series
		at     float64
		want   time.Duration
	}{
		{"constant", series(5*us, 5*us, 5*us), 1000, 5 * us},
		{"constant and proportional", series(11*us, 20*us, 110*us, 1010*us), 1000, 1010 * us},
		{"proportional", series(1*us, 10*us, 100*us), 1000, 1000 * us},
		{"falling costs have no negative part", series(8*us, 4*us, 4*us), 1e6, series(8*us, 4*us, 4*us).Trend(1)},
		{"one point", series(3 * us), 50, 3 * us},
		{"no point", series(), 50, 0},
	} {
		if got := c.series.Trend(c.at); (got - c.want).Abs() > c.want/1000 {
			t.Errorf("%s: the trend at %g is %s, want %s", c.name, c.at, got, c.want)
		}
	}
}

// TestStep checks which points are steps: those that cost more than 1.5 times the trend.
func TestStep(t *testing.T) {
	s := series(5*us, 5*us, 5*us, 20*us, 5*us, 5*us, 5*us)
	for i := range s.Points {
		if got := s.Step(i); got != (i == 3) {
			t.Errorf("point %d: %t, with the trend %s", i, got, s.Trend(s.Points[i].X))
		}
	}
	if linear := series(11*us, 20*us, 110*us, 1010*us); linear.Step(0) || linear.Step(3) {
		t.Error("costs that grow linearly have a step")
	}
}

// TestTable checks the rows, and the mark of a step.
func TestTable(t *testing.T) {
	s := series(5*us, 5*us, 5*us, 20*us, 5*us, 5*us, 5*us)
	table := s.Table("images")
	for _, want := range []string{"![CPU per message by things <&>](images/growth-x.svg)", "| 1,000,000 | 5 µs | ", "| 1,000 | 20 µs | ", " times the trend |\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	if n := strings.Count(table, "times the trend"); n != 1 {
		t.Errorf("%d steps are marked", n)
	}
	for d, want := range map[time.Duration]string{2540 * time.Nanosecond: "2.5 µs", 99_700 * time.Nanosecond: "100 µs", 999 * us: "999 µs", 1234 * us: "1.2 ms", 250_000 * us: "250 ms"} {
		if got := cost(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
	s.Unit = "B"
	for x, want := range map[float64]string{100: "100 B", 3e4: "30 kB", 1e7: "10 MB"} {
		if got := quantity(x, s.Unit); got != want {
			t.Errorf("%g bytes are %q, want %q", x, got, want)
		}
	}
}

// TestPlot checks that a plot is well-formed XML, has its colors for light and dark pages, and marks the step.
func TestPlot(t *testing.T) {
	plot := series(5*us, 5*us, 5*us, 20*us, 5*us, 5*us, 5*us).Plot()
	for d := xml.NewDecoder(strings.NewReader(plot)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, plot)
		}
	}
	if strings.Count(plot, `class="point"`) != 7 || strings.Count(plot, `class="step"`) != 1 || !strings.Contains(plot, "prefers-color-scheme: dark") || strings.Contains(plot, "NaN") {
		t.Errorf("the plot is\n%s", plot)
	}
}

// TestReplace checks that only the text between the marks changes, as often as it is replaced.
func TestReplace(t *testing.T) {
	page := "# Page\n\n" + begin + "old\n" + end + "\nafter\n"
	for range 2 {
		var err error
		if page, err = Replace(page, "new\n"); err != nil {
			t.Fatal(err)
		}
		if want := "# Page\n\n" + begin + "\nnew\n\n" + end + "\nafter\n"; page != want {
			t.Errorf("the page is %q, want %q", page, want)
		}
	}
	for _, broken := range []string{"", begin, end} {
		if _, err := Replace(broken, "new"); err == nil {
			t.Errorf("%q has no marks and no error", broken)
		}
	}
}
