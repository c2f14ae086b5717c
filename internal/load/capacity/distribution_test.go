package capacity

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestParseDistribution(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Distribution
		mean time.Duration
		back string // what String gives, if not text
	}{
		{"10ms", Constant(10 * ms), 10 * ms, ""},
		{"0s", Constant(0), 0, ""},
		{"constant:1.5s", Constant(1500 * ms), 1500 * ms, "1.5s"},
		{"exponential:10ms", Exponential(10 * ms), 10 * ms, ""},
		{"uniform:5ms-15ms", Uniform(5*ms, 15*ms), 10 * ms, ""},
		{"lognormal:10ms,0.5", LogNormal(10*ms, 0.5), 10 * ms, ""},
		{"bimodal:5ms,95%,100ms", Bimodal(5*ms, 95, 100*ms), 9750 * time.Microsecond, ""},
		{"bimodal:5ms,99.9%,1s", Bimodal(5*ms, 99.9, time.Second), 5995 * time.Microsecond, ""},
		{"constant", Constant(10 * ms), 10 * ms, "10ms"},
		{"exponential", Exponential(10 * ms), 10 * ms, "exponential:10ms"},
		{"uniform", Uniform(5*ms, 15*ms), 10 * ms, "uniform:5ms-15ms"},
		{"lognormal", LogNormal(10*ms, 0.5), 10 * ms, "lognormal:10ms,0.5"},
		{"bimodal", Bimodal(5*ms, 95, 100*ms), 9750 * time.Microsecond, "bimodal:5ms,95%,100ms"},
	} {
		got, err := ParseDistribution(tt.text)
		if err != nil || got != tt.want || got.Mean() != tt.mean {
			t.Errorf("%q: %+v with mean %v, %v; want %+v with mean %v", tt.text, got, got.Mean(), err, tt.want, tt.mean)
		}
		if tt.back == "" {
			tt.back = tt.text
		}
		if got.String() != tt.back {
			t.Errorf("%q: String gives %q, want %q", tt.text, got, tt.back)
		}
	}
}

func TestParseDistributionErrors(t *testing.T) {
	for _, tt := range []struct {
		text    string
		offset  int
		message string
	}{
		{"", 0, "a service time must be " + distributionForms},
		{"fast", 0, "a service time must be " + distributionForms},
		{"gamma:10ms", 0, "a service time must be " + distributionForms},
		{"-10ms", 0, "a service time must be " + distributionForms},
		{"10", 0, `"10" is not a duration such as 10ms`},
		{"2h", 0, "a duration must be between 0 and 1h"},
		{"exponential:", 12, `"" is not a duration such as 10ms`},
		{"exponential:-1ms", 12, "a duration must be between 0 and 1h"},
		{"uniform:5ms", 11, `missing "-": a service time must be ` + distributionForms},
		{"uniform:15ms-5ms", 13, "the maximum is less than the minimum"},
		{"lognormal:10ms", 14, `missing ",": a service time must be ` + distributionForms},
		{"lognormal:10ms,x", 15, `"x" is not a number`},
		{"lognormal:10ms,NaN", 15, "sigma must be between 0 and 3"},
		{"lognormal:10ms,4", 15, "sigma must be between 0 and 3"},
		{"bimodal:5ms,95,100ms", 20, `missing "%,": a service time must be ` + distributionForms},
		{"bimodal:5ms,101%,100ms", 12, "a share must be between 0% and 100%"},
		{"bimodal:5ms,95%,slow", 16, `"slow" is not a duration such as 10ms`},
	} {
		_, err := ParseDistribution(tt.text)
		var problem *SyntaxError
		if !errors.As(err, &problem) || problem.Offset != tt.offset || problem.Message != tt.message || problem.Text != tt.text {
			t.Errorf("%q: %v, want %q at %d", tt.text, err, tt.message, tt.offset)
		}
	}
}

func FuzzParseDistribution(f *testing.F) {
	for name, standard := range standards() {
		f.Add(name)
		f.Add(standard.String())
	}
	f.Add("bimodal:5ms,%,")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDistribution(text)
		var problem *SyntaxError
		if errors.As(err, &problem) {
			if problem.Offset < 0 || problem.Offset > len(text) {
				t.Fatalf("%q: offset %d", text, problem.Offset)
			}
			return
		}
		again, err := ParseDistribution(d.String())
		if err != nil || again != d {
			t.Fatalf("%q gives %+v, its text %q gives %+v, %v", text, d, d, again, err)
		}
		if m := d.Mean(); m < 0 || m > maxTime {
			t.Fatalf("%q: mean %v", text, m)
		}
	})
}

// TestDraw checks the mean and the spread of the values drawn.
func TestDraw(t *testing.T) {
	for _, tt := range []struct {
		d  Distribution
		cv float64 // standard deviation over mean
	}{
		{Constant(10 * ms), 0},
		{Exponential(10 * ms), 1},
		{Uniform(5*ms, 15*ms), 1 / math.Sqrt(12)},
		{LogNormal(10*ms, 0.5), math.Sqrt(math.Exp(0.25) - 1)},
		{Bimodal(5*ms, 95, 100*ms), 95 * math.Sqrt(0.95*0.05) / 9.75},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		const n = 400_000
		var sum, squares float64
		for range n {
			x := float64(tt.d.draw(r))
			sum += x
			squares += x * x
		}
		mean := sum / n
		cv := math.Sqrt(max(squares/n-mean*mean, 0)) / mean
		if want := float64(tt.d.Mean()); math.Abs(mean/want-1) > 0.01 || math.Abs(cv-tt.cv) > 0.02 {
			t.Errorf("%s: mean %v and relative deviation %.3f, want %v and %.3f", tt.d, time.Duration(mean), cv, tt.d.Mean(), tt.cv)
		}
	}
}

func TestWithMean(t *testing.T) {
	for _, tt := range []struct {
		mean time.Duration
		from string
		want string
	}{
		{20 * ms, "10ms", "20ms"},
		{20 * ms, "0s", "20ms"},
		{20 * ms, "exponential:3ms", "exponential:20ms"},
		{20 * ms, "uniform:5ms-15ms", "uniform:10ms-30ms"},
		{10 * ms, "uniform:0s-1ms", "uniform:0s-20ms"},
		{20 * ms, "lognormal:10ms,0.5", "lognormal:20ms,0.5"},
		{19500 * time.Microsecond, "bimodal:5ms,95%,100ms", "bimodal:10ms,95%,200ms"},
	} {
		d, err := ParseDistribution(tt.from)
		if err != nil {
			t.Fatal(err)
		}
		got := d.WithMean(tt.mean)
		if got.String() != tt.want || got.Mean() != tt.mean {
			t.Errorf("%s with mean %v is %s with mean %v, want %s", d, tt.mean, got, got.Mean(), tt.want)
		}
	}
}

func ExampleParseDistribution() {
	d, err := ParseDistribution("lognormal:10ms,0.5")
	fmt.Println(d.Mean(), d.WithMean(40*time.Millisecond), err)
	_, err = ParseDistribution("lognormal:10ms,much")
	fmt.Println(err)
	// Output:
	// 10ms lognormal:40ms,0.5 <nil>
	// service time "lognormal:10ms,much", byte 15: "much" is not a number
}
